//! How many steps should end at each exit: three families of shares with one parameter, as the published code has them
//! (DeeR-VLA, robot_flamingo/models/value_net.py), and the thresholds that bring them about on a calibration.

use super::Thresholds;
use super::calibration::Calibration;

/// A family of shares over the exits from the first to the cap; a larger parameter asks for deeper exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shares {
    /// Exit k (from 1) gets r^k.
    #[default]
    Exp,
    /// Exit k (from 0) gets exp(-(k - r)² / 2).
    Gauss,
    /// Exit k (from 1) gets the gamma distribution's density at k, with shape r and scale 2.
    Gamma,
}

impl Shares {
    /// The published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Gauss => "gauss",
            Self::Gamma => "gamma",
        }
    }

    /// The parameters that make sense; at both ends the shares change no more, or the family ends.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::Exp => (1e-6, 1e6),
            Self::Gauss => (-50.0, 60.0),
            Self::Gamma => (1e-6, 500.0),
        }
    }

    /// The share of each of `exits` exits, together 1. `ratio` is the family's parameter r.
    pub fn of(self, exits: usize, ratio: f64) -> Vec<f64> {
        let log = |k: usize| {
            let (k, r) = (k as f64, ratio);
            match self {
                Self::Exp => (k + 1.0) * r.ln(),
                Self::Gauss => -(k - r).powi(2) / 2.0,
                // The density's constant factor goes with the normalisation.
                Self::Gamma => (r - 1.0) * (k + 1.0).ln() - (k + 1.0) / 2.0,
            }
        };
        let logs: Vec<f64> = (0..exits).map(log).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    /// The parameter at which steps shared out so cost `average` in the mean; `costs` are those of a step that ends
    /// at each exit, rising.
    ///
    /// # Errors
    /// The nearest mean cost that the family reaches, where it does not reach `average`.
    pub fn ratio_for(self, costs: &[f64], average: f64) -> Result<f64, f64> {
        let mean = |ratio: f64| self.of(costs.len(), ratio).iter().zip(costs).map(|(p, c)| p * c).sum::<f64>();
        let (mut low, mut high) = self.range();
        let (least, most) = (mean(low), mean(high));
        let slack = 1e-3 * average;
        if average < least - slack || average > most + slack {
            return Err(if average < least { least } else { most });
        }
        for _ in 0..200 {
            // The exponential's parameter is a ratio: halve its logarithm.
            let middle = if self == Self::Exp { (low * high).sqrt() } else { 0.5 * (low + high) };
            if mean(middle) < average { low = middle } else { high = middle }
        }
        Ok(high)
    }
}

/// The published greedy assignment: exit by exit, the limit at which its share of all samples ends there.
///
/// The samples not yet taken are counted in the order of their deltas until ⌊N pₖ⌋; the limit is the delta of the last of
/// them, and every sample within it is taken, counted or not. Where the count is 0 or is not reached, the exit is never
/// taken. `shares` has one entry an exit up to the cap; exits beyond it, if there are any, are never taken.
pub fn assign(calibration: &Calibration, shares: &[f64]) -> Thresholds {
    let (samples, exits) = (calibration.samples(), calibration.exits.len());
    let mut limits = vec![Thresholds::NEVER; exits];
    let mut free: Vec<usize> = (0..samples).collect();
    for (k, share) in shares.iter().enumerate().take(shares.len() - 1) {
        let deltas = &calibration.deltas[k];
        let count = (samples as f64 * share).floor() as usize;
        if count == 0 || count > free.len() {
            continue;
        }
        free.sort_by(|&a, &b| deltas[a].total_cmp(&deltas[b]));
        limits[k] = deltas[free[count - 1]];
        free.retain(|&sample| deltas[sample] > limits[k]);
    }
    limits[exits - 1] = f32::INFINITY;
    Thresholds(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: &[f64], wanted: &[f64]) -> bool {
        found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 5e-4)
    }

    fn table(deltas: Vec<Vec<f32>>) -> Calibration {
        let exits: Vec<usize> = (0..deltas.len()).collect();
        serde_json::from_value(serde_json::json!({"schema": 1, "exits": exits, "deltas": deltas})).unwrap()
    }

    #[test]
    fn the_shares_are_the_published_ones() {
        // facts: r = 0.5 and 0.8 for six exits, in percent
        assert!(close(&Shares::Exp.of(6, 0.5), &[0.508, 0.254, 0.127, 0.0635, 0.0317, 0.0159]));
        assert!(close(&Shares::Exp.of(6, 0.8), &[0.271, 0.2168, 0.1735, 0.1388, 0.111, 0.0888]));
        let bell: Vec<f64> = [0.0f64, 1.0, 2.0].map(|k| (-(k - 1.0f64).powi(2) / 2.0).exp()).to_vec();
        let sum: f64 = bell.iter().sum();
        assert!(close(&Shares::Gauss.of(3, 1.0), &bell.map_shares(sum)));
        // gamma with shape 1 and scale 2 is the exponential distribution of rate 1/2
        let fall: Vec<f64> = [1.0f64, 2.0, 3.0].map(|x| (-x / 2.0).exp()).to_vec();
        let sum: f64 = fall.iter().sum();
        assert!(close(&Shares::Gamma.of(3, 1.0), &fall.map_shares(sum)));
    }

    trait Over {
        fn map_shares(&self, sum: f64) -> Vec<f64>;
    }
    impl Over for Vec<f64> {
        fn map_shares(&self, sum: f64) -> Vec<f64> {
            self.iter().map(|v| v / sum).collect()
        }
    }

    #[test]
    fn ties_are_taken_together_and_what_is_not_reached_is_never_taken() {
        let calibration = table(vec![vec![0.1, 0.2, 0.2, 0.3], vec![0.5, 0.1, 0.1, 0.4], vec![0.0; 4]]);
        // Half of four at exit 0: the limit is the second delta, and the tie at 0.2 comes along. One is left: 0.4.
        assert_eq!(assign(&calibration, &[0.5, 0.25, 0.25]).as_slice(), [0.2, 0.4, f32::INFINITY]);
        // A fifth of four is none; half of four are then counted among all.
        assert_eq!(assign(&calibration, &[0.2, 0.5, 0.3]).as_slice(), [Thresholds::NEVER, 0.1, f32::INFINITY]);
        // Three quarters, with the tie, leave one; two more are not there.
        assert_eq!(assign(&calibration, &[0.75, 0.5, 0.0]).as_slice(), [0.2, Thresholds::NEVER, f32::INFINITY]);
    }

    #[test]
    fn a_cap_leaves_the_exits_beyond_it_untaken() {
        let calibration = table(vec![vec![0.1, 0.2], vec![0.1, 0.2], vec![0.1, 0.2]]);
        assert_eq!(assign(&calibration, &[0.5, 0.5]).as_slice(), [0.1, Thresholds::NEVER, f32::INFINITY]);
    }

    /// The published algorithm once more, with other means: marks, counts and no sorting.
    fn published(deltas: &[Vec<f32>], shares: &[f64]) -> Vec<f32> {
        let samples = deltas[0].len();
        let mut taken = vec![false; samples];
        let mut limits = vec![-1e8f32; deltas.len()];
        for k in 0..deltas.len() - 1 {
            let wanted = (samples as f64 * shares[k]).floor() as usize;
            let reached = (0..samples)
                .filter(|&s| !taken[s])
                .filter(|&s| {
                    let among = |s: usize| !taken[s];
                    let below = (0..samples).filter(|&o| among(o) && deltas[k][o] < deltas[k][s]).count();
                    let not_above = (0..samples).filter(|&o| among(o) && deltas[k][o] <= deltas[k][s]).count();
                    below < wanted && wanted <= not_above
                })
                .map(|s| deltas[k][s])
                .next();
            if let Some(limit) = reached {
                limits[k] = limit;
                for s in 0..samples {
                    taken[s] |= deltas[k][s] <= limit;
                }
            }
        }
        *limits.last_mut().unwrap() = 1e8;
        limits
    }

    fn tables() -> impl Strategy<Value = (Vec<Vec<f32>>, f64, usize)> {
        (1usize..=10, 1usize..40).prop_flat_map(|(exits, samples)| {
            // Few different values, so that ties are the rule.
            let delta = (0u8..12).prop_map(|v| f32::from(v) * 0.03);
            (prop::collection::vec(prop::collection::vec(delta, samples), exits), 0.2f64..3.0, 0usize..3)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_limits_are_those_of_the_published_algorithm((deltas, ratio, family) in tables()) {
            let family = [Shares::Exp, Shares::Gauss, Shares::Gamma][family];
            let shares = family.of(deltas.len(), ratio);
            let found = assign(&table(deltas.clone()), &shares);
            for (found, wanted) in found.as_slice().iter().zip(published(&deltas, &shares)) {
                let same = match wanted {
                    w if w <= -1e8 => *found < 0.0,
                    w if w >= 1e8 => found.is_infinite(),
                    w => *found == w,
                };
                prop_assert!(same, "{found} for {wanted}");
            }
        }

        #[test]
        fn the_order_of_samples_does_not_matter((deltas, ratio, _) in tables(), turn in 0usize..40) {
            let shares = Shares::Exp.of(deltas.len(), ratio);
            let mut turned = deltas.clone();
            turned.iter_mut().for_each(|row| { let by = turn % row.len(); row.rotate_left(by); });
            prop_assert_eq!(assign(&table(deltas), &shares), assign(&table(turned), &shares));
        }

        #[test]
        fn a_larger_budget_stops_no_earlier_in_the_mean((exits, samples) in (2usize..8, 20usize..200), seed in 0u64..1000, less in 0.3f64..2.5, more in 0.3f64..2.5) {
            // Without ties: with them a limit takes more than its share, at whichever budget.
            let value = |k: usize, s: usize| ((s * 7919 + k * 104_729 + seed as usize * 31) % 100_003) as f32 / 100_003.0;
            let deltas: Vec<Vec<f32>> = (0..exits).map(|k| (0..samples).map(|s| value(k, s)).collect()).collect();
            let calibration = table(deltas);
            let (less, more) = (less.min(more), less.max(more));
            let depth = |ratio| {
                let limits = assign(&calibration, &Shares::Exp.of(exits, ratio));
                calibration.exits_taken(limits.as_slice()).sum::<usize>() as f64 / samples as f64
            };
            // Each share is rounded down to whole samples, so up to one sample an exit may go the other way.
            prop_assert!(depth(less) <= depth(more) + (exits * exits) as f64 / samples as f64);
        }

        #[test]
        fn the_parameter_meets_the_average(exits in 2usize..10, place in 0.02f64..0.98, family in 0usize..2) {
            let family = [Shares::Exp, Shares::Gauss][family];
            let costs: Vec<f64> = (1..=exits).map(|k| k as f64 * 1.3).collect();
            let average = costs[0] + place * (costs[exits - 1] - costs[0]);
            let shares = family.of(exits, family.ratio_for(&costs, average).unwrap());
            let found: f64 = shares.iter().zip(&costs).map(|(p, c)| p * c).sum();
            prop_assert!((found / average - 1.0).abs() < 0.01, "{found} for {average}");
        }
    }

    #[test]
    fn an_average_that_no_shares_have_names_the_nearest() {
        assert_eq!(Shares::Exp.ratio_for(&[1.0, 2.0], 0.5).unwrap_err().round(), 1.0);
        assert_eq!(Shares::Exp.ratio_for(&[1.0, 2.0], 3.0).unwrap_err().round(), 2.0);
        assert!(Shares::Gamma.ratio_for(&[1.0, 2.0, 3.0], 1.0).unwrap_err() > 1.1);
    }
}
