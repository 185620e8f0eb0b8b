//! Messages that say how an arm or a gripper moved → numbers.

use glam::{DAffine3, DQuat, DVec3};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bag::message::{Header, JointTrajectory, TwistStamped};
use crate::bag::source::Joint;
use crate::units::Stamp;

/// The types that a gripper's position is read from.
pub(super) const GRIPS: [&str; 4] = [
    "trajectory_msgs/msg/JointTrajectory",
    "std_msgs/msg/Float64MultiArray",
    "sensor_msgs/msg/JointState",
    "control_msgs/msg/GripperCommand",
];

/// `geometry_msgs/Twist`
#[derive(Deserialize)]
struct Twist {
    linear: [f64; 3],
    angular: [f64; 3],
}

/// `geometry_msgs/PoseStamped`
#[derive(Deserialize)]
struct PoseStamped {
    header: Header,
    position: [f64; 3],
    orientation: [f64; 4],
}

/// `sensor_msgs/JointState`
#[derive(Deserialize)]
struct JointState {
    header: Header,
    name: Vec<String>,
    position: Vec<f64>,
    #[serde(rename = "velocity")]
    _velocity: Vec<f64>,
    #[serde(rename = "effort")]
    _effort: Vec<f64>,
}

/// `std_msgs/Float64MultiArray`
#[derive(Deserialize)]
struct Float64MultiArray {
    #[serde(rename = "layout")]
    _layout: (Vec<(String, u32, u32)>, u32),
    data: Vec<f64>,
}

/// `control_msgs/GripperCommand`
#[derive(Deserialize)]
struct GripperCommand {
    position: f64,
    #[serde(rename = "max_effort")]
    _max_effort: f64,
}

/// What a message says of an arm.
pub(super) enum Value {
    /// m/s, then rad/s.
    Velocity([f64; 6]),
    Pose(DAffine3),
    /// By name where the message has names.
    Joints {
        names: Vec<String>,
        positions: Vec<f64>,
    },
}

fn decoded<T: DeserializeOwned>(message_type: &str, data: &[u8]) -> Result<T, String> {
    cdr::deserialize(data).map_err(|error| format!("the message does not decode as {message_type}: {error}"))
}

/// A header without a time is none.
fn time(header: &Header) -> Option<Stamp> {
    Some(Stamp::from(header.stamp)).filter(|stamp| stamp.0 > 0)
}

/// When it was meant, and what it says.
pub(super) fn value(message_type: &str, data: &[u8]) -> Result<(Option<Stamp>, Value), String> {
    Ok(match message_type {
        "geometry_msgs/msg/TwistStamped" => {
            let TwistStamped { header, linear, angular } = decoded(message_type, data)?;
            (time(&header), Value::Velocity(finite([linear, angular].as_flattened())?))
        }
        "geometry_msgs/msg/Twist" => {
            let Twist { linear, angular } = decoded(message_type, data)?;
            (None, Value::Velocity(finite([linear, angular].as_flattened())?))
        }
        "geometry_msgs/msg/PoseStamped" => {
            let PoseStamped { header, position, orientation } = decoded(message_type, data)?;
            let rotation = DQuat::from_array(finite(&orientation)?);
            if !(0.9..1.1).contains(&rotation.length()) {
                return Err("the pose's orientation is no unit quaternion".into());
            }
            let position = DVec3::from_array(finite(&position)?);
            (time(&header), Value::Pose(DAffine3::from_rotation_translation(rotation.normalize(), position)))
        }
        _ => {
            let (header, names, positions) = joints(message_type, data)?;
            (header, Value::Joints { names, positions })
        }
    })
}

fn finite<const N: usize>(values: &[f64]) -> Result<[f64; N], String> {
    let all = values.iter().all(|value| value.is_finite());
    let values = <[f64; N]>::try_from(values).ok().filter(|_| all);
    values.ok_or_else(|| "the message holds something that is no number".to_owned())
}

type Joints = (Option<Stamp>, Vec<String>, Vec<f64>);

fn joints(message_type: &str, data: &[u8]) -> Result<Joints, String> {
    Ok(match message_type {
        "trajectory_msgs/msg/JointTrajectory" => {
            let JointTrajectory { header, joint_names, mut points } = decoded(message_type, data)?;
            let last = points.pop().ok_or("the trajectory has no points")?;
            (time(&header), joint_names, last.positions)
        }
        "sensor_msgs/msg/JointState" => {
            let JointState { header, name, position, .. } = decoded(message_type, data)?;
            (time(&header), name, position)
        }
        _ => (None, Vec::new(), decoded::<Float64MultiArray>(message_type, data)?.data),
    })
}

/// A gripper's position, and when it was meant.
pub(super) fn position(message_type: &str, data: &[u8], joint: Option<&Joint>) -> Result<(Option<Stamp>, f64), String> {
    if message_type == "control_msgs/msg/GripperCommand" {
        return Ok((None, decoded::<GripperCommand>(message_type, data)?.position));
    }
    let (header, names, positions) = joints(message_type, data)?;
    let place = match joint {
        None => 0,
        Some(Joint::Place(place)) => *place,
        Some(Joint::Name(name)) => {
            let there = || format!("the message has no joint {name}; it has {}", names.join(", "));
            names.iter().position(|known| known == name).ok_or_else(there)?
        }
    };
    let position = positions.get(place).copied().filter(|position| position.is_finite());
    Ok((header, position.ok_or_else(|| format!("the message has no position {place}"))?))
}
