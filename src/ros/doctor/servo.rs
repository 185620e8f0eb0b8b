//! What a running MoveIt Servo says of itself, by its parameter service.

use std::time::{Duration, Instant};

use futures::FutureExt;
use r2r::rcl_interfaces::msg::{ParameterType, ParameterValue};
use r2r::rcl_interfaces::srv::GetParameters;
use r2r::{Client, Node, QosProfile};

use super::SPIN;
use crate::config::ServoConfig;
use crate::doctor::{self, Finding, Motion, ServoFacts};

/// After all the listening to cameras it has long been discovered, where it is there.
const APPEARS_WITHIN: Duration = Duration::from_millis(500);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Compares the node with Servo, where one runs under the configured name.
pub(super) fn check(
    node: &mut Node,
    config: &ServoConfig,
    simulated: bool,
    motion: Motion,
    step_secs: f64,
) -> r2r::Result<Vec<Finding>> {
    let name = &config.node;
    let qos = QosProfile::services_default();
    let client = node.create_client::<GetParameters::Service>(&format!("{name}/get_parameters"), qos)?;
    let Some(Ok(())) = wait(node, APPEARS_WITHIN, Node::is_available(&client)?) else {
        let told = format!("no node {name} answers");
        return Ok(vec![if config.handshake {
            Finding::error("servo", told, "start MoveIt Servo, or name it in servo.node")
        } else {
            Finding::ok("servo", format!("{told}: its limits were not compared"))
        }]);
    };
    let mut ask = |parameter: &str| ask(node, &client, parameter);
    let servo = ServoFacts {
        node: name.clone(),
        use_sim_time: ask("use_sim_time").and_then(boolean),
        command_in_type: ask("moveit_servo.command_in_type").and_then(text),
        linear: ask("moveit_servo.scale.linear").and_then(number),
        rotational: ask("moveit_servo.scale.rotational").and_then(number),
        timeout_secs: ask("moveit_servo.incoming_command_timeout").and_then(number),
    };
    Ok(doctor::servo(simulated, motion, step_secs, &servo))
}

/// One parameter at a time: a node that does not know one of several answers none of them.
fn ask(node: &mut Node, client: &Client<GetParameters::Service>, name: &str) -> Option<ParameterValue> {
    let answer = client.request(&GetParameters::Request { names: vec![name.to_owned()] }).ok()?;
    wait(node, ANSWERS_WITHIN, answer)?.ok()?.values.into_iter().next()
}

fn boolean(value: ParameterValue) -> Option<bool> {
    (i64::from(value.type_) == ParameterType::PARAMETER_BOOL as i64).then_some(value.bool_value)
}

fn number(value: ParameterValue) -> Option<f64> {
    (i64::from(value.type_) == ParameterType::PARAMETER_DOUBLE as i64).then_some(value.double_value)
}

fn text(value: ParameterValue) -> Option<String> {
    (i64::from(value.type_) == ParameterType::PARAMETER_STRING as i64).then_some(value.string_value)
}

/// Spins until the future is done, or gives up.
fn wait<T>(node: &mut Node, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let end = Instant::now() + limit;
    loop {
        if let Some(result) = future.as_mut().now_or_never() {
            return Some(result);
        }
        if Instant::now() > end {
            return None;
        }
        node.spin_once(SPIN);
    }
}
