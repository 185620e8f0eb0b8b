//! Limits of a plan that a user sets, in the place of those that were solved.

use crate::network::PlanLimits;

/// Limits of a plan; `None` where they are left to whatever the thresholds are from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs, reason = "as in PlanLimits")]
pub struct GivenPlan {
    pub keep_change: Option<f32>,
    pub skip_delta: Option<f32>,
    pub skip_change: Option<f32>,
    pub max_age: Option<u32>,
    pub max_skips: Option<u32>,
    pub first_steps: Option<u32>,
}

impl GivenPlan {
    /// Where the user says nothing, `solved` stands.
    pub fn over(self, solved: PlanLimits) -> PlanLimits {
        PlanLimits {
            keep_change: self.keep_change.unwrap_or(solved.keep_change),
            skip_delta: self.skip_delta.unwrap_or(solved.skip_delta),
            skip_change: self.skip_change.unwrap_or(solved.skip_change),
            max_age: self.max_age.unwrap_or(solved.max_age),
            max_skips: self.max_skips.unwrap_or(solved.max_skips),
            first_steps: self.first_steps.unwrap_or(solved.first_steps),
        }
    }
}
