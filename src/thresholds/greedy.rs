//! Thresholds that end the wanted share of a calibration's samples at each exit, as the published code finds them
//! (DeeR-VLA, robot_flamingo/models/value_net.py).

use super::NEVER;
use super::calibration::Calibration;

/// The published greedy assignment: exit by exit, the limit at which its share of all samples ends there.
///
/// The samples not yet taken are counted in the order of their deltas until ⌊N pₖ⌋; the limit is the delta of the last of
/// them, and every sample within it is taken, counted or not. Where the count is 0 or is not reached, the exit is never
/// taken. `shares` has one entry an exit up to the cap; exits beyond it, if there are any, are never taken.
///
/// Gives one limit an exit, the last infinite.
pub fn assign(calibration: &Calibration, shares: &[f64]) -> Vec<f64> {
    let (samples, exits) = (calibration.samples(), calibration.exits.len());
    let mut limits = vec![NEVER; exits];
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
    limits[exits - 1] = f64::INFINITY;
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thresholds::Shares;
    use crate::thresholds::shares::tests::published_shares;
    use proptest::prelude::*;

    fn table(deltas: Vec<Vec<f64>>) -> Calibration {
        let exits: Vec<usize> = (0..deltas.len()).collect();
        serde_json::from_value(serde_json::json!({"schema": 1, "exits": exits, "deltas": deltas})).unwrap()
    }

    /// The published assignment by other means: no sorting, each sample asks how many stand before it.
    fn published(deltas: &[Vec<f64>], shares: &[f64]) -> Vec<f64> {
        let samples = deltas[0].len();
        let mut taken = vec![false; samples];
        let mut limits = vec![-1e8; deltas.len()];
        for k in 0..deltas.len() - 1 {
            let wanted = (samples as f64 * shares[k]).floor() as usize;
            let free: Vec<usize> = (0..samples).filter(|&s| !taken[s]).collect();
            let is_last = |s: &usize| {
                let below = free.iter().filter(|&&o| deltas[k][o] < deltas[k][*s]).count();
                let not_above = free.iter().filter(|&&o| deltas[k][o] <= deltas[k][*s]).count();
                below < wanted && wanted <= not_above
            };
            if let Some(&last) = free.iter().find(|s| is_last(s)) {
                limits[k] = deltas[k][last];
                (0..samples).for_each(|s| taken[s] |= deltas[k][s] <= limits[k]);
            }
        }
        limits[deltas.len() - 1] = 1e8;
        limits
    }

    /// 1 to 10 exits; in half of the tables few different deltas, so that ties are the rule.
    fn tables() -> impl Strategy<Value = Vec<Vec<f64>>> {
        (1usize..=10, 1usize..60, any::<bool>()).prop_flat_map(|(exits, samples, ties)| {
            let delta = (0.0f64..0.3).prop_map(move |d| if ties { (d * 40.0).round() / 40.0 } else { d });
            prop::collection::vec(prop::collection::vec(delta, samples), exits)
        })
    }

    fn ratio() -> impl Strategy<Value = f64> {
        prop_oneof![Just(0.5), Just(1.0), Just(2.0), 0.2f64..3.0]
    }

    #[test]
    fn a_share_that_is_a_whole_number_of_samples_is_not_rounded_to_one_less() {
        // r = 1/2, six exits: 32/63, 16/63, 8/63, … of 63 samples
        let rising: Vec<f64> = (0..63).map(f64::from).collect();
        let limits = assign(&table(vec![rising; 6]), &Shares::Exp.of(6, 0.5));
        assert_eq!(limits, [31.0, 47.0, 55.0, 59.0, 61.0, f64::INFINITY]);
    }

    #[test]
    fn ties_are_taken_together_and_what_is_not_reached_is_never_taken() {
        let calibration = table(vec![vec![0.1, 0.2, 0.2, 0.3], vec![0.5, 0.1, 0.1, 0.4], vec![0.0; 4]]);
        // Half of four at exit 0: the limit is the second delta, and the tie at 0.2 comes along. One is left: 0.4.
        assert_eq!(assign(&calibration, &[0.5, 0.25, 0.25]), [0.2, 0.4, f64::INFINITY]);
        // A fifth of four is none; half of four are then counted among all.
        assert_eq!(assign(&calibration, &[0.2, 0.5, 0.3]), [NEVER, 0.1, f64::INFINITY]);
        // Three quarters, with the tie, leave one; two more are not there.
        assert_eq!(assign(&calibration, &[0.75, 0.5, 0.0]), [0.2, NEVER, f64::INFINITY]);
    }

    #[test]
    fn a_cap_leaves_the_exits_beyond_it_untaken() {
        let calibration = table(vec![vec![0.1, 0.2], vec![0.1, 0.2], vec![0.1, 0.2]]);
        assert_eq!(assign(&calibration, &[0.5, 0.5]), [0.1, NEVER, f64::INFINITY]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_limits_are_those_of_the_published_algorithm(
            deltas in tables(), ratio in ratio(), family in prop::sample::select(Shares::ALL.to_vec())
        ) {
            let exits = deltas.len();
            let wanted = published(&deltas, &published_shares(family, exits, ratio));
            let found = assign(&table(deltas), &family.of(exits, ratio));
            prop_assert_eq!(found[exits - 1], f64::INFINITY);
            for (found, wanted) in found.iter().zip(&wanted[..exits - 1]) {
                prop_assert!(if *wanted < 0.0 { *found < 0.0 } else { found == wanted }, "{found} for {wanted}");
            }
        }

        #[test]
        fn the_order_of_samples_does_not_matter(
            (deltas, order) in tables().prop_flat_map(|deltas| {
                let order: Vec<usize> = (0..deltas[0].len()).collect();
                (Just(deltas), Just(order).prop_shuffle())
            }),
            ratio in ratio(),
        ) {
            let shares = Shares::Exp.of(deltas.len(), ratio);
            let mixed = deltas.iter().map(|row| order.iter().map(|&s| row[s]).collect()).collect();
            prop_assert_eq!(assign(&table(deltas), &shares), assign(&table(mixed), &shares));
        }

        #[test]
        fn a_larger_parameter_stops_no_earlier(
            (deltas, less, more) in (2usize..8, 20usize..200).prop_flat_map(|(exits, samples)| {
                let delta = prop::collection::vec(0.0f64..1.0, samples);
                (prop::collection::vec(delta, exits), 0.3f64..2.5, 0.0f64..2.0)
            }),
            family in prop::sample::select(Shares::ALL.to_vec()),
        ) {
            let calibration = table(deltas);
            let exits = calibration.exits.len();
            let until = |ratio: f64| {
                let shares = calibration.shares(&assign(&calibration, &family.of(exits, ratio)));
                shares.iter().scan(0.0, |sum, share| { *sum += share; Some(*sum) }).collect::<Vec<f64>>()
            };
            // How many samples have ended by each exit; every share was rounded down, so one a share may be missing.
            for (k, (less, more)) in until(less).iter().zip(until(less + more)).enumerate() {
                prop_assert!(more <= less + (k + 1) as f64 / calibration.samples() as f64 + 1e-9, "exit {k}");
            }
        }
    }
}
