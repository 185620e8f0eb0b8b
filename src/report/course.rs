//! How deep the network was run from the beginning to the end of each task.

use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Deserialize;

use super::canvas::{COLOURS, Drawn, Picture};

/// Parts that the course of a task is cut into.
const PARTS: usize = 10;

/// One attempt at a task.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Outcome {
    task: String,
    /// What each step took.
    #[serde(default)]
    taken: Vec<Taken>,
}

#[derive(Debug, Clone, Deserialize)]
struct Taken {
    exit: usize,
}

/// A row a task, a field a tenth of its course: the darker, the deeper.
pub(super) struct Course<'a> {
    method: &'a str,
    /// By task: the mean exit in each part.
    rows: BTreeMap<&'a str, [f64; PARTS]>,
    deepest: usize,
}

impl<'a> Course<'a> {
    /// `None` where it is not known what the steps took, or all took the same.
    pub(super) fn of(method: &'a str, outcomes: &'a [Outcome]) -> Option<Self> {
        let mut sums: BTreeMap<&str, [(f64, f64); PARTS]> = BTreeMap::new();
        for Outcome { task, taken } in outcomes {
            let row = sums.entry(task).or_insert([(0.0, 0.0); PARTS]);
            for (step, taken_by_step) in taken.iter().enumerate() {
                let part = &mut row[step * PARTS / taken.len()];
                *part = (part.0 + taken_by_step.exit as f64, part.1 + 1.0);
            }
        }
        let exits = || outcomes.iter().flat_map(|outcome| &outcome.taken).map(|taken| taken.exit);
        let (shallowest, deepest) = (exits().min()?, exits().max()?);
        let rows = sums.into_iter().map(|(task, row)| (task, row.map(|(sum, steps)| sum / f64::max(steps, 1.0))));
        (shallowest < deepest).then(|| Self { method, rows: rows.collect(), deepest })
    }
}

impl Picture for Course<'_> {
    fn size(&self) -> (u32, u32) {
        (1000, 860)
    }

    fn draw<DB: DrawingBackend>(&self, area: DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let title = format!("{}: mean exit, 0 (white) to {} (blue)", self.method, self.deepest);
        let area = area.margin(10, 0, 0, 0).titled(&title, ("sans-serif", 20))?;
        let tasks: Vec<&str> = self.rows.keys().copied().collect();
        let name =
            |row: &f64| tasks.get((*row - 0.5).round() as usize).map_or(String::new(), |task| (*task).to_owned());
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(30)
            .x_label_area_size(48)
            .y_label_area_size(200)
            .build_cartesian_2d(0.0..1.0, 0.0..tasks.len() as f64)?;
        for (row, parts) in self.rows.values().enumerate() {
            let fields = parts.iter().enumerate().map(|(part, exit)| {
                let corner = |part: usize, row: usize| (part as f64 / PARTS as f64, row as f64);
                let colour = COLOURS[0].mix(exit / self.deepest as f64);
                Rectangle::new([corner(part, row), corner(part + 1, row + 1)], colour.filled())
            });
            chart.draw_series(fields)?;
        }
        chart
            .configure_mesh()
            .x_desc("course of the task")
            .x_label_formatter(&|share| format!("{:.0} %", 100.0 * share))
            .y_labels(tasks.len() + 1)
            .y_label_formatter(&name)
            .y_label_offset(-10)
            .disable_mesh()
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 18))
            .draw()?;
        area.present()?;
        Ok(())
    }
}
