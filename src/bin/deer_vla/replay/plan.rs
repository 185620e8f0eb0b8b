//! A plan that is the same at every step, as it is typed.

use std::str::FromStr;

use anyhow::bail;

/// No two actions differ by so much: this limit is met by any delta.
const ALWAYS: f64 = 1e8;
/// A limit that is never met.
const NEVER: f64 = -1.0;

/// What every step does, whatever the moment: `KEY=VALUE` pairs, separated by commas. Now there is one, the exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    exit: usize,
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut exit = None;
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("exit", number)) if exit.is_none() => {
                    exit = Some(number.parse().map_err(|_bad| format!("exit={number}: a whole number, from 0"))?);
                }
                _ => return Err(format!("{part:?}: a plan is exit=K, such as exit=2")),
            }
        }
        exit.map(|exit| Self { exit }).ok_or_else(|| "a plan is exit=K, such as exit=2".into())
    }
}

impl Plan {
    /// The thresholds that take this exit at every step of a network with so many.
    pub(super) fn thresholds(self, exits: usize) -> anyhow::Result<Vec<f64>> {
        let Self { exit } = self;
        if exit >= exits {
            bail!("--plan exit={exit}: this bundle's exits are 0 to {}", exits - 1);
        }
        let limit = |k: usize| if k < exit { NEVER } else { ALWAYS };
        Ok((0..exits - 1).map(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_takes_its_exit_whatever_the_deltas_say() {
        let plan: Plan = "exit=1".parse().unwrap();
        assert_eq!(plan.thresholds(4).unwrap(), [NEVER, ALWAYS, ALWAYS]);
        assert_eq!("exit=3".parse::<Plan>().unwrap().thresholds(4).unwrap(), [NEVER; 3]);
        assert!(plan.thresholds(1).unwrap_err().to_string().contains("exits are 0 to 0"));
    }

    #[test]
    fn what_is_no_plan_is_refused_with_an_example() {
        for text in ["", "2", "exit=two", "exit=1,exit=2", "layer=3"] {
            let error = text.parse::<Plan>().unwrap_err();
            assert!(error.contains("exit="), "{text}: {error}");
        }
    }
}
