//! `deer_vla bench`: where does a step's time go on this machine?

mod measure;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use deer_vla::bundle::Bundle;
use deer_vla::engine::ort::Options;
use deer_vla::report::Quantiles;

use crate::setup::{EngineArgs, open, raw};
use measure::{Cap, Copied, Measured, measure};

/// Measure ms per part and stage, all stages in turn against the same network as one graph, and memory by cap
///
/// Everything is measured in one run and interleaved, so that a machine that slows down slows all of it. `staged` is
/// every stage in turn; `whole` is the bundle's one graph of all stages; each round runs
/// staged, whole, whole, staged. `overhead` is everything in a full-depth step that is neither vision nor a stage's run
/// (head calls, gate, choice of the state, bookkeeping), as a share of the step less vision.
#[derive(Args)]
pub(crate) struct Bench {
    /// The bundle's folder
    bundle: PathBuf,
    /// Rounds; each runs every part at least once
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Sentence that makes the prompt; its length decides the stages' cost
    #[arg(long, default_value = PROFILE_INSTRUCTION, value_name = "SENTENCE")]
    instruction: String,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Rounds of a measurement that another verb needs.
const PROFILE_ROUNDS: u64 = 100;
const PROFILE_INSTRUCTION: &str = "take the red block and lift it up";

/// Medians in milliseconds, measured now.
pub(crate) struct Profile {
    /// The language model in a step that ends at each exit: stages and head calls.
    pub(crate) llm_ms: Vec<f64>,
    /// A look at each camera.
    pub(crate) vision_ms: Vec<f64>,
}

pub(crate) fn profile(bundle: &Bundle, options: &Options) -> anyhow::Result<Profile> {
    let measured = measure(bundle, options, PROFILE_INSTRUCTION, PROFILE_ROUNDS)?;
    let median = |part: &str| measured.parts_ms.iter().find(|(name, _)| name == part).map_or(0.0, |(_, q)| q.median);
    let to_exit = |total: &mut f64, k: usize| {
        *total += median(&format!("stages[{k}]")) + median(if k == 0 { "head, 2 rows" } else { "head, 1 row" });
        Some(*total)
    };
    let llm_ms = (0..bundle.manifest.exits.len()).scan(median("head state"), to_exit).collect();
    let cameras = bundle.manifest.cameras.iter();
    Ok(Profile { llm_ms, vision_ms: cameras.map(|camera| median(&format!("vision {}", camera.role))).collect() })
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let raw = raw(&self.bundle, &self.engine, None);
        let (bundle, config) = open(&raw)?;
        let measured = measure(&bundle, &config.engine, &self.instruction, self.steps)?;
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &measured)?;
            writeln!(out)?;
        } else {
            print(&mut out, &measured)?;
        }
        Ok(())
    }
}

fn print(out: &mut impl Write, m: &Measured) -> io::Result<()> {
    writeln!(
        out,
        "{}: {} prompt tokens, {} rounds, {} on {} core(s)",
        m.bundle, m.tokens, m.steps, m.provider, m.cores
    )?;
    writeln!(out, "\n{:<22}{:>10}{:>10}{:>10}", "ms", "median", "p10", "p90")?;
    let mut row = |name: &str, q: &Quantiles, unit: &str| {
        writeln!(out, "{name:<22}{:>10.3}{:>10.3}{:>10.3}{unit}", q.median, q.p10, q.p90)
    };
    for (name, ms) in &m.parts_ms {
        row(name, ms, "")?;
    }
    row("full-depth step", &m.full_step_ms, "")?;
    row("step to exit 0", &m.first_exit_step_ms, "")?;
    row("overhead", &percent(&m.overhead_share), "  % of step less vision")?;
    row("  of it head calls", &percent(&m.head_share), "  %")?;
    if let Some(comparison) = &m.staged_against_whole {
        row("staged", &comparison.staged_ms, "")?;
        row("whole", &comparison.whole_ms, "")?;
        row("staged / whole", &comparison.paired_ratio, "  pair by pair")?;
        writeln!(out, "{:<22}{:>10.3}", "ratio of medians", comparison.ratio_of_medians)?;
    } else {
        writeln!(out, "this bundle has no `whole` graph to compare the stages with")?;
    }
    if m.provider != "cpu" {
        let Copied { to_device, to_host, copies_to_host } = m.copied;
        writeln!(
            out,
            "\na full-depth step copies {to_device} bytes to the device and {to_host} back in {copies_to_host} copies"
        )?;
        let recorded = if m.recorded.is_empty() { "none".to_owned() } else { m.recorded.join(", ") };
        writeln!(out, "run as CUDA graphs: {recorded}")?;
    }
    writeln!(out, "\n{:<6}{:>14}{:>14}{:>12}{:>12}", "cap", "weights MB", "resident MB", "GPU MB", "load ms")?;
    writeln!(out, "{:<6}{:>14}{:>14.1}", "-", "", m.resident_before_mb)?;
    for row in &m.caps {
        let gpu = row.device_mb.map_or_else(|| "-".to_owned(), |mb| format!("{mb:.0}"));
        let Cap { cap, weights_mb, resident_mb, load_ms, .. } = row;
        writeln!(out, "{cap:<6}{weights_mb:>14.1}{resident_mb:>14.1}{gpu:>12}{load_ms:>12.1}")?;
    }
    writeln!(out, "(resident: VmRSS after a step at that cap; load ms: from the cap before)")
}

fn percent(share: &Quantiles) -> Quantiles {
    Quantiles { p10: share.p10 * 100.0, median: share.median * 100.0, p90: share.p90 * 100.0 }
}
