//! Does this exit agree with the one before?
//!
//! The action-consistency gate of DeeR-VLA (arXiv 2411.02359, section 3.2): when two neighbouring exits give the same
//! action, a deeper one is not worth its time. It compares actions rather than features, so it needs no training and
//! its numbers have a meaning: an rms of 0.1 is a tenth of the largest step that the arm can take.

use serde::{Deserialize, Serialize};

/// How far two arm actions are apart. The gripper does not count: it is a decision, not a distance.
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
}

impl Metric {
    /// The delta between two arm actions: not negative, 0 for equal ones, not a number when either holds one.
    pub fn delta(self, a: &[f32; 6], b: &[f32; 6]) -> f32 {
        let differences = || a.iter().zip(b).map(|(a, b)| (a - b).abs());
        match self {
            Self::Rms => (differences().map(|d| d * d).sum::<f32>() / 6.0).sqrt(),
            Self::Mean => differences().sum::<f32>() / 6.0,
            // `f32::max` would drop a NaN.
            Self::Max => differences().fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst }),
            Self::Cosine => cosine_distance(a, b),
        }
    }
}

fn cosine_distance(a: &[f32; 6], b: &[f32; 6]) -> f32 {
    let dot = |a: &[f32; 6], b: &[f32; 6]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 {
        // Two arms at rest agree; a moving and a resting one do not point the same way.
        return if a == b { 0.0 } else { 1.0 };
    }
    let distance = 1.0 - dot(a, b) / norms;
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
}

impl Reason {
    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Cap => "cap",
            Self::Anytime => "anytime",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: [f32; 6] = [0.3, -0.1, 0.0, 0.5, 0.2, -0.4];
    const METRICS: [Metric; 4] = [Metric::Rms, Metric::Mean, Metric::Max, Metric::Cosine];

    #[test]
    fn rms_is_the_vector_norm_over_the_root_of_six() {
        let b = A.map(|v| v + 0.06);
        assert!((Metric::Rms.delta(&A, &b) - 0.06).abs() < 1e-6);
        let mut c = A;
        c[0] += 0.6;
        assert!((Metric::Rms.delta(&A, &c) - 0.6 / 6f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn mean_max_and_cosine_measure_what_they_say() {
        let mut b = A;
        b[1] += 0.6;
        assert!((Metric::Mean.delta(&A, &b) - 0.1).abs() < 1e-6);
        assert!((Metric::Max.delta(&A, &b) - 0.6).abs() < 1e-6);
        assert!(Metric::Cosine.delta(&A, &A.map(|v| 2.0 * v)) < 1e-6);
        assert!((Metric::Cosine.delta(&A, &A.map(|v| -v)) - 2.0).abs() < 1e-6);
        assert_eq!(Metric::Cosine.delta(&[0.0; 6], &A), 1.0);
    }

    #[test]
    fn a_number_that_is_none_stays_none() {
        for metric in METRICS {
            let mut b = A;
            b[5] = f32::NAN;
            assert!(metric.delta(&A, &b).is_nan(), "{metric:?}");
        }
    }

    proptest! {
        #[test]
        fn every_metric_is_zero_for_equals_symmetric_and_not_negative(
            a in prop::array::uniform6(-1f32..1.0), b in prop::array::uniform6(-1f32..1.0)
        ) {
            for metric in METRICS {
                prop_assert!(metric.delta(&a, &a) < 1e-6);
                prop_assert!(metric.delta(&a, &b) >= 0.0);
                prop_assert_eq!(metric.delta(&a, &b), metric.delta(&b, &a));
            }
        }
    }
}
