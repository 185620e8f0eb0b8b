//! Raw parameters → checked configuration.
//!
//! [`RawConfig`] is what a user typed; [`Config`] is what it means. Only the latter reaches the rest of the program.
//! `config/policy.yaml` documents every field with unit, range and effect.

mod arm;
mod raw;

use std::path::PathBuf;
use std::time::Duration;

use crate::bundle::Bundle;
use crate::engine::ort::{Options, Provider};
use crate::network::Metric;
use crate::network::Settings;
use crate::safety::Guard;
use crate::session::Rules;
use crate::thresholds::{Budget, BudgetError, Thresholds, ThresholdsError};

pub use arm::{GripperConfig, GripperInterface, Mode, ServoConfig, TwistConfig};
pub use raw::{RawBudget, RawConfig, RawEstop, RawGate, RawGripper, RawImages, RawServo, RawTwist};

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
    /// Limits on the pictures, but for their rate.
    guard: Guard,
    /// The least rate of pictures as a share of the bundle's control rate.
    min_rate: f64,
    /// How pictures arrive.
    pub images: Images,
    /// How the arm is driven.
    pub twist: TwistConfig,
    /// How the gripper is driven.
    pub gripper: GripperConfig,
    /// Seconds after which a silent emergency stop counts as pressed.
    pub estop_heartbeat_secs: Option<f64>,
    /// The arm's controller, where it is MoveIt Servo.
    pub servo: ServoConfig,
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
            guard: self.guard()?,
            min_rate: number("images.min_rate", self.images.min_rate, 0.0, 1.0)?,
            images: self.images.check()?,
            twist: self.twist.check()?,
            gripper: self.gripper.check()?,
            estop_heartbeat_secs: limit("estop.heartbeat", self.estop.heartbeat, 60.0)?,
            servo: self.servo.check()?,
            gate: self.gate.check()?,
            hold_average: self.budget.hold,
            budget: Budget {
                average_gmac: limit("budget.average", self.budget.average, 1e9)?,
                peak_gmac: limit("budget.peak", self.budget.peak, 1e9)?,
                memory_gb: limit("budget.memory", self.budget.memory, 1e9)?,
            },
        })
    }

    fn guard(&self) -> Result<Guard, ConfigError> {
        let frozen = match u32::try_from(self.images.frozen) {
            Ok(pictures) if pictures <= 1000 => Some(pictures).filter(|&pictures| pictures > 0),
            _ => return refuse("images.frozen", self.images.frozen, "0 (not looked at) to 1000"),
        };
        Ok(Guard {
            max_frame_age_secs: number("max_frame_age", self.max_frame_age, 0.02, 10.0)?,
            max_frame_skew_secs: number("max_frame_skew", self.max_frame_skew, 0.001, 10.0)?,
            max_silence_secs: number("max_silence", self.max_silence, 0.02, 10.0)?,
            max_clock_jump_secs: number("max_clock_jump", self.max_clock_jump, 0.01, 10.0)?,
            min_rate_hz: 0.0,
            min_contrast: number("images.min_contrast", self.images.min_contrast, 0.0, 100.0)?,
            frozen,
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
    /// Limits on the pictures of cameras that serve a policy of `control_hz` steps a second.
    pub fn guard(&self, control_hz: f64) -> Guard {
        Guard { min_rate_hz: self.min_rate * control_hz, ..self.guard }
    }

    /// What the arm's side demands. In lock-step the world obeys to the letter, and its cameras have no noise: a still
    /// arm shows the same picture, and a wall shows nothing.
    pub fn rules(&self, control_hz: f64, lock_step: bool, simulated: bool) -> Rules {
        let guard = self.guard(control_hz);
        let GripperConfig { hysteresis, dwell_secs, .. } = self.gripper;
        if lock_step {
            let guard = Guard { frozen: None, min_contrast: 0.0, ..guard };
            Rules { guard, limits: None, hysteresis, dwell_secs: 0.0, simulated }
        } else {
            Rules { guard, limits: Some(self.twist.limits), hysteresis, dwell_secs, simulated }
        }
    }

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
        let cases: [Case; 18] = [
            (|r| r.provider = "gpu".into(), "provider", "cpu, cuda or tensorrt"),
            (|r| r.threads = -1, "threads", "0 (one a core) to 256"),
            (|r| r.max_frame_age = f64::NAN, "max_frame_age", "from 0.02"),
            (|r| r.max_frame_skew = -0.1, "max_frame_skew", "from 0.001"),
            (|r| r.images.transport = "theora".into(), "images.transport", "raw or compressed"),
            (|r| r.images.qos = "best".into(), "images.qos", "sensor_data"),
            (|r| r.max_silence = 0.0, "max_silence", "from 0.02"),
            (|r| r.images.frozen = -1, "images.frozen", "0 (not looked at)"),
            (|r| r.twist.frame_id.clear(), "twist.frame_id", "a frame"),
            (|r| r.twist.mode = "on".into(), "twist.mode", "lock_step"),
            (|r| r.twist.jerk = 0.0, "twist.jerk", "from 0.1"),
            (|r| r.gripper.dwell = -1.0, "gripper.dwell", "from 0"),
            (|r| r.gripper.joints.clear(), "gripper.joints", "at least one"),
            (|r| r.gripper.closed = r.gripper.open, "gripper.closed", "another position"),
            (|r| r.servo.node = "servo_node".into(), "servo.node", "its full name"),
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
