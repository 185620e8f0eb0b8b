//! `plan.*`: limits that a user sets, in the place of those that were solved.

use super::{ConfigError, RawPlan, number, refuse};
use crate::thresholds::GivenPlan;

impl RawPlan {
    pub(super) fn check(&self) -> Result<GivenPlan, ConfigError> {
        let steps = |parameter, value: i64| match u32::try_from(value) {
            Ok(steps) if steps <= 100 => Ok(Some(steps)),
            _ if value == -1 => Ok(None),
            _ => refuse(parameter, value, "0 to 100, or -1 for what was solved with the thresholds"),
        };
        Ok(GivenPlan {
            keep_change: limit("plan.keep_change", self.keep_change, 1.0)?,
            // No two actions differ by more than 2.
            skip_delta: limit("plan.skip_delta", self.skip_delta, 2.0)?,
            skip_change: limit("plan.skip_change", self.skip_change, 1.0)?,
            max_age: steps("plan.max_age", self.max_age)?,
            max_skips: steps("plan.max_skips", self.max_skips)?,
            first_steps: steps("plan.first_steps", self.first_steps)?,
        })
    }
}

/// -1 leaves it to the thresholds.
fn limit(parameter: &'static str, value: f64, most: f64) -> Result<Option<f32>, ConfigError> {
    if value == -1.0 { Ok(None) } else { Ok(Some(number(parameter, value, 0.0, most)? as f32)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::PlanLimits;

    #[test]
    fn what_the_user_sets_takes_the_place_of_what_was_solved_one_by_one() {
        let solved = PlanLimits { keep_change: 0.04, skip_delta: 0.06, ..PlanLimits::default() };
        assert_eq!(RawPlan::default().check().unwrap().over(solved), solved);
        let given = RawPlan { keep_change: 0.0, max_skips: 1, ..RawPlan::default() }.check().unwrap();
        assert_eq!(given.over(solved), PlanLimits { keep_change: 0.0, max_skips: 1, ..solved });
    }

    #[test]
    fn what_is_no_limit_is_refused_by_name() {
        let refusal = |raw: RawPlan| raw.check().unwrap_err().to_string();
        assert!(refusal(RawPlan { skip_delta: -0.5, ..RawPlan::default() }).contains("plan.skip_delta is -0.5"));
        assert!(refusal(RawPlan { max_age: -2, ..RawPlan::default() }).contains("plan.max_age is -2"));
    }
}
