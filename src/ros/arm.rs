//! The arm's topics: what moves something is written here and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use r2r::geometry_msgs::msg::{TwistStamped, Vector3};
use r2r::std_msgs::msg::{Float64MultiArray, Header};
use r2r::trajectory_msgs::msg::{JointTrajectory, JointTrajectoryPoint};
use r2r::{ActionClientUntyped, Node, Publisher, QosProfile};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::inbox::{Inbox, Message};
use super::names::Names;
use super::outputs::time;
use crate::config::{Config, GripperConfig, GripperInterface};
use crate::motion::{Grip, Twist};
use crate::units::Stamp;

/// A gripper that has not accepted its goal by then is told again, and so is one that refused it or was not there.
const GOAL_TIMEOUT: Duration = Duration::from_secs(1);

/// In dry run the commands stay inside.
pub(super) struct Arm {
    frame_id: String,
    dry_run: bool,
    twist: Publisher<TwistStamped>,
    gripper: GripperOutput,
    config: GripperConfig,
    tasks: Handle,
    inbox: Arc<Inbox>,
    logger: String,
    /// Nobody listened to the gripper's last command.
    deaf: AtomicBool,
}

enum GripperOutput {
    Trajectory(Publisher<JointTrajectory>, Vec<String>),
    Positions(Publisher<Float64MultiArray>, usize),
    Goal(ActionClientUntyped),
}

impl Arm {
    pub(super) fn new(node: &mut Node, tasks: &Handle, inbox: &Arc<Inbox>, config: &Config) -> anyhow::Result<Self> {
        let command = || QosProfile::default().keep_last(1).reliable().volatile();
        let gripper = match &config.gripper.interface {
            GripperInterface::JointTrajectory(joints) => {
                GripperOutput::Trajectory(node.create_publisher("~/gripper", command())?, joints.clone())
            }
            GripperInterface::Float64MultiArray(joints) => {
                GripperOutput::Positions(node.create_publisher("~/gripper", command())?, *joints)
            }
            GripperInterface::GripperCommand => goal(node, "GripperCommand")?,
            GripperInterface::ParallelGripperCommand(_) => goal(node, "ParallelGripperCommand")?,
        };
        Ok(Self {
            frame_id: config.twist.frame_id.clone(),
            dry_run: config.dry_run,
            twist: node.create_publisher("~/twist", command())?,
            gripper,
            config: config.gripper.clone(),
            tasks: tasks.clone(),
            inbox: inbox.clone(),
            logger: node.logger().to_owned(),
            deaf: AtomicBool::new(false),
        })
    }

    pub(super) fn twist(&self, stamp: Stamp, twist: &Twist) -> r2r::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let vector = |[x, y, z]: [f64; 3]| Vector3 { x, y, z };
        let mut message = TwistStamped { header: self.header(stamp), ..TwistStamped::default() };
        message.twist.linear = vector(twist.linear);
        message.twist.angular = vector(twist.angular);
        self.twist.publish(&message)
    }

    /// The gripper goes before the twist, so that both belong to the same step of whoever waits for the twist.
    pub(super) fn grip(&self, stamp: Stamp, grip: Grip) -> r2r::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let position = match grip {
            Grip::Open => self.config.open,
            Grip::Closed => self.config.closed,
        };
        match &self.gripper {
            GripperOutput::Trajectory(publisher, joints) => {
                let point =
                    JointTrajectoryPoint { positions: vec![position; joints.len()], ..JointTrajectoryPoint::default() };
                // A stamp in the past would be refused by a trajectory controller: zero means now.
                let header = Header { stamp: time(Stamp(0)), ..self.header(stamp) };
                publisher.publish(&JointTrajectory { header, joint_names: joints.clone(), points: vec![point] })?;
                self.heard(publisher.get_inter_process_subscription_count()?, grip);
                Ok(())
            }
            GripperOutput::Positions(publisher, joints) => {
                let data = vec![position; *joints];
                publisher.publish(&Float64MultiArray { data, ..Float64MultiArray::default() })?;
                self.heard(publisher.get_inter_process_subscription_count()?, grip);
                Ok(())
            }
            GripperOutput::Goal(client) => self.send(client, grip, command(&self.config, position)),
        }
    }

    /// A command that nobody listened to is sent again after a while, for as long as that lasts.
    fn heard(&self, listeners: usize, grip: Grip) {
        let deaf = listeners == 0;
        if self.deaf.swap(deaf, Ordering::Relaxed) != deaf && deaf {
            let again = format!("it is sent again every {} s", GOAL_TIMEOUT.as_secs());
            r2r::log_error!(
                &self.logger,
                "nobody hears ~/gripper ({}); is its controller running? {again}",
                grip.as_str()
            );
        }
        if deaf {
            self.tasks.spawn(told_again(self.inbox.clone(), grip));
        }
    }

    /// Sends a goal and waits elsewhere until it is accepted, and no longer: a gripper that closes on something never gets
    /// where it was sent. Where there is no server, nobody refuses either.
    fn send(&self, client: &ActionClientUntyped, grip: Grip, goal: Value) -> r2r::Result<()> {
        let accepted = timeout(GOAL_TIMEOUT, client.send_goal_request(goal)?);
        let (inbox, logger) = (self.inbox.clone(), self.logger.clone());
        self.tasks.spawn(async move {
            let reason = match accepted.await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => format!("was refused: {error}."),
                Err(_) => format!("found no answer in {} s; is its action server running?", GOAL_TIMEOUT.as_secs()),
            };
            r2r::log_error!(&logger, "the gripper's goal ({}) {reason} It is sent again", grip.as_str());
            told_again(inbox, grip).await;
        });
        Ok(())
    }

    fn header(&self, stamp: Stamp) -> Header {
        Header { stamp: time(stamp), frame_id: self.frame_id.clone() }
    }
}

/// Not at once: a server that refuses would be asked at every control step.
async fn told_again(inbox: Arc<Inbox>, grip: Grip) {
    sleep(GOAL_TIMEOUT).await;
    inbox.push(Message::Unheard(grip));
}

/// Until Jazzy rcl remaps no action, so its name is remapped here. r2r makes code for the messages that it finds where it
/// is built; an action that was not there then has no type.
fn goal(node: &mut Node, action: &str) -> anyhow::Result<GripperOutput> {
    let names = Names::new(&node.name()?, &node.namespace()?, std::env::args());
    let made = node.create_action_client_untyped(&names.topic("~/gripper"), &format!("control_msgs/action/{action}"));
    made.map(GripperOutput::Goal).map_err(|error| {
        anyhow::anyhow!(
            "gripper.interface needs the action control_msgs/{action}, which this node was built without ({error}). \
             Mend: install ros-$ROS_DISTRO-control-msgs and build again, or choose joint_trajectory or \
             float64_multi_array"
        )
    })
}

fn command(config: &GripperConfig, position: f64) -> Value {
    let effort = config.max_effort;
    match &config.interface {
        GripperInterface::ParallelGripperCommand(joints) => {
            let efforts = if effort > 0.0 { vec![effort; joints.len()] } else { Vec::new() };
            json!({"command": {"name": joints, "position": vec![position; joints.len()], "effort": efforts}})
        }
        _ => json!({"command": {"position": position, "max_effort": effort}}),
    }
}
