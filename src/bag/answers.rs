//! Answers as the bag that a recorder beside the node would have written.

use std::path::Path;

use super::message::{DiagnosticStatus, Header, JointTrajectory, JointTrajectoryPoint, KeyValue, TwistStamped};
use super::{BagError, BagWriter};
use crate::config::{Config, GripperConfig, GripperInterface};
use crate::motion::Grip;
use crate::safety::Verdict;
use crate::session::Answer;

/// The node's outputs in a bag: `/deer_vla/twist`, `/deer_vla/gripper` and `/deer_vla/decision`.
pub struct AnswerBag {
    bag: BagWriter,
    frame_id: String,
    joints: Vec<String>,
    gripper: GripperConfig,
}

impl AnswerBag {
    /// Starts a bag in a new folder.
    ///
    /// # Errors
    /// `Exists` or `Unwritable`.
    pub fn create(folder: impl AsRef<Path>, config: &Config) -> Result<Self, BagError> {
        let joints = match &config.gripper.interface {
            GripperInterface::JointTrajectory(joints) | GripperInterface::ParallelGripperCommand(joints) => {
                joints.clone()
            }
            GripperInterface::Float64MultiArray(joints) => (1..=*joints).map(|i| format!("joint{i}")).collect(),
            GripperInterface::GripperCommand => vec!["gripper".into()],
        };
        let (frame_id, gripper) = (config.twist.frame_id.clone(), config.gripper.clone());
        Ok(Self { bag: BagWriter::create(folder)?, frame_id, joints, gripper })
    }

    /// Writes one answer: gripper first, as the node publishes it, then twist and decision.
    ///
    /// # Errors
    /// `Unwritable`.
    pub fn write(&mut self, answer: &Answer) -> Result<(), BagError> {
        if let Some(grip) = answer.grip {
            self.bag.write("/deer_vla/gripper", answer.stamp, &self.trajectory(grip))?;
        }
        let header = Header { stamp: answer.stamp.into(), frame_id: self.frame_id.clone() };
        let twist = TwistStamped { header, linear: answer.twist.linear, angular: answer.twist.angular };
        self.bag.write("/deer_vla/twist", answer.stamp, &twist)?;
        self.bag.write("/deer_vla/decision", answer.stamp, &decision(answer))
    }

    /// Ends the bag.
    ///
    /// # Errors
    /// `Unwritable`.
    pub fn finish(self) -> Result<(), BagError> {
        self.bag.finish()
    }

    fn trajectory(&self, grip: Grip) -> JointTrajectory {
        let position = match grip {
            Grip::Open => self.gripper.open,
            Grip::Closed => self.gripper.closed,
        };
        let point = JointTrajectoryPoint { positions: vec![position; self.joints.len()], ..Default::default() };
        // Without a time, which means at once: a trajectory controller refuses one that began in the past.
        let header = Header { frame_id: self.frame_id.clone(), ..Default::default() };
        JointTrajectory { header, joint_names: self.joints.clone(), points: vec![point] }
    }
}

fn decision(answer: &Answer) -> DiagnosticStatus {
    let level = match answer.verdict {
        Verdict::Act | Verdict::HoldSpent => 0,
        Verdict::HoldFault => 2,
        _ => 1,
    };
    DiagnosticStatus {
        level,
        name: "deer_vla: decision".into(),
        message: answer.message.clone(),
        hardware_id: "/deer_vla".into(),
        values: answer.fields().into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
    }
}
