//! What plans did on recordings: the table from which limits of keep, skip and exits are solved together.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::GivenPlan;
use super::calibration::{Calibration, CalibrationError, SCHEMA as TABLE};
use crate::bundle::{Bundle, Manifest};
use crate::network::{Metric, PlanLimits};

/// The newest `plans.json` version that is read.
pub const SCHEMA: u32 = 2;

/// `plans.json`: cells, each a setting of the plan's limits that was run on the same recordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plans {
    /// Version of this format.
    pub schema: u32,
    /// SHA-256 of the manifest of the bundle that was run.
    pub manifest_sha256: String,
    /// The metric of the deltas.
    pub metric: Metric,
    /// The seed of the exits that led from step to step.
    pub seed: u64,
    /// SHA-256 over the recordings, in the order in which they were given.
    pub recordings_sha256: String,
    /// The layer each exit stands at.
    pub exits: Vec<usize>,
    /// The first spares nothing.
    pub cells: Vec<Cell>,
}

/// One setting of the plan's limits, and what it did. A sample is a step that the network was asked at; the skipped steps
/// that follow it belong to it, because they carry its action out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Its name where it does the same whatever the moment, such as `every 2nd step`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// What was run.
    pub limits: PlanLimits,
    /// Steps in all.
    pub steps: u64,
    /// Steps that were skipped.
    pub skipped: u64,
    /// Steps at which each camera was looked at, in the manifest's order.
    pub looks: Vec<u64>,
    /// `[exit][sample]`: the delta between this exit's action and the one before.
    #[serde(serialize_with = "short")]
    pub deltas: Vec<Vec<f64>>,
    /// `[exit][sample]`: the sum over the sample's steps of how far off the arm is: what is carried out where the network
    /// stops at this exit, minus what full depth with every picture gave for the same moment, as a mean that fades within
    /// half a second, of which the root mean square over the six outputs.
    #[serde(serialize_with = "short")]
    pub errors: Vec<Vec<f64>>,
}

/// Why plans cannot be solved.
#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    /// The file cannot be read.
    #[error(
        "a budget of the whole step needs plans.json: {source}; `deer_vla calibrate --plans` makes one\nfile: {path}"
    )]
    Unreadable {
        /// What the system says.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The file is no table of plans.
    #[error("plans.json does not read: {source}\nfile: {path}")]
    Syntax {
        /// What the parser says.
        source: serde_json::Error,
        /// Where.
        path: PathBuf,
    },
    /// Another version of the format, of another bundle, or empty.
    #[error("plans.json {0}; run `deer_vla calibrate --plans` again on this bundle")]
    Unfit(String),
    /// Limits that a user set are those of no cell.
    #[error("plans.json holds no plan with the plan.* limits that are set; set them to -1, or budget.of to llm")]
    NotTried,
    /// A table that is not whole.
    #[error("plans.json, cell {cell}: {reason}")]
    Cell {
        /// Which one.
        cell: usize,
        /// What is wrong with its table.
        reason: CalibrationError,
    },
}

impl Plans {
    /// Reads and checks a file; gives its SHA-256 too.
    ///
    /// # Errors
    /// [`PlansError`].
    pub fn read(path: &Path, bundle: &Bundle) -> Result<(Self, String), PlansError> {
        let bytes = fs::read(path).map_err(|source| PlansError::Unreadable { source, path: path.to_path_buf() })?;
        let plans: Self =
            serde_json::from_slice(&bytes).map_err(|source| PlansError::Syntax { source, path: path.to_path_buf() })?;
        if plans.manifest_sha256 != bundle.hash {
            return Err(PlansError::Unfit(format!("is of the bundle with manifest {}", plans.manifest_sha256)));
        }
        plans.check(bundle.manifest.cameras.len())?;
        Ok((plans, format!("{:x}", Sha256::digest(&bytes))))
    }

    /// Whether every cell's table is whole and counts what can be.
    ///
    /// # Errors
    /// `Unfit` or `Cell`.
    pub fn check(&self, cameras: usize) -> Result<(), PlansError> {
        let unfit = |what: String| Err(PlansError::Unfit(what));
        if self.schema != SCHEMA {
            return unfit(format!("has schema {}, this deer_vla reads schema {SCHEMA}", self.schema));
        }
        if self.cells.is_empty() {
            return unfit("has no cells".into());
        }
        for (number, cell) in self.cells.iter().enumerate() {
            self.table(cell).check().map_err(|reason| PlansError::Cell { cell: number, reason })?;
            let counted = cell.looks.len() == cameras && cell.looks.iter().all(|&looks| looks <= cell.steps);
            if cell.skipped >= cell.steps || cell.errors.is_empty() || !counted {
                return unfit(format!("counts in cell {number} what cannot be"));
            }
        }
        Ok(())
    }

    /// Those cells whose limits are as a user set them.
    ///
    /// # Errors
    /// `NotTried` where there are none.
    pub fn as_given(mut self, given: &GivenPlan) -> Result<Self, PlansError> {
        self.cells.retain(|cell| given.over(cell.limits) == cell.limits);
        if self.cells.is_empty() { Err(PlansError::NotTried) } else { Ok(self) }
    }

    /// A cell's samples as the exits' solver reads them.
    pub fn table(&self, cell: &Cell) -> Calibration {
        Calibration {
            schema: TABLE,
            manifest_sha256: Some(self.manifest_sha256.clone()),
            metric: self.metric,
            predictor_sha256: None,
            window: None,
            seed: Some(self.seed),
            recordings_sha256: Some(self.recordings_sha256.clone()),
            recordings: Vec::new(),
            episodes: Vec::new(),
            exits: self.exits.clone(),
            deltas: cell.deltas.clone(),
            errors: cell.errors.clone(),
        }
    }
}

impl Cell {
    /// The share of steps at which the network is asked.
    pub fn asked(&self) -> f64 {
        1.0 - self.skipped as f64 / self.steps as f64
    }

    /// The share of steps at which each camera is looked at.
    pub fn looked(&self) -> impl Iterator<Item = f64> + '_ {
        self.looks.iter().map(|&looks| looks as f64 / self.steps as f64)
    }

    /// At most `most` samples, evenly spread; the counts stay.
    #[must_use]
    pub fn thinned(mut self, most: usize) -> Self {
        let samples = self.deltas.first().map_or(0, Vec::len);
        let kept = samples.min(most);
        let thin = |row: &Vec<f64>| (0..kept).map(|n| row[n * samples / kept]).collect();
        for table in [&mut self.deltas, &mut self.errors] {
            *table = table.iter().map(thin).collect();
        }
        self
    }
}

/// Three digits, which is more than so few samples know: the file is committed with its bundle.
fn short<S: Serializer>(table: &[Vec<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    let digits = |value: &f64| format!("{value:.2e}").parse().unwrap_or(*value);
    serializer.collect_seq(table.iter().map(|row| row.iter().map(digits).collect::<Vec<f64>>()))
}

/// What is tried: nothing spared, every second to fourth picture and step, and limits that look at the moment; longer rows
/// of skipped steps where the network foresees so many actions. Cameras of one encoder are never kept.
pub fn grid(manifest: &Manifest) -> Vec<(Option<String>, PlanLimits)> {
    let looked = PlanLimits { max_age: 5, skip_change: 1.0, ..PlanLimits::default() };
    let far = manifest.ahead > 5;
    let skipping = |skip_delta, max_skips| PlanLimits { skip_delta, max_skips, ..looked };
    let mut cells = vec![(Some("every picture".into()), looked)];
    for (n, nth) in [(2, "2nd"), (3, "3rd"), (4, "4th")] {
        let pictures = PlanLimits { keep_change: 1.0, max_age: n - 1, ..looked };
        cells.extend([
            (Some(format!("every {nth} picture")), pictures),
            (Some(format!("every {nth} step")), skipping(2.0, n - 1)),
        ]);
    }
    cells.extend(far.then(|| (Some("every 6th step".into()), skipping(2.0, 5))));
    for keep_change in [0.0, 0.04, 0.08] {
        let rows: &[u32] = if far { &[1, 2, 3, 5] } else { &[1, 2, 3] };
        let skips = [0.03, 0.06, 0.1].into_iter().flat_map(|delta| rows.iter().map(move |&row| skipping(delta, row)));
        let kept = [looked].into_iter().chain(skips).map(|limits| PlanLimits { keep_change, ..limits });
        cells.extend(kept.filter(PlanLimits::spares).map(|limits| (None, limits)));
    }
    cells.retain(|(_, limits)| !manifest.sees_jointly() || limits.keep_change <= 0.0);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_cell_keeps_its_counts_and_samples_from_all_over() {
        let row: Vec<f64> = (0..1000).map(f64::from).collect();
        let cell = Cell {
            fixed: None,
            limits: PlanLimits::default(),
            steps: 2000,
            skipped: 1000,
            looks: vec![1000],
            deltas: vec![row.clone()],
            errors: vec![row],
        };
        let thinned = cell.clone().thinned(10);
        assert_eq!((thinned.steps, thinned.asked()), (2000, 0.5));
        assert_eq!(thinned.errors[0], (0..10).map(|n| f64::from(100 * n)).collect::<Vec<_>>());
        assert_eq!(cell.clone().thinned(5000), cell);
    }

    #[test]
    fn cameras_of_one_encoder_are_kept_in_no_cell_and_rows_are_as_long_as_is_foreseen() {
        let mut manifest = Bundle::open("models/toy").unwrap().manifest;
        manifest.ahead = 1;
        let cells = grid(&manifest);
        assert!(!cells[0].1.spares() && cells.iter().filter(|(fixed, _)| fixed.is_some()).count() == 7);
        assert_eq!(cells.iter().map(|(_, limits)| limits.max_skips).max(), Some(3));
        (manifest.ahead, manifest.schema) = (8, 1);
        let cells = grid(&manifest);
        assert!(cells.iter().all(|(_, limits)| limits.keep_change == 0.0));
        assert_eq!(cells.iter().map(|(_, limits)| limits.max_skips).max(), Some(5));
    }
}
