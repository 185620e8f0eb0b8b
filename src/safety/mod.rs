//! May the arm move? Every outcome is a published enum.
//!
//! A relative action carried out on an old picture walks the arm away from where the network believes it to be, so
//! whatever is missing, old or contradictory means hold: zero motion, never the last command and never a made-up one.

mod arming;
mod guard;

use serde::Serialize;

pub use arming::{Arming, Refused, State};
pub use guard::Guard;

/// What became of a control step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The network's action is carried out (in dry run: would be).
    Act,
    /// Not enabled.
    HoldDisarmed,
    /// A fault is latched.
    HoldFault,
    /// The emergency stop is pressed.
    HoldEstop,
    /// The emergency stop's heartbeat is overdue.
    HoldEstopSilent,
    /// No sentence, or an empty one.
    HoldNoInstruction,
    /// A camera has not delivered anything that could be read.
    HoldMissingFrame,
    /// A picture is older than allowed.
    HoldStaleFrame,
    /// A picture's time lies ahead of the clock.
    HoldFutureFrame,
    /// The cameras' pictures were taken too far apart.
    HoldSkewedFrames,
    /// The last action's control period is over and no new pictures have come.
    HoldSpent,
}

impl Verdict {
    /// Its published name, `act` or `hold_…`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::HoldDisarmed => "hold_disarmed",
            Self::HoldFault => "hold_fault",
            Self::HoldEstop => "hold_estop",
            Self::HoldEstopSilent => "hold_estop_silent",
            Self::HoldNoInstruction => "hold_no_instruction",
            Self::HoldMissingFrame => "hold_missing_frame",
            Self::HoldStaleFrame => "hold_stale_frame",
            Self::HoldFutureFrame => "hold_future_frame",
            Self::HoldSkewedFrames => "hold_skewed_frames",
            Self::HoldSpent => "hold_spent",
        }
    }
}

/// A reason to hold, and the sentence that explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// Never `Act`.
    pub verdict: Verdict,
    /// What, by how much, and how to mend it.
    pub message: String,
}

impl Hold {
    pub(crate) fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: message.into() }
    }
}
