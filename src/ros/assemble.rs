//! The node's parts, made and put together as the configuration says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::runtime::Runtime;

use super::arm::Arm;
use super::clock::{Clock, Machine};
use super::command::CommandThread;
use super::diagnostics::Health;
use super::inbox::Inbox;
use super::inputs::{self, Receivers};
use super::mailbox::Mailbox;
use super::outputs::Outputs;
use super::publishers::Publishers;
use super::vitals::{Vitals, WatchdogThread};
use super::worker::Worker;
use crate::bundle::Bundle;
use crate::config::{Config, RawConfig};
use crate::engine::ort::OrtEngine;
use crate::motion::Stream;
use crate::network::{Observed, Policy};
use crate::observe::Observer;
use crate::safety::{Arming, Watchdog};
use crate::session::{Commander, Session, Start};
use crate::thresholds::Live;

#[cfg(feature = "faults")]
type Network = crate::engine::Faulty<OrtEngine>;
#[cfg(not(feature = "faults"))]
type Network = OrtEngine;

/// Everything that gets a thread of its own, and who keeps an eye on the graph.
pub(super) struct Node {
    pub(super) worker: Worker<Observed<Network>>,
    pub(super) command: CommandThread,
    pub(super) watchdog: WatchdogThread,
    pub(super) publishers: Publishers,
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
    let config = &config.clone().on(&bundle.manifest.embodiment);
    let simulated = match node.get_parameter::<Option<bool>>("use_sim_time") {
        Ok(simulated) => simulated.unwrap_or(false),
        Err(error) => bail!("use_sim_time: {error}"),
    };
    let manifest = &bundle.manifest;
    let rules = config.rules(manifest.embodiment.control_hz, simulated);
    let roles: Vec<String> = manifest.cameras.iter().map(|camera| camera.role.clone()).collect();
    let period_secs = 1.0 / manifest.embodiment.control_hz;
    let machine = Machine::start();
    let watchdog = Watchdog::new(roles.iter().map(String::as_str), period_secs, rules.guard.max_silence_secs);
    let (inbox, vitals) = (Arc::new(Inbox::new(roles.len())), Arc::new(Vitals::new(watchdog)));
    let mailbox = Arc::new(Mailbox::default());
    let views = config.images.views(&manifest.embodiment.cameras)?;
    let logger = node.logger().to_owned();
    let receivers = Receivers {
        inbox: inbox.clone(),
        mailbox: mailbox.clone(),
        vitals: vitals.clone(),
        machine,
        logger: logger.clone(),
    };
    let (engine, facts) = network(node.logger(), &bundle, config)?;
    let outputs = Outputs::new(node, period_secs, config.metrics)?;
    let clock = Clock::new(node, runtime.handle(), simulated)?;
    let command = CommandThread {
        commander: commander(&logger, config, period_secs),
        mailbox: mailbox.clone(),
        inbox: inbox.clone(),
        arm: Arm::new(node, runtime.handle(), &inbox, config)?,
        clock: clock.clone(),
        machine,
        zeros: config.twist.zeros,
        tick: Duration::from_secs_f64(1.0 / config.twist.rate_hz),
        logger: logger.clone(),
    };
    inputs::connect(node, runtime.handle(), &receivers, &roles, &views, &config.images)?;
    let publishers = Publishers::new(node, &inbox, &roles, &config.images)?;

    let settings = config.settings(&bundle)?;
    let start = Start {
        bundle: &bundle,
        rules,
        arming: Arming::new(config.autostart, config.estop_heartbeat_secs),
        provider: config.engine.provider.to_string(),
        live: Live::new(&bundle, &settings, config.average()),
        servo: config.servo.handshake.then_some(config.servo.node.as_str()),
    };
    let network = Observed::new(Observer::new(&bundle)?, Policy::new(engine, manifest, settings));
    let session = Session::new(network, start);
    let health = Health::new(&roles, manifest.exits.len(), facts);
    let watchdog = WatchdogThread {
        vitals: vitals.clone(),
        mailbox: mailbox.clone(),
        inbox: inbox.clone(),
        outputs: outputs.clone(),
        clock: clock.clone(),
        machine,
        logger: logger.clone(),
    };
    let worker =
        Worker { session, bundle, inbox, mailbox, vitals, outputs, clock, machine, health, logger, views, simulated };
    Ok(Node { worker, command, watchdog, publishers })
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
        ("control period (ms)".to_owned(), format!("{:.3}", 1e3 / manifest.embodiment.control_hz)),
        ("ONNX Runtime".to_owned(), library),
    ];
    #[cfg(feature = "faults")]
    let engine = crate::engine::Faulty::new(engine);
    Ok((engine, facts))
}

fn commander(logger: &str, config: &Config, period_secs: f64) -> Commander {
    if config.dry_run {
        r2r::log_info!(logger, "dry run: decisions are published, commands are not; set dry_run to false to move");
    }
    let tick_secs = 1.0 / config.twist.rate_hz;
    let tick = Duration::from_secs_f64(tick_secs);
    if config.twist.lock_step {
        r2r::log_info!(logger, "lock-step: one command an action, without limits; for a simulated arm only");
        return Commander::lock_step(tick);
    }
    let stream = Stream::new(&config.twist.limits, tick_secs, period_secs);
    r2r::log_info!(
        logger,
        "{:.0} commands a second within {:.2} m/s and {:.2} rad/s, {:.0} ms behind the actions",
        config.twist.rate_hz,
        config.twist.limits.linear.speed,
        config.twist.limits.angular.speed,
        stream.delay_secs() * 1e3
    );
    Commander::streaming(stream, tick, config.twist.zeros, Duration::from_secs_f64(config.gripper.dwell_secs))
}
