//! The commander: the only one who moves the arm.
//!
//! A state machine on a clock of its own. It needs nobody to stop: what it was ordered to do is over after one control
//! period and the stream's delay, then come zeros, then silence. A halt is a zero twist at once, and takes back every
//! order that was made before it. A motion is a command at once as well, whenever the stream's next tick is due.

use std::time::Duration;

use super::order::{Move, Order, Report};
use crate::motion::{Grip, Stream, Twist};
use crate::units::{Moment, Stamp};

/// What the commander wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Tell the session; before anything moves, so that it knows when the arm does.
    Report(Report),
    /// Tell the gripper.
    Grip(Stamp, Grip),
    /// Tell the arm its velocity.
    Twist(Stamp, Twist),
}

/// Carries out orders.
pub struct Commander {
    /// `None` in lock-step: one command an order, none of its own.
    stream: Option<Stream>,
    /// Between two commands of the stream.
    tick: Duration,
    /// Zero twists after a motion and at a halt.
    zeros: u32,
    /// A gripper command stands for so long, and the last one, which the session may not know of yet.
    dwell: Duration,
    gripped: Option<(Grip, Duration)>,
    /// When the next command is due.
    next: Duration,
    /// Commands to come before it falls silent; a motion starts the count anew.
    left: u32,
    finishing: bool,
}

impl Commander {
    /// For an arm: many commands a motion, within limits. `tick`: between two of them. `dwell`: a gripper command stands
    /// for so long.
    pub fn streaming(stream: Stream, tick: Duration, zeros: u32, dwell: Duration) -> Self {
        Self { stream: Some(stream), zeros, dwell, ..Self::lock_step(tick) }
    }

    /// For a world that waits for every command: one an order. What is refused is a command to stand.
    pub fn lock_step(tick: Duration) -> Self {
        let (dwell, next) = (Duration::ZERO, Duration::ZERO);
        Self { stream: None, tick, zeros: 1, dwell, gripped: None, next, left: 0, finishing: false }
    }

    /// Takes an order at `now`, whose `halts` are counted when the order is taken.
    pub fn on(&mut self, order: Order, now: Moment) -> Vec<Command> {
        match order {
            Order::Move(motion) => self.carry_out(motion, now),
            Order::Halt => self.halt(now),
            Order::Finish => {
                // An arm that was left alone may be someone else's to move. Any other must hear it now or never.
                let moving = self.stream.is_none() || self.left > 0;
                let commands = self.halt(now);
                (self.finishing, self.next) = (true, now.machine);
                self.left = if moving { self.zeros } else { 0 };
                commands
            }
        }
    }

    /// When it wants to command again by itself, on the machine's clock.
    pub fn wake(&self) -> Option<Duration> {
        (self.left > 0).then_some(self.next)
    }

    /// Between two commands of the stream.
    pub fn tick_length(&self) -> Duration {
        self.tick
    }

    /// Gives the command that is due at `now`, if one is.
    pub fn tick(&mut self, now: Moment) -> Vec<Command> {
        let Some(late) = now.machine.checked_sub(self.next).filter(|_| self.left > 0) else { return Vec::new() };
        let ticks = 1 + late.div_duration_f64(self.tick) as u32;
        self.next += self.tick * ticks;
        let Some(stream) = &mut self.stream else {
            self.left -= 1;
            return vec![Command::Twist(now.robot, Twist::default())];
        };
        let (twist, dropped) = stream.tick(ticks);
        self.left = if stream.at_rest() { self.left - 1 } else { self.zeros };
        dropped_motion(dropped).into_iter().chain([Command::Twist(now.robot, twist)]).collect()
    }

    /// Whether it has ended, as it was ordered to.
    pub fn finished(&self) -> bool {
        self.finishing && self.left == 0
    }

    fn carry_out(&mut self, motion: Move, now: Moment) -> Vec<Command> {
        let Move { stamp, twist, grip, .. } = motion;
        let refused = self.refusal(&motion, now);
        let stands = refused.is_some();
        // Of two orders in a row the second was made before the first was told.
        let turns =
            |grip: Grip| self.gripped.is_some_and(|(told, since)| told != grip && now.machine < since + self.dwell);
        let grip = grip.filter(|grip| !stands && !turns(*grip));
        self.gripped = grip.map(|grip| (grip, now.machine)).or(self.gripped);
        let mut report = Report { grip: grip.map(|grip| (grip, now.machine)), refused, dropped: [0.0; 2] };
        let gripper = grip.map(|grip| Command::Grip(stamp, grip));
        let Some(stream) = &mut self.stream else {
            let twist = if stands { Twist::default() } else { twist };
            return [Some(Command::Report(report)), gripper, Some(Command::Twist(stamp, twist))]
                .into_iter()
                .flatten()
                .collect();
        };
        if stands {
            return vec![Command::Report(report)];
        }
        report.dropped = stream.act(&twist);
        self.next = if self.left == 0 { now.machine } else { self.next };
        self.left = self.zeros;
        let twist = self.at_once(now).map(|twist| Command::Twist(now.robot, twist));
        [Some(Command::Report(report)), gripper, twist].into_iter().flatten().collect()
    }

    /// The command that a new motion is at once, where the next tick is still to come.
    fn at_once(&mut self, now: Moment) -> Option<Twist> {
        let left = self.next.checked_sub(now.machine).filter(|left| !left.is_zero())?;
        self.stream.as_mut()?.between(1.0 - left.div_duration_f64(self.tick).min(1.0))
    }

    fn refusal(&self, motion: &Move, now: Moment) -> Option<String> {
        if self.finishing {
            return Some("the node is shutting down".into());
        }
        if motion.halts < now.halts {
            return Some("the arm was halted after this was decided".into());
        }
        let late = now.machine.checked_sub(motion.until?).filter(|late| !late.is_zero())?;
        Some(format!("it came {:.1} ms too late", late.as_secs_f64() * 1e3))
    }

    fn halt(&mut self, now: Moment) -> Vec<Command> {
        let Some(stream) = self.stream.as_mut().filter(|stream| !stream.at_rest()) else { return Vec::new() };
        let dropped = stream.stop();
        (self.next, self.left) = (now.machine, self.zeros);
        dropped_motion(dropped).into_iter().collect()
    }
}

fn dropped_motion(dropped: [f64; 2]) -> Option<Command> {
    (dropped != [0.0; 2]).then(|| Command::Report(Report { dropped, ..Report::default() }))
}

#[cfg(test)]
mod tests;
