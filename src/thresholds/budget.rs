//! What a user allows a step to cost, and what follows for a bundle: the cap and, from its calibration, the thresholds.

use super::{Calibration, CalibrationError, Method, Shares, SolveError, Thresholds};
use super::{deepest, gflop, gigabytes, solve};
use crate::bundle::Bundle;
use crate::network::Metric;

/// What a step may cost; `None` is no limit. 1 GFLOP stands for 1e9 multiply-accumulates of the language model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    /// The mean over steps, in GFLOP.
    pub average_gmac: Option<f64>,
    /// The deepest step, in GFLOP.
    pub peak_gmac: Option<f64>,
    /// Most bytes of weights in memory, in units of 1e9.
    pub memory_gb: Option<f64>,
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

    /// Thresholds whose mean cost is the average budget, by the paper's exponential shares, and the metric that they
    /// limit; `None` without an average budget.
    ///
    /// # Errors
    /// `Calibration` where the bundle has none of its own, `Average` where no thresholds have this mean.
    pub fn thresholds(&self, bundle: &Bundle, cap: usize) -> Result<Option<(Thresholds, Metric)>, BudgetError> {
        let Some(average) = self.average_gmac else { return Ok(None) };
        let (calibration, _) = Calibration::read(&bundle.path("calibration.json"))?;
        calibration.belongs_to(bundle)?;
        let solution = solve(&calibration, &gflop(&bundle.manifest), cap, Some(average), Method::Shares(Shares::Exp))?;
        Ok(Some((solution.thresholds(), calibration.metric)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A copy of the toy with a calibration in which deltas grow from sample to sample.
    fn calibrated_toy(folder: &Path) -> Bundle {
        for entry in fs::read_dir("models/toy").unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
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
        let (thresholds, metric) = half.thresholds(&bundle, 5).unwrap().unwrap();
        assert!(thresholds.as_slice()[0] > 0.0);
        assert_eq!(metric, Metric::Rms);
        assert_eq!(Budget::default().thresholds(&bundle, 5).unwrap(), None);
    }

    #[test]
    fn an_average_that_cannot_be_met_and_a_bundle_that_was_not_calibrated_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = calibrated_toy(folder.path());
        let tiny = Budget { average_gmac: Some(1e-9), ..Budget::default() };
        let error = tiny.thresholds(&bundle, 5).unwrap_err().to_string();
        assert!(error.contains("budget.average") && error.contains("nearest that can is"), "{error}");
        fs::remove_file(folder.path().join("calibration.json")).unwrap();
        let error = tiny.thresholds(&bundle, 5).unwrap_err().to_string();
        assert!(error.contains("deer_vla calibrate"), "{error}");
    }
}
