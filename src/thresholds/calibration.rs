//! What the exits said on demonstrations: the table that thresholds are solved from.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::gauge::{PredictorError, same_predictor};
use crate::bundle::Bundle;
use crate::network::Metric;

/// The newest `calibration.json` version that is read.
pub const SCHEMA: u32 = 1;

/// `calibration.json`. Only `schema`, `exits` and `deltas` are needed to solve by shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this format.
    pub schema: u32,
    /// SHA-256 of the manifest of the bundle that was calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// The metric of the deltas.
    #[serde(default)]
    pub metric: Metric,
    /// SHA-256 of the bundle's predictor.json, where the deltas are what that says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_sha256: Option<String>,
    /// Frames a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// The seed of the windows and of the exits before each sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// SHA-256 over the recordings, in the order in which they were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recordings_sha256: Option<String>,
    /// SHA-256 of each recording, so that others can be told from these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<String>,
    /// How many samples each recording gave that gave any, in the order in which they stand here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub episodes: Vec<usize>,
    /// The layer each exit stands at.
    pub exits: Vec<usize>,
    /// `[exit][sample]`: the delta between this exit's action and the one before.
    #[serde(serialize_with = "single")]
    pub deltas: Vec<Vec<f64>>,
    /// `[exit][sample]`: root mean square over the six arm outputs of this exit's action minus the deepest exit's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "single")]
    pub errors: Vec<Vec<f64>>,
}

/// Single precision, which is what the network computes in: a third of the digits.
fn single<S: Serializer>(table: &[Vec<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(table.iter().map(|row| row.iter().map(|&value| value as f32).collect::<Vec<f32>>()))
}

/// Why a calibration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("the calibration cannot be read: {source}; `deer_vla calibrate` makes one\nfile: {path}")]
    Unreadable {
        /// What the system says.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The file is not a calibration.
    #[error("the calibration does not read: {source}\nfile: {path}")]
    Syntax {
        /// What the parser says.
        source: serde_json::Error,
        /// Where.
        path: PathBuf,
    },
    /// Another version of the format.
    #[error("the calibration has schema {found}, this deer_vla reads schema {SCHEMA}; calibrate again")]
    Schema {
        /// What the file says.
        found: u32,
    },
    /// Of another bundle.
    #[error("the calibration is of the bundle with manifest {found}, this one's is {expected}; calibrate this bundle")]
    OtherBundle {
        /// The manifest's hash in the file.
        found: String,
        /// This bundle's.
        expected: String,
    },
    /// Of what another predictor says.
    #[error("the calibration: {0}")]
    Predictor(#[from] PredictorError),
    /// A table of the wrong shape.
    #[error("{table} has {found}, expected {expected}; calibrate again")]
    Shape {
        /// `deltas` or `errors`, with the exit; `episodes`, whose samples are counted.
        table: String,
        /// How many numbers.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A number that is none.
    #[error("{table}[{exit}][{sample}] is {found}; a calibration holds finite numbers from 0")]
    NotANumber {
        /// `deltas` or `errors`.
        table: &'static str,
        /// Which exit.
        exit: usize,
        /// Which sample.
        sample: usize,
        /// What stands there.
        found: f64,
    },
    /// There is nothing in it.
    #[error("the calibration has no {0}; calibrate on recordings with instructions of at least a window's length")]
    Empty(&'static str),
}

impl Calibration {
    /// Reads and checks a file; gives its SHA-256 too.
    ///
    /// # Errors
    /// [`CalibrationError`].
    pub fn read(path: &Path) -> Result<(Self, String), CalibrationError> {
        let bytes =
            fs::read(path).map_err(|source| CalibrationError::Unreadable { source, path: path.to_path_buf() })?;
        // Numbers that are not finite have no JSON; a writer that wrote them made no JSON.
        let calibration: Self = serde_json::from_slice(&bytes)
            .map_err(|source| CalibrationError::Syntax { source, path: path.to_path_buf() })?;
        calibration.check()?;
        Ok((calibration, format!("{:x}", Sha256::digest(&bytes))))
    }

    /// Whether every table is whole and all its numbers are some.
    ///
    /// # Errors
    /// `Schema`, `Empty`, `Shape` or `NotANumber`.
    pub fn check(&self) -> Result<(), CalibrationError> {
        if self.schema != SCHEMA {
            return Err(CalibrationError::Schema { found: self.schema });
        }
        if self.exits.is_empty() {
            return Err(CalibrationError::Empty("exits"));
        }
        if self.samples() == 0 {
            return Err(CalibrationError::Empty("samples"));
        }
        check_table("deltas", &self.deltas, self.exits.len(), self.samples())?;
        let found: usize = self.episodes.iter().sum();
        if !self.episodes.is_empty() && (found != self.samples() || self.episodes.contains(&0)) {
            return Err(CalibrationError::Shape { table: "episodes".into(), found, expected: self.samples() });
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            check_table("errors", &self.errors, self.exits.len(), self.samples())
        }
    }

    /// That it is of this bundle.
    ///
    /// # Errors
    /// `OtherBundle`, `Predictor`.
    pub fn belongs_to(&self, bundle: &Bundle) -> Result<(), CalibrationError> {
        same_predictor(self.predictor_sha256.as_deref(), bundle)?;
        match &self.manifest_sha256 {
            Some(found) if *found == bundle.hash => Ok(()),
            found => Err(CalibrationError::OtherBundle {
                found: found.clone().unwrap_or_else(|| "(none)".into()),
                expected: bundle.hash.clone(),
            }),
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.deltas.first().map_or(0, Vec::len)
    }

    /// The exit at which each sample ends under `limits` (one an exit; the last is not looked at).
    pub fn exits_taken<'a>(&'a self, limits: &'a [f64]) -> impl Iterator<Item = usize> + 'a {
        let last = limits.len() - 1;
        (0..self.samples()).map(move |s| (0..last).find(|&k| self.deltas[k][s] <= limits[k]).unwrap_or(last))
    }

    /// The share of samples that ends at each exit under `limits`.
    pub fn shares(&self, limits: &[f64]) -> Vec<f64> {
        let mut taken = vec![0u32; limits.len()];
        self.exits_taken(limits).for_each(|exit| taken[exit] += 1);
        taken.iter().map(|&n| f64::from(n) / self.samples() as f64).collect()
    }

    /// The mean over samples of `costs[exit taken]`.
    pub fn mean_cost(&self, limits: &[f64], costs: &[f64]) -> f64 {
        self.shares(limits).iter().zip(costs).map(|(share, cost)| share * cost).sum()
    }

    /// The mean over samples of the error at the exit taken; `None` where the calibration holds no errors.
    pub fn mean_error(&self, limits: &[f64]) -> Option<f64> {
        let errors = self.exits_taken(limits).enumerate().map(|(s, k)| self.errors.get(k).map(|row| row[s]));
        errors.sum::<Option<f64>>().map(|sum| sum / self.samples() as f64)
    }

    /// One loss in 0..=1 a recording: the mean over its samples of min(1, error at the exit taken / `tolerance`); empty
    /// where the calibration does not tell recordings apart or holds no errors.
    pub fn losses(&self, limits: &[f64], tolerance: f64) -> Vec<f64> {
        let errors = self.exits_taken(limits).enumerate().map(|(s, k)| self.errors.get(k).map(|row| row[s]));
        let Some(errors) = errors.collect::<Option<Vec<f64>>>() else { return Vec::new() };
        let mut rest = errors.as_slice();
        let mean = |&samples: &usize| {
            let (these, others) = rest.split_at(samples);
            rest = others;
            these.iter().map(|error| (error / tolerance).min(1.0)).sum::<f64>() / samples as f64
        };
        self.episodes.iter().map(mean).collect()
    }
}

fn check_table(table: &'static str, rows: &[Vec<f64>], exits: usize, samples: usize) -> Result<(), CalibrationError> {
    if rows.len() != exits {
        return Err(CalibrationError::Shape { table: table.into(), found: rows.len(), expected: exits });
    }
    for (exit, row) in rows.iter().enumerate() {
        if row.len() != samples {
            let table = format!("{table}[{exit}]");
            return Err(CalibrationError::Shape { table, found: row.len(), expected: samples });
        }
        if let Some((sample, &found)) = row.iter().enumerate().find(|(_, d)| !(0.0..=f64::from(f32::MAX)).contains(*d))
        {
            return Err(CalibrationError::NotANumber { table, exit, sample, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(deltas: Vec<Vec<f64>>) -> Calibration {
        let text = serde_json::json!({"schema": 1, "exits": (0..deltas.len()).collect::<Vec<_>>(), "deltas": []});
        let mut calibration: Calibration = serde_json::from_value(text).unwrap();
        calibration.deltas = deltas;
        calibration
    }

    #[test]
    fn a_sample_ends_at_the_first_exit_within_its_limit() {
        let calibration = table(vec![vec![0.1, 0.3, 0.3], vec![0.9, 0.2, 0.5], vec![0.0; 3]]);
        let limits = [0.1, 0.2, 0.0];
        assert_eq!(calibration.exits_taken(&limits).collect::<Vec<_>>(), [0, 1, 2]);
        assert!((calibration.mean_cost(&limits, &[1.0, 2.0, 6.0]) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_recordings_loss_is_its_mean_distance_to_full_depth_and_at_most_one() {
        let mut calibration = table(vec![vec![0.1, 0.3, 0.1], vec![0.0; 3]]);
        calibration.errors = vec![vec![0.05, 9.0, 0.4], vec![0.0; 3]];
        calibration.episodes = vec![2, 1];
        calibration.check().unwrap();
        assert_eq!(calibration.losses(&[0.2, 0.0], 0.1), [0.25, 1.0], "the second sample goes to full depth");
        calibration.episodes = vec![2, 2];
        assert!(calibration.check().unwrap_err().to_string().contains("episodes has 4, expected 3"));
    }

    #[test]
    fn a_table_that_is_not_whole_or_holds_no_number_is_refused_with_its_place() {
        let refusal = |deltas| table(deltas).check().unwrap_err().to_string();
        assert!(refusal(vec![vec![0.1, f64::NAN]]).contains("deltas[0][1] is NaN"));
        assert!(refusal(vec![vec![0.1], vec![-0.1]]).contains("deltas[1][0] is -0.1"));
        assert!(refusal(vec![vec![0.1, 0.2], vec![0.1]]).contains("deltas[1] has 1, expected 2"));
        assert!(refusal(vec![vec![], vec![]]).contains("no samples"));
        assert!(refusal(vec![]).contains("no exits"));
    }
}
