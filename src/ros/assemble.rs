//! The node's parts, made and put together as the configuration says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::runtime::Runtime;

use super::arm::Arm;
use super::clock::Clock;
use super::commander::Commander;
use super::commands::Commands;
use super::diagnostics::Health;
use super::inbox::Inbox;
use super::inputs::{self, Receivers};
use super::outputs::Outputs;
use super::vitals::Vitals;
use super::worker::Worker;
use crate::bundle::Bundle;
use crate::config::{Config, RawConfig};
use crate::engine::ort::OrtEngine;
use crate::motion::Stream;
use crate::network::Policy;
use crate::observe::Observer;
use crate::safety::{Arming, Watchdog};
use crate::session::Control;
use crate::thresholds::Live;

#[cfg(feature = "faults")]
type Network = crate::engine::Faulty<OrtEngine>;
#[cfg(not(feature = "faults"))]
type Network = OrtEngine;

/// Everything that gets a thread of its own, and what they share.
pub(super) struct Node {
    pub(super) worker: Worker<Network>,
    pub(super) commander: Commander,
    pub(super) vitals: Arc<Vitals>,
}

/// A bundle that is no folder here may be one of those that came with the package.
pub(super) fn found(raw: RawConfig) -> RawConfig {
    let installed = |prefix: PathBuf| prefix.join("share/deer_vla/models").join(&raw.bundle);
    let prefixes = std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&prefixes).map(installed);
    if raw.bundle.is_empty() || Path::new(&raw.bundle).is_dir() {
        return raw;
    }
    match candidates.find(|path| path.is_dir()) {
        Some(path) => RawConfig { bundle: path.display().to_string(), ..raw },
        None => raw,
    }
}

pub(super) fn assemble(node: &mut r2r::Node, runtime: &Runtime, config: &Config) -> Result<Node> {
    let bundle = Arc::new(Bundle::open(&config.bundle).context("the bundle is refused")?);
    let simulated = match node.get_parameter::<Option<bool>>("use_sim_time") {
        Ok(simulated) => simulated.unwrap_or(false),
        Err(error) => bail!("use_sim_time: {error}"),
    };
    let lock_step = config.twist.mode.is_lock_step(simulated);
    let manifest = &bundle.manifest;
    let rules = config.rules(manifest.action.control_hz, lock_step, simulated);
    let roles: Vec<String> = manifest.cameras.iter().map(|camera| camera.role.clone()).collect();
    let period_secs = 1.0 / manifest.action.control_hz;
    let watchdog = Watchdog { period_secs, max_silence_secs: rules.guard.max_silence_secs };
    let (inbox, vitals) = (Arc::new(Inbox::new(roles.len())), Arc::new(Vitals::new(&roles, watchdog)));
    let commands = Arc::new(Commands::new(lock_step));
    let receivers = Receivers { inbox: inbox.clone(), commands: commands.clone(), vitals: vitals.clone() };
    let (engine, facts) = network(node.logger(), &bundle, config)?;
    let outputs = Outputs::new(node)?;
    let clock = Clock::new(node, runtime.handle(), simulated)?;
    let commander = commander(node, runtime, config, &commands, &clock, period_secs)?;
    inputs::connect(node, runtime.handle(), &receivers, &roles, &config.images)?;

    let settings = config.settings(&bundle)?;
    let live = Live::new(&bundle, &settings.thresholds, settings.metric, settings.cap, config.held_average());
    let policy = Policy::new(engine, manifest, settings);
    let arming = Arming::new(config.autostart, config.estop_heartbeat_secs);
    let provider = config.engine.provider.to_string();
    let mut control = Control::new(&bundle, Observer::new(&bundle)?, policy, rules, arming, provider);
    if config.servo.handshake {
        control.wait_for_servo(&config.servo.node);
    }
    let health = Health::new(&roles, manifest.exits.len(), facts);
    let logger = node.logger().to_owned();
    let worker = Worker {
        control,
        bundle,
        inbox,
        commands,
        vitals: vitals.clone(),
        outputs,
        clock,
        health,
        logger,
        live,
        received: None,
        rehearsed: Instant::now(),
        stood: false,
    };
    Ok(Node { worker, commander, vitals })
}

/// The network, and the facts about it that do not change.
fn network(logger: &str, bundle: &Bundle, config: &Config) -> Result<(Network, Vec<(String, String)>)> {
    let manifest = &bundle.manifest;
    let cap = config.settings(bundle)?.cap;
    let engine = OrtEngine::load(bundle, cap, &config.engine).context("the network does not load")?;
    let library = engine.library();
    let library = format!("{} {} ({})", library.version, library.path.display(), library.source);
    r2r::log_info!(
        logger,
        "bundle {} with {} of {} exits on {}, ONNX Runtime {library}",
        manifest.name,
        cap + 1,
        manifest.exits.len(),
        config.engine.provider
    );
    let facts = vec![
        ("bundle".to_owned(), manifest.name.clone()),
        ("bundle_sha256".to_owned(), bundle.hash.clone()),
        ("provider".to_owned(), config.engine.provider.to_string()),
        ("ONNX Runtime".to_owned(), library),
    ];
    #[cfg(feature = "faults")]
    let engine = crate::engine::Faulty::new(engine);
    Ok((engine, facts))
}

fn commander(
    node: &mut r2r::Node,
    runtime: &Runtime,
    config: &Config,
    commands: &Arc<Commands>,
    clock: &Clock,
    period_secs: f64,
) -> Result<Commander> {
    let logger = node.logger().to_owned();
    let tick_secs = 1.0 / config.twist.rate_hz;
    let stream = (!commands.lock_step()).then(|| Stream::new(&config.twist.limits, tick_secs, period_secs));
    match &stream {
        None => r2r::log_info!(&logger, "lock-step: one command an action, without limits; for a simulated arm only"),
        Some(stream) => r2r::log_info!(
            &logger,
            "{:.0} commands a second within {:.2} m/s and {:.2} rad/s, {:.0} ms behind the actions",
            config.twist.rate_hz,
            config.twist.limits.linear.speed,
            config.twist.limits.angular.speed,
            stream.delay_secs() * 1e3
        ),
    }
    if config.dry_run {
        r2r::log_info!(&logger, "dry run: decisions are published, commands are not; set dry_run to false to move");
    }
    Ok(Commander {
        commands: Arc::clone(commands),
        arm: Arm::new(node, runtime.handle(), config)?,
        clock: clock.clone(),
        zeros: if commands.lock_step() { 1 } else { config.twist.zeros },
        stream,
        tick: Duration::from_secs_f64(tick_secs),
        logger,
    })
}
