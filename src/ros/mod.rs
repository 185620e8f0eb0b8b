//! The ROS 2 node around the core: topics, parameters, services, diagnostics. The only module that knows of r2r.
//!
//! Three kinds of threads: the main thread spins the node, two tokio threads drain what arrives into the
//! `inbox`, and one control thread owns the network and every publisher.

mod clock;
mod diagnostics;
mod inbox;
mod inputs;
mod outputs;
mod parameters;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::bundle::Bundle;
use crate::config::{Config, RawConfig};
use crate::control::Control;
use crate::engine::ort::OrtEngine;
use crate::observe::Observer;
use crate::policy::Policy;
use crate::safety::Arming;
use crate::thresholds::Live;
use clock::Clock;
use diagnostics::Health;
use inbox::Inbox;
use outputs::Outputs;
use parameters::Parameters;
use worker::Worker;

/// How long one spin waits for something to arrive; also how soon a signal is noticed.
const SPIN: Duration = Duration::from_millis(20);

/// Runs the node until it is interrupted.
///
/// # Errors
/// Bad parameters, a bundle that is refused, a network that does not load.
pub fn run() -> Result<()> {
    check_arguments(std::env::args())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stop = stop_on_signal(&runtime)?;
    let context = r2r::Context::create().context("ROS 2 could not be initialised")?;
    let mut node = r2r::Node::create(context, "deer_vla", "").context("the node could not be made")?;
    let parameters = Arc::new(Mutex::new(Parameters::new()));
    let (serve, changes) = node.make_derived_parameter_handler(Arc::clone(&parameters) as _)?;
    let raw = locked(&parameters).raw().clone();
    let config = found(raw).check()?;
    let worker = assemble(&mut node, &runtime, &config)?;
    locked(&parameters).connect(Arc::clone(&worker.bundle), Arc::clone(&worker.inbox));
    // The stream must be read, or r2r complains of a full channel; the changes were followed when they were accepted.
    runtime.spawn(serve);
    runtime.spawn(changes.for_each(|_| async {}));

    let (inbox, outputs, logger) = (Arc::clone(&worker.inbox), worker.outputs.clone(), worker.logger.clone());
    let clock = worker.clock.clone();
    let control = thread::Builder::new().name("control".into()).spawn(|| worker.run())?;
    while !stop.load(Ordering::Relaxed) && !control.is_finished() {
        node.spin_once(SPIN);
    }
    inbox.close();
    let ended = control.join();
    if ended.is_err() {
        outputs.stand(clock.now())?;
        r2r::log_fatal!(&logger, "the control loop panicked; the arm was told to stand");
    }
    // The node goes last: a thread that still spins it would abort the process.
    drop(node);
    runtime.shutdown_background();
    ensure!(ended.is_ok(), "the control loop panicked");
    Ok(())
}

fn locked(parameters: &Mutex<Parameters>) -> std::sync::MutexGuard<'_, Parameters> {
    parameters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// rcl aborts with a backtrace where a parameter file is missing.
fn check_arguments(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    while let Some(argument) = arguments.next() {
        if argument == "--params-file" {
            let file = arguments.next().unwrap_or_default();
            ensure!(Path::new(&file).is_file(), "there is no parameter file {file:?}");
        }
    }
    Ok(())
}

fn stop_on_signal(runtime: &tokio::runtime::Runtime) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let _guard = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, stop) = (signal(kind)?, Arc::clone(&stop));
        runtime.spawn(async move {
            signals.recv().await;
            stop.store(true, Ordering::Relaxed);
        });
    }
    Ok(stop)
}

/// A bundle that is no folder here may be one of those that came with the package.
fn found(raw: RawConfig) -> RawConfig {
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

fn assemble(node: &mut r2r::Node, runtime: &tokio::runtime::Runtime, config: &Config) -> Result<Worker<OrtEngine>> {
    let logger = node.logger().to_owned();
    let bundle = Bundle::open(&config.bundle).context("the bundle is refused")?;
    let manifest = &bundle.manifest;
    let settings = config.settings(&bundle)?;
    let engine = OrtEngine::load(&bundle, settings.cap, &config.engine).context("the network does not load")?;
    let library = engine.library();
    let library = format!("{} {} ({})", library.version, library.path.display(), library.source);
    r2r::log_info!(
        &logger,
        "bundle {} with {} of {} exits on {}, ONNX Runtime {library}",
        manifest.name,
        settings.cap + 1,
        manifest.exits.len(),
        config.engine.provider
    );
    if config.dry_run {
        r2r::log_info!(&logger, "dry run: decisions are published, commands are not; set dry_run to false to move");
    }
    let facts = vec![
        ("bundle".to_owned(), manifest.name.clone()),
        ("bundle_sha256".to_owned(), bundle.hash.clone()),
        ("provider".to_owned(), config.engine.provider.to_string()),
        ("ONNX Runtime".to_owned(), library),
    ];
    let roles: Vec<String> = manifest.cameras.iter().map(|camera| camera.role.clone()).collect();
    let health = Health::new(&roles, manifest.exits.len(), facts);
    let inbox = Arc::new(Inbox::new(roles.len()));
    let outputs = Outputs::new(node, config)?;
    inputs::connect(node, runtime.handle(), &inbox, &roles, &config.images)?;
    let simulated = match node.get_parameter::<Option<bool>>("use_sim_time") {
        Ok(simulated) => simulated.unwrap_or(false),
        Err(error) => bail!("use_sim_time: {error}"),
    };
    let clock = Clock::new(node, runtime.handle(), simulated)?;
    let observer = Observer::new(&bundle)?;
    let live = Live::new(&bundle, &settings, config.held_average());
    let policy = Policy::new(engine, manifest, settings);
    let arming = Arming::new(config.autostart, config.estop_heartbeat_secs);
    let provider = config.engine.provider.to_string();
    let control = Control::new(&bundle, observer, policy, config.guard, arming, config.gripper.hysteresis, provider);
    let bundle = Arc::new(bundle);
    Ok(Worker { control, bundle, inbox, outputs, clock, health, logger, live, received: None, stood: false })
}
