//! Thresholds searched online: the search is asked for a point, somebody judges it, the search is told the value.
//!
//! A point says for every exit below the cap the share of the steps that reach it which end there. So every exit has the
//! same scale, 0 to 1, whatever its deltas are; a calibration turns the shares into limits.

use egobox_ego::{EgorServiceBuilder, InfillStrategy};
use ndarray_egobox::Array2;

use super::{Calibration, assign, capped};

/// Bayesian optimisation by few, dear and noisy judgements: one Gaussian process of the success and one of the cost, and
/// the point where the expected improvement within the budget is greatest.
///
/// It runs nothing and holds no hidden state: the same seed told the same asks for the same points.
pub struct Search {
    /// Lowest and highest coordinate an exit.
    bounds: Vec<(f64, f64)>,
    start: Vec<f64>,
    /// Success that a cost of twice the budget takes away.
    penalty: f64,
    seed: u64,
    told: Vec<Told>,
}

/// One judgement.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    point: Vec<f64>,
    success: f64,
    /// Cost over the budget, as a share of it; negative below.
    excess: f64,
}

/// Why a search cannot begin or go on.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SearchError {
    /// There is only one exit.
    #[error(
        "there is nothing to search: the cap is the first exit, so every step ends there; raise --peak or --memory"
    )]
    NothingToSearch,
    /// The judgements are no ground for a model.
    #[error("no next point follows from the {0} judgements so far; take another seed")]
    NoSuggestion(usize),
}

impl Search {
    /// A search that begins at `start` (one share an exit below the cap) and goes at most `reach` away from it.
    /// `penalty`: success that a cost of twice the budget takes away.
    ///
    /// # Errors
    /// `NothingToSearch`.
    pub fn new(start: Vec<f64>, reach: f64, penalty: f64, seed: u64) -> Result<Self, SearchError> {
        if start.is_empty() {
            return Err(SearchError::NothingToSearch);
        }
        let bounds = start.iter().map(|&x| ((x - reach).max(0.0), (x + reach).min(1.0))).collect();
        Ok(Self { bounds, start, penalty, seed, told: Vec::new() })
    }

    /// The next point to judge: the start, then as many points by chance as there are exits and one more, then what the
    /// model expects to improve most.
    ///
    /// # Errors
    /// `NoSuggestion`.
    pub fn ask(&self) -> Result<Vec<f64>, SearchError> {
        let (number, exits) = (self.told.len(), self.bounds.len());
        if number == 0 {
            return Ok(self.start.clone());
        }
        if number < exits + 2 {
            let mut random = fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
            return Ok(self.bounds.iter().map(|(low, high)| low + random.f64() * (high - low)).collect());
        }
        let limits = Array2::from_shape_fn((exits, 2), |(k, side)| [self.bounds[k].0, self.bounds[k].1][side]);
        let points = Array2::from_shape_fn((number, exits), |(n, k)| self.told[n].point[k]);
        let judged = Array2::from_shape_fn((number, 2), |(n, k)| [-self.told[n].success, self.told[n].excess][k]);
        let model = EgorServiceBuilder::optimize()
            .configure(|config| config.n_cstr(1).infill_strategy(InfillStrategy::EI).seed(self.seed))
            .min_within(&limits)
            .map_err(|_reason| SearchError::NoSuggestion(number))?;
        let point = model.suggest(&points, &judged);
        let coordinates = point.iter().zip(&self.bounds).map(|(x, (low, high))| x.clamp(*low, *high));
        let point: Vec<f64> = coordinates.take(exits).collect();
        if point.len() == exits && point.iter().all(|x| x.is_finite()) {
            Ok(point)
        } else {
            Err(SearchError::NoSuggestion(number))
        }
    }

    /// How `point` was judged: its success, and its cost over the budget as a share of the budget (negative below).
    pub fn tell(&mut self, point: Vec<f64>, success: f64, excess: f64) {
        self.told.push(Told { point, success, excess });
    }

    /// The number of the judgement with the most success less the penalty, the first of equals.
    pub fn best(&self) -> Option<usize> {
        let worth = |n: usize| self.told[n].success - self.penalty * self.told[n].excess.max(0.0);
        (0..self.told.len()).min_by(|&a, &b| worth(b).total_cmp(&worth(a)))
    }
}

/// Shares of all steps that end at each exit up to the cap → of the steps that reach an exit, the share that ends there;
/// one number less, as all end at the cap.
pub fn stops(shares: &[f64]) -> Vec<f64> {
    let mut reach = 1.0;
    let below = &shares[..shares.len().saturating_sub(1)];
    below
        .iter()
        .map(|share| {
            let stop = if reach > 1e-12 { (share / reach).clamp(0.0, 1.0) } else { 0.0 };
            reach -= share;
            stop
        })
        .collect()
}

/// The limits, one an exit, that have these [`stops`] on the calibration.
pub fn limits_of(calibration: &Calibration, stops: &[f64]) -> Vec<f64> {
    let mut reach = 1.0;
    let mut shares: Vec<f64> = stops
        .iter()
        .map(|stop| {
            let share = reach * stop;
            reach -= share;
            share
        })
        .collect();
    shares.push(reach);
    capped(assign(calibration, &shares), stops.len(), calibration.exits.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Success falls off around (0.7, 0.3), the cost x + y may be 0.8: the best that can be had is at (0.6, 0.2).
    fn judge(point: &[f64]) -> (f64, f64) {
        (1.0 - (point[0] - 0.7).powi(2) - (point[1] - 0.3).powi(2), (point[0] + point[1]) / 0.8 - 1.0)
    }

    fn go_on(search: &mut Search, evaluations: usize) {
        for _ in 0..evaluations {
            let point = search.ask().unwrap();
            let (success, excess) = judge(&point);
            search.tell(point, success, excess);
        }
    }

    #[test]
    fn the_search_finds_a_known_optimum_under_a_cost() {
        for seed in 0..3 {
            let mut search = Search::new(vec![0.4, 0.4], 0.4, 5.0, seed).unwrap();
            go_on(&mut search, 25);
            let Told { point, success, excess } = &search.told[search.best().unwrap()];
            assert!(*excess < 0.01 && *success > 0.97, "seed {seed}: {success}, {excess} over at {point:?}");
        }
    }

    #[test]
    fn the_same_seed_told_the_same_asks_for_the_same_points() {
        let mut whole = Search::new(vec![0.4, 0.4], 0.4, 5.0, 7).unwrap();
        go_on(&mut whole, 12);
        let mut resumed = Search::new(vec![0.4, 0.4], 0.4, 5.0, 7).unwrap();
        whole.told[..6].iter().for_each(|told| resumed.tell(told.point.clone(), told.success, told.excess));
        go_on(&mut resumed, 6);
        assert_eq!(whole.told, resumed.told);
    }

    #[test]
    fn the_penalty_decides_between_success_and_cost() {
        let best = |penalty| {
            let mut search = Search::new(vec![0.5], 0.2, penalty, 0).unwrap();
            [(2.0, 0.1), (1.8, 0.0), (1.7, -0.5)]
                .iter()
                .for_each(|&(success, excess)| search.tell(vec![0.5], success, excess));
            search.best()
        };
        assert_eq!((best(1.0), best(5.0)), (Some(0), Some(1)));
    }

    #[test]
    fn it_begins_with_the_offline_solution_and_stays_within_reach() {
        let mut search = Search::new(vec![0.1, 0.95, 0.5], 0.2, 5.0, 0).unwrap();
        assert_eq!(search.ask().unwrap(), [0.1, 0.95, 0.5]);
        for _ in 0..8 {
            let point = search.ask().unwrap();
            assert!(
                point[0] <= 0.3 && point[1] >= 0.75 && point[1] <= 1.0 && (0.3..=0.7).contains(&point[2]),
                "{point:?}"
            );
            let sum: f64 = point.iter().sum();
            search.tell(point, sum, sum - 1.5);
        }
        assert_eq!(Search::new(vec![], 0.2, 5.0, 0).err(), Some(SearchError::NothingToSearch));
    }

    #[test]
    fn shares_and_stops_say_the_same() {
        assert_eq!(stops(&[0.5, 0.25, 0.25]), [0.5, 0.5]);
        assert_eq!(stops(&[1.0, 0.0, 0.0]), [1.0, 0.0]);
        let deltas: Vec<Vec<f64>> =
            (0..4).map(|k| (0..100).map(|s| f64::from((s * 37 + k * 11) % 101)).collect()).collect();
        let table: Calibration =
            serde_json::from_value(serde_json::json!({"schema": 1, "exits": [1, 3, 5, 7], "deltas": deltas})).unwrap();
        let limits = limits_of(&table, &stops(&[0.25, 0.5, 0.25]));
        assert_eq!(limits[2..], [super::super::ALWAYS, f64::INFINITY]);
        assert_eq!(table.shares(&limits[..3]), [0.25, 0.5, 0.25]);
    }
}
