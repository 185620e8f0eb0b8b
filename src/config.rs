//! Raw parameters → checked configuration.
//!
//! [`RawConfig`] is what a user typed; [`Config`] is what it means. Only the latter reaches the rest of the program.
//! `config/policy.yaml` documents every field with unit, range and effect.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::engine::ort::{Options, Provider};
use crate::gate::Metric;
use crate::policy::Settings;
use crate::safety::Guard;
use crate::thresholds::{Budget, BudgetError, Thresholds, ThresholdsError};

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
    pub dry_run: bool,
    pub autostart: bool,
    pub max_frame_age: f64,
    pub max_frame_skew: f64,
    pub images: RawImages,
    pub twist: RawTwist,
    pub gripper: RawGripper,
    pub estop: RawEstop,
    pub gate: RawGate,
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
    RawImages { transport: String = "raw".into(), qos: String = "sensor_data".into(), qos_depth: i64 = 1 }
    /// `twist.*`
    RawTwist { frame_id: String = "base".into() }
    /// `gripper.*`
    RawGripper {
        interface: String = "joint_trajectory".into(),
        joints: Vec<String> = vec!["finger_joint1".into(), "finger_joint2".into()],
        open: f64 = 0.04,
        closed: f64 = 0.0,
        hysteresis: f64 = 0.1,
    }
    /// `estop.*`
    RawEstop { heartbeat: f64 = 0.0 }
    /// `gate.*`
    RawGate { metric: String = String::new(), thresholds: Vec<f64> = Vec::new(), deadline: f64 = 0.0 }
    /// `budget.*`
    RawBudget { average: f64 = 0.0, hold: bool = false, peak: f64 = 0.0, memory: f64 = 0.0 }
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            bundle: String::new(),
            provider: "cpu".into(),
            device_id: 0,
            threads: 0,
            onnxruntime: String::new(),
            dry_run: true,
            autostart: false,
            max_frame_age: 0.2,
            max_frame_skew: 0.05,
            images: RawImages::default(),
            twist: RawTwist::default(),
            gripper: RawGripper::default(),
            estop: RawEstop::default(),
            gate: RawGate::default(),
            budget: RawBudget::default(),
        }
    }
}

/// A configuration that holds together.
#[derive(Debug, Clone)]
pub struct Config {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// How the network is run.
    pub engine: Options,
    /// Decide and publish decisions, but no motion.
    pub dry_run: bool,
    /// Armed from the start.
    pub autostart: bool,
    /// Limits on the pictures.
    pub guard: Guard,
    /// How pictures arrive.
    pub images: Images,
    /// `header.frame_id` of the twists.
    pub twist_frame_id: String,
    /// How the gripper is driven.
    pub gripper: GripperConfig,
    /// Seconds after which a silent emergency stop counts as pressed.
    pub estop_heartbeat_secs: Option<f64>,
    /// When a step is deep enough.
    pub gate: Gate,
    /// What it may cost.
    pub budget: Budget,
    /// Trim the thresholds so that the measured average stays at the budget.
    pub hold_average: bool,
}

/// How pictures arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// `CompressedImage` instead of `Image`.
    pub compressed: bool,
    /// `sensor_data`, `default` or `system_default`.
    pub qos: Qos,
    /// Keep-last depth.
    pub qos_depth: usize,
}

/// Base profiles of a subscription's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// Best effort: matches every publisher.
    SensorData,
    /// Reliable.
    Default,
    /// The middleware's own.
    SystemDefault,
}

/// How the gripper is driven.
#[derive(Debug, Clone, PartialEq)]
pub struct GripperConfig {
    /// `JointTrajectory` (with these joint names) or `Float64MultiArray`.
    pub interface: GripperInterface,
    /// Position of an open gripper, metres or radians as its controller takes them.
    pub open: f64,
    /// Position of a closed one.
    pub closed: f64,
    /// Probability on either side of the threshold within which nothing changes.
    pub hysteresis: f64,
}

/// Message types of gripper commands.
#[derive(Debug, Clone, PartialEq)]
pub enum GripperInterface {
    /// `trajectory_msgs/JointTrajectory`, one point.
    JointTrajectory(Vec<String>),
    /// `std_msgs/Float64MultiArray`, one number a joint.
    Float64MultiArray(usize),
}

/// When a step is deep enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// `None`: the one that the bundle's thresholds limit.
    pub metric: Option<Metric>,
    /// `None`: the bundle's own.
    pub thresholds: Option<Vec<f64>>,
    /// A step's time limit.
    pub deadline: Option<Duration>,
}

/// Why parameters make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be honoured.
    #[error("{parameter} is {found}, expected {expected}")]
    Value {
        /// The parameter.
        parameter: &'static str,
        /// What was typed.
        found: String,
        /// What may be.
        expected: String,
    },
    /// Thresholds that do not fit the bundle.
    #[error(transparent)]
    Thresholds(#[from] ThresholdsError),
    /// A budget that the bundle cannot meet.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

fn refuse<T>(parameter: &'static str, found: impl std::fmt::Debug, expected: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value { parameter, found: format!("{found:?}"), expected: expected.to_owned() })
}

fn number(parameter: &'static str, value: f64, min: f64, max: f64) -> Result<f64, ConfigError> {
    let expected = || format!("a number from {min} to {max}");
    if (min..=max).contains(&value) { Ok(value) } else { refuse(parameter, value, &expected()) }
}

/// 0 switches a limit off.
fn limit(parameter: &'static str, value: f64, max: f64) -> Result<Option<f64>, ConfigError> {
    Ok(Some(number(parameter, value, 0.0, max)?).filter(|&value| value > 0.0))
}

impl RawConfig {
    /// Checks everything that can be checked without the bundle.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: parameter, found, expected.
    pub fn check(&self) -> Result<Config, ConfigError> {
        if self.bundle.is_empty() {
            return refuse("bundle", &self.bundle, "the folder of a model bundle");
        }
        Ok(Config {
            bundle: PathBuf::from(&self.bundle),
            engine: self.engine()?,
            dry_run: self.dry_run,
            autostart: self.autostart,
            guard: Guard {
                max_frame_age_secs: number("max_frame_age", self.max_frame_age, 0.02, 10.0)?,
                max_frame_skew_secs: number("max_frame_skew", self.max_frame_skew, 0.001, 10.0)?,
            },
            images: self.images.check()?,
            twist_frame_id: match self.twist.frame_id.as_str() {
                "" => return refuse("twist.frame_id", "", "a frame that the arm's controller knows"),
                id => id.to_owned(),
            },
            gripper: self.gripper.check()?,
            estop_heartbeat_secs: limit("estop.heartbeat", self.estop.heartbeat, 60.0)?,
            gate: self.gate.check()?,
            hold_average: self.budget.hold,
            budget: Budget {
                average_gmac: limit("budget.average", self.budget.average, 1e9)?,
                peak_gmac: limit("budget.peak", self.budget.peak, 1e9)?,
                memory_gb: limit("budget.memory", self.budget.memory, 1e9)?,
            },
        })
    }

    fn engine(&self) -> Result<Options, ConfigError> {
        let provider = match self.provider.as_str() {
            "cpu" => Provider::Cpu,
            "cuda" => Provider::Cuda,
            "tensorrt" => Provider::TensorRt,
            other => return refuse("provider", other, "cpu, cuda or tensorrt"),
        };
        let Ok(device_id) = i32::try_from(self.device_id) else {
            return refuse("device_id", self.device_id, "a GPU's number");
        };
        if !(0..=256).contains(&self.threads) {
            return refuse("threads", self.threads, "0 (one a core) to 256");
        }
        let library = Some(PathBuf::from(&self.onnxruntime)).filter(|path| !path.as_os_str().is_empty());
        Ok(Options { provider, device_id, threads: self.threads as usize, library })
    }
}

impl RawImages {
    fn check(&self) -> Result<Images, ConfigError> {
        let compressed = match self.transport.as_str() {
            "raw" => false,
            "compressed" => true,
            other => return refuse("images.transport", other, "raw or compressed"),
        };
        let qos = match self.qos.as_str() {
            "sensor_data" => Qos::SensorData,
            "default" => Qos::Default,
            "system_default" => Qos::SystemDefault,
            other => return refuse("images.qos", other, "sensor_data, default or system_default"),
        };
        if !(1..=100).contains(&self.qos_depth) {
            return refuse("images.qos_depth", self.qos_depth, "1 to 100");
        }
        Ok(Images { compressed, qos, qos_depth: self.qos_depth as usize })
    }
}

impl RawGripper {
    fn check(&self) -> Result<GripperConfig, ConfigError> {
        if self.joints.is_empty() || self.joints.iter().any(String::is_empty) {
            return refuse("gripper.joints", &self.joints, "at least one joint's name");
        }
        let interface = match self.interface.as_str() {
            "joint_trajectory" => GripperInterface::JointTrajectory(self.joints.clone()),
            "float64_multi_array" => GripperInterface::Float64MultiArray(self.joints.len()),
            other => return refuse("gripper.interface", other, "joint_trajectory or float64_multi_array"),
        };
        let open = number("gripper.open", self.open, -10.0, 10.0)?;
        let closed = number("gripper.closed", self.closed, -10.0, 10.0)?;
        if open == closed {
            return refuse("gripper.closed", closed, "another position than gripper.open");
        }
        let hysteresis = number("gripper.hysteresis", self.hysteresis, 0.0, 0.49)?;
        Ok(GripperConfig { interface, open, closed, hysteresis })
    }
}

impl RawGate {
    fn check(&self) -> Result<Gate, ConfigError> {
        let metric = Some(self.metric.as_str()).filter(|name| !name.is_empty()).map(|name| {
            serde_json::from_value(name.into()).or_else(|_| {
                let expected = "rms, mean, max, cosine, feature, time, or empty for the bundle's own";
                refuse("gate.metric", name, expected)
            })
        });
        let metric = metric.transpose()?;
        if let Some(limit) = self.thresholds.iter().find(|limit| !limit.is_finite()) {
            return refuse("gate.thresholds", limit, "finite numbers, one an exit but the last");
        }
        let thresholds = Some(self.thresholds.clone()).filter(|limits| !limits.is_empty());
        let deadline = limit("gate.deadline", self.deadline, 60.0)?.map(Duration::from_secs_f64);
        Ok(Gate { metric, thresholds, deadline })
    }
}

impl Config {
    /// The average that the thresholds are trimmed to in GFLOP: the budget, where it is to be held and rules at all.
    pub fn held_average(&self) -> Option<f64> {
        self.budget.average_gmac.filter(|_| self.hold_average && self.gate.thresholds.is_none())
    }

    /// What the policy is to run with: thresholds by parameter, from the average budget or from the bundle, in this
    /// order; the cap from the other budgets.
    ///
    /// A bundle without thresholds runs at full depth: the gate is a saving, not a need.
    ///
    /// # Errors
    /// Thresholds that do not fit the bundle, or a budget that it cannot meet.
    pub fn settings(&self, bundle: &Bundle) -> Result<Settings, ConfigError> {
        let exits = bundle.manifest.exits.len();
        let cap = self.budget.cap(bundle)?;
        let file = bundle.path("thresholds.json");
        let (thresholds, metric) = match (&self.gate.thresholds, self.budget.thresholds(bundle, cap)?) {
            (Some(limits), _) => (Thresholds::new(limits, exits)?, Metric::default()),
            (None, Some(solved)) => solved,
            (None, None) if file.exists() => Thresholds::read(&file, bundle)?,
            (None, None) => (Thresholds::deepest(exits), Metric::default()),
        };
        let metric = self.gate.metric.unwrap_or(metric);
        Ok(Settings { thresholds, metric, cap, deadline: self.gate.deadline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawConfig {
        RawConfig { bundle: "models/toy".into(), ..RawConfig::default() }
    }

    #[test]
    fn the_defaults_hold_together_once_a_bundle_is_named() {
        let config = raw().check().unwrap();
        assert!(config.dry_run && !config.autostart, "nothing moves before a person says so");
        assert_eq!(config.estop_heartbeat_secs, None);
        assert!(RawConfig::default().check().unwrap_err().to_string().contains("bundle is"));
    }

    #[test]
    fn every_bad_value_is_refused_with_its_parameter_and_what_may_be() {
        type Case = (fn(&mut RawConfig), &'static str, &'static str);
        let cases: [Case; 12] = [
            (|r| r.provider = "gpu".into(), "provider", "cpu, cuda or tensorrt"),
            (|r| r.threads = -1, "threads", "0 (one a core) to 256"),
            (|r| r.max_frame_age = f64::NAN, "max_frame_age", "from 0.02"),
            (|r| r.max_frame_skew = -0.1, "max_frame_skew", "from 0.001"),
            (|r| r.images.transport = "theora".into(), "images.transport", "raw or compressed"),
            (|r| r.images.qos = "best".into(), "images.qos", "sensor_data"),
            (|r| r.twist.frame_id.clear(), "twist.frame_id", "a frame"),
            (|r| r.gripper.joints.clear(), "gripper.joints", "at least one"),
            (|r| r.gripper.closed = r.gripper.open, "gripper.closed", "another position"),
            (|r| r.gate.metric = "l2".into(), "gate.metric", "rms"),
            (|r| r.gate.thresholds = vec![0.1, f64::NAN], "gate.thresholds", "finite"),
            (|r| r.budget.peak = f64::INFINITY, "budget.peak", "from 0"),
        ];
        for (spoil, parameter, expected) in cases {
            let mut raw = raw();
            spoil(&mut raw);
            let error = raw.check().unwrap_err().to_string();
            assert!(error.starts_with(parameter) && error.contains(expected), "{error}");
        }
    }
}
