//! `deer_vla replay`: what would the policy have done?

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use deer_vla::bag::{AnswerBag, Bag, Input, Inputs, Sources, Unread};
use deer_vla::bundle::{Bundle, Manifest};
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::network::Policy;
use deer_vla::observe::Observer;
use deer_vla::report::Summary;
use deer_vla::safety::Arming;
use deer_vla::session::Answer;
use deer_vla::session::Control;
use indicatif::{ProgressBar, ProgressStyle};

use crate::setup::{EngineArgs, GateArgs, open, raw};

/// Run the policy on a recording, as the node would in lock-step
///
/// Writes OUT/decisions.jsonl (one JSON object a line; only `total_ms` and `decision.timing` depend on the machine's
/// speed) and OUT/commands, a bag with the twists, gripper commands and decisions. Ctrl-C ends both properly.
#[derive(Args)]
pub(crate) struct Replay {
    /// The bundle's folder
    bundle: PathBuf,
    /// A rosbag2 folder (MCAP storage) or one .mcap file
    bag: PathBuf,
    /// Where an input stands in the bag: a camera's role or `instruction`, then its topic [default: /static/image,
    /// /gripper/image, /instruction]
    #[arg(long = "topic", value_name = "INPUT=TOPIC", value_parser = assignment)]
    topics: Vec<(String, String)>,
    /// The instruction, instead of the bag's
    #[arg(long, value_name = "SENTENCE")]
    instruction: Option<String>,
    /// Oldest picture that is acted on, in seconds
    #[arg(long, value_name = "SECS")]
    max_frame_age: Option<f64>,
    /// Longest time between the cameras' pictures that is acted on, in seconds
    #[arg(long, value_name = "SECS")]
    max_frame_skew: Option<f64>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    gate: GateArgs,
    /// Folder for the results; made if it does not exist
    #[arg(long, value_name = "FOLDER", default_value = "out/replay")]
    out: PathBuf,
    /// Replace earlier results in OUT
    #[arg(long)]
    force: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (input, topic) = text.split_once('=').ok_or("expected INPUT=TOPIC, such as static=/camera/image")?;
    Ok((input.to_owned(), topic.to_owned()))
}

impl Replay {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut raw = raw(&self.bundle, &self.engine, Some(&self.gate));
        raw.max_frame_age = self.max_frame_age.unwrap_or(raw.max_frame_age);
        raw.max_frame_skew = self.max_frame_skew.unwrap_or(raw.max_frame_skew);
        let (bundle, config) = open(&raw)?;
        let sources = self.sources(&bundle.manifest)?;
        let bag = Bag::open(&self.bag)?;
        let inputs = bag
            .inputs(&sources)
            .context("--topic INPUT=TOPIC names another topic, --instruction gives the sentence itself")?;
        let mut control = control(&bundle, &config)?;
        if let Some(sentence) = &self.instruction {
            control.instruction(sentence)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
        let mut results = Results::create(&self.out, self.force, &config, &bundle.manifest)?;
        let read = replay(inputs, &mut control, &mut results, &stop);
        let finished = results.finish();
        read.and(finished)
    }

    fn sources(&self, manifest: &Manifest) -> anyhow::Result<Sources> {
        let roles: Vec<&str> = manifest.cameras.iter().map(|camera| camera.role.as_str()).collect();
        if let Some((input, _)) = self.topics.iter().find(|(i, _)| i != "instruction" && !roles.contains(&i.as_str())) {
            bail!("--topic {input}=…: this bundle's inputs are {}, instruction", roles.join(", "));
        }
        let topic = |input: &str, default: String| {
            self.topics.iter().rfind(|(name, _)| name == input).map_or(default, |(_, topic)| topic.clone())
        };
        let cameras: Vec<_> = roles.iter().map(|role| topic(role, format!("/{role}/image"))).collect();
        let instruction = self.instruction.is_none().then(|| topic("instruction", "/instruction".into()));
        let mut all: Vec<_> = cameras.iter().chain(&instruction).collect();
        all.sort();
        if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            bail!("topic {} is named for two inputs; each needs its own", pair[0]);
        }
        Ok(Sources { cameras, instruction })
    }
}

/// The policy, armed from the start.
fn control(bundle: &Bundle, config: &Config) -> anyhow::Result<Control<OrtEngine>> {
    let settings = config.settings(bundle)?;
    let engine = OrtEngine::load(bundle, settings.cap, &config.engine)?;
    let policy = Policy::new(engine, &bundle.manifest, settings);
    let (arming, provider) = (Arming::new(true, None), config.engine.provider.to_string());
    let rules = config.rules(bundle.manifest.action.control_hz, true, true);
    let mut control = Control::new(bundle, Observer::new(bundle)?, policy, rules, arming, provider);
    let started = Instant::now();
    control.rehearse(&mut || started.elapsed())?;
    Ok(control)
}

/// Feeds the recording in its order. The clock stands at the newest picture, as a lock-stepped simulator's does.
fn replay(
    inputs: Inputs<'_>,
    control: &mut Control<OrtEngine>,
    results: &mut Results,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} messages, {per_sec}, {eta} left")?;
    let progress = ProgressBar::new(inputs.total).with_style(style);
    for input in inputs {
        match input? {
            Input::Frame { camera, frame } => control.frame(camera, frame),
            Input::Instruction(text) => {
                if let Err(error) = control.instruction(&text) {
                    results.unread.add("the instruction", &error.to_string());
                }
            }
            Input::Unreadable { topic, reason } => results.unread.add(&topic, &reason),
        }
        if let Some(now) = control.newest()
            && control.due(now)
        {
            let started = Instant::now();
            let answer = control.step(now, &mut || started.elapsed());
            results.write(&answer)?;
        }
        progress.inc(1);
        if stop.load(Ordering::Relaxed) {
            bail!("interrupted; what was decided until then is written");
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// What a replay leaves behind.
struct Results {
    folder: PathBuf,
    decisions: BufWriter<File>,
    commands: AnswerBag,
    summary: Summary,
    unread: Unread,
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
        })
    }

    fn write(&mut self, answer: &Answer) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.decisions, answer)?;
        self.decisions.write_all(b"\n")?;
        self.commands.write(answer)?;
        self.summary.add(answer);
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.decisions.flush()?;
        self.commands.finish()?;
        eprint!("{}{}", self.unread, self.summary);
        eprintln!("written to {}", self.folder.display());
        if self.summary.answers() == 0 {
            return Err(anyhow!("no step was due: not every camera has delivered a picture that could be read"));
        }
        Ok(())
    }
}
