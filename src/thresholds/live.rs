//! While it runs: are the exits taken those that the calibration expects, and does the average stay at its budget?

use std::collections::VecDeque;

use super::spent::{STEPS, Spent, TRIM};
use super::{Calibration, GivenPlan, Limits, Method, PartCosts, Plans, Scope, Shares, Thresholds, gflop, solve};
use crate::bundle::Bundle;
use crate::network::{Metric, PlanLimits, Settings, Step};

/// Frames of a calibration's window that are samples.
const SAMPLES_PER_WINDOW: usize = 6;
/// A band needs a calibration that is so many times as long as what is looked back on.
const RUNS: usize = 10;

/// An average budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// In GFLOP.
    pub gmac: f64,
    /// What it is of.
    pub of: Scope,
    /// Limits are trimmed so that it is kept.
    pub held: bool,
    /// Limits of the plan that the user set.
    pub given: GivenPlan,
}

/// What the exits cost lately, beside what the calibration expects of as many steps in a row.
pub struct Live {
    calibration: Calibration,
    metric: Metric,
    /// GFLOP of a step that ends at each exit up to the cap.
    costs: Vec<f64>,
    /// The mean that is to be held in GFLOP, and the one that the solver is asked for to that end.
    held: Option<(f64, f64)>,
    expected: Option<Expected>,
    recent: VecDeque<usize>,
    /// Where the budget is of the whole step.
    whole: Option<Spent>,
}

/// What a calibration expects of 240 steps in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Mean cost in GFLOP.
    pub average: f64,
    /// 99 of 100 runs of the calibration have a mean cost from here to here in GFLOP.
    pub band: (f64, f64),
    /// The share of steps that ends at each exit up to the cap.
    pub shares: Vec<f64>,
    /// In 99 of 100 runs at most this share of the steps ends at another exit than in all of the calibration.
    pub distance: f64,
}

/// What was seen in the last 240 steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Mean cost in GFLOP.
    pub average: f64,
    /// The share of steps that ended at each exit up to the cap.
    pub shares: Vec<f64>,
    /// What lies outside the calibration's bands.
    pub drift: Option<String>,
}

impl Live {
    /// `average`: the budget that `settings` were solved for, if one was. `None` where the bundle has no calibration of its
    /// own, or one of another metric than the gate's.
    pub fn new(bundle: &Bundle, settings: &Settings, average: Option<Average>) -> Option<Self> {
        let Settings { thresholds, gauge, cap, .. } = settings;
        let (calibration, _) = Calibration::read(&bundle.path("calibration.json")).ok()?;
        calibration.belongs_to(bundle).ok()?;
        let costs = gflop(&bundle.manifest)[..=*cap].to_vec();
        let held = average.filter(|average| average.held && average.of == Scope::Llm);
        let held = held.map(|average| (average.gmac, average.gmac));
        let whole = average.filter(|average| average.of == Scope::Whole);
        let whole = whole.map(|Average { gmac, held, given, .. }| {
            let (plans, _) = Plans::read(&bundle.path("plans.json"), bundle).ok()?;
            let costs = PartCosts::in_gflop(&bundle.manifest);
            Some(Spent::new(plans.as_given(&given).ok()?, costs, *cap, gmac, held))
        });
        let (metric, whole) = (gauge.metric(), whole.flatten());
        let mut live = Self { calibration, metric, costs, held, expected: None, recent: VecDeque::new(), whole };
        live.expect(thresholds);
        (live.metric == live.calibration.metric).then_some(live)
    }

    fn expect(&mut self, thresholds: &Thresholds) {
        let cap = self.costs.len() - 1;
        let limits: Vec<f64> = (0..=cap).map(|k| f64::from(thresholds.limit(k, cap))).collect();
        // What a plan leaves to the exits is not what the calibration showed them.
        self.expected = self.whole.is_none().then(|| expected(&self.calibration, &limits, &self.costs)).flatten();
        self.recent.clear();
    }

    /// Counts a step of the policy. Where the average is held and enough steps were seen, gives the thresholds to go on
    /// with, and the limits of the plan where they change too.
    pub fn step(&mut self, step: &Step) -> Option<(Thresholds, Option<PlanLimits>)> {
        let trimmed = step.ran_to().and_then(|exit| self.count(exit));
        match &mut self.whole {
            Some(spent) => spent.step(step).map(|Limits { thresholds, plan, .. }| (thresholds, Some(plan))),
            None => trimmed.map(|thresholds| (thresholds, None)),
        }
    }

    /// Counts a step that the network was asked at.
    fn count(&mut self, exit: usize) -> Option<Thresholds> {
        self.recent.push_back(exit.min(self.costs.len() - 1));
        if self.recent.len() > STEPS {
            self.recent.pop_front();
        }
        let (budget, asked) = self.held?;
        let measured = self.seen()?.average;
        let cap = self.costs.len() - 1;
        // Differences, not factors, are added up: so what hard moments cost too much, easy ones must save in full.
        // It may lie beyond what exits cost: a debt made where every step is hard is paid back where none is.
        let (least, most) = (self.costs[0], self.costs[cap]);
        let next = (asked + TRIM * (budget - measured)).clamp(2.0 * least - most, 2.0 * most - least);
        self.held = Some((budget, next));
        self.recent.clear();
        let exits = self.calibration.exits.len();
        let costs: Vec<f64> = (0..exits).map(|k| self.costs[k.min(cap)]).collect();
        // The shares do not reach every average: what is nearest stays.
        let solution =
            solve(&self.calibration, &costs, cap, Some(next.clamp(least, most)), Method::Shares(Shares::Exp)).ok()?;
        let thresholds = solution.thresholds();
        self.expect(&thresholds);
        Some(thresholds)
    }

    /// What the calibration expects; `None` where it is too short to say.
    pub fn expected(&self) -> Option<&Expected> {
        self.expected.as_ref()
    }

    /// The budget of the whole step in GFLOP, where it is one, and the average of the last 240 steps, skipped ones included.
    pub fn whole(&self) -> Option<(f64, Option<f64>)> {
        self.whole.as_ref().map(|spent| (spent.budget(), spent.average()))
    }

    /// The last 240 steps; `None` before there were as many.
    pub fn seen(&self) -> Option<Seen> {
        if self.recent.len() < STEPS {
            return None;
        }
        let shares = shares(self.recent.iter().copied(), self.costs.len());
        let average = mean(&shares, &self.costs);
        let drift = self.expected.as_ref().and_then(|expected| expected.drift(average, &shares));
        Some(Seen { average, shares, drift })
    }
}

impl Expected {
    fn drift(&self, average: f64, shares: &[f64]) -> Option<String> {
        let (low, high) = self.band;
        if !(low..=high).contains(&average) {
            return Some(format!(
                "a step costs {average:.5} GFLOP on average, the calibration expects {:.5} ({low:.5} to {high:.5}); \
                 calibrate on recordings of what it does now, or set budget.hold",
                self.average
            ));
        }
        let off = distance(shares, &self.shares);
        (off > self.distance).then(|| {
            format!(
                "{:.0} % of the steps end at other exits than in the calibration (up to {:.0} % is usual); \
                 calibrate on recordings of what it does now",
                100.0 * off,
                100.0 * self.distance
            )
        })
    }
}

/// From every run of as many consecutive samples as the calibration has for 240 steps.
fn expected(calibration: &Calibration, limits: &[f64], costs: &[f64]) -> Option<Expected> {
    let length = STEPS * SAMPLES_PER_WINDOW / calibration.window.unwrap_or(2 * SAMPLES_PER_WINDOW);
    let taken: Vec<usize> = calibration.exits_taken(limits).collect();
    if length == 0 || taken.len() < RUNS * length {
        return None;
    }
    let all = shares(taken.iter().copied(), costs.len());
    let runs: Vec<Vec<f64>> = taken.windows(length).map(|run| shares(run.iter().copied(), costs.len())).collect();
    let mut averages: Vec<f64> = runs.iter().map(|run| mean(run, costs)).collect();
    let mut distances: Vec<f64> = runs.iter().map(|run| distance(run, &all)).collect();
    averages.sort_by(f64::total_cmp);
    distances.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let band = (at(&averages, 0.005), at(&averages, 0.995));
    Some(Expected { average: mean(&all, costs), band, shares: all, distance: at(&distances, 0.99) })
}

fn shares(taken: impl ExactSizeIterator<Item = usize>, exits: usize) -> Vec<f64> {
    let (mut counts, steps) = (vec![0u32; exits], taken.len());
    taken.for_each(|exit| counts[exit] += 1);
    counts.iter().map(|&count| f64::from(count) / steps as f64).collect()
}

fn mean(shares: &[f64], costs: &[f64]) -> f64 {
    shares.iter().zip(costs).map(|(share, cost)| share * cost).sum()
}

/// Total variation: the share that would have to move.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six exits that cost 1 to 6; deltas spread evenly over 0 to 1.
    fn live(samples: usize, budget: Option<f64>, thresholds: &[f64]) -> Live {
        let mut random = fastrand::Rng::with_seed(1);
        let deltas: Vec<Vec<f64>> = (0..6).map(|_| (0..samples).map(|_| random.f64()).collect()).collect();
        let table = serde_json::json!({"schema": 1, "exits": [1, 3, 5, 7, 9, 11], "deltas": deltas});
        let mut live = Live {
            calibration: serde_json::from_value(table).unwrap(),
            metric: Metric::Rms,
            costs: (1..=6).map(f64::from).collect(),
            held: budget.map(|budget| (budget, budget)),
            expected: None,
            recent: VecDeque::new(),
            whole: None,
        };
        live.expect(&Thresholds::new(thresholds, 6).unwrap());
        live
    }

    /// The exit at which a step ends whose deltas are `scale` times as large as the calibration's.
    fn taken(random: &mut fastrand::Rng, thresholds: &Thresholds, scale: f64) -> usize {
        (0..5).find(|&k| scale * random.f64() <= f64::from(thresholds.limit(k, 5))).unwrap_or(5)
    }

    const HALF: [f64; 5] = [0.5; 5];

    #[test]
    fn steps_like_the_calibrations_are_no_drift_and_others_are() {
        let thresholds = Thresholds::new(&HALF, 6).unwrap();
        for (scale, drifts) in [(1.0, false), (1.3, true), (0.75, true)] {
            let mut live = live(5000, None, &HALF);
            let mut random = fastrand::Rng::with_seed(7);
            for step in 0..STEPS {
                assert_eq!(live.seen(), None, "after {step} steps");
                assert_eq!(live.count(taken(&mut random, &thresholds, scale)), None);
            }
            let seen = live.seen().unwrap();
            assert_eq!(seen.drift.is_some(), drifts, "{scale}: {seen:?} {:?}", live.expected());
        }
    }

    #[test]
    fn the_same_average_from_other_exits_is_a_drift_too() {
        let mut live = live(5000, None, &HALF);
        let average = live.expected().unwrap().average;
        for step in 0..STEPS {
            live.count(if (step as f64) < (average - 1.0) / 5.0 * STEPS as f64 { 5 } else { 0 });
        }
        let seen = live.seen().unwrap();
        assert!((seen.average / average - 1.0).abs() < 0.02);
        assert!(seen.drift.unwrap().contains("end at other exits"));
    }

    #[test]
    fn a_calibration_that_is_too_short_expects_nothing() {
        assert_eq!(live(RUNS * STEPS / 2 - 1, None, &HALF).expected(), None);
        assert!(live(RUNS * STEPS / 2, None, &HALF).expected().is_some());
    }

    #[test]
    fn a_held_average_stays_at_the_budget_where_hard_stretches_take_turns_with_easy_ones() {
        // The second's hard steps all end at the last exit, whatever is asked.
        for (stretch, of, hard) in [(360, 3, 3.0), (480, 5, 1e9)] {
            let mut live = live(5000, Some(2.5), &HALF);
            let mut thresholds =
                solve(&live.calibration, &live.costs, 5, Some(2.5), Method::Shares(Shares::Exp)).unwrap().thresholds();
            let mut random = fastrand::Rng::with_seed(3);
            let (mut cost, steps) = (0.0, 200 * STEPS);
            for step in 0..steps {
                let scale = if step / stretch % of == 0 { hard } else { 0.8 };
                let exit = taken(&mut random, &thresholds, scale);
                cost += live.costs[exit];
                if let Some(next) = live.count(exit) {
                    thresholds = next;
                }
            }
            let average = cost / steps as f64;
            assert!((average / 2.5 - 1.0).abs() < 0.03, "{stretch} {hard}: {average}");
        }
    }

    #[test]
    fn a_held_average_comes_back_to_the_budget_where_the_world_is_not_as_calibrated() {
        for scale in [0.8, 1.0, 1.4] {
            let mut live = live(5000, Some(2.5), &HALF);
            let mut thresholds =
                solve(&live.calibration, &live.costs, 5, Some(2.5), Method::Shares(Shares::Exp)).unwrap().thresholds();
            let mut random = fastrand::Rng::with_seed(3);
            let (mut cost, mut steps) = (0.0, 0);
            for step in 0..40 * STEPS {
                let exit = taken(&mut random, &thresholds, scale);
                if step >= 8 * STEPS {
                    (cost, steps) = (cost + live.costs[exit], steps + 1);
                }
                if let Some(next) = live.count(exit) {
                    thresholds = next;
                }
            }
            let average = cost / f64::from(steps);
            assert!((average / 2.5 - 1.0).abs() < 0.02, "{scale}: {average}");
        }
    }
}
