//! What the thresholds limit, ready to be measured: a metric, and the regressors that one of them needs.

use std::sync::Arc;

use super::gate::{Candidate, Context, Metric};
use super::predictor::{Predictor, signs};

/// A metric that can be measured. [`Metric::Predicted`] without regressors measures nothing: every delta is a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    metric: Metric,
    predictor: Option<Arc<Predictor>>,
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
    pub fn delta(&self, exit: usize, here: Candidate<'_>, before: Candidate<'_>, context: Context) -> f32 {
        match &self.predictor {
            Some(predictor) => predictor.distance(exit, &signs(here, before, context)),
            None => self.metric.delta(here, before, context.step),
        }
    }
}

impl From<Metric> for Gauge {
    fn from(metric: Metric) -> Self {
        Self { metric, predictor: None }
    }
}
