//! Thresholds that keep the action closest to full depth for an average cost.
//!
//! The published assignment fixes how many steps end at each exit, whatever that does to the action. Here the limits
//! themselves are searched: they minimise, over the calibration's samples, error + λ · cost, exit by exit in turn until
//! nothing changes. For one exit with all others fixed the best limit is found exactly: sorted by delta, it is where
//! the running sum of "stop here" minus "go on" is lowest. λ, the price of compute, is bisected until the mean cost is
//! within the budget.

use super::Thresholds;
use super::calibration::Calibration;

const PRICES: usize = 60; // halvings of the price's logarithm
const ROUNDS: usize = 50; // of all exits; it settles in a few

/// Limits whose mean cost on the calibration is at most `average` with the least mean error, up to `cap`.
///
/// `costs` are those of a step that ends at each exit; `average` is in the same unit and at least `costs[0]`, which
/// the caller has seen to. The calibration holds errors.
pub fn direct(calibration: &Calibration, costs: &[f64], average: f64, cap: usize) -> Thresholds {
    let mut search = Search::new(calibration, cap);
    let free = search.limits_at(0.0, costs);
    if calibration.mean_cost(&free, &costs[..=cap]) <= average {
        return whole(free, calibration.exits.len());
    }
    let (mut low, mut high) = (1e-9 / costs[cap], 1e9 / costs[0]);
    let mut best = search.limits_at(high, costs);
    for _ in 0..PRICES {
        let price = (low * high).sqrt();
        let found = search.limits_at(price, costs);
        if calibration.mean_cost(&found, &costs[..=cap]) <= average {
            high = price;
            best = found;
        } else {
            low = price;
        }
    }
    whole(best, calibration.exits.len())
}

fn whole(mut limits: Vec<f32>, exits: usize) -> Thresholds {
    limits.pop();
    limits.resize(exits - 1, Thresholds::NEVER);
    limits.push(f32::INFINITY);
    Thresholds(limits)
}

struct Search<'a> {
    calibration: &'a Calibration,
    cap: usize,
    /// Per exit below the cap, the samples by rising delta.
    order: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(calibration: &'a Calibration, cap: usize) -> Self {
        let sorted = |deltas: &Vec<f32>| {
            let mut order: Vec<usize> = (0..deltas.len()).collect();
            order.sort_by(|&a, &b| deltas[a].total_cmp(&deltas[b]));
            order
        };
        Self { calibration, cap, order: calibration.deltas[..cap].iter().map(sorted).collect() }
    }

    /// The best limits found at a price, from the cheapest and from the dearest start.
    fn limits_at(&mut self, price: f64, costs: &[f64]) -> Vec<f32> {
        let value = |k: usize, s: usize| f64::from(self.calibration.errors[k][s]) + price * costs[k];
        let mut best: Option<(f64, Vec<f32>)> = None;
        for start in [Thresholds::NEVER, f32::MAX] {
            let mut limits = vec![start; self.cap];
            limits.push(f32::INFINITY);
            for _ in 0..ROUNDS {
                let before = limits.clone();
                for k in (0..self.cap).rev() {
                    limits[k] = self.best_limit(k, &limits, &value);
                }
                if limits == before {
                    break;
                }
            }
            let total: f64 = self.calibration.exits_taken(&limits).enumerate().map(|(s, k)| value(k, s)).sum();
            if best.as_ref().is_none_or(|(least, _)| total < *least) {
                best = Some((total, limits));
            }
        }
        best.map(|(_, limits)| limits).unwrap_or_default()
    }

    /// The limit of exit `k` that is best while all others stay.
    fn best_limit(&self, k: usize, limits: &[f32], value: &dyn Fn(usize, usize) -> f64) -> f32 {
        let deltas = &self.calibration.deltas;
        let reached = |s: usize| (0..k).all(|j| deltas[j][s] > limits[j]);
        let later = |s: usize| (k + 1..self.cap).find(|&j| deltas[j][s] <= limits[j]).unwrap_or(self.cap);
        let (mut sum, mut least, mut limit) = (0.0, 0.0, Thresholds::NEVER);
        let order = &self.order[k];
        for (place, &s) in order.iter().enumerate() {
            if reached(s) {
                sum += value(k, s) - value(later(s), s);
            }
            let tied = order.get(place + 1).is_some_and(|&next| deltas[k][next] == deltas[k][s]);
            if !tied && sum < least {
                (least, limit) = (sum, deltas[k][s]);
            }
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(deltas: Vec<Vec<f32>>, errors: Vec<Vec<f32>>) -> Calibration {
        let exits: Vec<usize> = (0..deltas.len()).collect();
        let json = serde_json::json!({"schema": 1, "exits": exits, "deltas": deltas, "errors": errors});
        serde_json::from_value(json).unwrap()
    }

    fn mean_error(calibration: &Calibration, limits: &[f32]) -> f64 {
        let errors = calibration.exits_taken(limits).enumerate().map(|(s, k)| f64::from(calibration.errors[k][s]));
        errors.sum::<f64>() / calibration.samples() as f64
    }

    #[test]
    fn it_stops_early_where_that_costs_no_accuracy() {
        // Small deltas at exit 0 mean small errors for the first two samples; exit 1 is as good as exit 2.
        let calibration = table(
            vec![vec![0.1, 0.1, 0.8, 0.9], vec![0.5; 4], vec![0.0; 4]],
            vec![vec![0.0, 0.0, 0.9, 0.9], vec![0.0; 4], vec![0.0; 4]],
        );
        let limits = direct(&calibration, &[1.0, 2.0, 3.0], 1.5, 2);
        assert_eq!(limits.as_slice(), [0.1, 0.5, f32::INFINITY]);
    }

    #[test]
    fn a_budget_for_full_depth_changes_no_action() {
        let calibration = table(vec![vec![0.1, 0.2], vec![0.0; 2]], vec![vec![0.3, 0.1], vec![0.0; 2]]);
        let limits = direct(&calibration, &[1.0, 2.0], 2.0, 1);
        assert_eq!(limits.as_slice(), [Thresholds::NEVER, f32::INFINITY]);
    }

    proptest! {
        #[test]
        fn it_keeps_the_budget_and_a_larger_one_is_no_worse(
            numbers in prop::collection::vec((0f32..1.0, 0f32..1.0), 4 * 12), tight in 0.1f64..0.9, more in 0.0f64..0.5
        ) {
            let row = |k: usize, error: bool| (0..12).map(|s| {
                let (delta, e) = numbers[12 * k + s];
                if error { e * (3 - k) as f32 } else { delta }
            }).collect::<Vec<f32>>();
            let calibration = table((0..4).map(|k| row(k, false)).collect(), (0..4).map(|k| row(k, true)).collect());
            let costs = [1.0, 2.0, 3.0, 4.0];
            let budgets = [1.0 + 3.0 * tight, (1.0 + 3.0 * tight + more).min(4.0)];
            let found = budgets.map(|average| direct(&calibration, &costs, average, 3));
            for (limits, average) in found.iter().zip(budgets) {
                prop_assert!(calibration.mean_cost(limits.as_slice(), &costs) <= average + 1e-9);
            }
            let [worse, better] = found.map(|limits| mean_error(&calibration, limits.as_slice()));
            prop_assert!(better <= worse + 1e-6);
        }
    }
}
