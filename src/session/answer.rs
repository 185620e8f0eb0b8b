//! What the robot is told, and why: one record for the node's `~/decision`, for `deer_vla replay` and for reports.

use serde::Serialize;

use crate::motion::{Grip, Twist};
use crate::network::Step;
use crate::safety::{Hold, State, Verdict};
use crate::units::Stamp;

/// What decides: printed with every decision.
#[derive(Debug, Clone, Serialize)]
pub struct Identity {
    /// The bundle's name.
    pub bundle: String,
    /// SHA-256 of its manifest.
    pub bundle_sha256: String,
    /// What computes.
    pub provider: String,
}

/// What the robot is told, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// When, on the robot's clock.
    pub stamp: Stamp,
    /// What became of the step.
    pub verdict: Verdict,
    /// Whether motion is allowed.
    pub state: State,
    /// Why, for people; empty when it acts.
    pub message: String,
    /// Counts instructions; 0 before the first.
    pub epoch: u64,
    /// Counts the network's steps within the epoch.
    pub step: u64,
    /// The sentence.
    pub instruction: String,
    /// Camera roles and when their pictures were taken.
    pub frames: Vec<(String, Option<Stamp>)>,
    /// What the network decided, where it was asked.
    pub decision: Option<Step>,
    /// The mean velocity of this control period: zero on hold.
    pub twist: Twist,
    /// The gripper command, where it changes.
    pub grip: Option<Grip>,
    /// Dimensions that were cut to the network's range; `speed` and `turn` where a limit cut the motion.
    pub clips: Vec<String>,
    /// How far the speed limits keep the arm from where the network wanted it in this period (m, rad).
    pub cut: [f64; 2],
    /// So much of what was ordered since the last answer will not be carried out, because of a halt or because actions
    /// came too fast (m, rad).
    pub dropped: [f64; 2],
    /// Why the last order was not carried out, where it was refused since the last answer.
    pub refused: Option<String>,
    /// From the start of the step to here, in milliseconds.
    pub total_ms: f64,
    /// From the newest picture's arrival to the order, less the network's own time, in milliseconds.
    #[serde(skip)]
    pub overhead_ms: Option<f64>,
    /// What decided.
    #[serde(flatten)]
    pub identity: Identity,
}

impl Answer {
    /// The same moment of the same epoch, halted at `now` by whoever does not know more of it.
    pub fn halted(self, now: Stamp, state: State, hold: &Hold) -> Self {
        Self {
            stamp: now,
            verdict: hold.verdict,
            state,
            message: hold.message.clone(),
            decision: None,
            twist: Twist::default(),
            grip: None,
            clips: Vec::new(),
            cut: [0.0; 2],
            dropped: [0.0; 2],
            refused: None,
            total_ms: 0.0,
            overhead_ms: None,
            ..self
        }
    }

    /// The record as names and texts, for a message that carries nothing else. Lists are separated by blanks; what is
    /// not there is left out.
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: String| fields.push((name.to_owned(), value));
        put("stamp", self.stamp.to_string());
        put("verdict", self.verdict.as_str().to_owned());
        put("state", self.state.as_str().to_owned());
        put("epoch", self.epoch.to_string());
        put("step", self.step.to_string());
        put("instruction", self.instruction.clone());
        for (role, stamp) in &self.frames {
            put(&format!("stamp_{role}"), stamp.map_or_else(String::new, |stamp| stamp.to_string()));
        }
        if let Some(step) = &self.decision {
            put("exit", step.exit.to_string());
            put("layer", step.layer.to_string());
            put("reason", step.reason.as_str().to_owned());
            put("metric", step.metric.as_str().to_owned());
            put("deltas", list(&step.deltas));
            put("thresholds", list(&step.thresholds));
            put("arm", list(step.arm));
            put("gripper", step.gripper.to_string());
            let plan = &step.plan;
            let camera = |looks: bool| if looks { "look" } else { "keep" };
            let cameras = plan.cameras.iter().map(|planned| camera(planned.look));
            put("plan", if plan.skip { "skip".to_owned() } else { list(cameras) });
            for ((role, _), planned) in self.frames.iter().zip(&plan.cameras) {
                put(&format!("seen_{role}"), planned.seen.to_string());
                put(&format!("age_{role}"), planned.age.to_string());
                if let Some(change) = planned.change {
                    put(&format!("change_{role}"), change.to_string());
                }
            }
            put("skips", plan.skips.to_string());
            put("foreseen", plan.foreseen.to_string());
            if let Some(delta) = plan.delta {
                put("action_delta", delta.to_string());
            }
            if let Some(because) = plan.because {
                put("plan_because", because.to_owned());
            }
            put("keep_change", plan.limits.keep_change.to_string());
            put("skip_delta", plan.limits.skip_delta.to_string());
            put("skip_change", plan.limits.skip_change.to_string());
            put("vision_ms", format!("{:.3}", step.timing.vision_ms));
            put("stage_ms", list(step.timing.stage_ms.iter().map(|ms| format!("{ms:.3}"))));
            put("head_ms", format!("{:.3}", step.timing.head_ms));
        }
        put("twist", list(self.twist.linear.iter().chain(&self.twist.angular)));
        if let Some(grip) = self.grip {
            put("grip", grip.as_str().to_owned());
        }
        put("clips", self.clips.join(" "));
        put("cut_m", self.cut[0].to_string());
        put("cut_rad", self.cut[1].to_string());
        put("dropped_m", self.dropped[0].to_string());
        put("dropped_rad", self.dropped[1].to_string());
        if let Some(refused) = &self.refused {
            put("refused", refused.clone());
        }
        put("total_ms", format!("{:.3}", self.total_ms));
        if let Some(overhead_ms) = self.overhead_ms {
            put("overhead_ms", format!("{overhead_ms:.3}"));
        }
        put("bundle", self.identity.bundle.clone());
        put("bundle_sha256", self.identity.bundle_sha256.clone());
        put("provider", self.identity.provider.clone());
        fields
    }
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" ")
}
