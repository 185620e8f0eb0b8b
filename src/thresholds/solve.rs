//! A budget and a calibration → thresholds.

use super::calibration::Calibration;
use super::{ALWAYS, NEVER, Shares, Thresholds, assign, direct};

/// How thresholds follow from the average budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The paper's: a family of shares whose parameter meets the budget, and the greedy assignment.
    Shares(Shares),
    /// Least action error against full depth within the budget.
    Direct,
}

impl Method {
    /// `exp`, `gauss`, `gamma` or `direct`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shares(shares) => shares.as_str(),
            Self::Direct => "direct",
        }
    }
}

/// What was solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// One an exit: negative where it is never taken, 1e8 at a cap that is not the last exit (so the cap holds whatever
    /// other budgets the policy runs with), infinite for the last.
    pub limits: Vec<f64>,
    /// The parameter of the shares; `None` where there was nothing to share out.
    pub ratio: Option<f64>,
    /// The mean cost that the shares have in theory; the budget, unless that is above full depth.
    pub wanted: f64,
    /// The mean cost that the limits have on the calibration.
    pub expected: f64,
    /// The mean error that they have there, against full depth; `None` where the calibration holds no errors.
    pub error: Option<f64>,
    /// The share of the calibration's samples that ends at each exit up to the cap.
    pub shares: Vec<f64>,
}

impl Solution {
    /// The limits as the policy takes them.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds(self.limits.iter().map(|&limit| limit as f32).collect())
    }
}

/// Why a budget has no thresholds.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SolveError {
    /// Nothing costs so little, or the family of shares does not reach it.
    #[error("an average of {found} cannot be met with {method}; the nearest that can is {nearest}")]
    Infeasible {
        /// The budget.
        found: f64,
        /// By which method.
        method: &'static str,
        /// In the same unit.
        nearest: f64,
    },
    /// The calibration lacks what the method needs.
    #[error("the calibration has no errors, which --method direct minimises; calibrate again with this deer_vla")]
    NoErrors,
    /// Not one cost an exit.
    #[error("{found} costs for {exits} exits")]
    Costs {
        /// How many there are.
        found: usize,
        /// How many exits.
        exits: usize,
    },
}

/// Thresholds whose mean cost is `average`; `costs` are those of a step that ends at each exit, in the same unit.
///
/// An average from the cap's own cost on is full depth.
///
/// # Errors
/// [`SolveError`].
pub fn solve(
    calibration: &Calibration,
    costs: &[f64],
    cap: usize,
    average: Option<f64>,
    method: Method,
) -> Result<Solution, SolveError> {
    let exits = calibration.exits.len();
    if costs.len() != exits || cap >= exits {
        return Err(SolveError::Costs { found: costs.len(), exits });
    }
    let below = &costs[..=cap];
    let average = average.unwrap_or(f64::INFINITY).min(costs[cap]);
    if average < costs[0] * (1.0 - 1e-9) {
        return Err(SolveError::Infeasible { found: average, method: method.as_str(), nearest: costs[0] });
    }
    let (mut limits, ratio) = match method {
        _ if average >= costs[cap] => (vec![NEVER; cap + 1], None),
        Method::Direct if calibration.errors.is_empty() => return Err(SolveError::NoErrors),
        Method::Direct => (direct(calibration, below, average), None),
        Method::Shares(family) => {
            let infeasible = |nearest| SolveError::Infeasible { found: average, method: family.as_str(), nearest };
            let ratio = family.ratio_for(below, average).map_err(infeasible)?;
            (assign(calibration, &family.of(cap + 1, ratio)), Some(ratio))
        }
    };
    limits.truncate(cap + 1);
    let (expected, shares) = (calibration.mean_cost(&limits, below), calibration.shares(&limits));
    let error = calibration.mean_error(&limits);
    let limits = capped(limits, cap, exits);
    Ok(Solution { limits, ratio, wanted: average, expected, error, shares })
}

/// Limits up to the cap, which ends every step, made into one an exit.
pub(super) fn capped(mut limits: Vec<f64>, cap: usize, exits: usize) -> Vec<f64> {
    limits.truncate(cap);
    limits.push(ALWAYS);
    limits.resize(exits, NEVER);
    limits[exits - 1] = f64::INFINITY;
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let spread = |k: usize| (0..1000).map(move |s| ((s * 7919 + k * 331) % 1009) as f64 / 1009.0);
        let deltas: Vec<Vec<f64>> = (0..4).map(|k| spread(k).collect()).collect();
        let errors: Vec<Vec<f64>> = (0..4).map(|k| spread(k).map(|d| d * (3 - k) as f64).collect()).collect();
        let json = serde_json::json!({"schema": 1, "exits": [1, 3, 5, 7], "deltas": deltas, "errors": errors});
        serde_json::from_value(json).unwrap()
    }

    const COSTS: [f64; 4] = [1.0, 2.0, 3.0, 4.0];
    const EXP: Method = Method::Shares(Shares::Exp);

    #[test]
    fn every_method_meets_the_budget_on_its_own_table_within_a_hundredth() {
        for method in [EXP, Method::Shares(Shares::Gauss), Method::Shares(Shares::Gamma), Method::Direct] {
            let solution = solve(&calibration(), &COSTS, 3, Some(2.5), method).unwrap();
            assert!((solution.expected / 2.5 - 1.0).abs() < 0.01, "{method:?}: {}", solution.expected);
            assert!((solution.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_cap_ends_every_step() {
        let solution = solve(&calibration(), &COSTS, 1, Some(1.5), EXP).unwrap();
        assert_eq!(solution.shares.len(), 2);
        assert_eq!(solution.limits[1..], [ALWAYS, NEVER, f64::INFINITY]);
        assert!((solution.expected - 1.5).abs() < 0.01);
    }

    #[test]
    fn no_average_or_one_beyond_full_depth_is_full_depth() {
        for average in [None, Some(4.0), Some(40.0)] {
            let solution = solve(&calibration(), &COSTS, 3, average, EXP).unwrap();
            assert_eq!((solution.expected, solution.ratio), (4.0, None));
        }
    }

    #[test]
    fn a_budget_below_the_first_exit_names_the_nearest_feasible_one() {
        let error = solve(&calibration(), &COSTS, 3, Some(0.4), EXP).unwrap_err();
        assert_eq!(error.to_string(), "an average of 0.4 cannot be met with exp; the nearest that can is 1");
    }

    #[test]
    fn without_errors_there_is_no_direct_solution() {
        let mut table = calibration();
        table.errors.clear();
        assert_eq!(solve(&table, &COSTS, 3, Some(2.0), Method::Direct), Err(SolveError::NoErrors));
    }
}
