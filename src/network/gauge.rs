//! What the thresholds limit, ready to be measured: a metric, and the regressors that one of them needs.

use std::sync::Arc;

use super::gate::{Candidate, Metric};
use super::predictor::{Predictor, signs};

/// A metric that can be measured. [`Metric::Predicted`] without regressors measures nothing: every delta is a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    metric: Metric,
    predictor: Option<Arc<Predictor>>,
}

/// When an exit is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Of the epoch; 0 for the first.
    pub step: u64,
    /// Of the oldest camera's media, in control periods.
    pub age: u32,
    /// [`Metric::Rms`] of the exit before; `None` at the first.
    pub delta_before: Option<f32>,
}

impl Gauge {
    /// The predicted distance to full depth.
    pub fn predicted(predictor: Predictor) -> Self {
        Self { metric: Metric::Predicted, predictor: Some(Arc::new(predictor)) }
    }

    /// What it measures.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Whether a [`Candidate`] needs its feature.
    pub fn needs_features(&self) -> bool {
        matches!(self.metric, Metric::Feature | Metric::Predicted)
    }

    /// The delta of `exit` beside the one before; not a number when what is measured holds one.
    pub fn delta(&self, exit: usize, here: Candidate<'_>, before: Candidate<'_>, moment: Moment) -> f32 {
        match &self.predictor {
            Some(predictor) => predictor.distance(exit, &signs(here, before, moment)),
            None => self.metric.delta(here, before, moment.step),
        }
    }
}

impl From<Metric> for Gauge {
    fn from(metric: Metric) -> Self {
        Self { metric, predictor: None }
    }
}
