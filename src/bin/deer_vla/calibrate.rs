//! `deer_vla calibrate`: what would every exit have done on demonstrations?

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bag::{Bag, Input, Sources};
use deer_vla::bundle::Bundle;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::frame::Frame;
use deer_vla::gate::Metric;
use deer_vla::observe::Observer;
use deer_vla::thresholds::{CALIBRATION_SCHEMA, Calibration, Calibrator, Sample};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::setup::{EngineArgs, open, raw};

/// Run every exit on demonstrations and write calibration.json, which thresholds are solved from
///
/// Every window of an instruction's frames, one after the other, is run at full depth; what the exits would have done is
/// kept per exit and sample. Finished recordings are kept beside the output, so the same command goes on where it was
/// stopped; the same seed and recordings give the same bytes.
#[derive(Args)]
pub(crate) struct Calibrate {
    /// The bundle's folder
    bundle: PathBuf,
    /// Recordings with instructions: rosbag2 folders (MCAP storage), or folders of them
    #[arg(required = true)]
    bags: Vec<PathBuf>,
    /// Frames a window
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=1000))]
    window: u64,
    /// What the deltas measure
    #[arg(long, default_value = "rms", value_parser = ["rms", "mean", "max", "cosine"])]
    metric: String,
    /// Draws the exits that lead up to each sample
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    engine: EngineArgs,
    /// The file to write [default: calibration.json in the bundle]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a calibration depends on; the first line of the file of finished recordings.
#[derive(Serialize, Deserialize, PartialEq)]
struct Job {
    manifest_sha256: String,
    metric: Metric,
    window: usize,
    seed: u64,
}

/// One finished recording; every further line.
#[derive(Serialize, Deserialize)]
struct Done {
    sha256: String,
    deltas: Vec<Vec<f32>>,
    errors: Vec<Vec<f32>>,
}

impl Calibrate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (bundle, config) = open(&raw(&self.bundle, &self.engine, None))?;
        let bags = find_bags(&self.bags)?;
        let out = self.out.clone().unwrap_or_else(|| bundle.path("calibration.json"));
        let metric = serde_json::from_value(self.metric.clone().into())?;
        let job = Job { manifest_sha256: bundle.hash.clone(), metric, window: self.window as usize, seed: self.seed };
        let beside = out.with_extension("unfinished.jsonl");
        let mut finished = resume(&beside, &job)?;
        let mut engine = OrtEngine::load(&bundle, bundle.manifest.exits.len() - 1, &config.engine)?;
        let observer = Observer::new(&bundle)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        let mut log = OpenOptions::new().append(true).open(&beside)?;
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} recordings, {eta} left, {msg}")?;
        let progress = ProgressBar::new(bags.len() as u64).with_style(style);
        let mut all = Vec::new();
        for bag in &bags {
            let sha256 = hash_bag(bag)?;
            let done = match finished.iter().position(|done| done.sha256 == sha256) {
                Some(place) => finished.swap_remove(place),
                None => {
                    let samples = samples(bag, &bundle, &mut engine, &observer, &job, &stop)
                        .with_context(|| bag.display().to_string())?;
                    let done = Done {
                        sha256,
                        deltas: columns(&samples, |s| &s.deltas),
                        errors: columns(&samples, |s| &s.errors),
                    };
                    writeln!(log, "{}", serde_json::to_string(&done)?)?;
                    done
                }
            };
            all.push(done);
            progress.set_message(format!(
                "{} samples",
                all.iter().map(|d| d.deltas.first().map_or(0, Vec::len)).sum::<usize>()
            ));
            progress.inc(1);
        }
        progress.finish_and_clear();
        let calibration = joined(job, &bundle, &all);
        calibration.check()?;
        write_whole(&out, &serde_json::to_vec(&calibration)?)?;
        fs::remove_file(&beside)?;
        eprintln!("{} samples of {} recordings: {}", calibration.samples(), bags.len(), out.display());
        Ok(())
    }
}

/// The bags at and below the given places, in order.
fn find_bags(places: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut bags = Vec::new();
    for place in places {
        if place.is_file() || place.join("metadata.yaml").is_file() {
            bags.push(place.clone());
            continue;
        }
        let entries = fs::read_dir(place).with_context(|| format!("{} cannot be read", place.display()))?;
        let mut below: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
        below.retain(|path| path.join("metadata.yaml").is_file());
        if below.is_empty() {
            bail!(
                "{} is no recording and holds none: give folders with a metadata.yaml, or .mcap files",
                place.display()
            );
        }
        below.sort();
        bags.extend(below);
    }
    Ok(bags)
}

/// What an interrupted call finished. A last line that was cut off is dropped; another job's file is refused.
fn resume(beside: &Path, job: &Job) -> anyhow::Result<Vec<Done>> {
    let mut kept = serde_json::to_string(job)? + "\n";
    let mut finished = Vec::new();
    if let Ok(file) = File::open(beside) {
        let mut lines = BufReader::new(file).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        if serde_json::from_str::<Job>(&first).ok().as_ref() != Some(job) {
            bail!(
                "an unfinished calibration with other settings is in the way; remove it or name another --out\nfile: {}",
                beside.display()
            );
        }
        for line in lines {
            let line = line?;
            let Ok(done) = serde_json::from_str(&line) else { break };
            kept += &(line + "\n");
            finished.push(done);
        }
    }
    write_whole(beside, kept.as_bytes())?;
    Ok(finished)
}

fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes).with_context(|| format!("{} cannot be written", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("{} cannot be replaced", path.display()))
}

/// SHA-256 over the recording's files in the order of their names.
fn hash_bag(bag: &Path) -> anyhow::Result<String> {
    let mut files = vec![bag.to_path_buf()];
    if bag.is_dir() {
        files = fs::read_dir(bag)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "mcap"));
        files.sort();
    }
    let mut hasher = Sha256::new();
    for file in files {
        io::copy(&mut File::open(&file).with_context(|| file.display().to_string())?, &mut hasher)?;
    }
    Ok(format!("{:x}", hasher.finalize()))
}

fn samples(
    bag: &Path,
    bundle: &Bundle,
    engine: &mut OrtEngine,
    observer: &Observer,
    job: &Job,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Sample>> {
    let cameras: Vec<_> = bundle.manifest.cameras.iter().map(|camera| format!("/{}/image", camera.role)).collect();
    let count = cameras.len();
    let bag = Bag::open(bag)?;
    let inputs = bag.inputs(&Sources { cameras, instruction: Some("/instruction".into()) })?;
    let together = 0.5 / bundle.manifest.action.control_hz;
    let mut calibrator = Calibrator::new(engine, &bundle.manifest, job.metric, job.window, job.seed);
    let mut frames: Vec<Option<Frame>> = vec![None; count];
    let (mut told, mut samples) = (false, Vec::new());
    for input in inputs {
        match input? {
            Input::Instruction(text) => {
                told = !text.trim().is_empty();
                frames.fill(None);
                if told {
                    calibrator.instruction(&observer.ids(&text)?)?;
                }
            }
            Input::Frame { camera, frame } => frames[camera] = Some(frame),
            Input::Unreadable { topic, reason } => bail!("{topic}: {reason}"),
        }
        let set: Vec<&Frame> = frames.iter().flatten().collect();
        let spread = |set: &[&Frame]| {
            let newest = set.iter().map(|frame| frame.stamp).max();
            newest.zip(set.iter().map(|frame| frame.stamp).min()).map_or(0.0, |(n, o)| n.secs_since(o))
        };
        if told && set.len() == count && spread(&set) <= together {
            samples.extend(calibrator.frame(observer.images(set))?);
            frames.fill(None);
        }
        if stop.load(Ordering::Relaxed) {
            bail!("interrupted; the same command goes on from the last finished recording");
        }
    }
    Ok(samples)
}

/// `[exit][sample]` of what `values` gives per sample.
fn columns(samples: &[Sample], values: impl Fn(&Sample) -> &Vec<f32>) -> Vec<Vec<f32>> {
    let exits = samples.first().map_or(0, |sample| values(sample).len());
    (0..exits).map(|exit| samples.iter().map(|sample| values(sample)[exit]).collect()).collect()
}

fn joined(job: Job, bundle: &Bundle, all: &[Done]) -> Calibration {
    let exits = &bundle.manifest.exits;
    let table = |pick: fn(&Done) -> &Vec<Vec<f32>>| -> Vec<Vec<f32>> {
        let row = |exit: usize| all.iter().filter_map(move |done| pick(done).get(exit)).flatten().copied().collect();
        (0..exits.len()).map(row).collect()
    };
    let mut hasher = Sha256::new();
    all.iter().for_each(|done| hasher.update(&done.sha256));
    Calibration {
        schema: CALIBRATION_SCHEMA,
        manifest_sha256: Some(job.manifest_sha256),
        metric: job.metric,
        window: Some(job.window),
        seed: Some(job.seed),
        recordings_sha256: Some(format!("{:x}", hasher.finalize())),
        exits: exits.clone(),
        deltas: table(|done| &done.deltas),
        errors: table(|done| &done.errors),
    }
}
