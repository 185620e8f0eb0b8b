//! May the arm move? Every outcome is a published enum.
//!
//! A relative action carried out on an old picture walks the arm away from where the network believes it to be, so
//! whatever is missing, old or contradictory means hold: zero motion, never the last command and never a made-up one.

mod arming;
mod camera;
mod clock;
mod guard;
mod servo;
mod watchdog;

use serde::Serialize;

pub use arming::{Arming, Refused, State};
pub use camera::CameraWatch;
pub use clock::ClockWatch;
pub use guard::Guard;
pub use servo::{Halt, Interface, Report, ServoWatch};
pub use watchdog::{Look, Watchdog};

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
    /// A camera sends nothing.
    HoldSilentCamera,
    /// A camera sends too few pictures a second.
    HoldSlowCamera,
    /// A picture is older than the one that came before it.
    HoldReorderedFrame,
    /// A camera's size or encoding has changed.
    HoldChangedFrame,
    /// A picture shows nothing.
    HoldBlankFrame,
    /// A camera sends the same picture over and over.
    HoldFrozenFrame,
    /// The robot's clock was set back.
    HoldClockBack,
    /// The robot's clock was set forward.
    HoldClockAhead,
    /// The network or the control loop hangs.
    HoldStuck,
    /// MoveIt Servo stands at a singularity.
    HoldSingularity,
    /// MoveIt Servo stands before a collision.
    HoldCollision,
    /// MoveIt Servo stands at a joint's bound.
    HoldJointBound,
    /// MoveIt Servo is not there, not ready, silent, or cannot use the commands.
    HoldServo,
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
            Self::HoldSilentCamera => "hold_silent_camera",
            Self::HoldSlowCamera => "hold_slow_camera",
            Self::HoldReorderedFrame => "hold_reordered_frame",
            Self::HoldChangedFrame => "hold_changed_frame",
            Self::HoldBlankFrame => "hold_blank_frame",
            Self::HoldFrozenFrame => "hold_frozen_frame",
            Self::HoldClockBack => "hold_clock_back",
            Self::HoldClockAhead => "hold_clock_ahead",
            Self::HoldStuck => "hold_stuck",
            Self::HoldSingularity => "hold_singularity",
            Self::HoldCollision => "hold_collision",
            Self::HoldJointBound => "hold_joint_bound",
            Self::HoldServo => "hold_servo",
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
