//! Points in time, the one quantity that every module hands to the next.
//!
//! Other quantities carry their unit in their name (`scale_m`, `period_secs`); time gets a type because two clocks
//! (the robot's and the machine's) must never be subtracted from one another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the robot's clock: nanoseconds since that clock's epoch, as ROS counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp(pub i64);

impl Stamp {
    /// From a ROS `builtin_interfaces/Time`.
    pub fn new(secs: i32, nanos: u32) -> Self {
        Self(i64::from(secs) * 1_000_000_000 + i64::from(nanos))
    }

    /// From seconds, rounded to the nanosecond.
    pub fn from_secs(secs: f64) -> Self {
        Self((secs * 1e9).round() as i64)
    }

    /// Whole seconds and the nanoseconds after them, as ROS sends them.
    pub fn parts(self) -> (i32, u32) {
        (self.0.div_euclid(1_000_000_000) as i32, self.0.rem_euclid(1_000_000_000) as u32)
    }

    /// Seconds from `earlier` to here; negative when `earlier` is in fact later.
    pub fn secs_since(self, earlier: Stamp) -> f64 {
        (self.0 - earlier.0) as f64 * 1e-9
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (secs, nanos) = self.parts();
        write!(f, "{secs}.{nanos:09}")
    }
}

/// One moment, as everybody on the robot counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// On the robot's clock, which pictures are stamped by and which may be set.
    pub robot: Stamp,
    /// On the machine's clock, which nobody sets: since the program began.
    pub machine: Duration,
    /// How often the arm has been halted, read before what is known at this moment was asked for.
    pub halts: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_way_to_ros_and_back() {
        for stamp in [Stamp(0), Stamp(1), Stamp(1_999_999_999), Stamp(1_732_000_000_123_456_789)] {
            let (secs, nanos) = stamp.parts();
            assert_eq!(Stamp::new(secs, nanos), stamp);
        }
    }

    #[test]
    fn a_stamp_prints_as_seconds_with_nine_decimals() {
        assert_eq!(Stamp::new(3, 42).to_string(), "3.000000042");
    }

    #[test]
    fn time_runs_backwards_as_a_negative_number() {
        assert_eq!(Stamp::from_secs(1.0).secs_since(Stamp::from_secs(1.5)), -0.5);
    }
}
