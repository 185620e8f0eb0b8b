//! Results of evaluations: what success cost.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Deserialize;

use super::ReportError;
use super::canvas::{COLOURS, Drawn, Picture, save};
use super::course::{Course, Outcome};

/// The members of a results file that reports use; all others are skipped.
#[derive(Debug, Clone, Deserialize)]
struct Results {
    summary: Summary,
    compute: Option<Compute>,
    #[serde(default)]
    chains: Vec<Chain>,
}

#[derive(Debug, Clone, Deserialize)]
struct Chain {
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Clone, Deserialize)]
struct Summary {
    chains: u64,
    average_length: f64,
    /// 95 %.
    interval: (f64, f64),
}

#[derive(Debug, Clone, Deserialize)]
struct Compute {
    all_steps: Cost,
    successful_tasks: Option<Cost>,
}

#[derive(Debug, Clone, Deserialize)]
struct Cost {
    exits: Vec<u64>,
    llm_gmac: f64,
    whole_gmac: f64,
    llm_ms: f64,
    step_ms: f64,
}

/// One results file.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// Points of one method share it, and a curve.
    pub method: String,
    path: PathBuf,
    summary: Summary,
    cost: Cost,
    successful: Option<Cost>,
    outcomes: Vec<Outcome>,
}

impl Evaluated {
    /// Reads a results file, as `deer_lab.worlds.judge.evaluate` writes it, of a policy that has a network.
    ///
    /// # Errors
    /// `Results`.
    pub fn read(method: String, path: &Path) -> Result<Self, ReportError> {
        let refuse = |reason: String| ReportError::Results { reason, path: path.to_path_buf() };
        let bytes = fs::read(path).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        let Results { summary, compute, chains } =
            serde_json::from_slice(&bytes).map_err(|e| refuse(format!("is no results file: {e}")))?;
        let compute =
            compute.ok_or_else(|| refuse("has no compute: a policy without a network costs nothing".into()))?;
        let (cost, successful) = (compute.all_steps, compute.successful_tasks);
        let outcomes = chains.into_iter().flat_map(|chain| chain.outcomes).collect();
        Ok(Self { method, path: path.to_path_buf(), summary, cost, successful, outcomes })
    }
}

/// In which unit success is compared.
#[derive(Clone, Copy)]
enum Axis {
    Gflop,
    Ms,
}

impl Axis {
    fn label(self) -> &'static str {
        match self {
            Self::Gflop => "GFLOP of the language model a step (1e9 multiply-accumulates)",
            Self::Ms => "ms of the language model a step",
        }
    }

    fn of(self, cost: &Cost) -> f64 {
        match self {
            Self::Gflop => cost.llm_gmac,
            Self::Ms => cost.llm_ms,
        }
    }
}

/// Writes report.md, report.html and their plots into a folder that exists; the exits over the course of each task for
/// results that say what each step took. `evaluated` is not empty.
///
/// # Errors
/// `Plot`, or `Results` where a table cannot be written.
pub fn compare(evaluated: &[Evaluated], folder: &Path) -> Result<(), ReportError> {
    let plots = [("success_by_gflop", Axis::Gflop), ("success_by_ms", Axis::Ms)];
    for (name, axis) in plots {
        save(&Success { evaluated, axis }, folder, name)?;
    }
    save(&Exits(evaluated), folder, "exits")?;
    let mut names: Vec<String> = [plots[0].0, plots[1].0, "exits"].map(str::to_owned).into();
    for (number, row) in evaluated.iter().enumerate() {
        if let Some(course) = Course::of(&row.method, &row.outcomes) {
            names.push(format!("course_{number}"));
            save(&course, folder, &names[names.len() - 1])?;
        }
    }
    for (name, text) in [("report.md", markdown(evaluated, &names)), ("report.html", html(evaluated, &names))] {
        let path = folder.join(name);
        let refuse =
            |e: std::io::Error| ReportError::Results { reason: format!("cannot be written: {e}"), path: path.clone() };
        fs::write(&path, text).map_err(refuse)?;
    }
    Ok(())
}

const HEADINGS: [&str; 9] = [
    "method",
    "results",
    "chains",
    "average length [95 %]",
    "LLM GMAC a step",
    "whole GMAC a step",
    "LLM ms",
    "whole ms",
    "LLM GMAC, successful tasks",
];

fn cells(row: &Evaluated) -> [String; 9] {
    let Evaluated { method, path, summary, cost, successful, .. } = row;
    let (low, high) = summary.interval;
    [
        method.clone(),
        path.display().to_string(),
        summary.chains.to_string(),
        format!("{:.2} [{low:.2}, {high:.2}]", summary.average_length),
        format!("{:.4}", cost.llm_gmac),
        format!("{:.4}", cost.whole_gmac),
        format!("{:.2}", cost.llm_ms),
        format!("{:.2}", cost.step_ms),
        successful.as_ref().map_or("–".into(), |cost| format!("{:.4}", cost.llm_gmac)),
    ]
}

fn markdown(evaluated: &[Evaluated], plots: &[String]) -> String {
    let mut text = format!("| {} |\n|{}\n", HEADINGS.join(" | "), "---|".repeat(HEADINGS.len()));
    for row in evaluated {
        let _ = writeln!(text, "| {} |", cells(row).join(" | "));
    }
    for plot in plots {
        let _ = writeln!(text, "\n![{plot}]({plot}.svg)");
    }
    text
}

fn html(evaluated: &[Evaluated], plots: &[String]) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let line = |tag: &str, cells: &[String]| -> String {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = evaluated.iter().map(|row| line("td", &cells(row))).collect();
    let images: String = plots.iter().map(|plot| format!("<p><img src=\"{plot}.svg\" alt=\"{plot}\"></p>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>deer_vla report</title>\n\
         <style>body{{font:15px sans-serif;margin:2em;max-width:80em}}td,th{{padding:.3em .8em;text-align:left;\
         border-bottom:1px solid #ccc}}table{{border-collapse:collapse}}img{{max-width:100%}}</style>\n\
         <h1>Success and what it costs</h1>\n<table>\n{}{rows}</table>\n{images}</html>\n",
        line("th", &HEADINGS.map(str::to_owned))
    )
}

/// Methods in the order in which they first come, each with its rows.
fn methods(evaluated: &[Evaluated]) -> Vec<(&str, Vec<&Evaluated>)> {
    let mut found: Vec<(&str, Vec<&Evaluated>)> = Vec::new();
    for row in evaluated {
        match found.iter_mut().find(|(method, _)| *method == row.method) {
            Some((_, rows)) => rows.push(row),
            None => found.push((&row.method, vec![row])),
        }
    }
    found
}

/// Average length over cost, with 95 % intervals: a curve a method.
struct Success<'a> {
    evaluated: &'a [Evaluated],
    axis: Axis,
}

impl Picture for Success<'_> {
    fn size(&self) -> (u32, u32) {
        (1000, 560)
    }

    fn draw<DB: DrawingBackend>(&self, area: DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        area.fill(&WHITE)?;
        let cost = |row: &Evaluated| self.axis.of(&row.cost);
        let right = self.evaluated.iter().map(cost).fold(f64::MIN_POSITIVE, f64::max);
        let highest = self.evaluated.iter().map(|row| row.summary.interval.1).fold(0.5, f64::max);
        let lowest = self.evaluated.iter().map(|row| row.summary.interval.0).fold(highest, f64::min);
        // Where all do nearly as well, what they do alike is left out.
        let bottom = (lowest - (highest - lowest).max(0.5)).max(0.0);
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..1.08 * right, bottom..highest + 0.1 * (highest - bottom))?;
        chart
            .configure_mesh()
            .x_desc(self.axis.label())
            .y_desc("average length of five")
            .label_style(("sans-serif", 16))
            .axis_desc_style(("sans-serif", 18))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (number, (method, mut rows)) in methods(self.evaluated).into_iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()].to_rgba();
            rows.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
            let points = rows.iter().map(|row| (cost(row), row.summary.average_length));
            chart.draw_series(LineSeries::new(points, colour.mix(0.6).stroke_width(2)))?;
            let bars = rows.iter().map(|row| {
                let (low, high) = row.summary.interval;
                ErrorBar::new_vertical(cost(row), low, row.summary.average_length, high, colour.filled(), 8)
            });
            let bars = chart.draw_series(bars)?;
            bars.label(method).legend(move |(x, y)| Circle::new((x + 10, y), 5, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 16))
            .draw()?;
        area.present()?;
        Ok(())
    }
}

/// The share of steps that ends at each exit: a bar a results file, the darker, the deeper.
struct Exits<'a>(&'a [Evaluated]);

impl Picture for Exits<'_> {
    fn size(&self) -> (u32, u32) {
        (1000, 120 + 26 * self.0.len() as u32)
    }

    fn draw<DB: DrawingBackend>(&self, area: DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let Self(evaluated) = self;
        area.fill(&WHITE)?;
        let deepest = evaluated.iter().map(|row| row.cost.exits.len()).max().unwrap_or(0).saturating_sub(1);
        let title = format!("where steps end: exit 0 (pale) to {deepest} (blue)");
        let area = area.margin(10, 0, 0, 0).titled(&title, ("sans-serif", 20))?;
        let rows = evaluated.len();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(30)
            .x_label_area_size(32)
            .y_label_area_size(300)
            .build_cartesian_2d(0.0..1.0, rows as f64..0.0)?;
        for (number, row) in evaluated.iter().enumerate() {
            let steps = row.cost.exits.iter().sum::<u64>().max(1) as f64;
            let mut left = 0.0;
            let bars = row.cost.exits.iter().enumerate().map(|(exit, &taken)| {
                let right = left + taken as f64 / steps;
                let colour = COLOURS[0].mix((1.0 + exit as f64) / (1.0 + deepest as f64));
                let bar = Rectangle::new([(left, number as f64 + 0.1), (right, number as f64 + 0.9)], colour.filled());
                left = right;
                bar
            });
            chart.draw_series(bars)?;
        }
        let name = |at: &f64| {
            let named = |row: &Evaluated| format!("{}, {:.4} GMAC", row.method, row.cost.llm_gmac);
            evaluated.get((*at - 0.5).round() as usize).map_or(String::new(), named)
        };
        chart
            .configure_mesh()
            .x_label_formatter(&|share| format!("{:.0} %", 100.0 * share))
            .y_labels(rows + 1)
            .y_label_formatter(&name)
            .y_label_offset(13)
            .disable_mesh()
            .label_style(("sans-serif", 14))
            .draw()?;
        area.present()?;
        Ok(())
    }
}
