//! Thresholds that keep the action closest to full depth for an average cost.
//!
//! The published assignment fixes how many steps end at each exit, whatever that does to the action. Here the limits
//! themselves are searched: they minimise the mean error over the calibration's samples while the mean cost stays within
//! the average. Two exact moves do it, each linear in the samples, since sorted by the delta of one exit all its limits
//! are tried in one pass:
//!
//! - **prices**: error + λ · cost is minimised exit by exit in turn until nothing changes; λ, the price of compute, is
//!   bisected until the mean cost is within the average. This leaves a gap wherever error over cost is not convex.
//! - **exchanges**: what is left is spent. Of every two exits one is tried at quantiles of its deltas, the other takes
//!   its best limit within the average, until no pair gets better.
//!
//! The published shares are a start as well: where they keep the average, the result is never worse than theirs.

use super::calibration::Calibration;
use super::{NEVER, Shares, assign};

const PRICES: usize = 40; // halvings of the price's logarithm
const ROUNDS: usize = 30; // of all exits or pairs; both settle in a few
const QUANTILES: usize = 16; // limits tried of a pair's one exit

/// The limits, one an exit up to the cap, whose mean cost on the calibration is at most `average` with the least mean
/// error that was found. The order of the samples does not matter.
///
/// `costs` are those of a step that ends at each exit up to the cap; `average` is in the same unit and at least
/// `costs[0]`, which the caller has seen to. The calibration holds errors.
pub fn direct(calibration: &Calibration, costs: &[f64], average: f64) -> Vec<f64> {
    let search = Search::new(calibration, costs, average);
    let mut starts = vec![search.priced()];
    if let Ok(ratio) = Shares::Exp.ratio_for(costs, average) {
        let mut limits = assign(calibration, &Shares::Exp.of(costs.len(), ratio));
        limits.truncate(costs.len());
        starts.push(limits);
    }
    let within = starts.into_iter().filter(|limits| search.total(limits).within(search.most));
    let spent = within.map(|limits| search.exchanged(limits));
    let best = spent.min_by(|a, b| search.total(a).error.total_cmp(&search.total(b).error));
    best.unwrap_or_else(|| search.everything_first())
}

/// Error and cost over all samples.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    error: f64,
    cost: f64,
}

impl Total {
    fn within(self, most: f64) -> bool {
        self.cost <= most * (1.0 + 1e-9)
    }
}

struct Search {
    /// `[exit][sample]` up to the cap.
    deltas: Vec<Vec<f64>>,
    errors: Vec<Vec<f64>>,
    costs: Vec<f64>,
    /// Most that all samples together may cost.
    most: f64,
    /// Per exit below the cap, the samples by rising delta.
    order: Vec<Vec<usize>>,
}

impl Search {
    fn new(calibration: &Calibration, costs: &[f64], average: f64) -> Self {
        let exits = costs.len();
        // Sums depend on their order in the last digit, and so could the result.
        let mut samples: Vec<usize> = (0..calibration.samples()).collect();
        let rows = || calibration.deltas[..exits].iter().chain(&calibration.errors[..exits]);
        samples.sort_by(|&a, &b| rows().map(|row| row[a]).partial_cmp(rows().map(|row| row[b])).unwrap_or(a.cmp(&b)));
        let taken = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            rows[..exits].iter().map(|row| samples.iter().map(|&s| row[s]).collect()).collect()
        };
        let deltas = taken(&calibration.deltas);
        let sorted = |row: &Vec<f64>| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
            order
        };
        let order = deltas[..exits - 1].iter().map(sorted).collect();
        let most = average * samples.len() as f64;
        Self { deltas, errors: taken(&calibration.errors), costs: costs.to_vec(), most, order }
    }

    fn cap(&self) -> usize {
        self.costs.len() - 1
    }

    /// Every sample ends at the first exit: the cheapest there is.
    fn everything_first(&self) -> Vec<f64> {
        let mut limits = vec![NEVER; self.costs.len()];
        limits[0] = self.order.first().and_then(|order| order.last()).map_or(NEVER, |&s| self.deltas[0][s]);
        limits
    }

    /// The exit from `first` on at which sample `s` ends.
    fn exit(&self, s: usize, first: usize, limits: &[f64]) -> usize {
        (first..self.cap()).find(|&k| self.deltas[k][s] <= limits[k]).unwrap_or(self.cap())
    }

    fn total(&self, limits: &[f64]) -> Total {
        (0..self.deltas[0].len()).fold(Total::default(), |sum, s| {
            let k = self.exit(s, 0, limits);
            Total { error: sum.error + self.errors[k][s], cost: sum.cost + self.costs[k] }
        })
    }

    /// The limit of exit `k` whose total has the least `value`, all others as they are, and that value.
    fn best(&self, k: usize, limits: &[f64], value: impl Fn(Total) -> f64) -> (f64, f64) {
        let mut limits = limits.to_vec();
        limits[k] = NEVER;
        let mut sum = self.total(&limits);
        let (mut least, mut limit) = (value(sum), NEVER);
        for (place, &s) in self.order[k].iter().enumerate() {
            if self.exit(s, 0, &limits) > k {
                let later = self.exit(s, k + 1, &limits);
                sum.error += self.errors[k][s] - self.errors[later][s];
                sum.cost += self.costs[k] - self.costs[later];
            }
            let delta = self.deltas[k][s];
            let tied = self.order[k].get(place + 1).is_some_and(|&next| self.deltas[k][next] == delta);
            if !tied && value(sum) < least {
                (least, limit) = (value(sum), delta);
            }
        }
        (limit, least)
    }

    /// The limits at the lowest price of compute that keeps the cost within the average.
    fn priced(&self) -> Vec<f64> {
        let free = self.at_price(0.0);
        if self.total(&free).within(self.most) {
            return free;
        }
        let (mut low, mut high) = (1e-6 / self.costs[self.cap()], 1e6 / self.costs[0]);
        let mut best = self.everything_first();
        for _ in 0..PRICES {
            let price = (low * high).sqrt();
            let found = self.at_price(price);
            if self.total(&found).within(self.most) {
                (high, best) = (price, found);
            } else {
                low = price;
            }
        }
        best
    }

    fn at_price(&self, price: f64) -> Vec<f64> {
        let value = |total: Total| total.error + price * total.cost;
        // From full depth and from the first exit.
        let ends = [vec![NEVER; self.costs.len()], self.everything_first()].map(|mut limits| {
            for _ in 0..ROUNDS {
                let before = limits.clone();
                for k in (0..self.cap()).rev() {
                    limits[k] = self.best(k, &limits, value).0;
                }
                if limits == before {
                    break;
                }
            }
            limits
        });
        let [deep, shallow] = ends;
        if value(self.total(&shallow)) < value(self.total(&deep)) { shallow } else { deep }
    }

    fn exchanged(&self, mut limits: Vec<f64>) -> Vec<f64> {
        let value = |total: Total| if total.within(self.most) { total.error } else { f64::INFINITY };
        let mut least = value(self.total(&limits));
        for _ in 0..ROUNDS {
            let before = least;
            for (one, other) in (0..self.cap()).flat_map(|one| (0..self.cap()).map(move |other| (one, other))) {
                // An exit with itself: its own best limit, whatever stands there.
                let tries = if one == other { vec![NEVER] } else { self.quantiles(one, limits[one]) };
                for limit in tries {
                    let mut tried = limits.clone();
                    tried[one] = limit;
                    let (best, error) = self.best(other, &tried, value);
                    if error < least {
                        tried[other] = best;
                        (least, limits) = (error, tried);
                    }
                }
            }
            if least >= before * (1.0 - 1e-6) {
                break;
            }
        }
        limits
    }

    /// The limit as it is, never, and quantiles of the exit's deltas.
    fn quantiles(&self, exit: usize, limit: f64) -> Vec<f64> {
        let order = &self.order[exit];
        let places = (1..=QUANTILES).map(|q| (q * order.len()).div_ceil(QUANTILES) - 1);
        [limit, NEVER].into_iter().chain(places.map(|place| self.deltas[exit][order[place]])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    const COSTS: [f64; 4] = [1.0, 2.0, 3.0, 4.0];

    fn table(deltas: Vec<Vec<f64>>, errors: Vec<Vec<f64>>) -> Calibration {
        let exits: Vec<usize> = (0..deltas.len()).collect();
        let json = serde_json::json!({"schema": 1, "exits": exits, "deltas": deltas, "errors": errors});
        serde_json::from_value(json).unwrap()
    }

    /// Four exits; errors that fall with depth and have something to do with the deltas.
    fn tables(samples: std::ops::Range<usize>) -> impl Strategy<Value = Calibration> {
        prop::collection::vec(prop::array::uniform4((0.0f64..1.0, 0.0f64..1.0)), samples).prop_map(|numbers| {
            let row =
                |k: usize, value: fn((f64, f64)) -> f64| numbers.iter().map(|s| value(s[k])).collect::<Vec<f64>>();
            let errors = (0..4).map(|k| row(k, |(d, e)| d * e).iter().map(|e| e * (3 - k) as f64).collect());
            table((0..4).map(|k| row(k, |(d, _)| d)).collect(), errors.collect())
        })
    }

    /// The least error that any limits within the average have.
    fn exhaustive(calibration: &Calibration, average: f64) -> f64 {
        let tries = |k: usize| [NEVER].into_iter().chain(calibration.deltas[k].clone());
        let all = tries(0).flat_map(|a| tries(1).flat_map(move |b| tries(2).map(move |c| [a, b, c, f64::INFINITY])));
        let within = all.filter(|limits| calibration.mean_cost(limits, &COSTS) <= average + 1e-9);
        within.map(|limits| calibration.mean_error(&limits).unwrap()).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn it_stops_early_where_that_costs_no_accuracy() {
        // Small deltas at exit 0 mean small errors for the first two samples; exit 1 is as good as exit 2.
        let calibration = table(
            vec![vec![0.1, 0.1, 0.8, 0.9], vec![0.5; 4], vec![0.0; 4]],
            vec![vec![0.0, 0.0, 0.9, 0.9], vec![0.0; 4], vec![0.0; 4]],
        );
        assert_eq!(direct(&calibration, &COSTS[..3], 1.5)[..2], [0.1, 0.5]);
    }

    #[test]
    fn a_budget_for_full_depth_changes_no_action_and_one_for_the_first_exit_ends_every_step_there() {
        let calibration = table(vec![vec![0.1, 0.2], vec![0.0; 2]], vec![vec![0.3, 0.1], vec![0.0; 2]]);
        assert_eq!(direct(&calibration, &COSTS[..2], 2.0)[0], NEVER);
        assert_eq!(direct(&calibration, &COSTS[..2], 1.0)[0], 0.2);
    }

    #[test]
    fn it_spends_the_budget_where_no_price_would() {
        // Deltas that tell nothing: error over cost is a straight line, so a price ends all steps at either end of it.
        let samples = 40;
        let delta = (0..samples).map(f64::from).collect::<Vec<f64>>();
        let errors = vec![vec![1.0; samples as usize], vec![0.0; samples as usize]];
        let calibration = table(vec![delta.clone(), delta], errors);
        let limits = direct(&calibration, &COSTS[..2], 1.5);
        assert!((calibration.mean_cost(&limits, &COSTS) - 1.5).abs() < 1e-9, "{limits:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_within_the_budget_and_no_worse_than_the_shares(calibration in tables(5..80), place in 0.0f64..1.0) {
            let average = 1.0 + 3.0 * place;
            let limits = direct(&calibration, &COSTS, average);
            prop_assert!(calibration.mean_cost(&limits, &COSTS) <= average * (1.0 + 1e-8));
            let shares = Shares::Exp.of(4, Shares::Exp.ratio_for(&COSTS, average).unwrap());
            let assigned = assign(&calibration, &shares);
            if calibration.mean_cost(&assigned, &COSTS) <= average {
                prop_assert!(calibration.mean_error(&limits) <= calibration.mean_error(&assigned));
            }
        }

        #[test]
        fn the_order_of_samples_does_not_matter(calibration in tables(5..40), place in 0.0f64..1.0, turn in 0usize..40) {
            let mut turned = calibration.clone();
            for row in turned.deltas.iter_mut().chain(&mut turned.errors) {
                let samples = row.len();
                row.rotate_left(turn % samples);
            }
            let average = 1.0 + 3.0 * place;
            prop_assert_eq!(direct(&calibration, &COSTS, average), direct(&turned, &COSTS, average));
        }
    }

    #[test]
    fn it_comes_close_to_the_best_of_all_limits() {
        let mut runner = TestRunner::deterministic();
        let (mut found, mut best) = (0.0, 0.0);
        for case in 0..60 {
            let calibration = tables(12..13).new_tree(&mut runner).unwrap().current();
            let average = 1.2 + 2.6 * f64::from(case) / 60.0;
            let limits = direct(&calibration, &COSTS, average);
            found += calibration.mean_error(&limits).unwrap();
            best += exhaustive(&calibration, average);
        }
        assert!(best <= found + 1e-9 && found <= 1.02 * best, "{found} where {best} is possible");
    }
}
