//! Does the robot's clock run as the machine's does?
//!
//! Every age is a difference on the robot's clock. When that clock is set, the ages of that moment mean nothing.

use std::time::Duration;

use super::{Hold, Verdict};
use crate::units::Stamp;

/// Compares two clocks from beat to beat.
#[derive(Debug, Clone, Default)]
pub struct ClockWatch {
    /// A simulator's clock may run at any pace, but not backwards.
    simulated: bool,
    last: Option<(Stamp, Duration)>,
    jump: Option<(Hold, Duration)>,
}

impl ClockWatch {
    /// A clock that has not been read yet.
    pub fn new(simulated: bool) -> Self {
        Self { simulated, last: None, jump: None }
    }

    /// Reads the robot's clock and the machine's in one moment.
    pub fn beat(&mut self, now: Stamp, machine: Duration, max_jump_secs: f64) {
        let Some((then, before)) = self.last.replace((now, machine)) else { return };
        let passed_secs = if self.simulated { 0.0 } else { machine.saturating_sub(before).as_secs_f64() };
        let jump_secs = now.secs_since(then) - passed_secs;
        let (verdict, way) =
            if jump_secs < 0.0 { (Verdict::HoldClockBack, "backwards") } else { (Verdict::HoldClockAhead, "forwards") };
        if jump_secs.abs() > max_jump_secs && !(self.simulated && jump_secs > 0.0) {
            let message = format!(
                "the clock jumped {way} by {:.3} s (max_clock_jump {max_jump_secs} s); waiting for pictures taken since",
                jump_secs.abs()
            );
            self.jump = Some((Hold::new(verdict, message), machine));
        }
    }

    /// Every camera was heard at or after `machine`: pictures from before a jump are gone.
    pub fn settle(&mut self, machine: Duration) {
        self.jump.take_if(|(_, jumped)| machine > *jumped);
    }

    /// Why the arm must hold, if it must.
    pub fn hold(&self) -> Option<&Hold> {
        self.jump.as_ref().map(|(hold, _)| hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beaten(simulated: bool, beats: &[(f64, f64)]) -> ClockWatch {
        let mut clock = ClockWatch::new(simulated);
        beats.iter().for_each(|(now, machine)| {
            clock.beat(Stamp::from_secs(*now), Duration::from_secs_f64(*machine), 0.1);
        });
        clock
    }

    fn verdict(simulated: bool, beats: &[(f64, f64)]) -> Option<Verdict> {
        beaten(simulated, beats).hold().map(|hold| hold.verdict)
    }

    #[test]
    fn a_clock_that_is_set_holds_until_pictures_of_the_new_time_have_come() {
        assert_eq!(verdict(false, &[(100.0, 1.0), (101.05, 2.0)]), None, "no two clocks are quite the same");
        assert_eq!(verdict(false, &[(100.0, 1.0), (101.5, 2.0)]), Some(Verdict::HoldClockAhead));
        assert_eq!(verdict(false, &[(100.0, 1.0), (95.0, 1.0)]), Some(Verdict::HoldClockBack));
        let mut clock = beaten(false, &[(100.0, 1.0), (95.0, 1.0)]);
        clock.settle(Duration::from_secs_f64(0.9));
        assert!(clock.hold().is_some());
        clock.settle(Duration::from_secs_f64(1.1));
        assert_eq!(clock.hold(), None);
    }

    #[test]
    fn a_simulators_clock_may_run_at_any_pace_but_not_backwards() {
        assert_eq!(verdict(true, &[(100.0, 1.0), (109.0, 2.0), (109.0, 20.0)]), None);
        assert_eq!(verdict(true, &[(100.0, 1.0), (1.0, 2.0)]), Some(Verdict::HoldClockBack));
    }
}
