//! `deer_vla solve`: a budget → thresholds.

mod cost;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bundle::Bundle;
use deer_vla::thresholds::{Calibration, Method, SCHEMA, Shares, Solution, ThresholdsFile};
use deer_vla::thresholds::{assign, deepest, gflop, gigabytes, solve};

use crate::bench::{Profile, profile};
use crate::setup::{EngineArgs, open, raw};
use crate::write_whole;
use cost::Cost;

/// Find the thresholds that meet a budget, from a calibration
///
/// The peak and the memory decide the deepest exit allowed. The average decides the thresholds: by the paper's shares of
/// steps per exit, or directly by the least action error. Costs are the language model's (stages and head); 1 GFLOP
/// stands for 1e9 multiply-accumulates, ms for this machine's measured medians.
///
/// Without a bundle, --calibration, --shares and --ratio print the thresholds of those very shares.
#[derive(Args)]
pub(crate) struct Solve {
    /// The bundle's folder
    #[arg(required_unless_present = "ratio")]
    bundle: Option<PathBuf>,
    /// Average cost of a step, such as 0.02GFLOP or 4ms
    #[arg(long, value_name = "COST")]
    average: Option<Cost>,
    /// Most that one step may cost, such as 0.05GFLOP or 12ms
    #[arg(long, value_name = "COST")]
    peak: Option<Cost>,
    /// Most bytes of weights in memory, such as 2GB or 300MB
    #[arg(long, value_name = "BYTES", value_parser = cost::gigabytes)]
    memory: Option<f64>,
    /// How thresholds follow from the average: by shares of steps, or by the least action error
    #[arg(long, default_value = "shares", value_parser = ["shares", "direct"])]
    method: String,
    /// The family of shares
    #[arg(long, default_value = "exp", value_parser = shares)]
    shares: Shares,
    /// The shares' parameter itself, instead of a budget
    #[arg(long, requires = "calibration", allow_negative_numbers = true,
        conflicts_with_all = ["bundle", "average", "peak", "memory", "method", "held_out", "out"])]
    ratio: Option<f64>,
    /// The calibration [default: calibration.json in the bundle]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Another calibration of the bundle: what would the thresholds cost there?
    #[arg(long, value_name = "FILE")]
    held_out: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// The file to write [default: thresholds.json in the bundle]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn shares(text: &str) -> Result<Shares, String> {
    Shares::ALL.into_iter().find(|family| family.as_str() == text).ok_or_else(|| "one of exp, gauss, gamma".into())
}

/// What the exits of a bundle cost in one unit.
struct Costs {
    unit: &'static str,
    /// The language model in a step that ends at each exit.
    llm: Vec<f64>,
    vision: f64,
}

impl Costs {
    fn in_gflop(bundle: &Bundle) -> Self {
        Self { unit: "GFLOP", llm: gflop(&bundle.manifest), vision: bundle.manifest.parts.vision.macs as f64 / 1e9 }
    }
}

impl From<Profile> for Costs {
    fn from(Profile { llm_ms, vision_ms }: Profile) -> Self {
        Self { unit: "ms", llm: llm_ms, vision: vision_ms }
    }
}

impl Solve {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match (&self.bundle, self.ratio) {
            (Some(bundle), None) => self.for_bundle(bundle),
            (_, Some(ratio)) => self.for_ratio(ratio),
            (None, None) => bail!("name a bundle, or --calibration FILE --shares FAMILY --ratio R"),
        }
    }

    fn for_ratio(&self, ratio: f64) -> anyhow::Result<()> {
        let path = self.calibration.as_ref().context("--ratio needs --calibration FILE")?;
        let (low, high) = self.shares.range();
        if !(low..=high).contains(&ratio) {
            bail!("--ratio is {ratio}; for {} it is a number from {low} to {high}", self.shares.as_str());
        }
        let (calibration, hash) = Calibration::read(path)?;
        let limits = assign(&calibration, &self.shares.of(calibration.exits.len(), ratio));
        let budget = serde_json::json!({"method": self.shares.as_str(), "ratio": ratio});
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &file(&limits, &calibration, hash, budget))?;
        Ok(writeln!(out)?)
    }

    fn for_bundle(&self, folder: &Path) -> anyhow::Result<()> {
        let (bundle, config) = open(&raw(folder, &self.engine, None))?;
        let read = |path: &Path| -> anyhow::Result<(Calibration, String)> {
            let (calibration, hash) = Calibration::read(path)?;
            calibration.belongs_to(&bundle)?;
            Ok((calibration, hash))
        };
        let (calibration, hash) = read(&self.calibration.clone().unwrap_or_else(|| bundle.path("calibration.json")))?;
        let held_out = self.held_out.as_deref().map(read).transpose()?.map(|(table, _)| table);
        if let Some(other) = held_out.as_ref().filter(|other| other.metric != calibration.metric) {
            bail!(
                "--held-out measures {:?}, the calibration {:?}; calibrate both alike",
                other.metric,
                calibration.metric
            );
        }
        let timed = [self.average, self.peak].iter().flatten().any(|cost| matches!(cost, Cost::Ms(_)));
        let ms = timed.then(|| profile(&bundle, &config.engine)).transpose()?.map(Costs::from);
        let gflop = Costs::in_gflop(&bundle);
        let costs = |cost: Option<Cost>| ms.as_ref().filter(|_| matches!(cost, Some(Cost::Ms(_)))).unwrap_or(&gflop);
        let cap = self.cap(&bundle, costs(self.peak))?;
        let costs = costs(self.average);
        let solution = solve(&calibration, &costs.llm, cap, self.average.map(Cost::number), self.method())
            .with_context(|| format!("--average, in {}", costs.unit))?;
        let out = self.out.clone().unwrap_or_else(|| bundle.path("thresholds.json"));
        let file = file(&solution.limits, &calibration, hash, self.budget(&solution, cap, costs));
        write_whole(&out, (serde_json::to_string_pretty(&file)? + "\n").as_bytes())?;
        tell(&bundle, &solution, cap, costs);
        if let Some(other) = held_out {
            tell_held_out(&other, &solution, cap, costs);
        }
        eprintln!("written: {}", out.display());
        Ok(())
    }

    fn method(&self) -> Method {
        if self.method == "direct" { Method::Direct } else { Method::Shares(self.shares) }
    }

    /// The deepest exit that peak and memory allow; `costs` are in the peak's unit.
    fn cap(&self, bundle: &Bundle, costs: &Costs) -> anyhow::Result<usize> {
        let cap = |name: &str, costs: &[f64], most: Option<f64>, unit: &str| {
            let most = most.unwrap_or(f64::INFINITY);
            deepest(costs, most).map_err(|first| {
                anyhow::anyhow!(
                    "--{name} is {most} {unit}; the first exit needs {first} {unit}, the nearest that can be met"
                )
            })
        };
        let peak = cap("peak", &costs.llm, self.peak.map(Cost::number), costs.unit)?;
        Ok(peak.min(cap("memory", &gigabytes(&bundle.manifest), self.memory, "GB")?))
    }

    /// What was solved for and what came out, for the thresholds file.
    fn budget(&self, solution: &Solution, cap: usize, costs: &Costs) -> serde_json::Value {
        let quantity = |value: f64, unit: &str| serde_json::json!({"value": value, "unit": unit});
        let typed = |cost: Option<Cost>| cost.map(|cost| quantity(cost.number(), cost.unit()));
        serde_json::json!({
            "average": typed(self.average),
            "peak": typed(self.peak),
            "memory_gb": self.memory,
            "method": self.method().as_str(),
            "ratio": solution.ratio,
            "cap": cap,
            "exit_costs": {"value": costs.llm, "unit": costs.unit},
            "expected_average": quantity(solution.expected, costs.unit),
            "expected_whole_model": quantity(solution.expected + costs.vision, costs.unit),
            "expected_error": solution.error,
            "expected_shares": solution.shares,
        })
    }
}

fn tell(bundle: &Bundle, solution: &Solution, cap: usize, costs: &Costs) {
    let Costs { unit, llm, vision } = costs;
    let full = llm[llm.len() - 1];
    eprintln!("cap: exit {cap} (layer {})", bundle.manifest.exits[cap]);
    for (exit, share) in solution.shares.iter().enumerate() {
        let limit = match solution.limits[exit] {
            _ if exit == cap => "every delta".into(),
            limit if limit < 0.0 => "never taken".into(),
            limit => format!("delta ≤ {limit:.5}"),
        };
        eprintln!("exit {exit}: {:>5.1} % of samples, {limit}", 100.0 * share);
    }
    let percent = |part: f64, whole: f64| 100.0 * part / whole;
    let (wanted, expected) = (solution.wanted, solution.expected);
    eprintln!(
        "average: {wanted:.6} {unit} wanted, {expected:.6} {unit} expected ({:.0} % of full depth)",
        percent(expected, full)
    );
    let (whole, most) = (expected + vision, full + vision);
    eprintln!("whole model, vision included: {whole:.6} of {most:.6} {unit} ({:.0} %)", percent(whole, most));
    if let Some(error) = solution.error {
        eprintln!("arm action against full depth: {error:.5} root mean square");
    }
}

fn tell_held_out(other: &Calibration, solution: &Solution, cap: usize, costs: &Costs) {
    let (limits, unit) = (&solution.limits[..=cap], costs.unit);
    let found = other.mean_cost(limits, &costs.llm[..=cap]);
    let off = 100.0 * (found / solution.wanted - 1.0);
    let error = other.mean_error(limits).map_or(String::new(), |error| format!(", action error {error:.5}"));
    eprintln!("held out ({} samples): {found:.6} {unit}, {off:+.1} % off what was wanted{error}", other.samples());
}

fn file(
    limits: &[f64],
    calibration: &Calibration,
    calibration_sha256: String,
    budget: serde_json::Value,
) -> ThresholdsFile {
    ThresholdsFile {
        schema: SCHEMA,
        manifest_sha256: calibration.manifest_sha256.clone().unwrap_or_default(),
        metric: calibration.metric,
        thresholds: limits.iter().map(|&limit| limit.is_finite().then_some(limit)).collect(),
        budget: Some(budget),
        calibration_sha256: Some(calibration_sha256),
        seed: calibration.seed,
    }
}
