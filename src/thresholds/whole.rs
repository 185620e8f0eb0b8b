//! A budget of the whole step and what plans did → limits of keep, skip and exits together.
//!
//! A cell says how often its plan looks at each camera and asks the network. What is left of the average is the exits':
//! the existing solver finds their thresholds on the cell's samples. Of all cells that one is taken whose actions stay
//! closest to full depth with every picture. Fixed plans (the same pictures, steps and exit whatever the moment) are
//! counted by the same function, and are candidates too: where nothing adaptive is better, a fixed one is the answer.
//! So is the same exit at every step of an adaptive plan.

use super::calibration::Calibration;
use super::plans::{Cell, Plans};
use super::solve::capped;
use super::{ALWAYS, Method, NEVER, SolveError, Thresholds, gflop, solve};
use crate::bundle::Manifest;
use crate::network::PlanLimits;

/// What the parts of a step cost, in one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct PartCosts {
    /// The language model in a step that ends at each exit.
    pub llm: Vec<f64>,
    /// A look at each camera.
    pub vision: Vec<f64>,
}

/// A plan and thresholds, and what they come to on the recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name where it does the same at every step.
    pub fixed: Option<String>,
    /// Limits of keep and skip.
    pub plan: PlanLimits,
    /// Limits of the exits, one each.
    pub limits: Vec<f64>,
    /// Of the steps at which the network is asked, the share that ends at each exit up to the cap.
    pub shares: Vec<f64>,
    /// The share of steps at which the network is asked.
    pub asked: f64,
    /// The share of steps at which each camera is looked at.
    pub looked: Vec<f64>,
    /// The mean cost of a step, skipped ones included.
    pub cost: f64,
    /// The mean over all steps of how far off the arm is from full depth with every picture ([`Cell::errors`]).
    pub error: f64,
}

/// What a budget of the whole step comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// The least error within the average.
    pub best: Planned,
    /// The fixed plan with the least error within it, if one is.
    pub fixed: Option<Planned>,
}

impl PartCosts {
    /// In GFLOP. Cameras that share one encoder cost what it does, at the last of them.
    pub fn in_gflop(manifest: &Manifest) -> Self {
        let parts = manifest.parts.vision.iter().map(|part| part.macs as f64 / 1e9);
        let none = manifest.cameras.len().saturating_sub(manifest.parts.vision.len());
        Self { llm: gflop(manifest), vision: vec![0.0; none].into_iter().chain(parts).collect() }
    }

    /// Of a step that looks at these cameras and ends at `exit`.
    pub fn step(&self, exit: usize, looks: impl Fn(usize) -> bool) -> f64 {
        let seen = self.vision.iter().enumerate().filter(|(camera, _)| looks(*camera));
        self.llm[exit] + seen.map(|(_, cost)| cost).sum::<f64>()
    }
}

impl Planned {
    /// The exits' limits as the policy takes them.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds(self.limits.iter().map(|&limit| limit as f32).collect())
    }

    /// The same limits on other plans of the bundle; `None` where they tried no such plan.
    pub fn on(&self, plans: &Plans, costs: &PartCosts) -> Option<Self> {
        let cell = plans.cells.iter().find(|cell| cell.limits == self.plan)?;
        let limits = self.limits[..self.shares.len()].to_vec();
        Some(Self { fixed: self.fixed.clone(), ..Self::of(cell, &plans.table(cell), costs, limits) })
    }

    /// What a cell with these exit limits, one each up to the cap, comes to: adaptive and fixed alike.
    fn of(cell: &Cell, table: &Calibration, costs: &PartCosts, limits: Vec<f64>) -> Self {
        let (asked, looked): (f64, Vec<f64>) = (cell.asked(), cell.looked().collect());
        let vision: f64 = looked.iter().zip(&costs.vision).map(|(share, cost)| share * cost).sum();
        let cost = vision + asked * table.mean_cost(&limits, &costs.llm[..limits.len()]);
        let error = asked * table.mean_error(&limits).unwrap_or(f64::INFINITY);
        let (shares, fixed) = (table.shares(&limits), cell.fixed.clone());
        let limits = capped(limits.clone(), limits.len() - 1, costs.llm.len());
        Self { fixed, plan: cell.limits, limits, shares, asked, looked, cost, error }
    }
}

/// The plan and thresholds with the least error whose mean cost of a whole step is at most `average`; `costs` and
/// `average` are in the same unit, and no step goes beyond exit `cap`.
///
/// # Errors
/// `Infeasible` with the least that any plan costs; `Costs`.
pub fn solve_whole(
    plans: &Plans,
    costs: &PartCosts,
    cap: usize,
    average: f64,
    method: Method,
) -> Result<Whole, SolveError> {
    let exits = plans.exits.len();
    if costs.llm.len() != exits || cap >= exits {
        return Err(SolveError::Costs { found: costs.llm.len(), exits });
    }
    let within = |planned: &Planned| planned.cost <= average * (1.0 + 1e-9);
    let (mut adaptive, mut fixed) = (Vec::new(), Vec::new());
    for cell in &plans.cells {
        let table = plans.table(cell);
        adaptive.extend(gated(cell, &table, costs, cap, average, method)?);
        let limits = |exit: usize| (0..=cap).map(|k| if k < exit { NEVER } else { ALWAYS }).collect();
        for exit in 0..=cap {
            let mut planned = Planned::of(cell, &table, costs, limits(exit));
            match &mut planned.fixed {
                Some(name) => {
                    *name += &format!(", exit {exit}");
                    fixed.push(planned);
                }
                None => adaptive.push(planned),
            }
        }
    }
    let least = fixed.iter().chain(&adaptive).map(|planned| planned.cost).fold(f64::INFINITY, f64::min);
    let fixed = fixed.into_iter().filter(within).min_by(|a, b| a.error.total_cmp(&b.error));
    let all = adaptive.into_iter().filter(within).chain(fixed.clone());
    match all.min_by(|a, b| a.error.total_cmp(&b.error)) {
        Some(best) => Ok(Whole { best, fixed }),
        None => Err(SolveError::Infeasible { found: average, method: method.as_str(), nearest: least }),
    }
}

/// A cell with thresholds for what it leaves of the average; `None` where that is less than its first exit costs.
fn gated(
    cell: &Cell,
    table: &Calibration,
    costs: &PartCosts,
    cap: usize,
    average: f64,
    method: Method,
) -> Result<Option<Planned>, SolveError> {
    /// Shares are whole numbers of samples, and their rounding costs a little: so much less is asked for instead.
    const TRIES: u32 = 4;
    let free = Planned::of(cell, table, &PartCosts { llm: vec![0.0; costs.llm.len()], ..costs.clone() }, vec![ALWAYS]);
    let left = (average - free.cost) / cell.asked();
    let mut wanted = left;
    for _ in 0..TRIES {
        let solution = match solve(table, &costs.llm, cap, Some(wanted), method) {
            // The shares do not reach every average.
            Err(SolveError::Infeasible { .. }) => return Ok(None),
            solution => solution?,
        };
        if solution.expected <= left * (1.0 + 1e-9) {
            let limits = solution.limits[..=cap].to_vec();
            let planned = Planned::of(cell, table, costs, limits);
            return Ok(Some(Planned { fixed: None, ..planned }));
        }
        wanted = solution.wanted.min(wanted) - (solution.expected - left);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Metric;
    use crate::thresholds::{PLANS_SCHEMA, Shares};
    use proptest::prelude::*;

    const EXP: Method = Method::Shares(Shares::Exp);

    fn costs() -> PartCosts {
        PartCosts { llm: vec![1.0, 2.0, 4.0], vision: vec![2.0, 2.0] }
    }

    fn cell(
        fixed: Option<&str>,
        [steps, skipped, first, second]: [u64; 4],
        deltas: [Vec<f64>; 3],
        errors: [Vec<f64>; 3],
    ) -> Cell {
        Cell {
            fixed: fixed.map(str::to_owned),
            limits: PlanLimits { keep_change: steps as f32, ..PlanLimits::default() },
            steps,
            skipped,
            looks: vec![first, second],
            deltas: deltas.into(),
            errors: errors.into(),
        }
    }

    fn plans(cells: Vec<Cell>) -> Plans {
        let (manifest_sha256, recordings_sha256) = (String::new(), String::new());
        Plans {
            schema: PLANS_SCHEMA,
            manifest_sha256,
            metric: Metric::Rms,
            seed: 0,
            recordings_sha256,
            exits: vec![1, 3, 5],
            cells,
        }
    }

    /// Of one sample: exit 0 is off by `first`, the second by half of it, the last by nothing.
    fn one(fixed: Option<&str>, counts: [u64; 4], first: f64) -> Cell {
        cell(fixed, counts, [vec![0.5], vec![0.2], vec![0.1]], [vec![first], vec![first / 2.0], vec![0.0]])
    }

    #[test]
    fn fixed_and_adaptive_plans_are_counted_by_the_same_sums() {
        // Half of the steps skipped, one camera looked at whenever the network is asked, the other half as often.
        let whole = |fixed| solve_whole(&plans(vec![one(fixed, [8, 4, 4, 2], 0.8)]), &costs(), 2, 9.0, EXP).unwrap();
        let (named, nameless) = (whole(Some("every 2nd step")), whole(None));
        let fixed = named.fixed.unwrap();
        assert_eq!(fixed.fixed.as_deref(), Some("every 2nd step, exit 2"));
        assert_eq!((fixed.cost, fixed.error), (0.5 * 4.0 + 0.5 * 2.0 + 0.25 * 2.0, 0.0));
        assert_eq!(nameless.fixed, None);
        assert_eq!(
            (nameless.best.cost, nameless.best.error, &nameless.best.looked),
            (fixed.cost, fixed.error, &fixed.looked)
        );
    }

    #[test]
    fn the_least_error_within_the_average_is_taken() {
        let cells = || vec![one(Some("every picture"), [8, 0, 8, 8], 0.1), one(None, [8, 6, 2, 2], 0.3)];
        // Every step in full costs 4 for pictures: 5, 6 or 8. A quarter of them: a quarter of that.
        let at = |average| solve_whole(&plans(cells()), &costs(), 2, average, EXP).unwrap();
        assert_eq!((at(8.0).best.cost, at(8.0).best.error), (8.0, 0.0));
        let Whole { best, fixed } = at(5.0);
        assert_eq!((best.cost, best.error, best.asked), (2.0, 0.0, 0.25));
        assert_eq!((fixed.as_ref().unwrap().cost, fixed.unwrap().error), (5.0, 0.1));
        let error = solve_whole(&plans(cells()), &costs(), 2, 0.5, EXP).unwrap_err();
        assert!(error.to_string().contains("nearest that can is 1.25"), "{error}");
    }

    #[test]
    fn no_step_goes_beyond_the_cap() {
        let Whole { best, .. } =
            solve_whole(&plans(vec![one(None, [8, 0, 8, 8], 0.1)]), &costs(), 1, 100.0, EXP).unwrap();
        assert_eq!((best.cost, &best.limits[1..]), (6.0, &[ALWAYS, f64::INFINITY][..]));
    }

    fn tables() -> impl Strategy<Value = Vec<Cell>> {
        let rows = |n| prop::array::uniform3(prop::collection::vec(0.0..1.0f64, n));
        let one = (1usize..40, 0u64..30, 0u64..=20, any::<bool>()).prop_flat_map(move |(n, skipped, looks, fixed)| {
            (rows(n), rows(n)).prop_map(move |(deltas, errors)| {
                let steps = 20 + skipped;
                cell(fixed.then_some("fixed"), [steps, skipped, looks, 20], deltas, errors)
            })
        });
        prop::collection::vec(one, 1..5)
    }

    proptest! {
        #[test]
        fn a_budget_is_met_on_the_recordings_and_no_fixed_plan_within_it_is_better(
            cells in tables(), average in 1.0..9.0f64, direct in any::<bool>()
        ) {
            let method = if direct { Method::Direct } else { EXP };
            match solve_whole(&plans(cells), &costs(), 2, average, method) {
                Ok(Whole { best, fixed }) => {
                    prop_assert!(best.cost <= average * (1.0 + 1e-6), "{} for {average}", best.cost);
                    prop_assert!(fixed.is_none_or(|fixed| fixed.error >= best.error && fixed.cost <= average * (1.0 + 1e-6)));
                }
                Err(SolveError::Infeasible { nearest, .. }) => prop_assert!(nearest > average),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
