//! The few ROS messages that bags are read and written with, as plain structs.
//!
//! Fields and their order are those of ROS 2's `.msg` files: CDR, which ROS stores, is nothing but the fields in that
//! order, so `cdr` reads and writes them without any ROS.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::units::Stamp;

/// A message type that can be written to a bag.
pub trait Message: Serialize {
    /// `package/msg/Name`
    const TYPE: &'static str;
    /// Its definition and those of the types in it, as MCAP's schema encoding `ros2msg` wants them.
    const DEFINITION: &'static str;
    /// Its REP-2016 hash, which `metadata.yaml` repeats.
    const HASH: &'static str;
}

/// `builtin_interfaces/Time`, and `Duration`, which looks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "ROS's own fields")]
pub struct Time {
    pub sec: i32,
    pub nanosec: u32,
}

impl From<Stamp> for Time {
    fn from(stamp: Stamp) -> Self {
        let (sec, nanosec) = stamp.parts();
        Self { sec, nanosec }
    }
}

impl From<Time> for Stamp {
    fn from(time: Time) -> Self {
        Stamp::new(time.sec, time.nanosec)
    }
}

macro_rules! structs {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "ROS's own fields")]
        pub struct $name { $(pub $field: $type),* }
    )*};
}

structs! {
    /// `std_msgs/Header`
    Header { stamp: Time, frame_id: String }
    /// `sensor_msgs/Image`
    Image {
        header: Header,
        height: u32,
        width: u32,
        encoding: String,
        is_bigendian: u8,
        step: u32,
        data: ByteBuf,
    }
    /// `sensor_msgs/CompressedImage`
    CompressedImage { header: Header, format: String, data: ByteBuf }
    /// `std_msgs/String`
    Text { data: String }
    /// `geometry_msgs/TwistStamped`; a vector is its x, y, z.
    TwistStamped { header: Header, linear: [f64; 3], angular: [f64; 3] }
    /// `trajectory_msgs/JointTrajectory`
    JointTrajectory { header: Header, joint_names: Vec<String>, points: Vec<JointTrajectoryPoint> }
    /// `trajectory_msgs/JointTrajectoryPoint`
    JointTrajectoryPoint {
        positions: Vec<f64>,
        velocities: Vec<f64>,
        accelerations: Vec<f64>,
        effort: Vec<f64>,
        time_from_start: Time,
    }
    /// `diagnostic_msgs/DiagnosticStatus`
    DiagnosticStatus { level: u8, name: String, message: String, hardware_id: String, values: Vec<KeyValue> }
    /// `diagnostic_msgs/KeyValue`
    KeyValue { key: String, value: String }
}

macro_rules! messages {
    ($($name:ident, $type:literal, $file:literal, $hash:literal;)*) => {$(
        impl Message for $name {
            const TYPE: &'static str = $type;
            const DEFINITION: &'static str = include_str!(concat!("definitions/", $file));
            const HASH: &'static str = concat!("RIHS01_", $hash);
        }
    )*};
}

messages! {
    Image, "sensor_msgs/msg/Image", "Image.msg",
        "d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47";
    CompressedImage, "sensor_msgs/msg/CompressedImage", "CompressedImage.msg",
        "15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a";
    Text, "std_msgs/msg/String", "String.msg",
        "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18";
    TwistStamped, "geometry_msgs/msg/TwistStamped", "TwistStamped.msg",
        "5f0fcd4f81d5d06ad9b4c4c63e3ea51b82d6ae4d0558f1d475229b1121db6f64";
    JointTrajectory, "trajectory_msgs/msg/JointTrajectory", "JointTrajectory.msg",
        "179b33eba59d676f6d967ac71fe35e7ca2f64b2f3928f4a018cec115e213796e";
    DiagnosticStatus, "diagnostic_msgs/msg/DiagnosticStatus", "DiagnosticStatus.msg",
        "b0e3e692ea2d54a8af2f4ef1930e81556a2db55216b771f8a7d2724ed47bf0e4";
}
