//! Does this exit agree with the one before?
//!
//! The action-consistency gate of DeeR-VLA (arXiv 2411.02359, section 3.2): when two neighbouring exits give the same
//! action, a deeper one is not worth its time. It compares actions rather than features, so it needs no training and
//! its numbers have a meaning: an rms of 0.1 is a tenth of the largest step that the arm can take.
//! The paper's other two criteria (its table 4) are here to be compared with: features, and time.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

/// What is compared with a threshold. The gripper never counts: it is a decision, not a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Root mean square over the six arm outputs: what the published code calls L2.
    #[default]
    Rms,
    /// Mean of the absolute differences.
    Mean,
    /// Largest absolute difference.
    Max,
    /// One minus the cosine of the angle between the two actions; 0 when they point the same way.
    Cosine,
    /// One minus the cosine of the angle between the two exits' features.
    Feature,
    /// Steps since the epoch began, whatever the exits say: the deeper the longer a task takes.
    Time,
    /// The distance to full depth's action that the bundle's predictor expects.
    Predicted,
}

/// What an exit offers for comparison.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its six arm outputs.
    pub arm: [f32; 6],
    /// Its probability that the gripper is open.
    pub gripper: f32,
    /// Its feature `[W]`.
    pub feature: ArrayView1<'a, f32>,
}

/// When an exit is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// Of the epoch; 0 for the first.
    pub step: u64,
    /// Of the oldest camera's media, in control periods.
    pub age: u32,
    /// [`Metric::Rms`] of the exit before; `None` at the first.
    pub delta_before: Option<f32>,
}

impl Metric {
    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rms => "rms",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Cosine => "cosine",
            Self::Feature => "feature",
            Self::Time => "time",
            Self::Predicted => "predicted",
        }
    }

    /// The delta between an exit and the one before, at the epoch's step `step` (0 for the first): not negative, 0 for
    /// equal ones (but for `Time`), not a number when what is compared holds one.
    pub fn delta(self, here: Candidate<'_>, before: Candidate<'_>, step: u64) -> f32 {
        let (a, b) = (&here.arm, &before.arm);
        let differences = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
        match self {
            Self::Rms => rms(a, b),
            Self::Mean => differences().sum::<f32>() / 6.0,
            // `f32::max` would drop a NaN.
            Self::Max => differences().fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst }),
            Self::Cosine => cosine_distance(ArrayView1::from(a), ArrayView1::from(b)),
            Self::Feature => cosine_distance(here.feature, before.feature),
            Self::Time => step as f32,
            // Only the bundle's regressors know: nothing may pass for their answer.
            Self::Predicted => f32::NAN,
        }
    }
}

/// Root mean square of the difference of two arm actions.
pub fn rms(a: &[f32; 6], b: &[f32; 6]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / 6.0).sqrt()
}

fn cosine_distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    let norms = (a.dot(&a) * b.dot(&b)).sqrt();
    if norms == 0.0 {
        // Two arms at rest agree; a moving and a resting one do not point the same way.
        return if a == b { 0.0 } else { 1.0 };
    }
    let distance = 1.0 - a.dot(&b) / norms;
    // Rounding may leave it a hair below zero; `f32::max` would also turn a NaN into zero.
    if distance < 0.0 { 0.0 } else { distance }
}

/// Why a control step ended at its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The delta was within the threshold.
    Agreed,
    /// The deepest exit allowed.
    Cap,
    /// The next stage would have ended after the deadline.
    Anytime,
    /// The network was not asked: what it foresaw is carried out, or the last action goes on.
    Skipped,
}

impl Reason {
    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Cap => "cap",
            Self::Anytime => "anytime",
            Self::Skipped => "skipped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: [f32; 6] = [0.3, -0.1, 0.0, 0.5, 0.2, -0.4];
    const METRICS: [Metric; 4] = [Metric::Rms, Metric::Mean, Metric::Max, Metric::Cosine];

    fn candidate(arm: [f32; 6], feature: &[f32]) -> Candidate<'_> {
        Candidate { arm, gripper: 0.5, feature: feature.into() }
    }

    fn delta(metric: Metric, a: [f32; 6], b: [f32; 6]) -> f32 {
        metric.delta(candidate(a, &[]), candidate(b, &[]), 0)
    }

    #[test]
    fn rms_is_the_vector_norm_over_the_root_of_six() {
        let b = A.map(|v| v + 0.06);
        assert!((delta(Metric::Rms, A, b) - 0.06).abs() < 1e-6);
        let mut c = A;
        c[0] += 0.6;
        assert!((delta(Metric::Rms, A, c) - 0.6 / 6f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn mean_max_and_cosine_measure_what_they_say() {
        let mut b = A;
        b[1] += 0.6;
        assert!((delta(Metric::Mean, A, b) - 0.1).abs() < 1e-6);
        assert!((delta(Metric::Max, A, b) - 0.6).abs() < 1e-6);
        assert!(delta(Metric::Cosine, A, A.map(|v| 2.0 * v)) < 1e-6);
        assert!((delta(Metric::Cosine, A, A.map(|v| -v)) - 2.0).abs() < 1e-6);
        assert_eq!(delta(Metric::Cosine, [0.0; 6], A), 1.0);
    }

    #[test]
    fn features_are_compared_by_their_angle_and_time_by_nothing_else() {
        let (here, turned) = (candidate(A, &[3.0, 0.0]), candidate(A, &[0.0, 0.5]));
        assert_eq!(Metric::Feature.delta(here, turned, 9), 1.0);
        assert_eq!(Metric::Feature.delta(here, candidate([0.0; 6], &[6.0, 0.0]), 9), 0.0);
        assert_eq!(Metric::Time.delta(here, turned, 9), 9.0);
    }

    #[test]
    fn a_number_that_is_none_stays_none() {
        for metric in METRICS {
            let mut b = A;
            b[5] = f32::NAN;
            assert!(delta(metric, A, b).is_nan(), "{metric:?}");
        }
        assert!(Metric::Feature.delta(candidate(A, &[1.0]), candidate(A, &[f32::NAN]), 0).is_nan());
    }

    proptest! {
        #[test]
        fn every_distance_is_zero_for_equals_symmetric_and_not_negative(
            a in prop::array::uniform6(-1f32..1.0), b in prop::array::uniform6(-1f32..1.0)
        ) {
            for metric in METRICS {
                prop_assert!(delta(metric, a, a) < 1e-6);
                prop_assert!(delta(metric, a, b) >= 0.0);
                prop_assert_eq!(delta(metric, a, b), delta(metric, b, a));
            }
        }
    }
}
