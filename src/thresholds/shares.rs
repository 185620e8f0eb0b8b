//! How many steps should end at each exit: three families of shares with one parameter, as the published code has them
//! (DeeR-VLA, robot_flamingo/models/value_net.py).

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
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Exp, Self::Gauss, Self::Gamma];

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

    /// The share of each of `exits` exits, together 1. `ratio` is the family's parameter r, within [`Shares::range`].
    pub fn of(self, exits: usize, ratio: f64) -> Vec<f64> {
        let weights = self.weights(exits, ratio);
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    fn weights(self, exits: usize, r: f64) -> Vec<f64> {
        let places = (0..exits).map(|k| k as f64);
        let logs: Vec<f64> = match self {
            // Powers, not logarithms: with r = 1/2 a share of N samples is often a whole number, and is rounded down.
            Self::Exp => return places.map(|k| r.powf(k + 1.0)).collect(),
            Self::Gauss => places.map(|k| -(k - r).powi(2) / 2.0).collect(),
            // The density's constant factor goes with the normalisation.
            Self::Gamma => places.map(|k| (r - 1.0) * (k + 1.0).ln() - (k + 1.0) / 2.0).collect(),
        };
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        logs.iter().map(|log| (log - most).exp()).collect()
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The shares as they are published, without care for large and small numbers.
    pub(crate) fn published_shares(family: Shares, exits: usize, r: f64) -> Vec<f64> {
        let weight = |k: f64| match family {
            Shares::Exp => r.powf(k),
            Shares::Gauss => (-0.5 * (k - 1.0 - r).powi(2)).exp(),
            // Without Γ(r) 2^r, which every exit has.
            Shares::Gamma => k.powf(r - 1.0) * (-k / 2.0).exp(),
        };
        let sum: f64 = (1..=exits).map(|k| weight(k as f64)).sum();
        (1..=exits).map(|k| weight(k as f64) / sum).collect()
    }

    #[test]
    fn the_shares_are_the_published_ones() {
        // the fact sheet's percentages for six exits
        for (ratio, percent) in [
            (0.5, [50.8, 25.4, 12.7, 6.3, 3.2, 1.6]),
            (0.8, [27.1, 21.7, 17.3, 13.9, 11.1, 8.9]),
            (1.5, [4.8, 7.2, 10.8, 16.2, 24.4, 36.5]),
        ] {
            let found = Shares::Exp.of(6, ratio);
            assert!(found.iter().zip(percent).all(|(f, p)| (100.0 * f - p).abs() < 0.06), "{ratio}: {found:?}");
        }
        for family in Shares::ALL {
            let pairs = family.of(7, 1.7).into_iter().zip(published_shares(family, 7, 1.7));
            assert!(pairs.into_iter().all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{family:?}");
            let (low, high) = family.range();
            let ends = [low, high].map(|ratio| family.of(10, ratio).iter().sum::<f64>());
            assert!(ends.iter().all(|sum| (sum - 1.0).abs() < 1e-9), "{family:?}: {ends:?}");
        }
    }

    proptest! {
        #[test]
        fn the_parameter_meets_the_average(
            exits in 2usize..10, place in 0.02f64..0.98, family in prop::sample::select(Shares::ALL.to_vec())
        ) {
            let costs: Vec<f64> = (1..=exits).map(|k| k as f64 * 1.3).collect();
            let mean = |ratio| family.of(exits, ratio).iter().zip(&costs).map(|(p, c)| p * c).sum::<f64>();
            let average = costs[0] + place * (costs[exits - 1] - costs[0]);
            let found = family.ratio_for(&costs, average).map_or_else(|nearest| nearest, mean);
            let (least, most) = (mean(family.range().0), mean(family.range().1));
            prop_assert!((found / average.clamp(least, most) - 1.0).abs() < 0.01, "{found} for {average}");
        }
    }

    #[test]
    fn an_average_that_no_shares_have_names_the_nearest() {
        assert_eq!(Shares::Exp.ratio_for(&[1.0, 2.0], 0.5).unwrap_err().round(), 1.0);
        assert_eq!(Shares::Exp.ratio_for(&[1.0, 2.0], 3.0).unwrap_err().round(), 2.0);
        assert!(Shares::Gamma.ratio_for(&[1.0, 2.0, 3.0], 1.0).unwrap_err() > 1.1);
    }
}
