//! The recordings of a calibration: what they are made of, and what the exits make of each.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use deer_vla::bag::source::Source;
use deer_vla::bag::{Bag, Seen, Sets, Unread};
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::observe::Observer;
use deer_vla::safety::Guard;
use deer_vla::thresholds::{Calibrator, Sample};
use sha2::{Digest, Sha256};

use super::unfinished::Job;
use crate::source::resolved;

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Runs the network on recordings.
pub(super) struct Runner<'a> {
    bundle: &'a Bundle,
    source: Source,
    guard: Guard,
    engine: OrtEngine,
    observer: Observer,
    stop: Arc<AtomicBool>,
}

impl<'a> Runner<'a> {
    /// Loads every stage; Ctrl-C will end a run at the next message. `source` says what is what in the recordings.
    pub(super) fn new(bundle: &'a Bundle, config: &Config, source: Source) -> anyhow::Result<Self> {
        let engine = OrtEngine::load(bundle, bundle.manifest.exits.len() - 1, &config.engine)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        let guard = config.guard(bundle.manifest.embodiment.control_hz);
        Ok(Self { bundle, source, guard, engine, observer: Observer::new(bundle)?, stop })
    }

    /// SHA-256 over the recording's files in the order of their names, and over its source where one was given.
    pub(super) fn hash(&self, recording: &Path) -> anyhow::Result<String> {
        let mut files = vec![recording.to_path_buf()];
        if recording.is_dir() {
            files = entries(recording)?;
            files.retain(|path| path.extension().is_some_and(|e| e == "mcap" || e == "db3" || e == "zstd"));
        }
        let mut hasher = Sha256::new();
        for file in files {
            io::copy(&mut File::open(&file).with_context(|| file.display().to_string())?, &mut hasher)?;
        }
        if self.source != Source::default() {
            hasher.update(serde_json::to_vec(&self.source)?);
        }
        Ok(format!("{:x}", hasher.finalize()))
    }

    /// The samples of one recording, and what of it was left out. `sha256` is its hash: each recording draws exits of its
    /// own, whichever others there are. `told` hears how many samples there are so far.
    pub(super) fn samples(
        &mut self,
        recording: &Path,
        sha256: &str,
        job: &Job,
        told: impl Fn(usize),
    ) -> anyhow::Result<(Vec<Sample>, Unread)> {
        let manifest = &self.bundle.manifest;
        let roles: Vec<&str> = manifest.cameras.iter().map(|camera| camera.role.as_str()).collect();
        let bag = Bag::open(recording)?;
        let source = resolved(&self.source, &bag, &roles)?;
        let rate_hz = self.source.rate.unwrap_or(manifest.embodiment.control_hz);
        let mut sets = Sets::new(bag.inputs(&source, &[])?, roles.len(), self.guard, 1.0 / rate_hz);
        let seed = job.seed ^ u64::from_str_radix(&sha256[..16], 16)?;
        let mut calibrator = Calibrator::new(&mut self.engine, manifest, job.metric, job.window, seed);
        let mut samples = Vec::new();
        while let Some(seen) = sets.next() {
            match seen {
                Seen::Sentence(text) if text.is_empty() => (),
                Seen::Sentence(text) => match self.observer.ids(&text) {
                    Ok(ids) => calibrator.instruction(&ids)?,
                    // The robot would hold.
                    Err(error) => sets.refuse(&error.to_string()),
                },
                Seen::Set(set) => {
                    samples.extend(calibrator.frame(self.observer.images(&set.frames))?);
                    told(samples.len());
                }
                Seen::Other(_) => (),
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!("interrupted; the same command goes on from the last finished recording");
            }
        }
        sets.notes.iter().for_each(|note| eprintln!("{}: {note}", recording.display()));
        Ok((samples, sets.left_out))
    }
}
