//! How fast an arm may be told to move.

use super::Twist;

/// Bounds on the norm of a velocity, linear (metres) or angular (radians), and on its derivatives. All positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Per second.
    pub speed: f64,
    /// Per second².
    pub acceleration: f64,
    /// Per second³.
    pub jerk: f64,
}

/// Bounds on what an arm is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// In metres.
    pub linear: Limit,
    /// In radians.
    pub angular: Limit,
}

impl Limits {
    /// The twist within both speeds, directions kept, and the speeds that were cut off (m/s, rad/s).
    pub fn cut(&self, twist: &Twist) -> (Twist, [f64; 2]) {
        let (linear, linear_cut) = within(twist.linear, self.linear.speed);
        let (angular, angular_cut) = within(twist.angular, self.angular.speed);
        (Twist { linear, angular }, [linear_cut, angular_cut])
    }
}

/// Euclidean length.
pub(super) fn norm(vector: [f64; 3]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// A vector shortened to `most`, and by how much.
pub(super) fn within(vector: [f64; 3], most: f64) -> ([f64; 3], f64) {
    let length = norm(vector);
    if length <= most { (vector, 0.0) } else { (vector.map(|v| v * most / length), length - most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_fast_is_cut_by_its_norm_and_keeps_its_direction() {
        let limit = Limit { speed: 0.5, acceleration: 1.0, jerk: 1.0 };
        let limits = Limits { linear: limit, angular: limit };
        let (twist, cut) = limits.cut(&Twist { linear: [0.6, 0.8, 0.0], angular: [0.0, 0.5, 0.0] });
        assert!((twist.linear[0] - 0.3).abs() < 1e-12 && (twist.linear[1] - 0.4).abs() < 1e-12, "{twist:?}");
        assert_eq!(twist.angular, [0.0, 0.5, 0.0]);
        assert!((cut[0] - 0.5).abs() < 1e-12 && cut[1] == 0.0, "{cut:?}");
    }
}
