//! The recordings of a calibration: what they are made of, and what the exits make of each.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use deer_vla::bag::source::Source;
use deer_vla::bag::{Bag, Seen, Set, Sets, Unread};
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::observe::Observer;
use deer_vla::safety::Guard;
use deer_vla::thresholds::{Calibrator, Sample, gauge};
use sha2::{Digest, Sha256};

use super::unfinished::Job;
use crate::Interrupted;
use crate::source::resolved;

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Runs the network on recordings.
pub(super) struct Runner<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) engine: OrtEngine,
}

/// Reads recordings as the robot would have seen them.
pub(super) struct Reader<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) guard: Guard,
    source: Source,
    observer: Observer,
    stop: Arc<AtomicBool>,
}

/// What meets a recording's sentences and pictures, in their order.
pub(super) trait Meets {
    /// An instruction begins.
    fn sentence(&mut self, ids: &[i64]) -> anyhow::Result<()>;
    /// Pictures to take a step on.
    fn set(&mut self, set: &Set, observer: &mut Observer) -> anyhow::Result<()>;
}

impl Reader<'_> {
    /// The control period in seconds.
    pub(super) fn period_secs(&self) -> f64 {
        1.0 / self.bundle.manifest.embodiment.control_hz
    }

    /// Shows one recording to `meets`; gives what of it was left out, and what is to be known of it.
    pub(super) fn show(&mut self, recording: &Path, meets: &mut impl Meets) -> anyhow::Result<(Unread, Vec<String>)> {
        let cameras = &self.bundle.manifest.cameras;
        let roles: Vec<&str> = cameras.iter().map(|camera| camera.role.as_str()).collect();
        let bag = Bag::open(recording)?;
        let source = resolved(&self.source, &bag, &roles)?;
        let mut sets = Sets::new(bag.inputs(&source, &[])?, roles.len(), self.guard, self.period_secs());
        while let Some(seen) = sets.next() {
            match seen {
                Seen::Sentence(text) if text.is_empty() => (),
                Seen::Sentence(text) => match self.observer.ids(&text) {
                    Ok(ids) => meets.sentence(&ids)?,
                    // The robot would hold.
                    Err(error) => sets.refuse(&error.to_string()),
                },
                Seen::Set(set) => meets.set(&set, &mut self.observer)?,
                Seen::Other(_) => (),
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!(Interrupted("the same command goes on from the last finished recording"));
            }
        }
        let notes = sets.notes.iter().map(|note| format!("{}: {note}", recording.display()));
        Ok((sets.left_out, notes.collect()))
    }
}

/// The exits' samples, window by window.
struct Windows<'e, F> {
    calibrator: Calibrator<'e, OrtEngine>,
    samples: Vec<Sample>,
    told: F,
}

impl<F: Fn(usize)> Meets for Windows<'_, F> {
    fn sentence(&mut self, ids: &[i64]) -> anyhow::Result<()> {
        Ok(self.calibrator.instruction(ids)?)
    }

    fn set(&mut self, set: &Set, observer: &mut Observer) -> anyhow::Result<()> {
        self.samples.extend(self.calibrator.frame(observer.images(&set.frames))?);
        (self.told)(self.samples.len());
        Ok(())
    }
}

impl<'a> Runner<'a> {
    /// Loads every stage; Ctrl-C will end a run at the next message. `source` says what is what in the recordings.
    pub(super) fn new(bundle: &'a Bundle, config: &Config, source: Source) -> anyhow::Result<Self> {
        let engine = OrtEngine::load(bundle, bundle.manifest.exits.len() - 1, &config.engine)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        let guard = config.guard(bundle.manifest.embodiment.control_hz);
        Ok(Self { reader: Reader { bundle, guard, source, observer: Observer::new(bundle)?, stop }, engine })
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
        if self.reader.source != Source::default() {
            hasher.update(serde_json::to_vec(&self.reader.source)?);
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
        let (manifest, seed) = (&self.reader.bundle.manifest, job.seed_of(sha256)?);
        let gauge = gauge(job.metric, self.reader.bundle)?;
        let calibrator = Calibrator::new(&mut self.engine, manifest, gauge, job.window, seed);
        let mut windows = Windows { calibrator, samples: Vec::new(), told };
        let (unread, notes) = self.reader.show(recording, &mut windows)?;
        notes.iter().for_each(|note| eprintln!("{note}"));
        Ok((windows.samples, unread))
    }
}
