//! The commander: the only one who moves the arm.
//!
//! A state machine on a clock of its own. It needs nobody to stop: what it was ordered to do is over after one control
//! period and the stream's delay, then come zeros, then silence. A halt is a zero twist at once, and takes back every
//! order that was made before it.

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
    /// When the next command is due.
    next: Duration,
    /// Commands to come before it falls silent; a motion starts the count anew.
    left: u32,
    finishing: bool,
}

impl Commander {
    /// For an arm: many commands a motion, within limits. `tick`: between two of them.
    pub fn streaming(stream: Stream, tick: Duration, zeros: u32) -> Self {
        Self { stream: Some(stream), tick, zeros, next: Duration::ZERO, left: 0, finishing: false }
    }

    /// For a world that waits for every command: one an order. What is refused is a command to stand.
    pub fn lock_step(tick: Duration) -> Self {
        Self { stream: None, tick, zeros: 1, next: Duration::ZERO, left: 0, finishing: false }
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
        let grip = grip.filter(|_| !stands);
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
        [Some(Command::Report(report)), gripper].into_iter().flatten().collect()
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
mod tests {
    use super::*;
    use crate::motion::{Limit, Limits};

    const TICK: Duration = Duration::from_millis(10);
    const FORWARD: Twist = Twist { linear: [0.1, 0.0, 0.0], angular: [0.0; 3] };

    fn at(ms: u64, halts: u64) -> Moment {
        Moment { robot: Stamp(ms as i64 * 1_000_000), machine: Duration::from_millis(ms), halts }
    }

    fn forward(halts: u64, until_ms: u64) -> Order {
        let until = Some(Duration::from_millis(until_ms));
        Order::Move(Move { stamp: Stamp(1), twist: FORWARD, grip: Some(Grip::Open), halts, until })
    }

    fn streaming() -> Commander {
        let limit = Limit { speed: 1.0, acceleration: 100.0, jerk: 1e5 };
        Commander::streaming(Stream::new(&Limits { linear: limit, angular: limit }, 0.01, 0.03), TICK, 2)
    }

    /// The speeds along x of every command until it falls silent, or `ticks` have passed.
    fn speeds(commander: &mut Commander, from_ms: u64, ticks: u64) -> Vec<f64> {
        let command = |tick| commander.tick(at(from_ms + 10 * tick, 0));
        let speed = |command| match command {
            Command::Twist(_, twist) => Some(twist.linear[0]),
            _ => None,
        };
        (0..ticks).flat_map(command).filter_map(speed).collect()
    }

    #[test]
    fn a_motion_ends_by_itself_in_zeros_and_then_in_silence() {
        let mut commander = streaming();
        let commands = commander.on(forward(0, 50), at(10, 0));
        assert_eq!(commands[1], Command::Grip(Stamp(1), Grip::Open));
        let speeds = speeds(&mut commander, 10, 20);
        let moved: f64 = speeds.iter().sum::<f64>() * 0.01;
        assert!((moved - 0.003).abs() < 1e-12, "one period of 0.1 m/s: {speeds:?}");
        assert_eq!(speeds[speeds.len() - 2..], [0.0; 2]);
        assert_eq!(commander.wake(), None);
    }

    #[test]
    fn a_halt_is_a_zero_twist_at_once_and_tells_what_was_dropped() {
        let mut commander = streaming();
        commander.on(forward(0, 50), at(10, 0));
        commander.tick(at(10, 0));
        let Command::Report(report) = &commander.on(Order::Halt, at(12, 1))[0] else { panic!("no report") };
        assert!(report.dropped[0] > 0.0);
        assert_eq!(commander.wake(), Some(Duration::from_millis(12)));
        assert_eq!(speeds(&mut commander, 12, 9), [0.0; 2]);
        assert!(commander.on(Order::Halt, at(90, 2)).is_empty(), "it stands");
    }

    #[test]
    fn an_order_that_is_late_or_older_than_the_last_halt_moves_nothing() {
        for (order, now, why) in
            [(forward(0, 50), at(51, 0), "1.0 ms too late"), (forward(0, 50), at(20, 1), "was halted after")]
        {
            let mut commander = streaming();
            let commands = commander.on(order, now);
            let [Command::Report(Report { grip: None, refused: Some(reason), .. })] = &commands[..] else {
                panic!("{commands:?}")
            };
            assert!(reason.contains(why), "{reason}");
            assert_eq!(commander.wake(), None);
        }
    }

    #[test]
    fn a_world_that_waits_gets_one_command_an_order_and_a_zero_for_one_that_is_refused() {
        let mut commander = Commander::lock_step(TICK);
        let commands = commander.on(forward(0, 0), at(0, 0));
        assert_eq!(commands[1..], [Command::Grip(Stamp(1), Grip::Open), Command::Twist(Stamp(1), FORWARD)]);
        let commands = commander.on(forward(0, 0), at(0, 1));
        assert_eq!(commands[1..], [Command::Twist(Stamp(1), Twist::default())]);
        assert!(commander.on(Order::Halt, at(0, 2)).is_empty());
    }

    #[test]
    fn it_ends_in_zeros_if_the_arm_moved_and_silently_if_not() {
        let mut still = streaming();
        still.on(Order::Finish, at(10, 0));
        assert!(still.finished());
        let mut moving = streaming();
        moving.on(forward(0, 50), at(10, 0));
        moving.tick(at(10, 0));
        moving.on(Order::Finish, at(15, 0));
        assert!(!moving.finished());
        assert_eq!(speeds(&mut moving, 15, 9), [0.0; 2]);
        assert!(moving.finished());
    }
}
