//! Exits before and now over time, and how far apart the actions are.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::ReportError;
use super::canvas::{COLOURS, Drawn, Picture, save};

/// One set of pictures that was decided on twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Otherwise {
    /// Seconds since the first.
    pub secs: f64,
    /// The exit that was taken before and now; `None` on hold.
    pub exits: [Option<usize>; 2],
    /// Root mean square of the difference of the arm's six outputs, where both acted.
    pub distance: Option<f64>,
}

/// Draws `otherwise.svg` and `otherwise.png` into a folder that exists.
///
/// # Errors
/// `Plot`.
pub fn plot_otherwise(points: &[Otherwise], folder: &Path) -> Result<(), ReportError> {
    save(&Points(points), folder, "otherwise")
}

struct Points<'a>(&'a [Otherwise]);

/// The row on which holds are marked.
const HOLD: f64 = -1.0;

impl Picture for Points<'_> {
    fn size(&self) -> (u32, u32) {
        (1280, 620)
    }

    fn draw<DB: DrawingBackend>(&self, area: DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let (exits, distance) = area.split_vertically(400);
        self.exits(&exits)?;
        self.distance(&distance)?;
        area.present()?;
        Ok(())
    }
}

impl Points<'_> {
    fn end(&self) -> f64 {
        self.0.iter().map(|point| point.secs).fold(1e-3, f64::max)
    }

    fn exits<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let deepest = self.0.iter().flat_map(|point| point.exits).flatten().max().unwrap_or(0) as f64;
        let end = self.end();
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(8)
            .y_label_area_size(90)
            .build_cartesian_2d(-0.01 * end..1.01 * end, HOLD - 0.5..deepest + 1.5)?;
        let name = |row: &f64| match row.round() {
            HOLD => "hold".to_owned(),
            exit if exit > deepest => String::new(),
            exit => format!("exit {exit:.0}"),
        };
        chart
            .configure_mesh()
            .x_labels(0)
            .y_labels(deepest as usize + 3)
            .y_label_formatter(&name)
            .label_style(("sans-serif", 16))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (side, name, colour, height) in
            [(0, "before", BLACK.mix(0.4), 0.12), (1, "now", COLOURS[0].to_rgba(), -0.12)]
        {
            let row = |point: &Otherwise| point.exits[side].map_or(HOLD, |exit| exit as f64) + height;
            let dots = self.0.iter().map(|point| Circle::new((point.secs, row(point)), 3, colour.filled()));
            let dots = chart.draw_series(dots)?;
            dots.label(name).legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 16))
            .draw()?;
        Ok(())
    }

    fn distance<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let end = self.end();
        let most = self.0.iter().filter_map(|point| point.distance).fold(1e-3, f64::max);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(90)
            .build_cartesian_2d(-0.01 * end..1.01 * end, 0.0..1.1 * most)?;
        chart
            .configure_mesh()
            .x_desc("seconds since the first pictures")
            .y_desc("actions apart")
            .y_labels(4)
            .label_style(("sans-serif", 16))
            .axis_desc_style(("sans-serif", 18))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let bars = self.0.iter().filter_map(|point| Some((point.secs, point.distance?)));
        let bar = |(secs, apart)| PathElement::new([(secs, 0.0), (secs, apart)], COLOURS[1].stroke_width(2));
        chart.draw_series(bars.map(bar))?;
        Ok(())
    }
}
