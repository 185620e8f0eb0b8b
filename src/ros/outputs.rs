//! Publishers: the core's answers as ROS messages.

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::geometry_msgs::msg::{TwistStamped, Vector3};
use r2r::std_msgs::msg::{Float64MultiArray, Header};
use r2r::trajectory_msgs::msg::{JointTrajectory, JointTrajectoryPoint};
use r2r::{Node, Publisher, QosProfile, builtin_interfaces};

use crate::answer::Answer;
use crate::config::{Config, GripperConfig, GripperInterface};
use crate::safety::Verdict;
use crate::shaper::{Grip, Twist};
use crate::units::Stamp;

/// Levels of a status.
pub(super) const OK: u8 = DiagnosticStatus::OK as u8;
pub(super) const WARN: u8 = DiagnosticStatus::WARN as u8;
pub(super) const ERROR: u8 = DiagnosticStatus::ERROR as u8;

/// Everything that the node publishes. In dry run the commands stay inside.
#[derive(Clone)]
pub(super) struct Outputs {
    node: String,
    frame_id: String,
    dry_run: bool,
    twist: Publisher<TwistStamped>,
    gripper: GripperOutput,
    gripper_config: GripperConfig,
    decision: Publisher<DiagnosticStatus>,
    diagnostics: Publisher<DiagnosticArray>,
}

#[derive(Clone)]
enum GripperOutput {
    Trajectory(Publisher<JointTrajectory>, Vec<String>),
    Positions(Publisher<Float64MultiArray>, usize),
}

impl Outputs {
    pub(super) fn new(node: &mut Node, config: &Config) -> r2r::Result<Self> {
        let command = || QosProfile::default().keep_last(1).reliable().volatile();
        let record = || QosProfile::default().keep_last(10).reliable().volatile();
        let gripper = match &config.gripper.interface {
            GripperInterface::JointTrajectory(joints) => {
                GripperOutput::Trajectory(node.create_publisher("~/gripper", command())?, joints.clone())
            }
            GripperInterface::Float64MultiArray(joints) => {
                GripperOutput::Positions(node.create_publisher("~/gripper", command())?, *joints)
            }
        };
        Ok(Self {
            node: node.fully_qualified_name()?,
            frame_id: config.twist_frame_id.clone(),
            dry_run: config.dry_run,
            twist: node.create_publisher("~/twist", command())?,
            gripper,
            gripper_config: config.gripper.clone(),
            decision: node.create_publisher("~/decision", record())?,
            diagnostics: node.create_publisher("/diagnostics", record())?,
        })
    }

    /// Sends the motion that an answer commands: the gripper first, so that both belong to the same step of whoever
    /// waits for the twist.
    pub(super) fn command(&self, answer: &Answer) -> r2r::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        if let Some(grip) = answer.grip {
            self.grip(answer.stamp, grip)?;
        }
        self.twist(answer.stamp, &answer.twist)
    }

    /// Tells the arm to stand.
    pub(super) fn stand(&self, now: Stamp) -> r2r::Result<()> {
        if self.dry_run { Ok(()) } else { self.twist(now, &Twist::default()) }
    }

    fn twist(&self, stamp: Stamp, twist: &Twist) -> r2r::Result<()> {
        let vector = |[x, y, z]: [f64; 3]| Vector3 { x, y, z };
        let mut message = TwistStamped { header: self.header(stamp), ..TwistStamped::default() };
        message.twist.linear = vector(twist.linear);
        message.twist.angular = vector(twist.angular);
        self.twist.publish(&message)
    }

    fn grip(&self, stamp: Stamp, grip: Grip) -> r2r::Result<()> {
        let position = match grip {
            Grip::Open => self.gripper_config.open,
            Grip::Closed => self.gripper_config.closed,
        };
        match &self.gripper {
            GripperOutput::Trajectory(publisher, joints) => {
                let point =
                    JointTrajectoryPoint { positions: vec![position; joints.len()], ..JointTrajectoryPoint::default() };
                // A stamp in the past would be refused by a trajectory controller: zero means now.
                let header = Header { stamp: time(Stamp(0)), ..self.header(stamp) };
                publisher.publish(&JointTrajectory { header, joint_names: joints.clone(), points: vec![point] })
            }
            GripperOutput::Positions(publisher, joints) => {
                let data = vec![position; *joints];
                publisher.publish(&Float64MultiArray { data, ..Float64MultiArray::default() })
            }
        }
    }

    /// Publishes why the answer is what it is. `overhead_ms`: from the pictures' arrival to the command, less the
    /// network's own time.
    pub(super) fn decision(&self, answer: &Answer, overhead_ms: Option<f64>) -> r2r::Result<()> {
        let overhead = overhead_ms.map(|ms| ("overhead_ms".to_owned(), format!("{ms:.3}")));
        let status = self.status(
            "decision",
            level(answer.verdict),
            &answer.message,
            answer.fields().into_iter().chain(overhead),
        );
        self.decision.publish(&status)
    }

    pub(super) fn diagnostics(&self, now: Stamp, status: Vec<DiagnosticStatus>) -> r2r::Result<()> {
        let header = Header { stamp: time(now), frame_id: String::new() };
        self.diagnostics.publish(&DiagnosticArray { header, status })
    }

    /// A status under this node's name.
    pub(super) fn status(
        &self,
        task: &str,
        level: u8,
        message: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> DiagnosticStatus {
        DiagnosticStatus {
            level,
            name: format!("{}: {task}", self.node.trim_start_matches('/')),
            message: message.to_owned(),
            hardware_id: self.node.clone(),
            values: values.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
        }
    }

    fn header(&self, stamp: Stamp) -> Header {
        Header { stamp: time(stamp), frame_id: self.frame_id.clone() }
    }
}

fn time(stamp: Stamp) -> builtin_interfaces::msg::Time {
    let (sec, nanosec) = stamp.parts();
    builtin_interfaces::msg::Time { sec, nanosec }
}

/// A person should look at a fault; a hold is worth a warning, but not when it is the rest between two pictures.
pub(super) fn level(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Act | Verdict::HoldSpent => OK,
        Verdict::HoldFault => ERROR,
        _ => WARN,
    }
}
