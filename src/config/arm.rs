//! What drives the arm and its gripper.

use super::raw::{RawGripper, RawServo, RawTwist};
use super::{ConfigError, number, refuse};
use crate::motion::{Limit, Limits};

/// How the arm is driven.
#[derive(Debug, Clone, PartialEq)]
pub struct TwistConfig {
    /// `header.frame_id` of the twists; empty until [`Config::on`](super::Config::on) takes the bundle's.
    pub frame_id: String,
    /// One command an action, unlimited, for a world that waits for it; else many a second, within limits, for an arm.
    pub lock_step: bool,
    /// Commands a second of a stream.
    pub rate_hz: f64,
    /// Zero twists after a motion and at a halt; then silence.
    pub zeros: u32,
    /// Limits of a stream.
    pub limits: Limits,
}

/// How the gripper is driven.
#[derive(Debug, Clone, PartialEq)]
pub struct GripperConfig {
    /// What it listens to.
    pub interface: GripperInterface,
    /// Position of an open gripper, metres or radians as its controller takes them. The same as `closed` until
    /// [`Config::on`](super::Config::on) takes the bundle's.
    pub open: f64,
    /// Position of a closed one.
    pub closed: f64,
    /// Probability on either side of the threshold within which nothing changes.
    pub hysteresis: f64,
    /// A command stands for at least so many seconds.
    pub dwell_secs: f64,
    /// Newton or newton metres, for actions; 0 leaves it to the gripper.
    pub max_effort: f64,
}

/// What a gripper listens to.
#[derive(Debug, Clone, PartialEq)]
pub enum GripperInterface {
    /// `trajectory_msgs/JointTrajectory`, one point for these joints.
    JointTrajectory(Vec<String>),
    /// `std_msgs/Float64MultiArray`, one number a joint.
    Float64MultiArray(usize),
    /// The action `control_msgs/GripperCommand`.
    GripperCommand,
    /// The action `control_msgs/ParallelGripperCommand`, for these joints.
    ParallelGripperCommand(Vec<String>),
}

/// MoveIt Servo, where it moves the arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ServoConfig {
    /// Ask it to take twists, and hold when its status says that it stands.
    pub handshake: bool,
    /// Its node's full name.
    pub node: String,
}

impl RawTwist {
    pub(super) fn check(&self) -> Result<TwistConfig, ConfigError> {
        let lock_step = match self.mode.as_str() {
            "stream" => false,
            "lock_step" => true,
            other => return refuse("twist.mode", other, "stream or lock_step"),
        };
        let zeros = match u32::try_from(self.zeros) {
            Ok(zeros) if (1..=100).contains(&zeros) => zeros,
            _ => return refuse("twist.zeros", self.zeros, "1 to 100"),
        };
        let limits = Limits {
            linear: Limit {
                speed: below("twist.speed", self.speed, "twist.controller_speed", self.controller_speed)?,
                acceleration: number("twist.acceleration", self.acceleration, 0.01, 100.0)?,
                jerk: number("twist.jerk", self.jerk, 0.1, 1e5)?,
            },
            angular: Limit {
                speed: below(
                    "twist.turn_speed",
                    self.turn_speed,
                    "twist.controller_turn_speed",
                    self.controller_turn_speed,
                )?,
                acceleration: number("twist.turn_acceleration", self.turn_acceleration, 0.01, 200.0)?,
                jerk: number("twist.turn_jerk", self.turn_jerk, 0.1, 1e5)?,
            },
        };
        let rate_hz = number("twist.rate", self.rate, 50.0, 200.0)?;
        Ok(TwistConfig { frame_id: self.frame_id.clone(), lock_step, rate_hz, zeros, limits })
    }
}

/// A controller cuts what is faster than its own cap without a word, and then the arm does not go where it was told.
fn below(parameter: &'static str, value: f64, cap_parameter: &'static str, cap: f64) -> Result<f64, ConfigError> {
    let cap = number(cap_parameter, cap, 0.001, 10.0)?;
    let value = number(parameter, value, 0.001, 10.0)?;
    if value > cap {
        let expected = format!("at most {cap}, which is what the arm's controller carries out ({cap_parameter})");
        return refuse(parameter, value, &expected);
    }
    Ok(value)
}

impl RawGripper {
    pub(super) fn check(&self) -> Result<GripperConfig, ConfigError> {
        if self.joints.is_empty() || self.joints.iter().any(String::is_empty) {
            return refuse("gripper.joints", &self.joints, "at least one joint's name");
        }
        let interface = match self.interface.as_str() {
            "joint_trajectory" => GripperInterface::JointTrajectory(self.joints.clone()),
            "float64_multi_array" => GripperInterface::Float64MultiArray(self.joints.len()),
            "gripper_command" => GripperInterface::GripperCommand,
            "parallel_gripper_command" => GripperInterface::ParallelGripperCommand(self.joints.clone()),
            other => {
                let known = "joint_trajectory, float64_multi_array, gripper_command or parallel_gripper_command";
                return refuse("gripper.interface", other, known);
            }
        };
        let open = number("gripper.open", self.open, -10.0, 10.0)?;
        let closed = number("gripper.closed", self.closed, -10.0, 10.0)?;
        let hysteresis = number("gripper.hysteresis", self.hysteresis, 0.0, 0.49)?;
        let dwell_secs = number("gripper.dwell", self.dwell, 0.0, 10.0)?;
        let max_effort = number("gripper.max_effort", self.max_effort, 0.0, 1000.0)?;
        Ok(GripperConfig { interface, open, closed, hysteresis, dwell_secs, max_effort })
    }
}

impl RawServo {
    pub(super) fn check(&self) -> Result<ServoConfig, ConfigError> {
        let node = self.node.trim_end_matches('/').to_owned();
        if !node.starts_with('/') {
            return refuse("servo.node", &self.node, "its full name, as /servo_node");
        }
        Ok(ServoConfig { handshake: self.handshake, node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_above_the_controllers_caps_are_refused_with_both_numbers() {
        let error = RawTwist { speed: 0.5, ..RawTwist::default() }.check().unwrap_err().to_string();
        assert!(error.starts_with("twist.speed is 0.5") && error.contains("at most 0.4"), "{error}");
        let error = RawTwist { turn_speed: 0.9, ..RawTwist::default() }.check().unwrap_err().to_string();
        assert!(error.contains("0.9") && error.contains("0.8"), "{error}");
        let faster = RawTwist { speed: 0.6, controller_speed: 1.0, ..RawTwist::default() };
        assert_eq!(faster.check().unwrap().limits.linear.speed, 0.6);
    }
}
