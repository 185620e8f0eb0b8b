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
    /// Looks at the capture times of the newest pictures, by camera role; `None` where nothing readable came yet.
    pub fn hold<'a>(&self, now: Stamp, frames: impl Iterator<Item = (&'a str, Option<Stamp>)>) -> Option<Hold> {
        let mut oldest: Option<(&str, Stamp)> = None;
        let mut newest: Option<(&str, Stamp)> = None;
        for (role, stamp) in frames {
            let Some(stamp) = stamp else {
                return Some(Hold::new(Verdict::HoldMissingFrame, format!("no picture from the {role} camera yet")));
            };
            if let Some(hold) = self.age(now, role, stamp) {
                return Some(hold);
            }
            oldest = oldest.filter(|(_, s)| *s <= stamp).or(Some((role, stamp)));
            newest = newest.filter(|(_, s)| *s >= stamp).or(Some((role, stamp)));
        }
        let ((old_role, old), (new_role, new)) = (oldest?, newest?);
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

    fn verdict(now: f64, stamps: [Option<f64>; 2]) -> Option<Verdict> {
        let frames = ["static", "gripper"].into_iter().zip(stamps.map(|s| s.map(Stamp::from_secs)));
        GUARD.hold(Stamp::from_secs(now), frames).map(|hold| hold.verdict)
    }

    #[test]
    fn fresh_pictures_taken_together_pass() {
        assert_eq!(verdict(10.0, [Some(9.9), Some(9.93)]), None);
        assert_eq!(verdict(10.0, [Some(9.8), Some(9.85)]), None, "the limits themselves pass");
    }

    #[test]
    fn missing_old_and_future_pictures_hold() {
        assert_eq!(verdict(10.0, [Some(9.9), None]), Some(Verdict::HoldMissingFrame));
        assert_eq!(verdict(10.0, [Some(9.9), Some(9.79)]), Some(Verdict::HoldStaleFrame));
        assert_eq!(verdict(10.0, [Some(10.3), Some(10.3)]), Some(Verdict::HoldFutureFrame));
    }

    #[test]
    fn pictures_taken_apart_hold_whichever_came_first() {
        assert_eq!(verdict(10.0, [Some(9.9), Some(9.96)]), Some(Verdict::HoldSkewedFrames));
        assert_eq!(verdict(10.0, [Some(9.96), Some(9.9)]), Some(Verdict::HoldSkewedFrames));
    }

    #[test]
    fn the_message_names_the_camera_and_both_numbers() {
        let frames = [("static", Some(Stamp::from_secs(9.0)))];
        let message = GUARD.hold(Stamp::from_secs(10.0), frames.into_iter()).unwrap().message;
        assert!(message.contains("static") && message.contains("1.000 s") && message.contains("0.2"), "{message}");
    }
}
