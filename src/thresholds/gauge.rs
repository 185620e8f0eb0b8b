//! What a bundle can measure against thresholds: any metric, and the predicted distance where it has regressors.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::bundle::Bundle;
use crate::network::{Gauge, Metric, Predictor};

/// Why a bundle cannot predict.
#[derive(Debug, thiserror::Error)]
pub enum PredictorError {
    /// There is none.
    #[error(
        "the metric is predicted, and this bundle has no predictor.json; fit one: deer_vla calibrate {bundle} RECORDINGS \
         --signs signs.json, then python -m deer_lab.predictor {bundle} signs.json"
    )]
    Missing {
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// It is not a predictor.
    #[error("the predictor does not read: {source}; fit it again with deer_lab.predictor\nfile: {path}")]
    Syntax {
        /// What the parser says.
        source: serde_json::Error,
        /// Where.
        path: PathBuf,
    },
    /// Limits or deltas are what another predictor says.
    #[error(
        "they are of the predictor with sha256 {found}, this bundle's predictor.json is {expected}; calibrate with --metric \
         predicted and solve again"
    )]
    Other {
        /// The hash in the file.
        found: String,
        /// Of the bundle's.
        expected: String,
    },
    /// It is one that cannot be used here.
    #[error("the predictor is not for this bundle: {flaw}; fit it again with deer_lab.predictor\nfile: {path}")]
    Flaw {
        /// What was found and what was expected.
        flaw: String,
        /// Where.
        path: PathBuf,
    },
}

/// `metric`, as `bundle` measures it.
///
/// # Errors
/// [`PredictorError`], of the predicted metric alone: no other needs the file.
pub fn gauge(metric: Metric, bundle: &Bundle) -> Result<Gauge, PredictorError> {
    if metric != Metric::Predicted {
        return Ok(metric.into());
    }
    read(&bundle.path("predictor.json"), bundle).map(Gauge::predicted)
}

/// SHA-256 of the bundle's predictor; `None` where it has none.
pub fn predictor_sha256(bundle: &Bundle) -> Option<String> {
    fs::read(bundle.path("predictor.json")).ok().map(|bytes| format!("{:x}", Sha256::digest(bytes)))
}

/// That what was made with the predictor of this hash, if any, is for the one that the bundle has now.
pub(super) fn same_predictor(found: Option<&str>, bundle: &Bundle) -> Result<(), PredictorError> {
    let Some(found) = found else { return Ok(()) };
    let expected = predictor_sha256(bundle).unwrap_or_else(|| "(none)".into());
    if found == expected { Ok(()) } else { Err(PredictorError::Other { found: found.into(), expected }) }
}

fn read(path: &Path, bundle: &Bundle) -> Result<Predictor, PredictorError> {
    let bytes = fs::read(path).map_err(|_absent| PredictorError::Missing { bundle: bundle.folder.clone() })?;
    let predictor: Predictor =
        serde_json::from_slice(&bytes).map_err(|source| PredictorError::Syntax { source, path: path.to_path_buf() })?;
    let other = || format!("it was fitted to manifest {}, this one's is {}", predictor.manifest_sha256, bundle.hash);
    let stranger = (predictor.manifest_sha256 != bundle.hash).then(other);
    match predictor.flaw(bundle.manifest.exits.len()).or(stranger) {
        Some(flaw) => Err(PredictorError::Flaw { flaw, path: path.to_path_buf() }),
        None => Ok(predictor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The toy's folder with `predictor` in it, if any.
    fn refusal(predictor: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut bundle = Bundle::open("models/toy").unwrap();
        bundle.folder = folder.path().to_path_buf();
        if let Some(text) = predictor {
            fs::write(bundle.path("predictor.json"), text).unwrap();
        }
        gauge(Metric::Predicted, &bundle).unwrap_err().to_string()
    }

    #[test]
    fn a_bundle_without_a_predictor_names_the_commands_that_fit_one() {
        let error = refusal(None);
        assert!(error.contains("--signs") && error.contains("python -m deer_lab.predictor"), "{error}");
        assert!(gauge(Metric::Rms, &Bundle::open("models/toy").unwrap()).is_ok(), "no other metric asks for it");
    }

    #[test]
    fn a_predictor_of_another_kind_or_bundle_is_refused() {
        assert!(refusal(Some("{}")).contains("does not read"));
        let mut table = serde_json::json!({"schema": 1, "manifest_sha256": "a", "signs_sha256": "b", "exits": [],
            "inputs": ["delta", "delta_before", "norm", "change", "margin", "age"]});
        assert!(refusal(Some(&table.to_string())).contains("0 regressors for 6 exits"));
        let regressor = serde_json::json!({"mean": [0, 0, 0, 0, 0, 0], "scale": [1, 1, 1, 1, 1, 1],
            "linear": [0, 0, 0, 0, 0, 0, 0], "units": []});
        table["exits"] = vec![regressor; 5].into();
        assert!(refusal(Some(&table.to_string())).contains("fitted to manifest a"));
    }
}
