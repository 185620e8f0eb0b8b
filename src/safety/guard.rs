//! Are the pictures fit to act on?

use super::{Hold, Verdict};
use crate::units::Stamp;

/// Limits on what pictures may be like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    /// Older pictures mean hold. Seconds, positive.
    pub max_frame_age_secs: f64,
    /// Pictures taken further apart mean hold. Seconds, positive.
    pub max_frame_skew_secs: f64,
    /// A camera that sends nothing for longer means hold. Seconds of the machine's clock, positive.
    pub max_silence_secs: f64,
    /// The robot's clock may run away from the machine's by so much between two looks. Seconds, positive.
    pub max_clock_jump_secs: f64,
    /// Fewer pictures a second mean hold; 0 allows any.
    pub min_rate_hz: f64,
    /// A smaller standard deviation of the green channel (0 to 127.5) means hold; 0 allows any.
    pub min_contrast: f64,
    /// So many pictures in a row that are the same while the arm moves mean hold.
    pub frozen: Option<u32>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            max_frame_age_secs: 0.2,
            max_frame_skew_secs: 0.05,
            max_silence_secs: 0.1,
            max_clock_jump_secs: 0.1,
            min_rate_hz: 0.0,
            min_contrast: 1.0,
            frozen: None,
        }
    }
}

impl Guard {
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

    /// Whether a picture is old, or of a time that has not come.
    pub(crate) fn age(&self, now: Stamp, role: &str, stamp: Stamp) -> Option<Hold> {
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

    fn age(now: f64, stamp: f64) -> Option<Hold> {
        Guard::default().age(Stamp::from_secs(now), "static", Stamp::from_secs(stamp))
    }

    fn skewed(stamps: [f64; 2]) -> Option<Hold> {
        Guard::default().skewed(["static", "gripper"].into_iter().zip(stamps.map(Stamp::from_secs)))
    }

    #[test]
    fn fresh_pictures_taken_together_pass() {
        assert_eq!(age(10.0, 9.8), None, "the limits themselves pass");
        assert_eq!(skewed([9.8, 9.85]), None);
    }

    #[test]
    fn old_and_future_pictures_hold() {
        assert_eq!(age(10.0, 9.79).map(|hold| hold.verdict), Some(Verdict::HoldStaleFrame));
        assert_eq!(age(10.0, 10.3).map(|hold| hold.verdict), Some(Verdict::HoldFutureFrame));
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
        let message = age(10.0, 9.0).unwrap().message;
        assert!(message.contains("static") && message.contains("1.000 s") && message.contains("0.2"), "{message}");
    }
}
