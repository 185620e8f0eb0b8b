//! What passes between the session and the commander.

use std::time::Duration;

use crate::motion::{Grip, Twist};
use crate::units::Stamp;

/// What the arm is to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Move, if nothing has changed since it was decided.
    Move(Move),
    /// Stand, now.
    Halt,
    /// Stand, and end.
    Finish,
}

/// A motion that was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// The answer's time.
    pub stamp: Stamp,
    /// The mean velocity of one control period.
    pub twist: Twist,
    /// What the gripper is told first, if anything.
    pub grip: Option<Grip>,
    /// How often the arm had been halted when its pictures were taken up. A halt since then takes it back.
    pub halts: u64,
    /// Until when it may begin, on the machine's clock; whenever it comes where a world waits for it.
    pub until: Option<Duration>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// What the gripper was told, and when on the machine's clock.
    pub grip: Option<(Grip, Duration)>,
    /// Why the order was not carried out.
    pub refused: Option<String>,
    /// So much of what was ordered will not be carried out (m, rad).
    pub dropped: [f64; 2],
}
