//! A plan as it is typed: the exit of every step, and what need not be done.

use std::str::FromStr;

use anyhow::bail;
use deer_vla::config::{RawConfig, RawPlan};
use serde_json::{Map, Value};

/// No two actions differ by so much: this limit is met by any delta.
const ALWAYS: f64 = 1e8;
/// A limit that is never met.
const NEVER: f64 = -1.0;

/// `KEY=VALUE` pairs, separated by commas: `exit`, at which every step stops, and parameters of `plan.*`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    exit: Option<usize>,
    limits: RawPlan,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut exit, mut limits) = (None, Map::new());
        for part in text.split(',') {
            let Some((key, number)) = part.split_once('=') else {
                return Err(format!("{part:?}: a plan is KEY=VALUE,…, such as exit=2 or skip_delta=0.1,max_skips=3"));
            };
            let twice = if key == "exit" {
                exit.replace(number.parse().map_err(|_bad| format!("exit={number}: a whole number, from 0"))?).is_some()
            } else {
                let value: Value = number.parse().map_err(|_bad| format!("{part}: a number"))?;
                limits.insert(key.into(), value).is_some()
            };
            if twice {
                return Err(format!("{key}= stands twice"));
            }
        }
        let limits = serde_json::from_value(Value::Object(limits)).map_err(|error| format!("exit=K, or: {error}"))?;
        Ok(Self { exit, limits })
    }
}

impl Plan {
    /// Puts it into the configuration of a network with so many exits.
    ///
    /// # Errors
    /// When there is no such exit, or thresholds or an average say already where steps stop.
    pub(super) fn ask(&self, raw: &mut RawConfig, exits: usize) -> anyhow::Result<()> {
        raw.plan = self.limits.clone();
        let Some(exit) = self.exit else { return Ok(()) };
        if exit >= exits {
            bail!("--plan exit={exit}: this bundle's exits are 0 to {}", exits - 1);
        }
        if !raw.gate.thresholds.is_empty() || raw.budget.average != 0.0 {
            bail!("--plan exit={exit}: --thresholds and --average say where a step stops, too; give one of them");
        }
        let limit = |k: usize| if k < exit { NEVER } else { ALWAYS };
        raw.gate.thresholds = (0..exits - 1).map(limit).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, exits: usize) -> anyhow::Result<RawConfig> {
        let mut raw = RawConfig::default();
        let plan: Plan = text.parse().map_err(anyhow::Error::msg)?;
        plan.ask(&mut raw, exits)?;
        Ok(raw)
    }

    #[test]
    fn a_plan_takes_its_exit_whatever_the_deltas_say() {
        assert_eq!(asked("exit=1", 4).unwrap().gate.thresholds, [NEVER, ALWAYS, ALWAYS]);
        assert_eq!(asked("exit=3", 4).unwrap().gate.thresholds, [NEVER; 3]);
        assert!(asked("exit=1", 1).unwrap_err().to_string().contains("exits are 0 to 0"));
    }

    #[test]
    fn a_plan_sets_limits_of_what_is_spared_and_leaves_the_others() {
        let raw = asked("skip_delta=2,max_skips=3", 4).unwrap();
        assert_eq!(raw.plan, RawPlan { skip_delta: 2.0, max_skips: 3, ..RawPlan::default() });
        assert!(raw.gate.thresholds.is_empty(), "thresholds stay what they are");
    }

    #[test]
    fn what_is_no_plan_is_refused_with_an_example() {
        for text in ["", "2", "exit=two", "exit=1,exit=2", "layer=3", "max_skips=2.5", "keep_change=much"] {
            let error = asked(text, 4).unwrap_err().to_string();
            assert!(error.contains('='), "{text}: {error}");
        }
        assert!(asked("layer=3", 4).unwrap_err().to_string().contains("skip_delta"));
    }
}
