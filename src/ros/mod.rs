//! The ROS 2 node around the core: topics, parameters, services, diagnostics. The only module that knows of r2r.
//!
//! The main thread spins the node, two tokio threads drain what arrives into the `inbox`, the control thread owns the
//! network, the command thread owns what moves the arm, and a watchdog looks after both control loop and cameras.

mod arm;
mod assemble;
mod clock;
mod command;
mod diagnostics;
pub mod doctor;
mod inbox;
mod inputs;
#[cfg(feature = "watch")]
pub mod listener;
mod mailbox;
mod names;
mod outputs;
mod parameters;
mod publishers;
mod servo;
mod vitals;
mod worker;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::session::Order;
use assemble::{Node, assemble, found};
use mailbox::Mailbox;
use parameters::Parameters;
use servo::ServoClient;

/// How long one spin waits for something to arrive. Nothing can wake it from here; so soon the program ends when it is to,
/// the arm having stood at once.
const SPIN: Duration = Duration::from_millis(100);
/// A control loop that has not ended by then hangs, and is left behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the node until it is interrupted.
///
/// # Errors
/// Bad parameters, a bundle that is refused, a network that does not load.
pub fn run() -> Result<()> {
    check_arguments(std::env::args())?;
    let faulty = cfg!(feature = "faults") || std::env::var_os("DEER_VLA_FAULT").is_none();
    ensure!(faulty, "DEER_VLA_FAULT is set, but this node was built without the feature `faults`");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stop = stop_on_signal(&runtime)?;
    let context = r2r::Context::create().context("ROS 2 could not be initialised")?;
    let mut node = r2r::Node::create(context, "deer_vla", "").context("the node could not be made")?;
    let parameters = Arc::new(Mutex::new(Parameters::new()));
    let (serve, changes) = node.make_derived_parameter_handler(Arc::clone(&parameters) as _)?;
    let raw = locked(&parameters).raw().clone();
    let config = found(raw).check()?;
    let Node { worker, command, watchdog, mut publishers } = assemble(&mut node, &runtime, &config)?;
    locked(&parameters).connect(Arc::clone(&worker.bundle), Arc::clone(&worker.inbox));
    // The stream must be read, or r2r complains of a full channel; the changes were followed when they were accepted.
    runtime.spawn(serve);
    runtime.spawn(changes.for_each(|_| async {}));

    let (inbox, mailbox, logger) = (Arc::clone(&worker.inbox), Arc::clone(&worker.mailbox), worker.logger.clone());
    let vitals = Arc::clone(&worker.vitals);
    halt_on_panic(Arc::clone(&mailbox));
    runtime.spawn(finish(stop.clone(), Arc::clone(&mailbox)));
    let mut servo =
        config.servo.handshake.then(|| ServoClient::new(&config.servo, &inbox, worker.machine, runtime.handle()));
    let urgent = !config.twist.lock_step;
    let commander = thread::Builder::new().name("command".into()).spawn(move || {
        if urgent && let Err(error) = go_first() {
            r2r::log_info!(
                &command.logger,
                "commands and halts wait for their turn on a busy processor ({error}); allow real-time priority: ulimit -r 1"
            );
        }
        command.run()
    })?;
    let control = thread::Builder::new().name("control".into()).spawn(|| worker.run())?;
    // In lock-step the world waits for however long a step takes.
    if urgent {
        thread::Builder::new().name("watchdog".into()).spawn(move || {
            // Where it may not, the command thread has said so.
            let _ = go_first();
            watchdog.run();
        })?;
    }
    while !*stop.borrow() && !control.is_finished() && !commander.is_finished() {
        node.spin_once(SPIN);
        if let Some(Err(error)) = servo.as_mut().map(|servo| servo.look(&mut node)) {
            r2r::log_error!(&logger, "MoveIt Servo cannot be asked: {error}");
        }
        if let Err(error) = publishers.look(&node) {
            r2r::log_error!(&logger, "the graph cannot be looked at: {error}");
        }
    }
    vitals.close();
    mailbox.order(Order::Finish);
    let stood = commander.join().unwrap_or(false);
    inbox.close();
    let asked = Instant::now();
    while !control.is_finished() && asked.elapsed() < PATIENCE {
        thread::sleep(PATIENCE / 100);
    }
    ensure!(control.is_finished(), "the arm was told to stand, but the network hangs");
    let ended = control.join();
    // The node goes last: a thread that still spins it would abort the process.
    drop(node);
    runtime.shutdown_background();
    ensure!(ended.is_ok(), "the control loop panicked; the arm was told to stand");
    ensure!(stood, "the command thread panicked; the arm was told to stand");
    Ok(())
}

/// Puts this thread, which sleeps nearly always, before all that share the processor by turns: a halt must not wait for
/// a busy network.
fn go_first() -> Result<(), thread_priority::Error> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)
}

/// The arm stands before the panic is reported: to name the places on a stack takes many control periods.
fn halt_on_panic(mailbox: Arc<Mailbox>) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        mailbox.halt();
        report(panic);
    }));
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

/// Becomes true at a signal.
fn stop_on_signal(runtime: &tokio::runtime::Runtime) -> Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let _guard = runtime.enter();
    // Where a terminal is closed or an ssh session breaks off the last two come, unless somebody said `nohup`.
    let hung_up = [SignalKind::hangup(), SignalKind::quit()].into_iter().filter(|kind| !ignored(*kind));
    for kind in [SignalKind::interrupt(), SignalKind::terminate()].into_iter().chain(hung_up) {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        runtime.spawn(async move {
            signals.recv().await;
            stop.send_replace(true);
        });
    }
    Ok(stopped)
}

/// Whether whoever started this program had a signal ignored.
fn ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

/// Lets the arm stand for good at a signal, before the main thread hears of it.
async fn finish(mut stop: watch::Receiver<bool>, mailbox: Arc<Mailbox>) {
    // Where nobody can send a signal any more, the node is ending.
    let _ended = stop.wait_for(|stop| *stop).await.map(|_| mailbox.order(Order::Finish));
}
