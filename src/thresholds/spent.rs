//! What whole steps cost lately, and limits that keep their average at the budget.

use std::collections::VecDeque;

use super::{Limits, Method, PartCosts, Plans, Shares, solve_whole};
use crate::network::Step;

/// Steps that are looked back on.
pub(super) const STEPS: usize = 240;
/// The share of what the last steps cost beyond the budget that one trim takes off what is asked of the solver.
pub(super) const TRIM: f64 = 0.5;

/// The last steps' costs, beside the budget of the whole step.
pub(super) struct Spent {
    plans: Plans,
    costs: PartCosts,
    cap: usize,
    /// In GFLOP, as are all averages here.
    budget: f64,
    /// What the solver is asked for, so that the budget is what comes out; `None` where nothing is trimmed.
    asked: Option<f64>,
    recent: VecDeque<f64>,
}

impl Spent {
    pub(super) fn new(plans: Plans, costs: PartCosts, cap: usize, budget: f64, held: bool) -> Self {
        Self { plans, costs, cap, budget, asked: held.then_some(budget), recent: VecDeque::new() }
    }

    /// Counts a step, skipped or not. Where the budget is held and enough steps were seen, gives the limits to go on with.
    pub(super) fn step(&mut self, step: &Step) -> Option<Limits> {
        let cost = step.ran_to().map_or(0.0, |exit| self.costs.step(exit, |camera| step.plan.looks(camera)));
        self.recent.push_back(cost);
        if self.recent.len() > STEPS {
            self.recent.pop_front();
        }
        let (asked, measured) = (self.asked?, self.average()?);
        self.recent.clear();
        // As with the exits alone, differences are added up, and a debt is no larger than full steps could make it.
        let most = self.costs.step(self.cap, |_| true);
        let next = (asked + TRIM * (self.budget - measured)).clamp(-most, 2.0 * most);
        self.asked = Some(next);
        // Below what any plan costs the cheapest stays.
        let solved = |average| solve_whole(&self.plans, &self.costs, self.cap, average, Method::Shares(Shares::Exp));
        let best = match solved(next) {
            Err(super::SolveError::Infeasible { nearest, .. }) => solved(nearest),
            solved => solved,
        };
        let best = best.ok()?.best;
        Some(Limits { thresholds: best.thresholds(), metric: Some(self.plans.metric), plan: best.plan })
    }

    pub(super) fn budget(&self) -> f64 {
        self.budget
    }

    /// Over the last 240 steps; `None` before there were as many.
    pub(super) fn average(&self) -> Option<f64> {
        (self.recent.len() == STEPS).then(|| self.recent.iter().sum::<f64>() / STEPS as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Metric, Plan, PlanLimits, Reason, Timing};
    use crate::thresholds::Cell;

    /// Cells that ask the network at every step, and at every second, of exits that cost 1, 2 and 4 and two looks at 1.
    fn plans() -> Plans {
        let mut random = fastrand::Rng::with_seed(1);
        let mut cell = |skip_delta: f32, skipped: u64| {
            let mut rows = |scale: f64| (0..300).map(|_| scale * random.f64()).collect::<Vec<f64>>();
            let deltas = (0..3).map(|_| rows(1.0)).collect();
            let errors = [0.2, 0.1, 0.01].map(|scale| rows(scale + f64::from(skip_delta))).to_vec();
            let limits = PlanLimits { skip_delta, ..PlanLimits::default() };
            let looks = vec![600 - skipped; 2];
            Cell { fixed: None, limits, steps: 600, skipped, looks, deltas, errors }
        };
        let cells = vec![cell(0.0, 0), cell(0.1, 300)];
        let (manifest_sha256, recordings_sha256) = (String::new(), String::new());
        Plans {
            schema: 1,
            manifest_sha256,
            metric: Metric::Rms,
            seed: 0,
            recordings_sha256,
            exits: vec![1, 3, 5],
            cells,
        }
    }

    fn costs() -> PartCosts {
        PartCosts { llm: vec![1.0, 2.0, 4.0], vision: vec![1.0, 1.0] }
    }

    /// A step under `limits` of a world whose deltas are `scale` times as large as in the plans.
    fn step(limits: &Limits, number: usize, random: &mut fastrand::Rng, scale: f64) -> Step {
        let exit = (0..2).find(|&k| scale * random.f64() <= f64::from(limits.thresholds.limit(k, 2))).unwrap_or(2);
        let skip = limits.plan.skip_delta > 0.0 && number % 2 == 1;
        let reason = if skip { Reason::Skipped } else { Reason::Agreed };
        let (deltas, thresholds, timing) = (Vec::new(), Vec::new(), Timing::default());
        let plan = Plan { skip, ..Plan::look(2) };
        Step {
            exit,
            layer: 0,
            reason,
            metric: Metric::Rms,
            deltas,
            thresholds,
            arm: [0.0; 6],
            gripper: 0.0,
            plan,
            timing,
        }
    }

    #[test]
    fn a_held_average_of_the_whole_step_comes_back_to_the_budget_where_the_world_is_not_as_recorded() {
        for (budget, scale) in [(2.2, 1.0), (2.2, 1.4), (4.0, 1.4), (4.0, 0.8)] {
            let mut spent = Spent::new(plans(), costs(), 2, budget, true);
            let whole = solve_whole(&plans(), &costs(), 2, budget, Method::Shares(Shares::Exp)).unwrap().best;
            let mut limits = Limits { thresholds: whole.thresholds(), metric: None, plan: whole.plan };
            let mut random = fastrand::Rng::with_seed(3);
            let (mut cost, mut counted) = (0.0, 0);
            for number in 0..60 * STEPS {
                let step = step(&limits, number, &mut random, scale);
                if number >= 10 * STEPS {
                    cost += step.ran_to().map_or(0.0, |exit| costs().step(exit, |_| true));
                    counted += 1;
                }
                if let Some(next) = spent.step(&step) {
                    limits = next;
                }
            }
            let average = cost / f64::from(counted);
            assert!((average / budget - 1.0).abs() < 0.03, "{budget} at {scale}: {average}");
        }
    }

    #[test]
    fn skipped_steps_count_as_nothing_and_nothing_is_trimmed_unasked() {
        let mut spent = Spent::new(plans(), costs(), 2, 4.0, false);
        let always = Limits {
            thresholds: super::super::Thresholds::new(&[2.0, 2.0], 3).unwrap(),
            metric: None,
            plan: PlanLimits { skip_delta: 0.1, ..PlanLimits::default() },
        };
        let mut random = fastrand::Rng::with_seed(3);
        for number in 0..STEPS {
            assert_eq!(spent.average(), None);
            assert_eq!(spent.step(&step(&always, number, &mut random, 1.0)), None);
        }
        assert_eq!(spent.average(), Some(1.5), "half of the steps cost 3");
    }
}
