//! What reaches the session, and what it answers with.

use std::time::Duration;

use super::{Answer, Move, Report};
use crate::frame::Frame;
use crate::motion::Grip;
use crate::network::Settings;
use crate::safety::{self, Guard, Hold};
use crate::thresholds::Live;
use crate::units::Stamp;

/// What reaches the session. `R` stands for whoever waits for a reply.
pub enum Event<R> {
    /// A camera's newest picture.
    Picture(Picture),
    /// What stands in the way of a camera's pictures, as far as it is known without one; or nothing any more.
    Trouble {
        /// Which camera, in the manifest's order.
        camera: usize,
        /// What, and how to mend it.
        reason: Option<String>,
    },
    /// A sentence.
    Instruction(String),
    /// The emergency stop was heard.
    Estop {
        /// Pressed or not.
        pressed: bool,
        /// When, on the machine's clock: a heartbeat that waited for a busy session is no younger for that.
        received: Duration,
    },
    /// Arm or disarm.
    Enable(bool, R),
    /// Begin the epoch anew.
    Reset(R),
    /// Clear a latched fault.
    ClearFault(R),
    /// Take up other settings.
    Configure(Box<Change>, R),
    /// MoveIt Servo was heard.
    Servo {
        /// What it says.
        report: safety::Report,
        /// When, on the machine's clock.
        received: Duration,
    },
    /// The commander was heard.
    Commanded(Report),
    /// What the gripper was told came to nothing: it refused the goal, or nobody answered.
    Unheard(Grip),
    /// The watchdog has found something and halted the arm.
    Found(Hold),
}

/// A picture as it came, or why it is none.
pub struct Picture {
    /// Which camera, in the manifest's order.
    pub camera: usize,
    /// When it was taken.
    pub stamp: Stamp,
    /// What it shows; or why it could not be read.
    pub frame: Result<Frame, String>,
    /// When it came, on the machine's clock.
    pub received: Duration,
    /// Messages since the one that was looked at last, this one included.
    pub messages: u64,
    /// How long it took to be read.
    pub took: Duration,
}

/// What may change while the session runs.
pub struct Change {
    /// Of the network.
    pub settings: Settings,
    /// Limits on the pictures.
    pub guard: Guard,
    /// What the exits are compared with, where the bundle was calibrated.
    pub live: Option<Live>,
}

/// What the session wants done, in this order.
pub enum Effect<R> {
    /// The commander is to move the arm.
    Move(Move),
    /// The commander is to stop it, whoever ordered what before.
    Halt,
    /// Say what was decided and why.
    Publish(Box<Answer>),
    /// Tell who waits.
    Reply(R, Result<String, String>),
    /// For people who read the log.
    Log(Level, String),
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// Something went wrong.
    Error,
}
