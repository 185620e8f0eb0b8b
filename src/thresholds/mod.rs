//! Limits per exit: how large a delta may be for the step to end there; given, or solved from a budget.

mod budget;
mod calibrate;
mod calibration;
mod cost;
mod direct;
mod gauge;
mod given;
mod greedy;
mod live;
mod plans;
mod risk;
#[cfg(feature = "tune")]
mod search;
mod shares;
mod solve;
mod spent;
mod trial;
mod whole;

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::network::{Metric, PlanLimits};

pub use budget::{Budget, BudgetError, Scope};
pub use calibrate::{Calibrator, Exits, Sample};
pub use calibration::{Calibration, CalibrationError, SCHEMA as CALIBRATION_SCHEMA};
pub use cost::{deepest, gflop, gigabytes};
pub use direct::direct;
use gauge::same_predictor;
pub use gauge::{PredictorError, gauge, predictor_sha256};
pub use given::GivenPlan;
pub use greedy::assign;
pub use live::{Average, Expected, Live, Seen};
pub use plans::{Cell, Plans, PlansError, SCHEMA as PLANS_SCHEMA, grid};
pub use risk::{Kept, Promise, RiskError, controlled};
#[cfg(feature = "tune")]
pub use search::{Search, SearchError, limits_of, stops};
pub use shares::Shares;
#[cfg(feature = "tune")]
use solve::capped;
pub use solve::{Method, Solution, SolveError, solve};
pub use trial::{Course, Rules, Trial, Tried};
pub use whole::{PartCosts, Planned, Whole, solve_whole};

/// The newest `thresholds.json` version that is read.
pub const SCHEMA: u32 = 1;

/// The limit of an exit that is never taken, where limits are solved.
const NEVER: f64 = Thresholds::NEVER as f64;
/// The limit of a cap that is not the last exit: as in the published code, more than any two actions differ by.
const ALWAYS: f64 = 1e8;

/// One limit an exit. The last is infinite: something has to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds(Vec<f32>);

/// Why limits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThresholdsError {
    /// The file cannot be read.
    #[error("the thresholds cannot be read: {source}\nfile: {path}")]
    Unreadable {
        /// What the system says.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The file is not a thresholds file.
    #[error("the thresholds file does not read: {source}\nfile: {path}")]
    Syntax {
        /// What the parser says, with line and column.
        source: serde_json::Error,
        /// Where.
        path: PathBuf,
    },
    /// Another version of the format.
    #[error("the thresholds file has schema {found}, this deer_vla reads schema {SCHEMA}; solve the thresholds again")]
    Schema {
        /// What the file says.
        found: u32,
    },
    /// Limits of another bundle.
    #[error(
        "the thresholds were solved for the bundle with manifest {found}, this bundle's manifest is {expected}; solve them again for this bundle"
    )]
    OtherBundle {
        /// The manifest's hash in the file.
        found: String,
        /// This bundle's.
        expected: String,
    },
    /// Limits on what another predictor says.
    #[error("the thresholds: {0}")]
    Predictor(#[from] PredictorError),
    /// Not one limit an exit.
    #[error("{found} thresholds for {exits} exits; give one an exit, or all but the last (whose limit is infinite)")]
    Count {
        /// How many there are.
        found: usize,
        /// How many exits there are.
        exits: usize,
    },
    /// A limit that is not a number.
    #[error("threshold {exit} is {found}; a limit is a finite number, negative where an exit is never taken")]
    NotFinite {
        /// Which exit's.
        exit: usize,
        /// What stands there.
        found: f64,
    },
    /// The last exit must always be taken.
    #[error("the last threshold is {found}; it must be null (no limit), because the last exit is always taken")]
    Last {
        /// What stands there.
        found: f64,
    },
}

/// `thresholds.json`: limits, and what they were solved for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdsFile {
    /// Version of this format.
    pub schema: u32,
    /// SHA-256 of the manifest of the bundle that they belong to.
    pub manifest_sha256: String,
    /// The metric that they limit.
    pub metric: Metric,
    /// One an exit; `null` for no limit (the last), negative for an exit that is never taken.
    pub thresholds: Vec<Option<f64>>,
    /// The budget that they were solved for.
    pub budget: Option<serde_json::Value>,
    /// SHA-256 of the calibration they were solved from.
    pub calibration_sha256: Option<String>,
    /// The seed of whatever was random.
    pub seed: Option<u64>,
    /// When a camera is kept and a step skipped, where that was solved with them; nothing is spared without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanLimits>,
    /// SHA-256 of the bundle's predictor.json, where the metric is what that says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_sha256: Option<String>,
}

/// What a step is decided by: limits of the exits and what they limit, and those of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Of the exits.
    pub thresholds: Thresholds,
    /// What they limit; `None` where whoever gave them did not say.
    pub metric: Option<Metric>,
    /// When a camera is kept and a step skipped.
    pub plan: PlanLimits,
}

impl Thresholds {
    /// The limit of an exit that is never taken: no delta is negative.
    pub const NEVER: f32 = -1.0;

    /// Limits given one an exit, or for all exits but the last.
    ///
    /// # Errors
    /// `Count` or `NotFinite`.
    pub fn new(limits: &[f64], exits: usize) -> Result<Self, ThresholdsError> {
        if limits.len() + 1 != exits && limits.len() != exits {
            return Err(ThresholdsError::Count { found: limits.len(), exits });
        }
        let finite = &limits[..exits - 1];
        if let Some((exit, &found)) = finite.iter().enumerate().find(|(_, limit)| !limit.is_finite()) {
            return Err(ThresholdsError::NotFinite { exit, found });
        }
        if let Some(&found) = limits.get(exits - 1).filter(|&&limit| limit != f64::INFINITY) {
            return Err(ThresholdsError::Last { found });
        }
        let limits = finite.iter().map(|&limit| limit as f32);
        Ok(Self(limits.chain([f32::INFINITY]).collect()))
    }

    /// Every step goes to the deepest exit.
    pub fn deepest(exits: usize) -> Self {
        let mut limits = vec![Self::NEVER; exits];
        limits[exits - 1] = f32::INFINITY;
        Self(limits)
    }

    /// Reads `thresholds.json` of `bundle`, or the file at `path`.
    ///
    /// # Errors
    /// [`ThresholdsError`].
    pub fn read(path: &Path, bundle: &Bundle) -> Result<Limits, ThresholdsError> {
        let bytes =
            fs::read(path).map_err(|source| ThresholdsError::Unreadable { source, path: path.to_path_buf() })?;
        let file: ThresholdsFile = serde_json::from_slice(&bytes)
            .map_err(|source| ThresholdsError::Syntax { source, path: path.to_path_buf() })?;
        if file.schema != SCHEMA {
            return Err(ThresholdsError::Schema { found: file.schema });
        }
        if file.manifest_sha256 != bundle.hash {
            let (found, expected) = (file.manifest_sha256, bundle.hash.clone());
            return Err(ThresholdsError::OtherBundle { found, expected });
        }
        same_predictor(file.predictor_sha256.as_deref(), bundle)?;
        // null reads as infinite, which only the last may be.
        let limits: Vec<f64> = file.thresholds.iter().map(|limit| limit.unwrap_or(f64::INFINITY)).collect();
        let thresholds = Self::new(&limits, bundle.manifest.exits.len())?;
        Ok(Limits { thresholds, metric: Some(file.metric), plan: file.plan.unwrap_or_default() })
    }

    /// The limit at `exit`; infinite at `cap` and beyond, because the step ends there.
    pub fn limit(&self, exit: usize, cap: usize) -> f32 {
        if exit >= cap { f32::INFINITY } else { self.0.get(exit).copied().unwrap_or(f32::INFINITY) }
    }

    /// All of them, one an exit.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_limit_is_infinite_whether_it_is_given_or_not() {
        let short = Thresholds::new(&[0.1, -1.0], 3).unwrap();
        assert_eq!(short, Thresholds::new(&[0.1, -1.0, f64::INFINITY], 3).unwrap());
        assert_eq!(short.as_slice(), [0.1, -1.0, f32::INFINITY]);
    }

    #[test]
    fn the_cap_has_no_limit() {
        let thresholds = Thresholds::new(&[0.1, 0.2, 0.3], 4).unwrap();
        assert_eq!((thresholds.limit(1, 2), thresholds.limit(2, 2)), (0.2, f32::INFINITY));
    }

    #[test]
    fn limits_that_are_no_numbers_too_many_or_too_few_are_refused() {
        let refusal = |limits: &[f64]| Thresholds::new(limits, 3).unwrap_err().to_string();
        assert!(refusal(&[0.1, f64::NAN]).contains("threshold 1 is NaN"));
        assert!(refusal(&[f64::INFINITY, 0.1, f64::INFINITY]).contains("threshold 0 is inf"));
        assert!(refusal(&[0.1]).contains("1 thresholds for 3 exits"));
        assert!(refusal(&[0.1; 4]).contains("4 thresholds for 3 exits"));
        assert!(refusal(&[0.1, 0.2, 0.3]).contains("must be null"));
    }
}
