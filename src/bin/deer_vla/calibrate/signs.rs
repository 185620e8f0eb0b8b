//! What the exits showed of their distance to full depth, and the distance: the table that `deer_lab.predictor` reads.

use std::path::Path;

use deer_vla::network::INPUTS;
use deer_vla::thresholds::Calibration;
use serde::Serialize;

use super::unfinished::Done;
use crate::write_whole;

/// `signs.json`; models/README.md describes it.
#[derive(Serialize)]
struct Table<'a> {
    schema: u32,
    manifest_sha256: &'a Option<String>,
    recordings_sha256: &'a Option<String>,
    episodes: &'a [usize],
    inputs: [&'static str; INPUTS.len()],
    /// `[exit][input][sample]`
    signs: Vec<Vec<Vec<f32>>>,
    /// `[exit][sample]`
    errors: Vec<Vec<f32>>,
}

/// Writes the table of the same samples as `calibration`'s.
pub(super) fn write(path: &Path, calibration: &Calibration, all: &[Done]) -> anyhow::Result<()> {
    let joined = |row: usize| all.iter().filter_map(|done| done.signs.get(row)).flatten().copied().collect();
    let exits = calibration.exits.len();
    let signs = (0..exits).map(|exit| (0..INPUTS.len()).map(|input| joined(exit * INPUTS.len() + input)).collect());
    let table = Table {
        schema: 1,
        manifest_sha256: &calibration.manifest_sha256,
        recordings_sha256: &calibration.recordings_sha256,
        episodes: &calibration.episodes,
        inputs: INPUTS,
        signs: signs.collect(),
        errors: calibration.errors.iter().map(|row| row.iter().map(|&error| error as f32).collect()).collect(),
    };
    write_whole(path, &serde_json::to_vec(&table)?)
}
