//! `deer_vla tune`: thresholds searched on the robot or in a simulator.

mod evaluation;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bundle::Bundle;
use deer_vla::thresholds::{Calibration, Scope, Search, limits_of, stops};
use serde_json::json;

use crate::budget::{BudgetArgs, file};
use crate::setup::{EngineArgs, open, raw};
use crate::write_whole;
use evaluation::{Evaluation, Log, judge};

/// Search the thresholds online, by Bayesian optimisation, for the most success within an average budget
///
/// Begins with the offline solution (what `solve` finds). Every evaluation runs the evaluator with a thresholds file and
/// reads its results from standard output: `chains`, each with its number `chain` and how many tasks `succeeded`, and
/// `compute.all_steps` with `llm_gmac` and `llm_ms`, the mean cost of a step. What is maximised is the average length
/// less the penalty for cost over the budget. One chain of --hold-out is not tuned on, only reported. Finished evaluations
/// are kept in FOLDER/evaluations.jsonl: the same command goes on where it was stopped, and one with more --evaluations
/// goes further.
#[derive(Args)]
pub(crate) struct Tune {
    /// The bundle's folder
    bundle: PathBuf,
    /// Shell command that judges: {thresholds} is replaced by the file, {folder} by an evaluation's own folder
    #[arg(long, value_name = "CMD")]
    evaluator: String,
    #[command(flatten)]
    budget: BudgetArgs,
    /// How many evaluations, the offline solution's included
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    evaluations: u64,
    /// Average length that a cost of twice the budget takes away
    #[arg(long, default_value_t = 5.0, value_name = "LENGTH")]
    penalty: f64,
    /// How far the share of steps that an exit ends may be from the offline solution's
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    reach: f64,
    /// One chain of so many is held out
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    hold_out: u64,
    /// Of the search
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The calibration [default: calibration.json in the bundle]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Folder for what was judged; made if it does not exist
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// Where the best thresholds go in the end [default: thresholds.json in the bundle]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Tune {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Some(budget) = self.budget.average else { bail!("--average is missing: what may a step cost on average?") };
        if self.budget.of == Scope::Whole {
            bail!("tune searches the exits' thresholds within an average of the language model; leave --of whole away");
        }
        if !self.evaluator.contains("{thresholds}") {
            bail!("--evaluator {:?} has no {{thresholds}}: put it where the command takes the file", self.evaluator);
        }
        if !(self.penalty >= 0.0 && self.reach > 0.0 && self.reach <= 1.0) {
            bail!("--penalty {} must be from 0, --reach {} above 0 and up to 1", self.penalty, self.reach);
        }
        let (bundle, config) = open(&raw(&self.bundle, &self.engine, None))?;
        let path = self.calibration.clone().unwrap_or_else(|| bundle.path("calibration.json"));
        let (calibration, hash) = Calibration::read(&path)?;
        calibration.belongs_to(&bundle)?;
        let start = || Ok(stops(&self.budget.solve(&bundle, &config, &calibration)?.solution.shares));
        let mut log = Log::open(&self.folder, &self.job(&bundle, &hash), start)?;
        let mut search = Search::new(log.start.clone(), self.reach, self.penalty, self.seed)?;
        let excess = |found: &Evaluation| found.cost / budget.number() - 1.0;
        log.finished.iter().for_each(|past| search.tell(past.stops.clone(), past.length, excess(past)));
        while (log.finished.len() as u64) < self.evaluations {
            let point = search.ask()?;
            let limits = limits_of(&calibration, &point);
            let number = log.finished.len();
            let candidate =
                file(&limits, &calibration, hash.clone(), json!({"method": "online", "evaluation": number}));
            let folder = self.folder.join(format!("evaluation_{number:03}"));
            let results = judge(&self.evaluator, &folder, &candidate)
                .with_context(|| format!("evaluation {number}; the same command goes on here"))?;
            let found = Evaluation::of(number, point, &results, budget, self.hold_out)
                .with_context(|| format!("evaluation {number}: what {:?} printed", self.evaluator))?;
            search.tell(found.stops.clone(), found.length, excess(&found));
            eprintln!("{} of {}: {found} {}", number + 1, self.evaluations, budget.unit());
            log.push(found)?;
        }
        self.tell_best(&log, &search, &calibration, hash)
    }

    /// What makes two searches the same.
    fn job(&self, bundle: &Bundle, calibration_sha256: &str) -> serde_json::Value {
        json!({
            "manifest_sha256": bundle.hash,
            "calibration_sha256": calibration_sha256,
            "budget": self.budget.typed(),
            "evaluator": self.evaluator,
            "penalty": self.penalty,
            "reach": self.reach,
            "hold_out": self.hold_out,
            "seed": self.seed,
        })
    }

    fn tell_best(&self, log: &Log, search: &Search, calibration: &Calibration, hash: String) -> anyhow::Result<()> {
        let best = &log.finished[search.best().context("nothing was judged")?];
        let mut budget = self.budget.typed();
        budget["method"] = "online".into();
        budget["found"] = serde_json::to_value(best)?;
        let out = self.out.clone().unwrap_or_else(|| self.bundle.join("thresholds.json"));
        let file = file(&limits_of(calibration, &best.stops), calibration, hash, budget);
        write_whole(&out, (serde_json::to_string_pretty(&file)? + "\n").as_bytes())?;
        let unit = self.budget.average.map_or("", |cost| cost.unit());
        eprintln!("offline: {} {unit}", log.finished[0]);
        eprintln!("best:    {best} {unit}");
        eprintln!("written: {}", out.display());
        Ok(())
    }
}
