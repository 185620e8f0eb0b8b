//! Exits over time: how deep each moment needed the network.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::canvas::{COLOURS, Drawn, Picture, save};
use super::{Decision, ReportError};

/// Width of the panel of exits over time; the histogram takes the rest.
const TIME_WIDTH: u32 = 980;
/// The row on which holds are marked.
const HOLD: f64 = -1.0;
/// Epochs whose sentence stands in the legend; more would leave the plot no room.
const LEGEND_EPOCHS: usize = 6;

/// Draws `exits.svg` and `exits.png` into a folder that exists. `decisions` is not empty.
///
/// # Errors
/// `Plot`.
pub fn plot(decisions: &[Decision], folder: &Path) -> Result<(), ReportError> {
    save(&Exits(decisions), folder, "exits")
}

struct Exits<'a>(&'a [Decision]);

impl Picture for Exits<'_> {
    fn size(&self) -> (u32, u32) {
        (1280, 520)
    }

    fn draw<DB: DrawingBackend>(&self, area: DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static,
    {
        let Self(decisions) = self;
        area.fill(&WHITE)?;
        let exits: Vec<usize> = decisions.iter().filter_map(Decision::exit).collect();
        let epochs: Vec<&[Decision]> = decisions.chunk_by(|a, b| a.epoch == b.epoch).collect();
        let deepest = exits.iter().copied().max().unwrap_or(0);
        // Room above the deepest exit for the legend, a row of which is a twentieth of the plot's height.
        let top = deepest as f64 + 0.6 + 0.06 * (deepest as f64 + 2.0) * epochs.len().min(LEGEND_EPOCHS) as f64;
        let area = area.margin(10, 0, 0, 0).titled(&title(decisions.len(), &exits), ("sans-serif", 22))?;
        let (time, histogram) = area.split_horizontally(TIME_WIDTH);
        over_time(&time, &epochs, deepest, top)?;
        shares(&histogram, &exits, deepest, top)?;
        area.present()?;
        Ok(())
    }
}

fn title(decisions: usize, exits: &[usize]) -> String {
    let holds = decisions - exits.len();
    if exits.is_empty() {
        return format!("no step was taken: {holds} holds");
    }
    let mean = exits.iter().sum::<usize>() as f64 / exits.len() as f64;
    format!("mean exit {mean:.2} over {} steps, {holds} holds", exits.len())
}

/// Rows of the plot: the holds', then one an exit, then the legend's room.
fn row_name(row: f64, deepest: usize) -> String {
    match row {
        HOLD => "hold".into(),
        _ if row > deepest as f64 => String::new(),
        _ => format!("exit {row:.0}"),
    }
}

fn over_time<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    epochs: &[&[Decision]],
    deepest: usize,
    top: f64,
) -> Drawn
where
    DB::ErrorType: 'static,
{
    let first = epochs[0][0].stamp;
    let secs = |decision: &Decision| decision.stamp.secs_since(first);
    let end = epochs.iter().copied().flatten().map(secs).fold(1e-3, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.01 * end..1.01 * end, HOLD - 0.5..top)?;
    chart
        .configure_mesh()
        .x_desc("seconds since the first decision")
        .y_labels(top as usize + 2)
        .y_label_formatter(&|row| row_name(*row, deepest))
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 18))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (i, epoch) in epochs.iter().enumerate() {
        draw_epoch(&mut chart, epoch, COLOURS[i % COLOURS.len()].to_rgba(), i < LEGEND_EPOCHS, &secs)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}

type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw_epoch<DB: DrawingBackend>(
    chart: &mut Chart<'_, DB>,
    epoch: &[Decision],
    colour: RGBAColor,
    in_legend: bool,
    secs: &dyn Fn(&Decision) -> f64,
) -> Drawn
where
    DB::ErrorType: 'static,
{
    let exits = epoch.iter().filter_map(|d| d.exit().map(|exit| (secs(d), exit as f64)));
    chart.draw_series(LineSeries::new(exits.clone(), colour.mix(0.35)))?;
    let dots = chart.draw_series(exits.map(|point| Circle::new(point, 3, colour.filled())))?;
    if in_legend {
        let sentence = epoch.iter().map(|d| d.instruction.as_str()).find(|text| !text.is_empty());
        dots.label(shortened(sentence.unwrap_or("no instruction")))
            .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
    }
    let holds = epoch.iter().filter(|d| d.exit().is_none()).map(|d| (secs(d), HOLD));
    chart.draw_series(holds.map(|point| Cross::new(point, 4, colour.stroke_width(2))))?;
    Ok(())
}

fn shortened(sentence: &str) -> String {
    let short: String = sentence.chars().take(48).collect();
    if short.len() < sentence.len() { format!("{short}…") } else { short }
}

fn shares<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, exits: &[usize], deepest: usize, top: f64) -> Drawn
where
    DB::ErrorType: 'static,
{
    let share = |exit: usize| exits.iter().filter(|&&e| e == exit).count() as f64 / exits.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(8)
        .build_cartesian_2d(0.0..1.0, HOLD - 0.5..top)?;
    chart
        .configure_mesh()
        .x_desc("share of steps")
        .x_labels(3)
        .x_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .y_labels(0)
        .disable_y_mesh()
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 18))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for exit in 0..=deepest {
        let (y, share) = (exit as f64, share(exit));
        let bar = Rectangle::new([(0.0, y - 0.3), (share, y + 0.3)], BLACK.mix(0.4).filled());
        let label = Text::new(format!("{:.0} %", share * 100.0), (share + 0.02, y + 0.12), ("sans-serif", 15));
        chart.draw_series([bar])?;
        chart.draw_series([label])?;
    }
    Ok(())
}
