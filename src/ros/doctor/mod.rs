//! Looks at the live graph for `deer_vla doctor`, with the node's own names, parameters and quality of service.
//!
//! It only listens: it offers no service and publishes nothing. Its publishers are there because a subscriber can be
//! counted from a publisher alone.

mod graph;
mod network;
mod servo;
mod topics;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use r2r::{Node, RosParams};
use tokio::runtime::Runtime;

use super::assemble::found;
use super::check_arguments;
use super::clock::Clock;
use super::names::Names;
use super::parameters::Parameters;
use crate::bundle::{Bundle, Embodiment, Manifest};
use crate::config::Config;
use crate::doctor::{Finding, Motion, limits};
use crate::frame::View;
use graph::Graph;
use topics::Topics;

const SPIN: Duration = Duration::from_millis(5);
/// Discovery takes up to three seconds where participants come and go.
const APPEAR_WITHIN: Duration = Duration::from_secs(3);

/// What would not work if the node were started with this program's ROS arguments, after listening for so long.
///
/// # Errors
/// Where there is no ROS 2 to look at.
pub fn look(listen: Duration) -> Result<Vec<Finding>> {
    check_arguments(std::env::args())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let context = r2r::Context::create().context("ROS 2 could not be initialised")?;
    let mut node = Node::create(context, "deer_vla", "").context("the node could not be made")?;
    let config = match configured(&node) {
        Ok(config) => config,
        Err(error) => {
            let mend = "change the parameter; config/policy.yaml documents each with its range";
            return Ok(vec![Finding::error("parameters", format!("{error:#}"), mend)]);
        }
    };
    let findings = examine(&mut node, &runtime, &config, listen);
    // Before the runtime, whose tasks read from it.
    drop(node);
    runtime.shutdown_background();
    findings
}

fn examine(node: &mut Node, runtime: &Runtime, config: &Config, listen: Duration) -> Result<Vec<Finding>> {
    let simulated = node.get_parameter::<Option<bool>>("use_sim_time")?.unwrap_or(false);
    let clock = Clock::new(node, runtime.handle(), simulated)?;
    let (mut findings, bundle, settings) = network::bundle(config);
    let manifest = bundle.as_ref().map(|bundle| &bundle.manifest);
    let views = views(config, manifest).unwrap_or_else(|finding| {
        findings.push(finding);
        Vec::new()
    });
    let mut topics = Topics::new(node, config, manifest, &views)?;
    hear(node, &clock, &mut topics, APPEAR_WITHIN, Topics::complete);
    topics.forget();
    hear(node, &clock, &mut topics, listen, |_| false);
    if let Some((bundle, settings)) = bundle.as_ref().zip(settings) {
        findings.extend(network::network(config, bundle, settings, topics.samples().as_deref()));
    }
    let names = Names::new(&node.name()?, &node.namespace()?, std::env::args());
    findings.extend(topics.findings(&Graph { node, names }, config, simulated, listen)?);
    if let Some(bundle) = bundle {
        findings.extend(controller(node, config, &bundle, simulated)?);
    }
    Ok(findings)
}

/// How each camera's pictures are read.
fn views(config: &Config, manifest: Option<&Manifest>) -> Result<Vec<View>, Finding> {
    let Some(manifest) = manifest else { return Ok(Vec::new()) };
    let views = config.images.views(&manifest.embodiment.cameras);
    views.map_err(|error| Finding::error("parameters", error.to_string(), "name a camera that the bundle has"))
}

fn hear(node: &mut Node, clock: &Clock, topics: &mut Topics, limit: Duration, enough: fn(&Topics) -> bool) {
    let end = Instant::now() + limit;
    while Instant::now() < end && !enough(topics) {
        node.spin_once(SPIN);
        topics.take(clock.now());
    }
}

fn configured(node: &Node) -> Result<Config> {
    let mut parameters = Parameters::new();
    let mut given = node.params.lock().map_err(|_poisoned| anyhow::anyhow!("the parameters cannot be read"))?;
    parameters.register_parameters("", None, &mut given)?;
    Ok(found(parameters.raw().clone()).check()?)
}

fn controller(node: &mut Node, config: &Config, bundle: &Bundle, simulated: bool) -> Result<Vec<Finding>> {
    let embodiment = &bundle.manifest.embodiment;
    let (motion, step_secs) = if config.twist.lock_step {
        (fastest(embodiment), 1.0 / embodiment.control_hz)
    } else {
        let limits = &config.twist.limits;
        (Motion { linear: limits.linear.speed, angular: limits.angular.speed }, 1.0 / config.twist.rate_hz)
    };
    let mut findings = vec![limits(motion)];
    findings.extend(servo::check(node, &config.servo, simulated, motion, step_secs)?);
    Ok(findings)
}

/// The fastest that the policy can ask for, which in lock-step nothing limits: every dimension at its end.
fn fastest(embodiment: &Embodiment) -> Motion {
    let norm = |unit: &str| {
        let squares =
            embodiment.arm.iter().filter(|d| d.unit == unit).map(|d| (d.scale * embodiment.control_hz).powi(2));
        squares.sum::<f64>().sqrt()
    };
    Motion { linear: norm("m"), angular: norm("rad") }
}
