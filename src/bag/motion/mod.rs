//! What the arm and the gripper were told, step by step: velocities, poses or joint positions → what one control period
//! moved.

mod decode;
mod kinematics;
#[cfg(test)]
mod tests;
mod track;

use glam::{DAffine3, DQuat, DVec3, EulerRot};

use super::source::{GripperSource, MotionSource};
use super::{Bag, BagError, Stored};
use crate::units::Stamp;
use decode::{Value, value};
use kinematics::Chain;
pub use track::When;
use track::{Timed, Track};

/// Commands that come this many times as fast as the steps belong to the period that follows a step; slower ones to the
/// step that they are nearest to.
const FAST: f64 = 1.5;
/// Poses further apart than this many periods do not tell where the arm was between them.
const APART: f64 = 2.5;

/// Where an arm went: x, y, z in m, then roll, pitch, yaw in rad about fixed axes (R = Rz(yaw) Ry(pitch) Rx(roll)).
pub type Displacement = [f64; 6];

/// The recorded motion, collected message by message.
pub struct Motion {
    topic: String,
    message_type: String,
    joints: Vec<String>,
    chain: Option<Chain>,
    velocities: Vec<Timed<[f64; 6]>>,
    poses: Vec<Timed<DAffine3>>,
}

impl Motion {
    /// Of the topic that `source` names.
    ///
    /// # Errors
    /// `Type`, or `Kinematics` where joint positions come without a URDF that describes them.
    pub fn new(bag: &Bag, source: &MotionSource) -> Result<Self, BagError> {
        let topic = source.topic.clone().unwrap_or_default();
        let message_type = bag.topic(&topic)?.message_type.clone();
        let joints = match message_type.as_str() {
            "geometry_msgs/msg/TwistStamped" | "geometry_msgs/msg/Twist" | "geometry_msgs/msg/PoseStamped" => false,
            "trajectory_msgs/msg/JointTrajectory" | "sensor_msgs/msg/JointState" | "std_msgs/msg/Float64MultiArray" => {
                true
            }
            _ => {
                let expected = "TwistStamped, Twist, PoseStamped, JointTrajectory, JointState or Float64MultiArray";
                return Err(BagError::Type { topic, found: message_type, expected });
            }
        };
        let chain = joints.then(|| Chain::read(source)).transpose()?;
        let (velocities, poses, joints) = (Vec::new(), Vec::new(), source.joints.clone());
        Ok(Self { topic, message_type, joints, chain, velocities, poses })
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// One message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, message: &Stored) -> Result<(), String> {
        let (header, value) = value(&self.message_type, &message.data)?;
        let log = message.log_time;
        match value {
            Value::Velocity(value) => self.velocities.push(Timed { header, log, value }),
            Value::Pose(value) => self.poses.push(Timed { header, log, value }),
            Value::Joints { names, positions } => {
                let names = if names.is_empty() { &self.joints } else { &names };
                let chain = self.chain.as_ref().ok_or("joint positions without a URDF")?;
                let value = chain.pose(names, &positions)?;
                self.poses.push(Timed { header, log, value });
            }
        }
        Ok(())
    }

    /// How many messages are left out because they have no stamp and most have.
    pub fn unstamped(&self, by_header: bool) -> usize {
        track::unstamped(&self.velocities, by_header) + track::unstamped(&self.poses, by_header)
    }

    /// What the arm did in the control period that follows each step; `None` where no message tells.
    pub fn displacements(self, steps: &[When], period_secs: f64, by_header: bool) -> Vec<Option<Displacement>> {
        if self.poses.is_empty() {
            let track = Track::new(self.velocities, by_header);
            steps.iter().map(|step| Some(moved(velocity(&track, *step, period_secs)?, period_secs))).collect()
        } else {
            let track = Track::new(self.poses, by_header);
            steps.iter().map(|step| difference(&track, *step, period_secs)).collect()
        }
    }
}

/// The mean of the velocities that were told for the period after `step`.
fn velocity(track: &Track<[f64; 6]>, step: When, period_secs: f64) -> Option<[f64; 6]> {
    let at = track.time(step);
    if track.spacing_secs()? * FAST > period_secs {
        return track.nearest(at, period_secs / 2.0).copied();
    }
    let within: Vec<&[f64; 6]> = track.within(at, Stamp(at.0 + nanos(period_secs))).collect();
    let mean = |i: usize| within.iter().map(|velocity| velocity[i]).sum::<f64>() / within.len() as f64;
    (!within.is_empty()).then(|| std::array::from_fn(mean))
}

/// A velocity that was held for one period.
fn moved(velocity: [f64; 6], period_secs: f64) -> Displacement {
    let [x, y, z, turns @ ..] = velocity.map(|speed| speed * period_secs);
    joined(DVec3::new(x, y, z), DQuat::from_scaled_axis(DVec3::from_array(turns)))
}

fn difference(track: &Track<DAffine3>, step: When, period_secs: f64) -> Option<Displacement> {
    let at = track.time(step);
    let apart = nanos(APART * period_secs);
    let (before, after) = (pose(track, at, apart)?, pose(track, Stamp(at.0 + nanos(period_secs)), apart)?);
    Some(joined(after.0 - before.0, after.1 * before.1.inverse()))
}

/// Where it was at a moment, between the two poses around it.
fn pose(track: &Track<DAffine3>, at: Stamp, apart: i64) -> Option<(DVec3, DQuat)> {
    let (before, after, share) = track.around(at, apart)?;
    let ((_, from, start), (_, to, end)) =
        (before.to_scale_rotation_translation(), after.to_scale_rotation_translation());
    Some((start.lerp(end, share), from.slerp(to, share)))
}

fn joined(moved: DVec3, turned: DQuat) -> Displacement {
    let (yaw, pitch, roll) = turned.normalize().to_euler(EulerRot::ZYX);
    [moved.x, moved.y, moved.z, roll, pitch, yaw]
}

fn nanos(secs: f64) -> i64 {
    (secs * 1e9).round() as i64
}

/// The gripper's recorded positions, collected message by message.
pub struct GripperMotion {
    source: GripperSource,
    message_type: String,
    positions: Vec<Timed<f64>>,
}

impl GripperMotion {
    /// Of the topic that `source` names.
    ///
    /// # Errors
    /// `Type`.
    pub fn new(bag: &Bag, source: &GripperSource) -> Result<Self, BagError> {
        let topic = source.topic.clone().unwrap_or_default();
        let message_type = bag.topic(&topic)?.message_type.clone();
        if !decode::GRIPS.contains(&message_type.as_str()) {
            let expected = "JointTrajectory, Float64MultiArray, JointState or GripperCommand";
            return Err(BagError::Type { topic, found: message_type, expected });
        }
        Ok(Self { source: source.clone(), message_type, positions: Vec::new() })
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        self.source.topic.as_deref().unwrap_or_default()
    }

    /// One message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, message: &Stored) -> Result<(), String> {
        let (header, value) = decode::position(&self.message_type, &message.data, self.source.joint.as_ref())?;
        self.positions.push(Timed { header, log: message.log_time, value });
        Ok(())
    }

    /// How many messages are left out because they have no stamp and most have.
    pub fn unstamped(&self, by_header: bool) -> usize {
        track::unstamped(&self.positions, by_header)
    }

    /// The position that held at each step: the last one that was told until then, and no later than half a period after.
    pub fn held(self, steps: &[When], period_secs: f64, by_header: bool) -> Vec<Option<f64>> {
        let track = Track::new(self.positions, by_header);
        let held = |step: &When| track.last(Stamp(track.time(*step).0 + nanos(period_secs / 2.0))).copied();
        steps.iter().map(held).collect()
    }
}
