//! `deer_vla solve`: a budget → thresholds.

mod whole;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::thresholds::{Calibration, Kept, Promise, Scope, assign, controlled};
use serde_json::json;

use crate::budget::{BudgetArgs, Solved, file};
use crate::setup::{EngineArgs, open, raw};
use crate::write_whole;

/// Find the thresholds that meet a budget, from a calibration
///
/// The peak and the memory decide the deepest exit allowed. The average decides the thresholds: by the paper's shares of
/// steps per exit, or directly by the least action error. Costs are the language model's (stages and head); 1 GFLOP
/// stands for 1e9 multiply-accumulates, ms for this machine's measured medians.
///
/// With --of whole the average is of the whole step: when cameras are kept and steps skipped is found with the thresholds,
/// from plans.json, as what keeps the action closest to full depth with every picture; the best fixed plan is told beside.
///
/// Without a bundle, --calibration, --shares and --ratio print the thresholds of those very shares.
#[derive(Args)]
pub(crate) struct Solve {
    /// The bundle's folder
    #[arg(required_unless_present = "ratio")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    budget: BudgetArgs,
    /// The shares' parameter itself, instead of a budget
    #[arg(long, requires = "calibration", allow_negative_numbers = true,
        conflicts_with_all = ["bundle", "average", "peak", "memory", "method", "held_out", "out"])]
    ratio: Option<f64>,
    /// The calibration [default: calibration.json in the bundle; with --of whole plans.json]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Another calibration of the bundle (with --of whole other plans): what would the thresholds cost there?
    #[arg(long, value_name = "FILE")]
    held_out: Option<PathBuf>,
    /// With --of whole: also write the best fixed plan within the average, to be judged beside
    #[arg(long, value_name = "FILE")]
    fixed_out: Option<PathBuf>,
    #[command(flatten)]
    promise: PromiseArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// The file to write [default: thresholds.json in the bundle]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What the thresholds must keep, instead of an average.
#[derive(Args)]
struct PromiseArgs {
    /// Instead of an average: the cheapest thresholds whose mean loss a recording is at most this, from 0 to 1. The loss
    /// of a step is its action's distance to full depth as a share of --tolerance, at most 1. --held-out proves it
    #[arg(long, value_name = "SHARE", requires = "held_out", conflicts_with_all = ["average", "ratio"], value_parser = share)]
    risk: Option<f64>,
    /// How probable it must be that the promise holds
    #[arg(long, default_value_t = 0.9, value_name = "SHARE", value_parser = share)]
    confidence: f64,
    /// Distance to full depth that counts as lost: root mean square over the arm's outputs, each in -1..1
    #[arg(long, default_value_t = 0.1, value_name = "RMS", value_parser = tolerance)]
    tolerance: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_no_number| "give a number above 0 and below 1, such as 0.05")?;
    if 0.0 < value && value < 1.0 { Ok(value) } else { Err("give a number above 0 and below 1, such as 0.05".into()) }
}

fn tolerance(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|&value: &f64| value > 0.0 && value.is_finite())
        .ok_or_else(|| "give a number above 0".into())
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
        let (low, high) = self.budget.shares.range();
        if !(low..=high).contains(&ratio) {
            bail!("--ratio is {ratio}; for {} it is a number from {low} to {high}", self.budget.shares.as_str());
        }
        let (calibration, hash) = Calibration::read(path)?;
        let limits = assign(&calibration, &self.budget.shares.of(calibration.exits.len(), ratio));
        let budget = serde_json::json!({"method": self.budget.shares.as_str(), "ratio": ratio});
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &file(&limits, &calibration, hash, budget))?;
        Ok(writeln!(out)?)
    }

    fn for_bundle(&self, folder: &Path) -> anyhow::Result<()> {
        let (bundle, config) = open(&raw(folder, &self.engine, None))?;
        if self.budget.of == Scope::Whole {
            return self.whole(&bundle, &config);
        }
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
        let (solved, kept) = match (self.promise.risk, &held_out) {
            (Some(risk), Some(other)) => {
                let (solved, kept) = self.promised(&bundle, &config, &calibration, other, risk)?;
                (solved, Some(kept))
            }
            _ => (self.budget.solve(&bundle, &config, &calibration)?, None),
        };
        let out = self.out.clone().unwrap_or_else(|| bundle.path("thresholds.json"));
        let mut told = self.budget.told(&solved);
        if let (Some(risk), Some(kept)) = (self.promise.risk, kept) {
            let PromiseArgs { confidence, tolerance, .. } = self.promise;
            told["promise"] = json!({"risk": risk, "confidence": confidence, "tolerance": tolerance, "mean_loss": kept.mean, "p": kept.p});
        }
        let file = file(&solved.solution.limits, &calibration, hash, told);
        write_whole(&out, (serde_json::to_string_pretty(&file)? + "\n").as_bytes())?;
        tell(&bundle, &solved);
        if let (Some(risk), Some(kept), Some(other)) = (self.promise.risk, kept, &held_out) {
            let (episodes, confidence) = (other.episodes.len(), 100.0 * self.promise.confidence);
            eprintln!(
                "promise: mean loss {:.4} over {episodes} held-out recordings; at most {risk} with {confidence} % confidence (p = {:.4})",
                kept.mean, kept.p
            );
        }
        if let Some(other) = held_out {
            tell_held_out(&other, &solved);
        }
        eprintln!("written: {}", out.display());
        Ok(())
    }

    /// The cheapest on the path of averages, solved on `calibration`, that `other` proves to keep the promise.
    fn promised(
        &self,
        bundle: &Bundle,
        config: &Config,
        calibration: &Calibration,
        other: &Calibration,
        risk: f64,
    ) -> anyhow::Result<(Solved, Kept)> {
        let PromiseArgs { confidence, tolerance, .. } = self.promise;
        if other.episodes.is_empty() || other.errors.is_empty() {
            bail!(
                "--held-out does not tell recordings apart or holds no errors; calibrate it again with this deer_vla"
            );
        }
        let shared = other.recordings.iter().filter(|sha256| calibration.recordings.contains(sha256)).count();
        if shared > 0 || other.recordings_sha256 == calibration.recordings_sha256 {
            bail!(
                "--held-out is of the calibration's own recordings ({shared} of {}), which prove nothing; calibrate others",
                other.recordings.len()
            );
        }
        let (mut path, costs, cap) = self.budget.path(bundle, config, calibration)?;
        let losses: Vec<_> = path.iter().map(|solution| other.losses(&solution.limits[..=cap], tolerance)).collect();
        let kept = controlled(&losses, Promise { risk, confidence }).context("--risk")?;
        Ok((Solved { solution: path.swap_remove(kept.setting), cap, costs }, kept))
    }
}

fn tell(bundle: &Bundle, Solved { solution, cap, costs }: &Solved) {
    let (unit, full, vision) = (costs.unit, costs.parts.llm[costs.parts.llm.len() - 1], costs.vision());
    eprintln!("cap: exit {cap} (layer {})", bundle.manifest.exits[*cap]);
    tell_exits(&solution.shares, &solution.limits);
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

/// The share of samples and the limit of each exit up to the cap, which the last of the shares is.
fn tell_exits(shares: &[f64], limits: &[f64]) {
    for (exit, share) in shares.iter().enumerate() {
        let limit = match limits[exit] {
            _ if exit + 1 == shares.len() => "every delta".into(),
            limit if limit < 0.0 => "never taken".into(),
            limit if limit >= 1e8 => "every delta".into(),
            limit => format!("delta ≤ {limit:.5}"),
        };
        eprintln!("exit {exit}: {:>5.1} % of samples, {limit}", 100.0 * share);
    }
}

fn tell_held_out(other: &Calibration, Solved { solution, cap, costs }: &Solved) {
    let (limits, unit) = (&solution.limits[..=*cap], costs.unit);
    let found = other.mean_cost(limits, &costs.parts.llm[..=*cap]);
    let off = 100.0 * (found / solution.wanted - 1.0);
    let error = other.mean_error(limits).map_or(String::new(), |error| format!(", action error {error:.5}"));
    eprintln!("held out ({} samples): {found:.6} {unit}, {off:+.1} % off what was wanted{error}", other.samples());
}
