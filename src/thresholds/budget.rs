//! What a user allows a step to cost, and what follows for a bundle: the cap and, from its calibration, the thresholds.

use serde::{Deserialize, Serialize};

use super::{
    Calibration, CalibrationError, GivenPlan, Limits, Method, PartCosts, Plans, PlansError, Shares, SolveError,
};
use super::{deepest, gflop, gigabytes, solve, solve_whole};
use crate::bundle::Bundle;
use crate::network::PlanLimits;

/// What a step may cost; `None` is no limit. 1 GFLOP stands for 1e9 multiply-accumulates: of the language model, and where
/// the average is of the whole step, there of vision too.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    /// The mean over steps, in GFLOP.
    pub average_gmac: Option<f64>,
    /// What the average is of.
    pub of: Scope,
    /// The deepest step, in GFLOP.
    pub peak_gmac: Option<f64>,
    /// Most bytes of weights in memory, in units of 1e9.
    pub memory_gb: Option<f64>,
}

/// What an average is of. A number keeps its meaning whatever files lie in a bundle, so this follows from nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The language model's steps, as the field counts: thresholds of the exits follow.
    #[default]
    Llm,
    /// Every control step, vision included and skipped ones at nothing: limits of keep and skip follow too.
    Whole,
}

impl Scope {
    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Whole => "whole",
        }
    }
}

/// Why a budget cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// Not even the first exit fits.
    #[error("budget.{budget} is {found}, but the first exit of this bundle needs {needed}; raise it to at least that")]
    FirstExit {
        /// `peak` or `memory`.
        budget: &'static str,
        /// What was allowed.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// No thresholds have this mean.
    #[error("budget.average: {0} GFLOP")]
    Average(#[from] SolveError),
    /// The average needs a calibration.
    #[error("budget.average needs the bundle's calibration.json: {0}")]
    Calibration(#[from] CalibrationError),
    /// The average of a whole step needs plans that were tried.
    #[error("budget.of is whole: {0}")]
    Plans(#[from] PlansError),
}

impl Budget {
    /// The deepest exit whose compute and memory are allowed.
    ///
    /// # Errors
    /// `FirstExit`.
    pub fn cap(&self, bundle: &Bundle) -> Result<usize, BudgetError> {
        let cap = |budget, costs: &[f64], most: Option<f64>, unit| {
            let most = most.unwrap_or(f64::INFINITY);
            let (found, needed) = (format!("{most} {unit}"), |needed| format!("{needed} {unit}"));
            deepest(costs, most).map_err(|first| BudgetError::FirstExit { budget, found, needed: needed(first) })
        };
        let peak = cap("peak", &gflop(&bundle.manifest), self.peak_gmac, "GFLOP")?;
        Ok(peak.min(cap("memory", &gigabytes(&bundle.manifest), self.memory_gb, "GB")?))
    }

    /// Limits whose mean cost is the average budget, by the paper's exponential shares; `None` without an average budget. An
    /// average of the whole step is solved among plans that are as `given`.
    ///
    /// # Errors
    /// `Calibration` or `Plans` where the bundle has none of its own, `Average` where no limits have this mean.
    pub fn limits(&self, bundle: &Bundle, cap: usize, given: &GivenPlan) -> Result<Option<Limits>, BudgetError> {
        const EXP: Method = Method::Shares(Shares::Exp);
        let Some(average) = self.average_gmac else { return Ok(None) };
        if self.of == Scope::Whole {
            let (plans, _) = Plans::read(&bundle.path("plans.json"), bundle)?;
            let plans = plans.as_given(given)?;
            let best = solve_whole(&plans, &PartCosts::in_gflop(&bundle.manifest), cap, average, EXP)?.best;
            return Ok(Some(Limits { thresholds: best.thresholds(), metric: Some(plans.metric), plan: best.plan }));
        }
        let (calibration, _) = Calibration::read(&bundle.path("calibration.json"))?;
        calibration.belongs_to(bundle)?;
        let thresholds = solve(&calibration, &gflop(&bundle.manifest), cap, Some(average), EXP)?.thresholds();
        Ok(Some(Limits { thresholds, metric: Some(calibration.metric), plan: PlanLimits::default() }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::network::Metric;
    use crate::thresholds::PLANS_SCHEMA;

    /// A copy of the toy with a calibration in which deltas grow from sample to sample.
    fn calibrated_toy(folder: &Path) -> Bundle {
        crate::bundle::copy_toy(folder);
        let bundle = Bundle::open(folder).unwrap();
        let deltas: Vec<Vec<f64>> =
            (0..6).map(|k| (0..600).map(|s| f64::from((s * 37 + k * 11) % 601)).collect()).collect();
        let table = serde_json::json!({
            "schema": 1, "manifest_sha256": bundle.hash, "exits": bundle.manifest.exits, "deltas": deltas
        });
        fs::write(folder.join("calibration.json"), table.to_string()).unwrap();
        bundle
    }

    #[test]
    fn an_average_budget_solves_the_bundles_calibration() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = calibrated_toy(folder.path());
        let full = bundle.manifest.macs_to(5) as f64 * 1e-9;
        let half = Budget { average_gmac: Some(0.5 * full), ..Budget::default() };
        let Limits { thresholds, metric, plan } = half.limits(&bundle, 5, &GivenPlan::default()).unwrap().unwrap();
        assert!(thresholds.as_slice()[0] > 0.0);
        assert_eq!((metric, plan), (Some(Metric::Rms), PlanLimits::default()));
        assert_eq!(Budget::default().limits(&bundle, 5, &GivenPlan::default()).unwrap(), None);
    }

    #[test]
    fn an_average_that_cannot_be_met_and_a_bundle_that_was_not_calibrated_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = calibrated_toy(folder.path());
        let tiny = Budget { average_gmac: Some(1e-9), ..Budget::default() };
        let error = tiny.limits(&bundle, 5, &GivenPlan::default()).unwrap_err().to_string();
        assert!(error.contains("budget.average") && error.contains("nearest that can is"), "{error}");
        fs::remove_file(folder.path().join("calibration.json")).unwrap();
        let error = tiny.limits(&bundle, 5, &GivenPlan::default()).unwrap_err().to_string();
        assert!(error.contains("deer_vla calibrate"), "{error}");
    }
    #[test]
    fn an_average_of_the_whole_step_solves_the_bundles_plans_and_says_where_they_come_from_without() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = calibrated_toy(folder.path());
        let average_gmac = Some(0.3 * PartCosts::in_gflop(&bundle.manifest).step(5, |_| true));
        let whole = Budget { average_gmac, of: Scope::Whole, ..Budget::default() };
        let error = whole.limits(&bundle, 5, &GivenPlan::default()).unwrap_err().to_string();
        assert!(error.contains("plans.json") && error.contains("calibrate --plans"), "{error}");
        // Every picture and step, or two of three steps skipped: only that is within the average.
        let skips = PlanLimits { skip_delta: 0.1, ..PlanLimits::default() };
        let rows = vec![vec![0.1, 0.2]; 6];
        let cell = |limits, skipped, looks| json!({"limits": limits, "steps": 6, "skipped": skipped, "looks": [looks, looks], "deltas": rows, "errors": rows});
        let plans = json!({"schema": PLANS_SCHEMA, "manifest_sha256": bundle.hash, "metric": "rms", "seed": 0, "recordings_sha256": "",
            "exits": bundle.manifest.exits, "cells": [cell(PlanLimits::default(), 0, 6), cell(skips, 4, 2)]});
        fs::write(folder.path().join("plans.json"), plans.to_string()).unwrap();
        assert_eq!(whole.limits(&bundle, 5, &GivenPlan::default()).unwrap().unwrap().plan, skips);
        let error = |given| whole.limits(&bundle, 5, &given).unwrap_err().to_string();
        assert!(error(GivenPlan { skip_delta: Some(0.0), ..GivenPlan::default() }).contains("nearest that can"));
        assert!(error(GivenPlan { skip_delta: Some(0.7), ..GivenPlan::default() }).contains("plan.*"));
    }
}
