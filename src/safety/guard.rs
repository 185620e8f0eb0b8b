//! Are the pictures fit to act on?

use super::{Hold, Verdict};
use crate::units::Stamp;

/// Limits on the age of pictures and on the time between those of two cameras.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    /// Older pictures mean hold. Seconds, positive.
    pub max_frame_age_secs: f64,
    /// Pictures taken further apart mean hold. Seconds, positive.
    pub max_frame_skew_secs: f64,
}

impl Guard {
    /// Whether every camera's newest picture is there and fresh. `frames`: roles and capture times, `None` where nothing
    /// readable came yet.
    pub fn stale<'a>(&self, now: Stamp, frames: impl Iterator<Item = (&'a str, Option<Stamp>)>) -> Option<Hold> {
        for (role, stamp) in frames {
            let Some(stamp) = stamp else {
                return Some(Hold::new(Verdict::HoldMissingFrame, format!("no picture from the {role} camera yet")));
            };
            if let Some(hold) = self.age(now, role, stamp) {
                return Some(hold);
            }
        }
        None
    }

    /// Whether the pictures of a set were taken too far apart. A question about a set that is answered together: between
    /// two sets one camera's picture is always ahead.
    pub fn skewed<'a>(&self, frames: impl Iterator<Item = (&'a str, Stamp)> + Clone) -> Option<Hold> {
        let (old_role, old) = frames.clone().min_by_key(|(_, stamp)| *stamp)?;
        let (new_role, new) = frames.max_by_key(|(_, stamp)| *stamp)?;
        let skew_secs = new.secs_since(old);
        (skew_secs > self.max_frame_skew_secs).then(|| {
            let limit = self.max_frame_skew_secs;
            let message = format!(
                "the {old_role} camera's picture was taken {skew_secs:.3} s before the {new_role} camera's \
                 (max_frame_skew {limit} s)"
            );
            Hold::new(Verdict::HoldSkewedFrames, message)
        })
    }

    fn age(&self, now: Stamp, role: &str, stamp: Stamp) -> Option<Hold> {
        let limit = self.max_frame_age_secs;
        let age_secs = now.secs_since(stamp);
        if age_secs > limit {
            let message = format!("the {role} camera's picture is {age_secs:.3} s old (max_frame_age {limit} s)");
            return Some(Hold::new(Verdict::HoldStaleFrame, message));
        }
        (age_secs < -limit).then(|| {
            let ahead = -age_secs;
            let message = format!(
                "the {role} camera's picture is stamped {ahead:.3} s ahead of the clock; \
                 synchronise the clocks, or set use_sim_time alike on both sides"
            );
            Hold::new(Verdict::HoldFutureFrame, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Guard = Guard { max_frame_age_secs: 0.2, max_frame_skew_secs: 0.05 };

    const ROLES: [&str; 2] = ["static", "gripper"];

    fn stale(now: f64, stamps: [Option<f64>; 2]) -> Option<Verdict> {
        let frames = ROLES.into_iter().zip(stamps.map(|s| s.map(Stamp::from_secs)));
        GUARD.stale(Stamp::from_secs(now), frames).map(|hold| hold.verdict)
    }

    fn skewed(stamps: [f64; 2]) -> Option<Hold> {
        GUARD.skewed(ROLES.into_iter().zip(stamps.map(Stamp::from_secs)))
    }

    #[test]
    fn fresh_pictures_taken_together_pass() {
        assert_eq!(stale(10.0, [Some(9.8), Some(9.85)]), None, "the limits themselves pass");
        assert_eq!(skewed([9.8, 9.85]), None);
    }

    #[test]
    fn missing_old_and_future_pictures_hold() {
        assert_eq!(stale(10.0, [Some(9.9), None]), Some(Verdict::HoldMissingFrame));
        assert_eq!(stale(10.0, [Some(9.9), Some(9.79)]), Some(Verdict::HoldStaleFrame));
        assert_eq!(stale(10.0, [Some(10.3), Some(10.3)]), Some(Verdict::HoldFutureFrame));
    }

    #[test]
    fn pictures_taken_apart_hold_whichever_came_first() {
        for (stamps, words) in
            [([9.9, 9.96], "static camera's picture was taken"), ([9.96, 9.9], "gripper camera's picture")]
        {
            let hold = skewed(stamps).unwrap();
            assert_eq!(hold.verdict, Verdict::HoldSkewedFrames);
            assert!(
                hold.message.starts_with(&format!("the {words}")) && hold.message.contains("0.060 s"),
                "{}",
                hold.message
            );
        }
    }

    #[test]
    fn the_message_names_the_camera_and_both_numbers() {
        let frames = [("static", Some(Stamp::from_secs(9.0)))];
        let message = GUARD.stale(Stamp::from_secs(10.0), frames.into_iter()).unwrap().message;
        assert!(message.contains("static") && message.contains("1.000 s") && message.contains("0.2"), "{message}");
    }
}
