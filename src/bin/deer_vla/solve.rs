//! `deer_vla solve`: a budget → thresholds.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bundle::Bundle;
use deer_vla::thresholds::{Calibration, Method, SCHEMA, Shares, Solution, Thresholds, ThresholdsFile, assign, solve};

use crate::bench::profile;
use crate::setup::{EngineArgs, open, raw};

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
    #[arg(long, value_name = "BYTES", value_parser = gigabytes)]
    memory: Option<f64>,
    /// How thresholds follow from the average: by shares of steps, or by the least action error
    #[arg(long, default_value = "shares", value_parser = ["shares", "direct"])]
    method: String,
    /// The family of shares
    #[arg(long, default_value = "exp", value_parser = shares)]
    shares: Shares,
    /// The shares' parameter itself, instead of a budget
    #[arg(long, conflicts_with_all = ["average", "peak", "memory", "bundle"], requires = "calibration")]
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

/// A cost of the language model's part of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cost {
    Gflop(f64),
    Ms(f64),
}

impl FromStr for Cost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text)?;
        match unit {
            "GFLOP" => Ok(Self::Gflop(number)),
            "MFLOP" => Ok(Self::Gflop(number * 1e-3)),
            "ms" => Ok(Self::Ms(number)),
            _ => Err("give a cost with its unit: 0.02GFLOP, 20MFLOP or 4ms".into()),
        }
    }
}

impl Cost {
    fn number(self) -> f64 {
        match self {
            Self::Gflop(number) | Self::Ms(number) => number,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Gflop(_) => "GFLOP",
            Self::Ms(_) => "ms",
        }
    }
}

fn gigabytes(text: &str) -> Result<f64, String> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "GB" => Ok(number),
        "MB" => Ok(number * 1e-3),
        _ => Err("give bytes with their unit: 2GB or 300MB".into()),
    }
}

fn split_unit(text: &str) -> Result<(f64, &str), String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let number: f64 = text[..end].trim().parse().map_err(|_bad| format!("{text:?} does not begin with a number"))?;
    if number.is_finite() && number > 0.0 { Ok((number, &text[end..])) } else { Err("must be more than 0".into()) }
}

fn shares(text: &str) -> Result<Shares, String> {
    [Shares::Exp, Shares::Gauss, Shares::Gamma]
        .into_iter()
        .find(|family| family.as_str() == text)
        .ok_or_else(|| "one of exp, gauss, gamma".into())
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
        if !ratio.is_finite() || (self.shares != Shares::Gauss && ratio <= 0.0) {
            bail!("--ratio is {ratio}; for {} it is a number above 0", self.shares.as_str());
        }
        let (calibration, hash) = Calibration::read(path)?;
        let thresholds = assign(&calibration, &self.shares.of(calibration.exits.len(), ratio));
        let budget = serde_json::json!({"shares": self.shares.as_str(), "ratio": ratio});
        let manifest = calibration.manifest_sha256.clone().unwrap_or_default();
        let file = file(&thresholds, &calibration, manifest, hash, budget);
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &file)?;
        Ok(writeln!(out)?)
    }

    fn for_bundle(&self, folder: &Path) -> anyhow::Result<()> {
        let (bundle, config) = open(&raw(folder, &self.engine, None))?;
        let path = self.calibration.clone().unwrap_or_else(|| bundle.path("calibration.json"));
        let (calibration, hash) = Calibration::read(&path)?;
        calibration.belongs_to(&bundle)?;
        let exits = bundle.manifest.exits.len();
        let gflop: Vec<f64> = (0..exits).map(|k| bundle.manifest.macs_to(k) as f64 * 1e-9).collect();
        let timed = [self.average, self.peak].iter().flatten().any(|cost| matches!(cost, Cost::Ms(_)));
        let ms = if timed { profile(&bundle, &config.engine)? } else { Vec::new() };
        let costs = |cost: Cost| if matches!(cost, Cost::Ms(_)) { &ms } else { &gflop };
        let cap = self.cap(&bundle, self.peak.map(|peak| (peak, costs(peak).as_slice())))?;
        let average = self.average.unwrap_or(Cost::Gflop(f64::INFINITY));
        let unit = average.unit();
        let solution = solve(&calibration, costs(average), cap, self.average.map(Cost::number), self.method())
            .with_context(|| format!("--average, in {unit}"))?;
        let out = self.out.clone().unwrap_or_else(|| bundle.path("thresholds.json"));
        let file =
            file(&solution.thresholds, &calibration, bundle.hash.clone(), hash, self.budget(&solution, cap, unit));
        fs::write(&out, serde_json::to_string_pretty(&file)? + "\n")
            .with_context(|| format!("{} cannot be written", out.display()))?;
        self.tell(&bundle, &solution, cap, costs(average), unit)?;
        eprintln!("written: {}", out.display());
        Ok(())
    }

    fn method(&self) -> Method {
        if self.method == "direct" { Method::Direct } else { Method::Shares(self.shares) }
    }

    /// The deepest exit that peak and memory allow.
    fn cap(&self, bundle: &Bundle, peak: Option<(Cost, &[f64])>) -> anyhow::Result<usize> {
        let gb = |k: usize| bundle.manifest.bytes_to(k) as f64 * 1e-9;
        if let Some((peak, costs)) = peak.filter(|(peak, costs)| costs[0] > peak.number()) {
            let unit = peak.unit();
            bail!(
                "--peak is {} {unit}; the first exit needs {:.6} {unit}, the nearest that can be met",
                peak.number(),
                costs[0]
            );
        }
        if let Some(memory) = self.memory.filter(|&memory| gb(0) > memory) {
            bail!("--memory is {memory} GB; the first exit needs {:.6} GB, the nearest that can be met", gb(0));
        }
        let allowed = |k: &usize| {
            peak.is_none_or(|(peak, costs)| costs[*k] <= peak.number())
                && self.memory.is_none_or(|memory| gb(*k) <= memory)
        };
        Ok((0..bundle.manifest.exits.len()).rev().find(allowed).unwrap_or(0))
    }

    fn budget(&self, solution: &Solution, cap: usize, unit: &str) -> serde_json::Value {
        let cost =
            |cost: Option<Cost>| cost.map(|cost| serde_json::json!({"value": cost.number(), "unit": cost.unit()}));
        serde_json::json!({
            "average": cost(self.average),
            "peak": cost(self.peak),
            "memory_gb": self.memory,
            "method": self.method().as_str(),
            "ratio": solution.ratio,
            "cap": cap,
            "expected_average": {"value": solution.expected, "unit": unit},
            "expected_shares": solution.shares,
        })
    }

    fn tell(&self, bundle: &Bundle, solution: &Solution, cap: usize, costs: &[f64], unit: &str) -> anyhow::Result<()> {
        let full = costs[costs.len() - 1];
        eprintln!("cap: exit {cap} (layer {})", bundle.manifest.exits[cap]);
        for (exit, share) in solution.shares.iter().enumerate() {
            let limit = solution.thresholds.limit(exit, cap);
            let limit = if limit < 0.0 { "never taken".into() } else { format!("delta ≤ {limit:.5}") };
            eprintln!("exit {exit}: {:>5.1} % of samples, {limit}", 100.0 * share);
        }
        eprintln!(
            "average: {:.6} {unit} wanted, {:.6} {unit} expected ({:.0} % of full depth)",
            solution.wanted,
            solution.expected,
            100.0 * solution.expected / full
        );
        if unit == "GFLOP" {
            let vision = bundle.manifest.parts.vision.macs as f64 * 1e-9;
            eprintln!("whole model, vision included: {:.6} of {:.6} GFLOP", solution.expected + vision, full + vision);
        }
        if let Some(path) = &self.held_out {
            let (other, _) = Calibration::read(path)?;
            other.belongs_to(bundle)?;
            let found = other.mean_cost(&solution.thresholds.as_slice()[..=cap], &costs[..=cap]);
            let off = 100.0 * (found / solution.wanted - 1.0);
            eprintln!("held out ({} samples): {found:.6} {unit}, {off:+.1} % off what was wanted", other.samples());
        }
        Ok(())
    }
}

fn file(
    thresholds: &Thresholds,
    calibration: &Calibration,
    manifest_sha256: String,
    calibration_sha256: String,
    budget: serde_json::Value,
) -> ThresholdsFile {
    let limit = |&limit: &f32| limit.is_finite().then_some(f64::from(limit));
    ThresholdsFile {
        schema: SCHEMA,
        manifest_sha256,
        metric: calibration.metric,
        thresholds: thresholds.as_slice().iter().map(limit).collect(),
        budget: Some(budget),
        calibration_sha256: Some(calibration_sha256),
        seed: calibration.seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_has_a_unit() {
        assert_eq!("0.02GFLOP".parse(), Ok(Cost::Gflop(0.02)));
        assert_eq!("20MFLOP".parse(), Ok(Cost::Gflop(0.02)));
        assert_eq!("4.5 ms".parse(), Ok(Cost::Ms(4.5)));
        assert!("4".parse::<Cost>().unwrap_err().contains("with its unit"));
        assert!("-4ms".parse::<Cost>().unwrap_err().contains("more than 0"));
        assert_eq!(gigabytes("300MB"), Ok(0.3));
        assert!(gigabytes("3").is_err() && gigabytes("GB").is_err());
    }
}
