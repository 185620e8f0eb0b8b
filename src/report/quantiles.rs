//! Median and spread of measurements.

use serde::Serialize;

/// What most runs took. The mean of times says little: one run that the system interrupted moves it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// A tenth of the runs took no longer.
    pub p10: f64,
    /// Half of them.
    pub median: f64,
    /// Nine tenths of them.
    pub p90: f64,
}

impl Quantiles {
    /// Of measurements in any order; `None` when there are none. Between two measurements it interpolates.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |q: f64| {
            let place = q * last as f64;
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        Some(Self { p10: at(0.1), median: at(0.5), p90: at(0.9) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_eleven_are_the_second_the_sixth_and_the_tenth() {
        let values = [10.0, 0.0, 9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];
        assert_eq!(Quantiles::of(values), Some(Quantiles { p10: 1.0, median: 5.0, p90: 9.0 }));
    }

    #[test]
    fn between_two_measurements_it_interpolates_and_of_none_there_is_none() {
        assert_eq!(Quantiles::of([1.0, 2.0]).map(|q| q.median), Some(1.5));
        assert_eq!(Quantiles::of([3.0]), Some(Quantiles { p10: 3.0, median: 3.0, p90: 3.0 }));
        assert_eq!(Quantiles::of([]), None);
    }
}
