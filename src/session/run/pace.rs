//! How time passes on the virtual clock, and what is seen from outside.

use std::time::Duration;

use crate::motion::{Grip, Twist};
use crate::session::{Answer, Level, Order, Session};
use crate::units::Stamp;

/// Whoever waits for a reply, by number.
pub type Caller = u64;

/// How time passes.
pub trait Pace<N> {
    /// The robot's clock at a moment of the machine's.
    fn robot(&self, machine: Duration) -> Stamp;

    /// A watch for the network, which tells the time since any moment.
    fn watch(&mut self) -> Duration;

    /// How long the work took that the session has just done, by the virtual clock; but for the network's steps.
    fn took(&mut self) -> Duration;

    /// How long the step took that the network has just done.
    fn thought(&mut self, session: &Session<N>) -> Duration;

    /// How much later than it could a thread goes on that could at `now`.
    fn delay(&mut self, thread: Thread, now: Duration) -> Duration;
}

/// Who goes on late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// Whoever takes what arrives, between telling the session and halting the arm.
    Receiver,
    /// The session's.
    Control,
    /// The commander's.
    Command,
    /// The watchdog's.
    Watchdog,
}

/// What was seen of it from outside, and when.
#[derive(Debug)]
pub enum Seen {
    /// An answer was published.
    Answer(Box<Answer>),
    /// The arm was told its velocity, so many ticks of the stream after the last time: less than one where a motion did
    /// not wait for the next.
    Twist(Stamp, Twist, f64),
    /// The gripper was told.
    Grip(Stamp, Grip),
    /// Somebody was told what came of a request.
    Reply(Caller, Result<String, String>),
    /// A line of the log.
    Log(Level, String),
    /// The arm was halted.
    Halt,
    /// An order reached the commander, and why it was refused.
    Order(Order, Option<String>),
    /// The network began to work.
    Thinking,
    /// A camera's picture was read.
    Read(usize),
}
