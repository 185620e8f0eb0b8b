//! The command thread: the only writer of `~/twist` and the gripper's commands, on a clock of its own.
//!
//! It needs nobody to stop the arm: what it was ordered to do is over after one control period and the shaper's delay,
//! then come zeros, then silence. A halt is a zero twist at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::arm::Arm;
use super::clock::Clock;
use super::commands::{Commands, Order};
use crate::motion::{Grip, Stream, Twist};
use crate::units::Stamp;

pub(super) struct Commander {
    pub(super) commands: Arc<Commands>,
    pub(super) arm: Arm,
    pub(super) clock: Clock,
    /// `None` in lock-step: one command an order, none of its own.
    pub(super) stream: Option<Stream>,
    /// Between two commands of the stream.
    pub(super) tick: Duration,
    /// Zero twists after a motion and at a halt.
    pub(super) zeros: u32,
    pub(super) logger: String,
}

impl Commander {
    /// Follows orders until it is told to finish; gives whether nothing went wrong.
    pub(super) fn run(mut self) -> bool {
        let ended = catch_unwind(AssertUnwindSafe(|| match self.stream.take() {
            Some(stream) => self.stream(stream),
            None => self.obey(),
        }));
        // An arm that was left alone may be someone else's to move. Any other must hear it now or never.
        let zeros = if matches!(ended, Ok(false)) { 0 } else { self.zeros };
        for _ in 0..zeros {
            self.tell(self.clock.now(), &Twist::default());
            thread::sleep(self.tick);
        }
        ended.is_ok()
    }

    /// Lock-step: every order to the letter, stamped as the answer is. Gives whether the arm must be told to stand.
    fn obey(&mut self) -> bool {
        loop {
            for order in self.commands.wait(None) {
                match order {
                    Order::Move { stamp, twist, grip } => {
                        self.grip(stamp, grip);
                        self.tell(stamp, &twist);
                    }
                    Order::Halt => (),
                    Order::Finish => return true,
                }
            }
        }
    }

    /// Many commands an order, on an own clock. Gives whether the arm must still be told to stand.
    fn stream(&mut self, mut stream: Stream) -> bool {
        let mut next = Instant::now();
        // Commands to come before it falls silent; a motion starts the count anew.
        let mut left = 0;
        loop {
            for order in self.commands.wait((left > 0).then_some(next)) {
                match order {
                    Order::Move { stamp, twist, grip } => {
                        self.grip(stamp, grip);
                        self.commands.drop_motion(stream.act(&twist));
                        next = if left == 0 { Instant::now() } else { next };
                        left = self.zeros;
                    }
                    Order::Halt if stream.at_rest() => (),
                    Order::Halt => {
                        self.commands.drop_motion(stream.stop());
                        (next, left) = (Instant::now(), self.zeros);
                    }
                    Order::Finish => return left > 0,
                }
            }
            let late = Instant::now().checked_duration_since(next);
            if let Some(late) = late.filter(|_| left > 0) {
                let ticks = 1 + late.div_duration_f64(self.tick) as u32;
                let twist = stream.tick(ticks);
                self.tell(self.clock.now(), &twist);
                next += self.tick * ticks;
                left = if stream.at_rest() { left - 1 } else { self.zeros };
            }
        }
    }

    fn grip(&self, stamp: Stamp, grip: Option<Grip>) {
        if let Some(grip) = grip
            && let Err(error) = self.arm.grip(stamp, grip)
        {
            r2r::log_error!(&self.logger, "the gripper's command could not be sent: {error}");
        }
    }

    fn tell(&self, stamp: Stamp, twist: &Twist) {
        if let Err(error) = self.arm.twist(stamp, twist) {
            r2r::log_error!(&self.logger, "a twist could not be published: {error}");
        }
    }
}
