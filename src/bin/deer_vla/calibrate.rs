//! `deer_vla calibrate`: what would every exit have done on demonstrations?

mod plans;
mod recording;
mod signs;
mod unfinished;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use deer_vla::bag::Unread;
use deer_vla::bundle::Bundle;
use deer_vla::network::Metric;
use deer_vla::thresholds::{CALIBRATION_SCHEMA, Calibration, gauge, predictor_sha256};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::setup::{EngineArgs, open, raw};
use crate::source::SourceArgs;
use crate::write_whole;
use recording::Runner;
use unfinished::{Done, Job, Unfinished};

/// Run every exit on demonstrations and write calibration.json, which thresholds are solved from
///
/// Every window of an instruction's frames, one after the other, is run at full depth; what the exits would have done is
/// kept per exit and sample. Finished recordings are kept beside the output, so the same command goes on where it was
/// stopped; the same seed and recordings give the same bytes.
///
/// With --plans it writes plans.json instead: every recording is run once a setting of the plan's limits, fixed and
/// adaptive, as the node would have run it, and what was looked at, kept and skipped is kept with each exit's distance to
/// full depth with every picture. `solve --of whole` and `budget.of: whole` need it. Take recordings of the policy itself
/// (`deer_lab … record --learner`), and few: it takes as long as so many runs. The bundle's calibration.json comes first,
/// since it says which exits lead from step to step.
#[derive(Args)]
pub(crate) struct Calibrate {
    /// The bundle's folder
    bundle: PathBuf,
    /// Recordings with instructions: rosbag2 folders, files of one, or folders of them
    #[arg(required = true)]
    bags: Vec<PathBuf>,
    /// Frames a window
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=1000))]
    window: u64,
    /// What the deltas measure
    #[arg(long, default_value = "rms", value_parser = ["rms", "mean", "max", "cosine", "feature", "time", "predicted"])]
    metric: String,
    /// Draws the exits that lead up to each sample
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Try plans on the recordings and write plans.json, which a budget of the whole step is solved from
    #[arg(long, conflicts_with_all = ["window", "metric", "signs"])]
    plans: bool,
    /// At most so many of the recordings, evenly spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    recordings: Option<u64>,
    /// Also write what the exits showed of their distance to full depth: what a predictor is fitted on
    #[arg(long, value_name = "FILE")]
    signs: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// The file to write [default: calibration.json in the bundle, with --plans plans.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Calibrate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (bundle, config) = open(&raw(&self.bundle, &self.engine, None))?;
        let recordings = self.spread(deer_vla::bag::find(&self.bags)?);
        let source = self.source.source_for(&bundle.manifest.embodiment)?;
        if self.plans {
            let out = self.out.clone().unwrap_or_else(|| bundle.path("plans.json"));
            return plans::calibrate(
                &mut Runner::new(&bundle, &config, source)?,
                &config,
                &recordings,
                self.seed,
                &out,
            );
        }
        let out = self.out.clone().unwrap_or_else(|| bundle.path("calibration.json"));
        let job = self.job(&bundle)?;
        let mut unfinished = Unfinished::open(out.with_extension("unfinished.jsonl"), &job)?;
        let all = run(&mut Runner::new(&bundle, &config, source)?, &recordings, &job, &mut unfinished)?;
        let mut unread = Unread::default();
        all.iter().for_each(|done| unread.join(&done.unread));
        eprint!("{unread}");
        let silent = all.iter().filter(|done| done.samples() == 0).count();
        if silent > 0 {
            eprintln!("{silent} recordings gave no sample: no instruction in them lasts {} frames", job.window);
        }
        let calibration = joined(job, &bundle, &all);
        calibration.check()?;
        if let Some(path) = &self.signs {
            signs::write(path, &calibration, &all)?;
        }
        write_whole(&out, &serde_json::to_vec(&calibration)?)?;
        unfinished.remove()?;
        eprintln!("{} samples of {} recordings: {}", calibration.samples(), all.len(), out.display());
        Ok(())
    }

    fn job(&self, bundle: &Bundle) -> anyhow::Result<Job> {
        let metric = serde_json::from_value(self.metric.clone().into())?;
        // Refused before anything is written.
        gauge(metric, bundle)?;
        Ok(Job {
            manifest_sha256: bundle.hash.clone(),
            metric,
            window: self.window as usize,
            seed: self.seed,
            grid: Vec::new(),
            calibration_sha256: None,
            plans_schema: 0,
            predictor_sha256: predictor_sha256(bundle).filter(|_| metric == Metric::Predicted),
            signs: self.signs.is_some(),
        })
    }

    fn spread(&self, all: Vec<PathBuf>) -> Vec<PathBuf> {
        let most = self.recordings.map_or(all.len(), |most| all.len().min(most as usize));
        (0..most).map(|n| all[n * all.len() / most].clone()).collect()
    }
}

/// Every recording, in order: as it was finished before, or run now.
fn run(
    runner: &mut Runner<'_>,
    recordings: &[PathBuf],
    job: &Job,
    unfinished: &mut Unfinished<Done>,
) -> anyhow::Result<Vec<Done>> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} recordings, {eta} left, {msg} samples")?;
    let progress = ProgressBar::new(recordings.len() as u64).with_style(style);
    let (mut all, mut before) = (Vec::new(), 0);
    for recording in recordings {
        let sha256 = runner.hash(recording)?;
        let told = |samples: usize| progress.set_message((before + samples).to_string());
        let done = match unfinished.take(&sha256) {
            Some(done) => done,
            None => {
                let (samples, unread) =
                    runner.samples(recording, &sha256, job, told).with_context(|| recording.display().to_string())?;
                let done = Done::new(sha256, &samples, job.signs, unread);
                unfinished.push(&done)?;
                done
            }
        };
        before += done.samples();
        all.push(done);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(all)
}

fn joined(job: Job, bundle: &Bundle, all: &[Done]) -> Calibration {
    let exits = &bundle.manifest.exits;
    let table = |pick: fn(&Done) -> &Vec<Vec<f32>>| -> Vec<Vec<f64>> {
        let rows = |exit: usize| all.iter().filter_map(move |done| pick(done).get(exit));
        let row = |exit: usize| rows(exit).flatten().map(|&value| f64::from(value)).collect();
        (0..exits.len()).map(row).collect()
    };
    let mut hasher = Sha256::new();
    all.iter().for_each(|done| hasher.update(&done.sha256));
    Calibration {
        schema: CALIBRATION_SCHEMA,
        manifest_sha256: Some(job.manifest_sha256),
        metric: job.metric,
        predictor_sha256: job.predictor_sha256,
        window: Some(job.window),
        seed: Some(job.seed),
        recordings_sha256: Some(format!("{:x}", hasher.finalize())),
        recordings: all.iter().map(|done| done.sha256.clone()).collect(),
        episodes: all.iter().map(Done::samples).filter(|&samples| samples > 0).collect(),
        exits: exits.clone(),
        deltas: table(|done| &done.deltas),
        errors: table(|done| &done.errors),
    }
}
