//! What one control step came to, and where its time went.

use std::time::Duration;

use serde::Serialize;

use super::{Metric, Plan, Reason};

/// What one control step came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The exit that was taken; of a skipped step, that of the action which goes on.
    pub exit: usize,
    /// The layer that it stands at.
    pub layer: usize,
    /// Why it was taken.
    pub reason: Reason,
    /// What the deltas are.
    pub metric: Metric,
    /// The delta at each exit that was visited.
    pub deltas: Vec<f32>,
    /// The limit at each of them.
    pub thresholds: Vec<f32>,
    /// Six arm outputs, -1..1.
    pub arm: [f32; 6],
    /// Probability that the gripper is open.
    pub gripper: f32,
    /// What was looked at, and what was spared.
    pub plan: Plan,
    /// Where the time went.
    pub timing: Timing,
}

impl Step {
    /// The exit that the network ran to; `None` where it was not asked.
    pub fn ran_to(&self) -> Option<usize> {
        (self.reason != Reason::Skipped).then_some(self.exit)
    }
}

/// Milliseconds by part.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Timing {
    /// Encoders and resampler.
    pub vision_ms: f64,
    /// Each stage that ran.
    pub stage_ms: Vec<f64>,
    /// All head calls together.
    pub head_ms: f64,
}

impl Timing {
    /// All parts together.
    pub fn total_ms(&self) -> f64 {
        self.vision_ms + self.stage_ms.iter().sum::<f64>() + self.head_ms
    }
}

/// Laps of the caller's watch.
pub(super) struct Lap<'a> {
    elapsed: &'a mut dyn FnMut() -> Duration,
    pub(super) now: Duration,
}

impl<'a> Lap<'a> {
    pub(super) fn start(elapsed: &'a mut dyn FnMut() -> Duration) -> Self {
        let now = elapsed();
        Self { elapsed, now }
    }

    pub(super) fn next_ms(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.now, (self.elapsed)());
        self.now.saturating_sub(before).as_secs_f64() * 1e3
    }
}
