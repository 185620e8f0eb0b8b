//! The measurements of `deer_vla bench`.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use deer_vla::bundle::{Bundle, Manifest};
use deer_vla::engine::ort::{Options, OrtEngine, Provider, Whole};
use deer_vla::engine::{Engine, EngineError};
use deer_vla::frame::Frame;
use deer_vla::network::Metric;
use deer_vla::network::{PlanLimits, Policy, Settings};
use deer_vla::observe::Observer;
use deer_vla::report::Quantiles;
use deer_vla::thresholds::Thresholds;
use deer_vla::units::Stamp;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Rounds that are not counted: the runtime's arenas grow in the first few.
const WARM_UP: u64 = 10;

/// What was measured; times in milliseconds.
#[derive(Serialize)]
pub(super) struct Measured {
    pub(super) bundle: String,
    pub(super) bundle_sha256: String,
    pub(super) provider: String,
    pub(super) onnxruntime: String,
    pub(super) cores: usize,
    pub(super) threads: usize,
    pub(super) tokens: usize,
    pub(super) steps: u64,
    pub(super) parts_ms: Vec<(String, Quantiles)>,
    pub(super) full_step_ms: Quantiles,
    pub(super) first_exit_step_ms: Quantiles,
    /// Share of a full-depth step, less vision, that no stage's run accounts for.
    pub(super) overhead_share: Quantiles,
    /// The head calls' part of it.
    pub(super) head_share: Quantiles,
    /// Bytes that a full-depth step copies between host and device.
    pub(super) copied: Copied,
    /// Parts that ran as CUDA graphs.
    pub(super) recorded: Vec<String>,
    pub(super) staged_against_whole: Option<Comparison>,
    pub(super) resident_before_mb: f64,
    pub(super) caps: Vec<Cap>,
}

/// Bytes; none where host and device are the same.
#[derive(Serialize)]
pub(super) struct Copied {
    pub(super) to_device: u64,
    pub(super) to_host: u64,
    /// Each of which waits for the device.
    pub(super) copies_to_host: u64,
}

/// All stages in turn against the same network as one graph.
#[derive(Serialize)]
pub(super) struct Comparison {
    pub(super) staged_ms: Quantiles,
    pub(super) whole_ms: Quantiles,
    pub(super) ratio_of_medians: f64,
    /// Of each round's two staged runs to its two whole runs.
    pub(super) paired_ratio: Quantiles,
}

/// What one cap takes.
#[derive(Serialize)]
pub(super) struct Cap {
    pub(super) cap: usize,
    pub(super) weights_mb: f64,
    pub(super) resident_mb: f64,
    /// In use on the GPU, by whatever program; `None` without a GPU.
    pub(super) device_mb: Option<f64>,
    pub(super) load_ms: f64,
}

pub(super) fn measure(bundle: &Bundle, options: &Options, sentence: &str, steps: u64) -> anyhow::Result<Measured> {
    let manifest = &bundle.manifest;
    let observer = Observer::new(bundle)?;
    let ids = observer.ids(sentence)?;
    let frames = pictures(manifest);

    let resident_before_mb = resident_mb();
    let (mut engine, caps) = load_cap_by_cap(bundle, options, &ids, &observer, &frames)?;
    let onnxruntime = format!("{} at {}", engine.library().version, engine.library().path.display());
    let mut whole = manifest.parts.whole.as_ref().map(|_| engine.load_whole()).transpose()?;

    let style = ProgressStyle::with_template("{bar:40} {msg} {pos}/{len}, {eta} left")?;
    let progress = ProgressBar::new(2 * (steps + WARM_UP)).with_style(style);
    let mut rounds = Rounds::new(manifest);
    for round in 0..steps + WARM_UP {
        progress.inc(1);
        rounds.counted = round >= WARM_UP;
        let started = Instant::now();
        draw(&mut engine, &observer, &frames);
        rounds.note("pictures", started.elapsed());
        rounds.parts(&mut engine, manifest, &ids)?;
        if let Some(whole) = &mut whole {
            rounds.compare(&mut engine, whole)?;
        }
    }
    let mut policy = Policy::new(engine, manifest, settings(manifest, manifest.exits.len() - 1));
    for round in 0..steps + WARM_UP {
        progress.inc(1);
        rounds.counted = round >= WARM_UP;
        rounds.steps(&mut policy, manifest)?;
    }
    progress.finish_and_clear();
    let copied = rounds.copied(&mut policy, manifest)?;
    Ok(Measured {
        bundle: manifest.name.clone(),
        bundle_sha256: bundle.hash.clone(),
        provider: options.provider.to_string(),
        onnxruntime,
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        threads: options.threads,
        tokens: ids.len(),
        steps,
        parts_ms: rounds.parts_ms()?,
        full_step_ms: quantiles(&rounds.full_step_ms)?,
        first_exit_step_ms: quantiles(&rounds.first_exit_step_ms)?,
        overhead_share: quantiles(&rounds.overhead_share)?,
        head_share: quantiles(&rounds.head_share)?,
        copied,
        recorded: policy.engine().recorded().into_iter().map(str::to_owned).collect(),
        staged_against_whole: whole.map(|_| rounds.comparison()).transpose()?,
        resident_before_mb,
        caps,
    })
}

/// The same pictures for every run: a gradient with some texture, 200 x 200 as a camera would send them.
fn pictures(manifest: &Manifest) -> Vec<Frame> {
    const SIDE: u32 = 200;
    let byte = |i: u32| ((i / 3 % SIDE) ^ (i / (3 * SIDE)) ^ (i.wrapping_mul(2_654_435_761) >> 27)) as u8;
    let rgb: Vec<u8> = (0..SIDE * SIDE * 3).map(byte).collect();
    manifest.cameras.iter().map(|_| Frame::new(Stamp(1), [SIDE, SIDE], rgb.clone(), "rgb8")).collect()
}

fn load_cap_by_cap(
    bundle: &Bundle,
    options: &Options,
    ids: &[i64],
    observer: &Observer,
    frames: &[Frame],
) -> Result<(OrtEngine, Vec<Cap>), EngineError> {
    let mut started = Instant::now();
    let mut engine = OrtEngine::load(bundle, 0, options)?;
    let mut caps = Vec::new();
    for cap in 0..bundle.manifest.exits.len() {
        if cap > 0 {
            started = Instant::now();
            engine.load_to(cap)?;
        }
        let load_ms = millis(started.elapsed());
        engine.embed(ids)?;
        draw(&mut engine, observer, frames);
        (0..frames.len()).try_for_each(|camera| engine.look(camera))?;
        for k in 0..=cap {
            engine.stage(k)?;
        }
        let weights_mb = bundle.manifest.bytes_to(cap) as f64 * 1e-6;
        caps.push(Cap { cap, weights_mb, resident_mb: resident_mb(), device_mb: device_mb(options), load_ms });
    }
    Ok((engine, caps))
}

/// This process's resident memory in MB (1e6 bytes).
fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).map_or(f64::NAN, |kib| kib * 1024e-6)
}

/// What is in use on the GPU in MB (1e6 bytes), as its driver counts it.
fn device_mb(options: &Options) -> Option<f64> {
    if options.provider == Provider::Cpu {
        return None;
    }
    let device = options.device_id.to_string();
    let question = ["--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id", &device];
    let answer = Command::new("nvidia-smi").args(question).output().ok()?;
    let mib: f64 = String::from_utf8_lossy(&answer.stdout).trim().parse().ok()?;
    Some(mib * 1.048_576)
}

/// Every step ends at exit `cap` and no earlier.
fn settings(manifest: &Manifest, cap: usize) -> Settings {
    Settings {
        thresholds: Thresholds::deepest(manifest.exits.len()),
        gauge: Metric::Rms.into(),
        cap,
        deadline: None,
        plan: PlanLimits::default(),
    }
}

/// Milliseconds of every round.
struct Rounds {
    counted: bool,
    exits: usize,
    parts: Vec<(String, Vec<f64>)>,
    staged: Vec<[f64; 2]>,
    whole: Vec<[f64; 2]>,
    full_step_ms: Vec<f64>,
    first_exit_step_ms: Vec<f64>,
    overhead_share: Vec<f64>,
    head_share: Vec<f64>,
}

impl Rounds {
    fn new(manifest: &Manifest) -> Self {
        Self {
            counted: false,
            exits: manifest.exits.len(),
            parts: Vec::new(),
            staged: Vec::new(),
            whole: Vec::new(),
            full_step_ms: Vec::new(),
            first_exit_step_ms: Vec::new(),
            overhead_share: Vec::new(),
            head_share: Vec::new(),
        }
    }

    fn note(&mut self, part: &str, took: Duration) {
        let place = self.parts.iter().position(|(name, _)| name == part).unwrap_or_else(|| {
            self.parts.push((part.to_owned(), Vec::new()));
            self.parts.len() - 1
        });
        if self.counted {
            self.parts[place].1.push(millis(took));
        }
    }

    fn timed<T>(&mut self, part: &str, run: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
        let started = Instant::now();
        let result = run()?;
        self.note(part, started.elapsed());
        Ok(result)
    }

    /// Every part once, as in a full-depth step.
    fn parts(&mut self, engine: &mut OrtEngine, manifest: &Manifest, ids: &[i64]) -> Result<(), EngineError> {
        self.timed("embed", || engine.embed(ids))?;
        for (camera, spec) in manifest.cameras.iter().enumerate() {
            self.timed(&format!("vision {}", spec.role), || engine.look(camera))?;
        }
        self.timed("head state", || engine.recall())?;
        for k in 0..self.exits {
            self.timed(&format!("stages[{k}]"), || engine.stage(k))?;
            self.timed(if k == 0 { "head, 2 rows" } else { "head, 1 row" }, || engine.act())?;
        }
        Ok(())
    }

    /// Staged, whole, whole, staged.
    fn compare(&mut self, engine: &mut OrtEngine, whole: &mut Whole) -> Result<(), EngineError> {
        let first = staged(engine, self.exits)?;
        let wholes = [millis(whole_once(whole)?), millis(whole_once(whole)?)];
        let last = staged(engine, self.exits)?;
        if self.counted {
            self.staged.push([millis(first), millis(last)]);
            self.whole.push(wholes);
        }
        Ok(())
    }

    fn comparison(&self) -> anyhow::Result<Comparison> {
        let staged_ms = quantiles(self.staged.as_flattened())?;
        let whole_ms = quantiles(self.whole.as_flattened())?;
        let pairs = self.staged.iter().zip(&self.whole);
        let paired: Vec<f64> = pairs.map(|(a, b)| a.iter().sum::<f64>() / b.iter().sum::<f64>()).collect();
        let ratio_of_medians = staged_ms.median / whole_ms.median;
        Ok(Comparison { staged_ms, whole_ms, ratio_of_medians, paired_ratio: quantiles(&paired)? })
    }

    /// A step at full depth, then one that ends at the first exit.
    fn steps(&mut self, policy: &mut Policy<OrtEngine>, manifest: &Manifest) -> anyhow::Result<()> {
        // The stages stay loaded: only a threshold keeps the second step at exit 0.
        let limits = vec![f64::from(f32::MAX); self.exits - 1];
        let early =
            Settings { thresholds: Thresholds::new(&limits, self.exits)?, ..settings(manifest, self.exits - 1) };
        for (depth, settings) in [settings(manifest, self.exits - 1), early].into_iter().enumerate() {
            policy.configure(settings)?;
            let started = Instant::now();
            let step = policy.step(&mut || started.elapsed())?;
            let total = millis(started.elapsed());
            if !self.counted {
                continue;
            }
            if depth == 1 {
                self.first_exit_step_ms.push(total);
                continue;
            }
            let less_vision = total - step.timing.vision_ms;
            self.full_step_ms.push(total);
            self.overhead_share.push((less_vision - step.timing.stage_ms.iter().sum::<f64>()) / less_vision);
            self.head_share.push(step.timing.head_ms / less_vision);
        }
        Ok(())
    }

    fn copied(&self, policy: &mut Policy<OrtEngine>, manifest: &Manifest) -> anyhow::Result<Copied> {
        policy.configure(settings(manifest, self.exits - 1))?;
        let before = policy.engine().traffic();
        policy.step(&mut || Duration::ZERO)?;
        let after = policy.engine().traffic();
        let (to_device, to_host) = (after.to_device - before.to_device, after.to_host - before.to_host);
        let copies_to_host = after.copies_to_host - before.copies_to_host;
        Ok(Copied { to_device, to_host, copies_to_host })
    }

    fn parts_ms(&self) -> anyhow::Result<Vec<(String, Quantiles)>> {
        self.parts.iter().map(|(name, ms)| Ok((name.clone(), quantiles(ms)?))).collect()
    }
}

fn draw(engine: &mut OrtEngine, observer: &Observer, frames: &[Frame]) {
    for (camera, frame) in frames.iter().enumerate() {
        engine.draw(camera, &mut |image| observer.draw(camera, frame, image));
    }
}

fn staged(engine: &mut OrtEngine, exits: usize) -> Result<Duration, EngineError> {
    let started = Instant::now();
    for k in 0..exits {
        engine.stage(k)?;
    }
    Ok(started.elapsed())
}

fn whole_once(whole: &mut Whole) -> Result<Duration, EngineError> {
    let started = Instant::now();
    whole.run()?;
    Ok(started.elapsed())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn quantiles(values: &[f64]) -> anyhow::Result<Quantiles> {
    Quantiles::of(values.iter().copied()).ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}
