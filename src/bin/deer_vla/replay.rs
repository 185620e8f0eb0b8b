//! `deer_vla replay`: what would the policy have done?

mod compare;
mod difference;
mod live;
mod lock_step;
mod otherwise;
mod plan;
mod robot;
mod told;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use deer_vla::bag::source::Resolved;
use deer_vla::bag::{AnswerBag, Bag, Input, Inputs, Unread};
use deer_vla::bundle::{Bundle, Manifest};
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::network::Observed;
use deer_vla::report::Summary;
use deer_vla::session::run::{Run, Seen};
use deer_vla::session::{Answer, Event, Level, Picture};
use deer_vla::units::Stamp;
use indicatif::{ProgressBar, ProgressStyle};

use crate::Interrupted;
use crate::setup::{EngineArgs, GateArgs, open, raw};
use crate::source::{SourceArgs, resolved};
use compare::Comparison;
use live::{Recorded, Recording, deeds};
use lock_step::LockStep;
use otherwise::OtherwiseArgs;
use robot::session;
use told::Told;

/// Run the policy on a recording, as the node would in lock-step, or live as it was recorded
///
/// In lock-step the clock stands at the newest picture, and the policy is armed. With --live the log times are the time:
/// pictures come when they were recorded, and cameras that fall silent, late pictures and an emergency stop hold the arm
/// as they would have. Where the recording holds the node's own decisions, they tell when it was enabled, disabled or
/// reset, and how long its steps took: the replay then decides what the run decided.
///
/// Writes OUT/decisions.jsonl (one JSON object a line; only `total_ms` and `decision.timing` depend on the machine's
/// speed) and OUT/commands, a bag with the twists, gripper commands and decisions. Ctrl-C ends both properly.
///
/// Where decisions on the same pictures are known, it says what would have been spent and done otherwise, as a table and a
/// plot (OUT/otherwise.svg), and the first decision that differs, with the reason. So what --thresholds, --average,
/// --deadline or --plan would change is seen by --against the decisions of a live run or of a replay without them. For a
/// script that must know whether a run was the same, --exit-code ends with 3 where one differs.
#[derive(Args)]
pub(crate) struct Replay {
    /// The bundle's folder
    bundle: PathBuf,
    /// A rosbag2 folder, or one of its files
    bag: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// On the recording's own time, instead of in lock-step
    #[arg(long)]
    live: bool,
    /// Oldest picture that is acted on, in seconds
    #[arg(long, value_name = "SECS", allow_negative_numbers = true)]
    max_frame_age: Option<f64>,
    /// Longest time between the cameras' pictures that is acted on, in seconds
    #[arg(long, value_name = "SECS", allow_negative_numbers = true)]
    max_frame_skew: Option<f64>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    otherwise: OtherwiseArgs,
    /// Folder for the results; made if it does not exist
    #[arg(long, value_name = "FOLDER", default_value = "out/replay")]
    out: PathBuf,
    /// Replace earlier results in OUT
    #[arg(long)]
    force: bool,
}

impl Replay {
    /// Whether a decision differs and `--exit-code` asks for it.
    pub(crate) fn run(&self) -> anyhow::Result<bool> {
        let mut raw = raw(&self.bundle, &self.engine, Some(&self.gate));
        raw.max_frame_age = self.max_frame_age.unwrap_or(raw.max_frame_age);
        raw.max_frame_skew = self.max_frame_skew.unwrap_or(raw.max_frame_skew);
        raw.twist.mode = if self.live { "stream" } else { "lock_step" }.into();
        let (bundle, _) = open(&raw)?;
        self.otherwise.ask(&mut raw, &bundle.manifest)?;
        let config = raw.check()?.on(&bundle.manifest.embodiment);
        let source = self.source.source_for(&bundle.manifest.embodiment)?;
        let bag = Bag::open(&self.bag)?;
        let roles: Vec<String> = bundle.manifest.cameras.iter().map(|camera| camera.role.clone()).collect();
        let source = resolved(&source, &bag, &roles.iter().map(String::as_str).collect::<Vec<_>>())?;
        // The emergency stop counts where the recording's own time does.
        let source = Resolved { estop: source.estop.clone().filter(|_| self.live), ..source };
        let inputs = bag.inputs(&source, &[])?;
        let before = self.otherwise.before(&self.bag, &bag, &roles)?;
        self.otherwise.check(before.is_some())?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        let same = if self.live {
            self.live(&bundle, &config, &bag, inputs, before, &stop)?
        } else {
            self.lock_step(&bundle, &config, inputs, before, &stop)?
        };
        Ok(self.otherwise.exit_code && !same)
    }

    fn results(&self, config: &Config, bundle: &Bundle, before: Option<Before>) -> anyhow::Result<Results> {
        Ok(Results { before, ..Results::create(&self.out, self.force, config, &bundle.manifest)? })
    }

    /// Feeds the recording in its order. The clock stands at the newest picture, as a lock-stepped simulator's does.
    fn lock_step(
        &self,
        bundle: &Bundle,
        config: &Config,
        inputs: Inputs<'_>,
        before: Option<Before>,
        stop: &AtomicBool,
    ) -> anyhow::Result<bool> {
        let mut robot = LockStep::new(session(bundle, config, true)?)?;
        let mut results = self.results(config, bundle, before)?;
        let read = feed(&mut robot, inputs, &mut results, stop);
        results.end(read)
    }

    /// Feeds the recording when it was recorded.
    fn live(
        &self,
        bundle: &Bundle,
        config: &Config,
        bag: &Bag,
        inputs: Inputs<'_>,
        before: Option<Before>,
        stop: &AtomicBool,
    ) -> anyhow::Result<bool> {
        let decisions = Recorded::all(bag, bag.decisions())?;
        let roles: Vec<String> = bundle.manifest.cameras.iter().map(|camera| camera.role.clone()).collect();
        let armed = decisions.first().is_none_or(Recorded::armed);
        let total = inputs.total;
        let mut inputs = inputs.peekable();
        let Some((start, _)) = inputs.peek() else { bail!("the bag holds none of the policy's inputs") };
        let mut run = live::run(bundle, config, armed, *start, &decisions)?;
        let mut results = self.results(config, bundle, before)?;
        let mut deeds = deeds(&decisions, &roles).into_iter().peekable();
        let mut shown = vec![None; roles.len()];
        let feed = || {
            let progress = progress(total)?;
            for (at, input) in inputs {
                run.pass(run.pace.machine(at));
                if let Input::Frame { camera, frame } = &input {
                    shown[*camera] = Some(frame.stamp);
                }
                if let Some(event) = results.event((at, input), run.now()) {
                    run.arrive(event);
                }
                while let Some(deed) = deeds.next_if(|deed| deed.done(at, &shown)) {
                    run.arrive(deed.operator.event());
                }
                results.see(&mut run)?;
                progress.inc(1);
                if stop.load(Ordering::Relaxed) {
                    bail!(Interrupted("what was decided until then is written"));
                }
            }
            // What the last pictures lead to.
            run.pass(run.now() + Duration::from_secs_f64(2.0 / bundle.manifest.embodiment.control_hz));
            results.see(&mut run)?;
            progress.finish_and_clear();
            Ok(())
        };
        let read = feed();
        results.end(read)
    }
}

/// Shows a robot in lock-step the recording in its order.
fn feed(robot: &mut LockStep, inputs: Inputs<'_>, results: &mut Results, stop: &AtomicBool) -> anyhow::Result<()> {
    let progress = progress(inputs.total)?;
    for input in inputs {
        if let Some(event) = results.event(input, Duration::ZERO) {
            robot.on(event);
        }
        robot.answer().iter().try_for_each(|answer| results.write(answer))?;
        robot.refused.drain(..).for_each(|reason| results.unread.add("the instruction", &reason));
        progress.inc(1);
        if stop.load(Ordering::Relaxed) {
            bail!(Interrupted("what was decided until then is written"));
        }
    }
    progress.finish_and_clear();
    Ok(())
}

fn progress(messages: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(messages).with_style(style))
}

/// Where decisions before are from, and what they are.
type Before = (String, Vec<Told>);

/// What a replay leaves behind.
struct Results {
    folder: PathBuf,
    decisions: BufWriter<File>,
    commands: AnswerBag,
    summary: Summary,
    unread: Unread,
    /// What was decided on the same pictures before, what is decided now, and by which network.
    before: Option<Before>,
    now: Vec<Told>,
    manifest: Manifest,
}

impl Results {
    fn create(folder: &Path, force: bool, config: &Config, manifest: &Manifest) -> anyhow::Result<Self> {
        let (decisions, commands) = (folder.join("decisions.jsonl"), folder.join("commands"));
        for path in [&decisions, &commands] {
            if path.exists() && !force {
                bail!("{} exists; give another --out, or --force to replace it", path.display());
            }
        }
        if commands.exists() {
            fs::remove_dir_all(&commands).with_context(|| format!("{} cannot be replaced", commands.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let file = File::create(&decisions).with_context(|| format!("{} cannot be written", decisions.display()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            decisions: BufWriter::new(file),
            commands: AnswerBag::create(commands, config)?,
            summary: Summary::new(manifest),
            unread: Unread::default(),
            before: None,
            now: Vec::new(),
            manifest: manifest.clone(),
        })
    }

    /// What an input is to the session, if it is anything.
    fn event<R>(&mut self, (_, input): (Stamp, Input), received: Duration) -> Option<Event<R>> {
        Some(match input {
            Input::Frame { camera, frame } => {
                let (stamp, took) = (frame.stamp, Duration::ZERO);
                Event::Picture(Picture { camera, stamp, frame: Ok(frame), received, messages: 1, took })
            }
            Input::Instruction(text) => Event::Instruction(text),
            Input::Estop(pressed) => Event::Estop { pressed, received },
            Input::Unreadable { topic, reason } => {
                self.unread.add(&topic, &reason);
                return None;
            }
            Input::Note(note) => {
                eprintln!("note: {note}");
                return None;
            }
            Input::Other(_) => return None,
        })
    }

    /// Writes what was answered meanwhile.
    fn see(&mut self, run: &mut Run<Observed<OrtEngine>, Recording>) -> anyhow::Result<()> {
        let seen: Vec<_> = run.seen().collect();
        for (_, seen) in seen {
            match seen {
                Seen::Answer(answer) => self.write(&answer)?,
                Seen::Log(Level::Error, reason) => self.unread.add("the instruction", &reason),
                _ => (),
            }
        }
        Ok(())
    }

    fn write(&mut self, answer: &Answer) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.decisions, answer)?;
        self.decisions.write_all(b"\n")?;
        self.commands.write(answer)?;
        self.summary.add(answer);
        if self.before.is_some() {
            self.now.push(answer.into());
        }
        Ok(())
    }

    /// Ends the files, whether or not everything was read. Whether all was decided as before, where that is known.
    fn end(self, read: anyhow::Result<()>) -> anyhow::Result<bool> {
        let finished = self.finish();
        read.and(finished)
    }

    fn finish(mut self) -> anyhow::Result<bool> {
        self.decisions.flush()?;
        self.commands.finish()?;
        eprint!("{}{}", self.unread, self.summary);
        eprintln!("written to {}", self.folder.display());
        if self.summary.answers() == 0 {
            return Err(anyhow!("no step was due: not every camera has delivered a picture that could be read"));
        }
        if let Some((origin, told)) = self.before {
            let comparison = Comparison::new(&self.manifest, origin, told, self.now);
            comparison.plot(&self.folder)?;
            // Whoever stops reading still wants to know whether a decision differs.
            match write!(io::stdout().lock(), "{comparison}") {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => bail!(error),
                _ => return Ok(comparison.same()),
            }
        }
        Ok(true)
    }
}
