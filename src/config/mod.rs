//! Raw parameters → checked configuration.
//!
//! [`RawConfig`] is what a user typed; [`Config`] is what it means. Only the latter reaches the rest of the program.
//! `config/policy.yaml` documents every field with unit, range and effect.

mod arm;
mod images;
mod plan;
mod raw;

use std::path::PathBuf;
use std::time::Duration;

use crate::bundle::{Bundle, Embodiment};
use crate::engine::ort::{Options, Provider};
use crate::network::{Metric, PlanLimits, Settings};
use crate::safety::Guard;
use crate::session::Rules;
use crate::thresholds::{
    Average, Budget, BudgetError, GivenPlan, Limits, PredictorError, Scope, Thresholds, ThresholdsError, gauge,
};

pub use arm::{GripperConfig, GripperInterface, ServoConfig, TwistConfig};
pub use images::{Images, Qos};
pub use raw::{RawBudget, RawConfig, RawEstop, RawGate, RawGripper, RawImages, RawPlan, RawServo, RawTwist};

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
    /// Publish every decision's numbers, for programs that plot.
    pub metrics: bool,
    /// Limits on the pictures; times and rate in control periods where the user leaves them to the bundle.
    guard: Pictures,
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
    /// When a camera may be kept and a step skipped, where the user says.
    pub plan: GivenPlan,
    /// What it may cost.
    pub budget: Budget,
    /// Trim the thresholds so that the measured average stays at the budget.
    pub hold_average: bool,
}

/// Limits on the pictures. Times in seconds; `None` is so many control periods.
#[derive(Debug, Clone)]
struct Pictures {
    max_age_secs: Option<f64>,
    max_skew_secs: Option<f64>,
    max_silence_secs: Option<f64>,
    max_clock_jump_secs: f64,
    /// The least rate of pictures as a share of the bundle's control rate.
    min_rate: f64,
    min_contrast: f64,
    frozen: Option<u32>,
}

/// In control periods: what pictures may be like where the user says nothing else.
const MAX_AGE_PERIODS: f64 = 6.0;
const MAX_SKEW_PERIODS: f64 = 1.5;
const MAX_SILENCE_PERIODS: f64 = 3.0;

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
    /// A metric that the bundle cannot measure.
    #[error("gate.metric: {0}")]
    Predictor(#[from] PredictorError),
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

/// 0 leaves a time to the bundle's control period.
fn seconds_or_periods(parameter: &'static str, value: f64, min: f64) -> Result<Option<f64>, ConfigError> {
    if value == 0.0 {
        return Ok(None);
    }
    let expected = || format!("0 (so many control periods), or seconds from {min} to 10");
    if (min..=10.0).contains(&value) { Ok(Some(value)) } else { refuse(parameter, value, &expected()) }
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
            metrics: self.metrics,
            guard: self.guard()?,
            images: self.images.check()?,
            twist: self.twist.check()?,
            gripper: self.gripper.check()?,
            estop_heartbeat_secs: limit("estop.heartbeat", self.estop.heartbeat, 60.0)?,
            servo: self.servo.check()?,
            gate: self.gate.check()?,
            plan: self.plan.check()?,
            hold_average: self.budget.hold,
            budget: Budget {
                average_gmac: limit("budget.average", self.budget.average, 1e9)?,
                of: match self.budget.of.as_str() {
                    "llm" => Scope::Llm,
                    "whole" => Scope::Whole,
                    other => return refuse("budget.of", other, "llm or whole"),
                },
                peak_gmac: limit("budget.peak", self.budget.peak, 1e9)?,
                memory_gb: limit("budget.memory", self.budget.memory, 1e9)?,
            },
        })
    }

    fn guard(&self) -> Result<Pictures, ConfigError> {
        let frozen = match u32::try_from(self.images.frozen) {
            Ok(pictures) if pictures <= 1000 => Some(pictures).filter(|&pictures| pictures > 0),
            _ => return refuse("images.frozen", self.images.frozen, "0 (not looked at) to 1000"),
        };
        Ok(Pictures {
            max_age_secs: seconds_or_periods("max_frame_age", self.max_frame_age, 0.02)?,
            max_skew_secs: seconds_or_periods("max_frame_skew", self.max_frame_skew, 0.001)?,
            max_silence_secs: seconds_or_periods("max_silence", self.max_silence, 0.02)?,
            max_clock_jump_secs: number("max_clock_jump", self.max_clock_jump, 0.01, 10.0)?,
            min_rate: number("images.min_rate", self.images.min_rate, 0.0, 1.0)?,
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
        Ok(Options { provider, device_id, threads: self.threads as usize, library, cuda_graphs: self.cuda_graphs })
    }
}

impl RawGate {
    fn check(&self) -> Result<Gate, ConfigError> {
        let metric = Some(self.metric.as_str()).filter(|name| !name.is_empty()).map(|name| {
            serde_json::from_value(name.into()).or_else(|_| {
                let expected = "rms, mean, max, cosine, feature, time, predicted, or empty for the bundle's own";
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
    /// For the bundle's robot: the frame of the twists and the gripper's positions, where the user leaves them to it.
    #[must_use]
    pub fn on(mut self, robot: &Embodiment) -> Self {
        if self.twist.frame_id.is_empty() {
            self.twist.frame_id = robot.arm.first().map_or_else(String::new, |axis| axis.frame.clone());
        }
        if self.gripper.open == self.gripper.closed {
            (self.gripper.open, self.gripper.closed) = (robot.gripper.open, robot.gripper.closed);
        }
        self
    }

    /// Limits on the pictures of cameras that serve a policy of `control_hz` steps a second.
    pub fn guard(&self, control_hz: f64) -> Guard {
        let Pictures { max_age_secs, max_skew_secs, max_silence_secs, .. } = self.guard;
        let or_periods = |secs: Option<f64>, periods: f64| secs.unwrap_or(periods / control_hz);
        Guard {
            max_frame_age_secs: or_periods(max_age_secs, MAX_AGE_PERIODS),
            max_frame_skew_secs: or_periods(max_skew_secs, MAX_SKEW_PERIODS),
            max_silence_secs: or_periods(max_silence_secs, MAX_SILENCE_PERIODS),
            max_clock_jump_secs: self.guard.max_clock_jump_secs,
            min_rate_hz: self.guard.min_rate * control_hz,
            min_contrast: self.guard.min_contrast,
            frozen: self.guard.frozen,
        }
    }

    /// What the arm's side demands. In lock-step the world obeys every command as it is, and its cameras have no noise:
    /// a still arm shows the same picture, and a wall shows nothing.
    pub fn rules(&self, control_hz: f64, simulated: bool) -> Rules {
        let guard = self.guard(control_hz);
        let GripperConfig { hysteresis, dwell_secs, .. } = self.gripper;
        if self.twist.lock_step {
            let guard = Guard { frozen: None, min_contrast: 0.0, ..guard };
            Rules { guard, limits: None, hysteresis, dwell_secs: 0.0, simulated }
        } else {
            Rules { guard, limits: Some(self.twist.limits), hysteresis, dwell_secs, simulated }
        }
    }

    /// The average budget, where it rules at all, and whether it is to be held.
    pub fn average(&self) -> Option<Average> {
        let gmac = self.budget.average_gmac.filter(|_| self.gate.thresholds.is_none())?;
        Some(Average { gmac, of: self.budget.of, held: self.hold_average, given: self.plan })
    }

    /// What the policy is to run with. Thresholds by parameter, from the average budget or from the bundle, in this order,
    /// and limits of the plan from the same place (by parameter: nothing is spared); each `plan.*` that the user set takes
    /// the place of its one. The cap from the other budgets.
    ///
    /// A bundle without thresholds runs at full depth: the gate is a saving, not a need. Thresholds by parameter limit the
    /// metric that the bundle's do, where `gate.metric` names none.
    ///
    /// # Errors
    /// Thresholds that do not fit the bundle, or a budget that it cannot meet.
    pub fn settings(&self, bundle: &Bundle) -> Result<Settings, ConfigError> {
        let exits = bundle.manifest.exits.len();
        let (hysteresis, open_above) = (self.gripper.hysteresis, bundle.manifest.embodiment.gripper.open_above);
        if hysteresis >= open_above.min(1.0 - open_above) {
            let expected = format!("less: the bundle's gripper opens above {open_above}, and would stay as it is");
            return refuse("gripper.hysteresis", hysteresis, &expected);
        }
        let cap = self.budget.cap(bundle)?;
        let file = bundle.path("thresholds.json");
        let alone = |thresholds| Limits { thresholds, metric: None, plan: PlanLimits::default() };
        let Limits { thresholds, metric, plan } =
            match (&self.gate.thresholds, self.budget.limits(bundle, cap, &self.plan)?) {
                (Some(limits), _) => alone(Thresholds::new(limits, exits)?),
                (None, Some(limits)) => limits,
                (None, None) if file.exists() => Thresholds::read(&file, bundle)?,
                (None, None) => alone(Thresholds::deepest(exits)),
            };
        // The same number means another thing in another metric.
        if let (Some(asked), Some(limited)) = (self.gate.metric, metric)
            && asked != limited
        {
            let limited = limited.as_str();
            let expected = format!(
                "{limited}, which is what the thresholds of the bundle or of budget.average limit; give gate.thresholds \
                 too, or calibrate and solve anew: deer_vla calibrate --metric {}",
                asked.as_str()
            );
            return refuse("gate.metric", asked.as_str(), &expected);
        }
        let own = || Thresholds::read(&file, bundle).ok().and_then(|limits| limits.metric);
        let gauge = gauge(self.gate.metric.or(metric).or_else(own).unwrap_or_default(), bundle)?;
        Ok(Settings { thresholds, gauge, cap, deadline: self.gate.deadline, plan: self.plan.over(plan) })
    }
}

#[cfg(test)]
mod tests;
