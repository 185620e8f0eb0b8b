//! The parameters as they were typed, with their defaults.

use serde::{Deserialize, Serialize};

/// The node's parameters as they were typed: one field a parameter, a nested struct a dotted group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "config/policy.yaml documents each with unit, range and effect")]
pub struct RawConfig {
    pub bundle: String,
    pub provider: String,
    pub device_id: i64,
    pub threads: i64,
    pub onnxruntime: String,
    pub cuda_graphs: bool,
    pub dry_run: bool,
    pub autostart: bool,
    pub metrics: bool,
    pub max_frame_age: f64,
    pub max_frame_skew: f64,
    pub max_silence: f64,
    pub max_clock_jump: f64,
    pub images: RawImages,
    pub twist: RawTwist,
    pub gripper: RawGripper,
    pub estop: RawEstop,
    pub servo: RawServo,
    pub gate: RawGate,
    pub plan: RawPlan,
    pub budget: RawBudget,
}

macro_rules! raw_groups {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $ty:ty = $default:expr),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(missing_docs, reason = "config/policy.yaml documents each with unit, range and effect")]
        pub struct $name { $(pub $field: $ty),* }
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }
    )*};
}

raw_groups! {
    /// `images.*`
    RawImages {
        transport: String = "raw".into(),
        qos: String = "sensor_data".into(),
        qos_depth: i64 = 1,
        encoding: Vec<String> = Vec::new(),
        crop: Vec<String> = Vec::new(),
        min_rate: f64 = 0.5,
        min_contrast: f64 = 1.0,
        frozen: i64 = 2,
    }
    /// `twist.*`
    RawTwist {
        frame_id: String = String::new(),
        mode: String = "stream".into(),
        rate: f64 = 100.0,
        zeros: i64 = 5,
        speed: f64 = 0.35,
        acceleration: f64 = 10.0,
        jerk: f64 = 500.0,
        turn_speed: f64 = 0.7,
        turn_acceleration: f64 = 20.0,
        turn_jerk: f64 = 1000.0,
        controller_speed: f64 = 0.4,
        controller_turn_speed: f64 = 0.8,
    }
    /// `gripper.*`
    RawGripper {
        interface: String = "joint_trajectory".into(),
        joints: Vec<String> = vec!["finger_joint1".into(), "finger_joint2".into()],
        open: f64 = 0.0,
        closed: f64 = 0.0,
        hysteresis: f64 = 0.1,
        dwell: f64 = 0.3,
        max_effort: f64 = 0.0,
    }
    /// `estop.*`
    RawEstop { heartbeat: f64 = 0.0 }
    /// `servo.*`
    RawServo { handshake: bool = false, node: String = "/servo_node".into() }
    /// `gate.*`
    RawGate { metric: String = String::new(), thresholds: Vec<f64> = Vec::new(), deadline: f64 = 0.0 }
    /// `plan.*`
    RawPlan {
        keep_change: f64 = -1.0,
        skip_delta: f64 = -1.0,
        skip_change: f64 = -1.0,
        max_age: i64 = -1,
        max_skips: i64 = -1,
        first_steps: i64 = -1,
    }
    /// `budget.*`
    RawBudget {
        average: f64 = 0.0,
        of: String = "llm".into(),
        hold: bool = false,
        peak: f64 = 0.0,
        memory: f64 = 0.0,
    }
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            bundle: String::new(),
            provider: "cpu".into(),
            device_id: 0,
            threads: 0,
            onnxruntime: String::new(),
            cuda_graphs: true,
            dry_run: true,
            autostart: false,
            metrics: true,
            max_frame_age: 0.0,
            max_frame_skew: 0.0,
            max_silence: 0.0,
            max_clock_jump: 0.1,
            images: RawImages::default(),
            twist: RawTwist::default(),
            gripper: RawGripper::default(),
            estop: RawEstop::default(),
            servo: RawServo::default(),
            gate: RawGate::default(),
            plan: RawPlan::default(),
            budget: RawBudget::default(),
        }
    }
}
