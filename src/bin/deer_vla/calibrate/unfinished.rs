//! What an interrupted calibration has finished: a file of JSON lines beside the output.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use anyhow::bail;
use deer_vla::bag::Unread;
use deer_vla::network::{Metric, PlanLimits};
use deer_vla::thresholds::Sample;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::write_whole;

/// What a calibration depends on besides its recordings; the first line.
#[derive(Serialize, Deserialize, PartialEq)]
pub(super) struct Job {
    pub(super) manifest_sha256: String,
    pub(super) metric: Metric,
    pub(super) window: usize,
    pub(super) seed: u64,
    /// The plans that are tried, where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) grid: Vec<PlanLimits>,
    /// SHA-256 of the calibration whose gates lead from step to step while plans are tried.
    #[serde(default)]
    pub(super) calibration_sha256: Option<String>,
    /// The version of `plans.json`, where that is what is made.
    #[serde(default)]
    pub(super) plans_schema: u32,
    /// SHA-256 of the predictor, where it is what the deltas are from.
    #[serde(default)]
    pub(super) predictor_sha256: Option<String>,
    /// Whether the exits' signs are kept, too.
    #[serde(default)]
    pub(super) signs: bool,
}

impl Job {
    /// Of a recording with this hash: each draws for itself, whichever others there are.
    pub(super) fn seed_of(&self, sha256: &str) -> anyhow::Result<u64> {
        Ok(self.seed ^ u64::from_str_radix(&sha256[..16], 16)?)
    }
}

/// A finished recording, as a further line of the file.
pub(super) trait Finished: Serialize + DeserializeOwned {
    /// SHA-256 of the recording.
    fn sha256(&self) -> &str;
}

/// The samples of one finished recording.
#[derive(Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) sha256: String,
    /// `[exit][sample]`; no rows without samples.
    pub(super) deltas: Vec<Vec<f32>>,
    pub(super) errors: Vec<Vec<f32>>,
    /// `[exit, input][sample]`, where they are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) signs: Vec<Vec<f32>>,
    /// Pictures that were left out.
    #[serde(default)]
    pub(super) unread: Unread,
}

impl Done {
    pub(super) fn new(sha256: String, samples: &[Sample], signs: bool, unread: Unread) -> Self {
        let signs = if signs { rows(samples, |s| s.signs.as_flattened()) } else { Vec::new() };
        Self { sha256, deltas: rows(samples, |s| &s.deltas), errors: rows(samples, |s| &s.errors), signs, unread }
    }

    pub(super) fn samples(&self) -> usize {
        self.deltas.first().map_or(0, Vec::len)
    }
}

impl Finished for Done {
    fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// `[place][sample]` of what `values` gives per sample.
fn rows(samples: &[Sample], values: impl Fn(&Sample) -> &[f32]) -> Vec<Vec<f32>> {
    let places = samples.first().map_or(0, |sample| values(sample).len());
    (0..places).map(|place| samples.iter().map(|sample| values(sample)[place]).collect()).collect()
}

/// The file, and what stood in it.
pub(super) struct Unfinished<D> {
    path: PathBuf,
    log: File,
    finished: Vec<D>,
}

impl<D: Finished> Unfinished<D> {
    /// Goes on with the file at `path`, or begins it. A last line that was cut off is dropped; another job's file is
    /// refused.
    pub(super) fn open(path: PathBuf, job: &Job) -> anyhow::Result<Self> {
        let mut kept = serde_json::to_string(job)? + "\n";
        let mut finished = Vec::new();
        if let Ok(file) = File::open(&path) {
            let mut lines = BufReader::new(file).lines();
            let first = lines.next().transpose()?.unwrap_or_default();
            if serde_json::from_str::<Job>(&first).ok().as_ref() != Some(job) {
                bail!(
                    "an unfinished calibration with other settings is in the way; remove it or name another --out\n\
                     file: {}",
                    path.display()
                );
            }
            for line in lines.map_while(Result::ok) {
                let Ok(done) = serde_json::from_str(&line) else { break };
                kept += &(line + "\n");
                finished.push(done);
            }
        }
        write_whole(&path, kept.as_bytes())?;
        let log = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { path, log, finished })
    }

    /// What was finished of the recording with this hash.
    pub(super) fn take(&mut self, sha256: &str) -> Option<D> {
        let place = self.finished.iter().position(|done| done.sha256() == sha256)?;
        Some(self.finished.swap_remove(place))
    }

    pub(super) fn push(&mut self, done: &D) -> anyhow::Result<()> {
        Ok(writeln!(self.log, "{}", serde_json::to_string(done)?)?)
    }

    /// There is a calibration now.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.path)?)
    }
}
