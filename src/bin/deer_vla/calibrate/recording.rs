//! The recordings of a calibration: which they are, and what the exits make of each.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use deer_vla::bag::{Bag, Input, Sources, Unread};
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::frame::Frame;
use deer_vla::observe::Observer;
use deer_vla::safety::Guard;
use deer_vla::session::Pairing;
use deer_vla::thresholds::{Calibrator, Sample};
use deer_vla::units::Stamp;
use sha2::{Digest, Sha256};

use super::unfinished::Job;

const INSTRUCTION: &str = "/instruction";

/// The recordings at and below the given places, in order.
pub(super) fn find(places: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for place in places {
        if place.is_file() || place.join("metadata.yaml").is_file() {
            found.push(place.clone());
            continue;
        }
        let mut below = entries(place)?;
        below.retain(|path| path.join("metadata.yaml").is_file());
        if below.is_empty() {
            let place = place.display();
            bail!("{place} is no recording and holds none: give folders with a metadata.yaml, or .mcap files");
        }
        found.extend(below);
    }
    Ok(found)
}

/// SHA-256 over the recording's files in the order of their names.
pub(super) fn hash(recording: &Path) -> anyhow::Result<String> {
    let mut files = vec![recording.to_path_buf()];
    if recording.is_dir() {
        files = entries(recording)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "mcap"));
    }
    let mut hasher = Sha256::new();
    for file in files {
        io::copy(&mut File::open(&file).with_context(|| file.display().to_string())?, &mut hasher)?;
    }
    Ok(format!("{:x}", hasher.finalize()))
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Runs the network on recordings.
pub(super) struct Runner<'a> {
    bundle: &'a Bundle,
    guard: Guard,
    engine: OrtEngine,
    observer: Observer,
    stop: Arc<AtomicBool>,
}

impl<'a> Runner<'a> {
    /// Loads every stage; Ctrl-C will end a run at the next message.
    pub(super) fn new(bundle: &'a Bundle, config: &Config) -> anyhow::Result<Self> {
        let engine = OrtEngine::load(bundle, bundle.manifest.exits.len() - 1, &config.engine)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        Ok(Self {
            bundle,
            guard: config.guard(bundle.manifest.embodiment.control_hz),
            engine,
            observer: Observer::new(bundle)?,
            stop,
        })
    }

    /// The samples of one recording, and what of it was left out. `sha256` is its hash: each recording draws exits of its own, whichever others
    /// there are. `told` hears how many samples there are so far.
    pub(super) fn samples(
        &mut self,
        recording: &Path,
        sha256: &str,
        job: &Job,
        told: impl Fn(usize),
    ) -> anyhow::Result<(Vec<Sample>, Unread)> {
        let manifest = &self.bundle.manifest;
        let cameras = manifest.cameras.iter().map(|camera| format!("/{}/image", camera.role)).collect();
        let bag = Bag::open(recording)?;
        let inputs = bag.inputs(&Sources { cameras, instruction: Some(INSTRUCTION.into()), estop: None })?;
        let seed = job.seed ^ u64::from_str_radix(&sha256[..16], 16)?;
        let mut calibrator = Calibrator::new(&mut self.engine, manifest, job.metric, job.window, seed);
        let mut moments = Moments::new(manifest.cameras.len(), self.guard, 1.0 / manifest.embodiment.control_hz);
        let (mut sentence, mut samples, mut unread) = (String::new(), Vec::new(), Unread::default());
        for input in inputs {
            match input?.1 {
                // As on the robot, the same text again changes nothing and an empty one means hold.
                Input::Instruction(text) if text.trim() != sentence => {
                    sentence = text.trim().to_owned();
                    moments.pairing.forget_step();
                    match self.observer.ids(&sentence) {
                        _ if sentence.is_empty() => {}
                        Ok(ids) => calibrator.instruction(&ids)?,
                        // The robot would hold.
                        Err(error) => {
                            unread.add(INSTRUCTION, &error.to_string());
                            sentence.clear();
                        }
                    }
                }
                Input::Instruction(_) | Input::Estop(_) => {}
                Input::Frame { camera, frame } => moments.frames[camera] = Some(frame),
                // Without its sentence what follows would be learned under another.
                Input::Unreadable { topic, reason } if topic == INSTRUCTION => bail!("{topic}: {reason}"),
                Input::Unreadable { topic, reason } => unread.add(&topic, &reason),
            }
            if let Some(frames) = moments.take().filter(|_| !sentence.is_empty()) {
                samples.extend(calibrator.frame(self.observer.images(&frames))?);
                told(samples.len());
            }
            if self.stop.load(Ordering::Relaxed) {
                bail!("interrupted; the same command goes on from the last finished recording");
            }
        }
        Ok((samples, unread))
    }
}

/// Pictures that show the same moment, one a camera, a control period from set to set.
struct Moments {
    frames: Vec<Option<Frame>>,
    guard: Guard,
    pairing: Pairing,
}

impl Moments {
    fn new(cameras: usize, guard: Guard, period_secs: f64) -> Self {
        Self { frames: vec![None; cameras], guard, pairing: Pairing::new(period_secs) }
    }

    /// The pictures that a step would be taken on now, and not again.
    fn take(&mut self) -> Option<Vec<Frame>> {
        let stamps: Vec<Stamp> = self.frames.iter().map(|frame| Some(frame.as_ref()?.stamp)).collect::<Option<_>>()?;
        let newest = *stamps.iter().max()?;
        if !self.pairing.due(stamps.iter().copied(), newest) {
            return None;
        }
        self.pairing.begin_step(Some(newest));
        let frames: Vec<Frame> = self.frames.iter_mut().filter_map(Option::take).collect();
        let skewed = self.guard.skewed(frames.iter().map(|frame| ("", frame.stamp))).is_some();
        (!skewed).then_some(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many sets two cameras give at 10 Hz of control: `(camera, milliseconds)` in the order of arrival.
    fn sets(max_frame_skew_secs: f64, pictures: &[(usize, i64)]) -> usize {
        let guard = Guard { max_frame_skew_secs, ..Guard::default() };
        let mut moments = Moments::new(2, guard, 0.1);
        let set = |&(camera, ms): &(usize, i64)| {
            moments.frames[camera] =
                Some(Frame { stamp: Stamp(ms * 1_000_000), width: 1, height: 1, rgb: vec![0; 3], encoding: "rgb8" });
            moments.take()
        };
        pictures.iter().filter_map(set).count()
    }

    #[test]
    fn every_set_of_pictures_taken_together_is_used_once() {
        assert_eq!(sets(0.05, &[(0, 0), (1, 2), (0, 100), (1, 102), (1, 200), (0, 203)]), 3);
        assert_eq!(sets(0.05, &[(0, 0), (0, 100), (1, 102)]), 1, "the first has lost its partner");
    }

    #[test]
    fn a_camera_of_twice_the_rate_gives_no_more_sets() {
        let fast: Vec<(usize, i64)> = (0..20).flat_map(|n| [(0, 50 * n), (1, 50 * n + 1)]).collect();
        assert_eq!(sets(0.05, &fast), 10);
    }

    #[test]
    fn pictures_too_far_apart_to_act_on_are_no_sample() {
        let pictures = [(0, 0), (1, 30), (0, 100), (1, 130), (0, 300), (1, 301)];
        assert_eq!(sets(0.02, &pictures), 1);
        assert_eq!(sets(0.05, &pictures), 3);
    }
}
