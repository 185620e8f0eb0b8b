//! What a step costs, by the exit at which it ends: one number an exit, rising.

use crate::bundle::Manifest;

/// GFLOP (1e9 multiply-accumulates) of the language model: the stages up to the exit, a head row for each of them and
/// one for the probe.
pub fn gflop(manifest: &Manifest) -> Vec<f64> {
    // Divided, not multiplied by 1e-9: so a budget typed as these numbers print is met to the last digit.
    (0..manifest.exits.len()).map(|k| manifest.macs_to(k) as f64 / 1e9).collect()
}

/// GB (1e9 bytes) of weights that are loaded when the exit is the cap.
pub fn gigabytes(manifest: &Manifest) -> Vec<f64> {
    (0..manifest.exits.len()).map(|k| manifest.bytes_to(k) as f64 / 1e9).collect()
}

/// The deepest exit that costs at most `most`.
///
/// # Errors
/// What the first exit costs, where that is more.
pub fn deepest(costs: &[f64], most: f64) -> Result<usize, f64> {
    costs.iter().rposition(|&cost| cost <= most * (1.0 + 1e-12)).ok_or(costs[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    #[test]
    fn the_deepest_exit_within_a_limit_is_found_or_the_first_ones_cost_told() {
        let costs = [0.3, 0.6, 0.9];
        assert_eq!(deepest(&costs, 0.6), Ok(1));
        assert_eq!(deepest(&costs, 0.89), Ok(1));
        assert_eq!(deepest(&costs, 7.0), Ok(2));
        assert_eq!(deepest(&costs, 0.29), Err(0.3));
    }

    #[test]
    fn what_an_exit_costs_can_be_typed_as_a_limit() {
        let manifest = Bundle::open("models/toy").unwrap().manifest;
        for costs in [gflop(&manifest), gigabytes(&manifest)] {
            let typed = costs.iter().map(|cost| cost.to_string().parse().unwrap());
            assert!(typed.enumerate().all(|(k, most)| deepest(&costs, most) == Ok(k)), "{costs:?}");
        }
    }
}
