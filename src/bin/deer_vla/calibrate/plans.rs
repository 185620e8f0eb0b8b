//! `deer_vla calibrate --plans`: what would each plan have looked at, and how far would it have been from full depth with
//! every picture?

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use deer_vla::bag::{Set, Unread};
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::motion::Gripper;
use deer_vla::network::{Metric, PlanLimits};
use deer_vla::observe::Observer;
use deer_vla::thresholds::{Calibration, Cell, Course, Method, PLANS_SCHEMA, Plans, Rules, Shares, Thresholds, Trial};
use deer_vla::thresholds::{gflop, grid, solve};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::recording::{Meets, Reader, Runner};
use super::unfinished::{Finished, Job, Unfinished};
use crate::write_whole;

/// Samples that a cell keeps: enough for shares of steps within a few hundredths.
const SAMPLES: usize = 400;
/// Averages, from the first exit to full depth, whose gates lead from step to step.
const GATES: u32 = 8;

/// What every cell did on one recording.
#[derive(Serialize, Deserialize)]
struct Done {
    sha256: String,
    cells: Vec<Cell>,
    unread: Unread,
}

impl Finished for Done {
    fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// Tries every plan of the grid on the recordings and writes what they did to `out`.
pub(super) fn calibrate(
    runner: &mut Runner<'_>,
    config: &Config,
    recordings: &[PathBuf],
    seed: u64,
    out: &Path,
) -> anyhow::Result<()> {
    let bundle = runner.reader.bundle;
    let (rules, calibration_sha256) = rules(&runner.reader, config)?;
    let settings = grid(&bundle.manifest);
    let limits: Vec<PlanLimits> = settings.iter().map(|(_, limits)| *limits).collect();
    let job = Job {
        manifest_sha256: bundle.hash.clone(),
        metric: rules.metric,
        window: 0,
        seed,
        grid: limits,
        calibration_sha256: Some(calibration_sha256),
        plans_schema: PLANS_SCHEMA,
        predictor_sha256: None,
        signs: false,
    };
    let mut unfinished = Unfinished::open(out.with_extension("unfinished.jsonl"), &job)?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} plans of recordings, {eta} left")?;
    let progress = ProgressBar::new((recordings.len() * settings.len()) as u64).with_style(style);
    let (mut cells, mut hasher, mut unread) = (empty(&settings, bundle), Sha256::new(), Unread::default());
    for recording in recordings {
        let sha256 = runner.hash(recording)?;
        let done = match unfinished.take(&sha256) {
            Some(done) => {
                progress.inc(settings.len() as u64);
                done
            }
            None => {
                let done = tried(runner, &rules, &settings, recording, job.seed_of(&sha256)?, sha256, &progress)
                    .with_context(|| recording.display().to_string())?;
                unfinished.push(&done)?;
                done
            }
        };
        hasher.update(&done.sha256);
        unread.join(&done.unread);
        cells.iter_mut().zip(done.cells).for_each(|(sum, cell)| sum.join(cell));
    }
    progress.finish_and_clear();
    eprint!("{unread}");
    let steps = cells[0].steps;
    ensure!(steps > 0, "no recording held a step: a sentence, and pictures of every camera after it");
    let plans = Plans {
        schema: PLANS_SCHEMA,
        manifest_sha256: job.manifest_sha256,
        metric: job.metric,
        seed,
        recordings_sha256: format!("{:x}", hasher.finalize()),
        exits: bundle.manifest.exits.clone(),
        cells: cells.into_iter().map(|cell| cell.thinned(SAMPLES)).collect(),
    };
    plans.check(bundle.manifest.cameras.len())?;
    write_whole(out, &serde_json::to_vec(&plans)?)?;
    unfinished.remove()?;
    eprintln!("{} plans on {steps} steps of {} recordings: {}", settings.len(), recordings.len(), out.display());
    Ok(())
}

fn empty(settings: &[(Option<String>, PlanLimits)], bundle: &Bundle) -> Vec<Cell> {
    let (cameras, exits) = (bundle.manifest.cameras.len(), bundle.manifest.exits.len());
    settings.iter().map(|(fixed, limits)| Cell::new(fixed.clone(), *limits, cameras, exits)).collect()
}

/// As the node would run it; the bundle's calibration, whose SHA-256 comes with them, says which exits lead from step to
/// step.
fn rules(reader: &Reader<'_>, config: &Config) -> anyhow::Result<(Rules, String)> {
    let bundle = reader.bundle;
    let (calibration, sha256) = Calibration::read(&bundle.path("calibration.json")).context("--plans comes second")?;
    calibration.belongs_to(bundle)?;
    ensure!(
        calibration.metric != Metric::Predicted,
        "plans are not tried with the metric predicted: its regressors have seen no media that grew old; calibrate with \
         another --metric first"
    );
    let costs = gflop(&bundle.manifest);
    let cap = costs.len() - 1;
    let average = |n: u32| costs[0] + (costs[cap] - costs[0]) * f64::from(n) / f64::from(GATES - 1);
    let gate = |n| solve(&calibration, &costs, cap, Some(average(n)), Method::Shares(Shares::Exp)).ok();
    let gates: Vec<Thresholds> = (0..GATES).filter_map(gate).map(|solution| solution.thresholds()).collect();
    let rules = Rules {
        metric: calibration.metric,
        gates,
        period_secs: reader.period_secs(),
        max_frame_age_secs: reader.guard.max_frame_age_secs,
        gripper: Gripper::new(
            bundle.manifest.embodiment.gripper.open_above,
            config.gripper.hysteresis,
            config.gripper.dwell_secs,
        ),
    };
    Ok((rules, sha256))
}

/// Full depth with every picture once, then every setting beside it.
fn tried(
    runner: &mut Runner<'_>,
    rules: &Rules,
    settings: &[(Option<String>, PlanLimits)],
    recording: &Path,
    seed: u64,
    sha256: String,
    progress: &ProgressBar,
) -> anyhow::Result<Done> {
    let bundle = runner.reader.bundle;
    let deepest = Rules { gates: vec![Thresholds::deepest(bundle.manifest.exits.len())], ..rules.clone() };
    let trial = Trial::new(&mut runner.engine, &bundle.manifest, &deepest, PlanLimits::default(), seed);
    let mut reference = Reference { trial, arms: Vec::new() };
    let (unread, notes) = runner.reader.show(recording, &mut reference)?;
    notes.iter().for_each(|note| progress.println(note));
    let arms = reference.arms;
    let mut cells = empty(settings, bundle);
    for cell in &mut cells {
        let trial = Trial::new(&mut runner.engine, &bundle.manifest, rules, cell.limits, seed);
        let course = Course::new(bundle.manifest.exits.len(), rules.period_secs);
        let mut beside = Beside { trial, cell, course, arms: arms.iter() };
        runner.reader.show(recording, &mut beside)?;
        progress.inc(1);
    }
    Ok(Done { sha256, cells, unread })
}

/// What full depth with every picture does.
struct Reference<'e> {
    trial: Trial<'e, OrtEngine>,
    arms: Vec<[f32; 6]>,
}

impl Meets for Reference<'_> {
    fn sentence(&mut self, ids: &[i64]) -> anyhow::Result<()> {
        Ok(self.trial.instruction(ids)?)
    }

    fn set(&mut self, set: &Set, observer: &mut Observer) -> anyhow::Result<()> {
        let tried =
            self.trial.step(&set.frames, &mut |camera, image| observer.draw(camera, &set.frames[camera], image))?;
        self.arms.push(tried.action.arm);
        Ok(())
    }
}

/// One setting beside it, moment by moment.
struct Beside<'e> {
    trial: Trial<'e, OrtEngine>,
    cell: &'e mut Cell,
    course: Course,
    arms: std::slice::Iter<'e, [f32; 6]>,
}

impl Meets for Beside<'_> {
    fn sentence(&mut self, ids: &[i64]) -> anyhow::Result<()> {
        self.course.clear();
        Ok(self.trial.instruction(ids)?)
    }

    fn set(&mut self, set: &Set, observer: &mut Observer) -> anyhow::Result<()> {
        let reference = self.arms.next().context("the recording changed while it was read")?;
        let tried =
            self.trial.step(&set.frames, &mut |camera, image| observer.draw(camera, &set.frames[camera], image))?;
        self.cell.add(&tried, &mut self.course, reference);
        Ok(())
    }
}
