//! Watches over the control loop and the cameras from outside: what hangs cannot report that it hangs.
//!
//! A state machine like the session and the commander. It is told the signs of life, looks when it said that it would
//! ([`Watchdog::wake`]), and says when the arm must be halted. All times are of the machine's clock.

use std::time::Duration;

use super::{Hold, Verdict};

/// A control loop that has not come back after this many control periods hangs.
const STUCK_PERIODS: f64 = 1.5;
/// A network that hangs for so long will not come back by itself: that is a fault.
const LOST_SECS: f64 = 1.0;

/// What the control loop and the cameras were seen doing last.
#[derive(Debug, Clone)]
pub struct Watchdog {
    period_secs: f64,
    max_silence_secs: f64,
    /// So long after a camera was heard the action on its picture is over.
    patience_secs: f64,
    armed: bool,
    /// Since when the network has been at work, if it is.
    stepping: Option<Duration>,
    /// When the control loop came round last.
    alive: Duration,
    cameras: Vec<Camera>,
    /// What was found wrong and is not over.
    found: Option<Verdict>,
    overdue: bool,
}

#[derive(Debug, Clone)]
struct Camera {
    role: String,
    /// When it sent something last, if ever.
    heard: Option<Duration>,
    /// When it sent last what can be read, as far as that is known: what was not read yet counts.
    shown: Option<Duration>,
}

/// What a look comes to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    /// The arm must be halted now.
    pub halt: bool,
    /// Something is newly wrong. Pictures that are merely late are not: the control loop says so itself.
    pub found: Option<Hold>,
}

impl Watchdog {
    /// Nothing was heard yet. `period_secs`: one control period. A camera that was heard once may not be silent for
    /// longer than `max_silence_secs`.
    pub fn new<'a>(roles: impl Iterator<Item = &'a str>, period_secs: f64, max_silence_secs: f64) -> Self {
        Self {
            period_secs,
            max_silence_secs,
            patience_secs: f64::INFINITY,
            armed: false,
            stepping: None,
            alive: Duration::ZERO,
            cameras: roles.map(|role| Camera { role: role.to_owned(), heard: None, shown: None }).collect(),
            found: None,
            overdue: false,
        }
    }

    /// A camera has sent something.
    pub fn hear(&mut self, camera: usize, machine: Duration) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            (camera.heard, camera.shown) = (Some(machine), Some(machine));
        }
        self.overdue &= self.overdue(machine);
        if self.silent(machine).is_none() {
            self.found.take_if(|verdict| *verdict == Verdict::HoldSilentCamera);
        }
    }

    /// What the camera sent at `heard` was read: `shown` is when it sent last what could be. A picture that cannot be read
    /// does not make the action on the one before last longer.
    pub fn read(&mut self, camera: usize, heard: Duration, shown: Option<Duration>) {
        if let Some(camera) = self.cameras.get_mut(camera).filter(|camera| camera.heard == Some(heard)) {
            camera.shown = shown;
        }
    }

    /// Changes how long a camera may be silent.
    pub fn allow_silence(&mut self, max_silence_secs: f64) {
        self.max_silence_secs = max_silence_secs;
    }

    /// The control loop comes round. The action on the last pictures is over `patience_secs` after they were heard.
    pub fn come_round(&mut self, machine: Duration, armed: bool, patience_secs: f64) {
        (self.alive, self.armed, self.patience_secs, self.stepping) = (machine, armed, patience_secs, None);
        self.found.take_if(|verdict| *verdict != Verdict::HoldSilentCamera);
    }

    /// The network begins to work; it is at work until the control loop comes round.
    pub fn begin_step(&mut self, machine: Duration) {
        self.stepping = Some(machine);
    }

    /// Looks. A disarmed arm is nobody's to halt.
    pub fn look(&mut self, machine: Duration) -> Look {
        if !self.armed {
            (self.found, self.overdue) = (None, false);
            return Look::default();
        }
        let overdue = self.overdue(machine);
        let newly_overdue = overdue && !std::mem::replace(&mut self.overdue, overdue);
        let wrong = self.wrong(machine);
        let known = wrong.as_ref().map(|hold| hold.verdict) == self.found;
        self.found = wrong.as_ref().map(|hold| hold.verdict);
        let found = wrong.filter(|_| !known);
        Look { halt: newly_overdue || found.is_some(), found }
    }

    /// When to look again, if the signs of life stay as they are.
    pub fn wake(&self) -> Option<Duration> {
        let after = |then: Duration, secs: f64| {
            // A hair later than the limit, which itself is allowed.
            secs.is_finite().then(|| then + Duration::from_secs_f64(secs) + Duration::from_micros(1))
        };
        let stuck = after(self.stepping.unwrap_or(self.alive), STUCK_PERIODS * self.period_secs);
        let lost = self.stepping.and_then(|began| after(began, LOST_SECS));
        let stuck = stuck.filter(|_| self.found != Some(Verdict::HoldStuck)).or(lost);
        let stuck = stuck.filter(|_| self.found != Some(Verdict::HoldFault));
        let shown = self.cameras.iter().filter_map(|camera| camera.shown);
        let overdue = shown.filter_map(|then| after(then, self.patience_secs)).min().filter(|_| !self.overdue);
        // What hangs goes before what is silent: it would not be found.
        let heard = self.cameras.iter().filter_map(|camera| camera.heard);
        let silent = heard.filter_map(|then| after(then, self.max_silence_secs)).min();
        let silent = silent.filter(|_| self.found.is_none());
        [stuck, overdue, silent].into_iter().flatten().min().filter(|_| self.armed)
    }

    fn overdue(&self, machine: Duration) -> bool {
        self.cameras.iter().any(|camera| secs_since(camera.shown, machine) > self.patience_secs)
    }

    /// The first camera that has been silent for too long.
    fn silent(&self, machine: Duration) -> Option<&Camera> {
        self.cameras.iter().find(|camera| secs_since(camera.heard, machine) > self.max_silence_secs)
    }

    fn wrong(&self, machine: Duration) -> Option<Hold> {
        let (what, secs) = match self.stepping {
            Some(_) => ("the network has been at work", secs_since(self.stepping, machine)),
            None => ("the control loop has not come round", secs_since(Some(self.alive), machine)),
        };
        if self.stepping.is_some() && secs > LOST_SECS {
            return Some(Hold::new(Verdict::HoldFault, format!("{what} for {secs:.1} s: it hangs")));
        }
        if secs > STUCK_PERIODS * self.period_secs {
            let message = format!("{what} for {secs:.3} s, a control period is {:.3} s", self.period_secs);
            return Some(Hold::new(Verdict::HoldStuck, message));
        }
        let Camera { role, heard, .. } = self.silent(machine)?;
        let (secs, limit) = (secs_since(*heard, machine), self.max_silence_secs);
        let message = format!("the {role} camera has sent nothing for {secs:.3} s (max_silence {limit:.3} s)");
        Some(Hold::new(Verdict::HoldSilentCamera, message))
    }
}

/// Seconds since then; of what never was, none: the control loop itself waits for that.
fn secs_since(then: Option<Duration>, machine: Duration) -> f64 {
    then.map_or(0.0, |then| machine.saturating_sub(then).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    /// Armed, and heard and come round at 1 s; a period is 0.1 s, patience 0.15 s.
    fn watchdog() -> Watchdog {
        let mut watchdog = Watchdog::new(["static", "gripper"].into_iter(), 0.1, 0.3);
        watchdog.come_round(at(1.0), true, 0.15);
        (0..2).for_each(|camera| watchdog.hear(camera, at(1.0)));
        watchdog
    }

    fn found(watchdog: &mut Watchdog, secs: f64) -> Option<Verdict> {
        watchdog.look(at(secs)).found.map(|hold| hold.verdict)
    }

    #[test]
    fn a_loop_that_does_not_come_round_is_found_once() {
        let mut watchdog = watchdog();
        assert_eq!(watchdog.look(at(1.14)), Look::default());
        assert_eq!(found(&mut watchdog, 1.16), Some(Verdict::HoldStuck));
        assert_eq!(found(&mut watchdog, 1.17), None);
        watchdog.come_round(at(1.2), true, 0.15);
        (0..2).for_each(|camera| watchdog.hear(camera, at(1.2)));
        assert_eq!(watchdog.look(at(1.21)), Look::default());
        assert_eq!(found(&mut watchdog, 1.4), Some(Verdict::HoldStuck), "and again");
    }

    #[test]
    fn a_network_that_hangs_is_stuck_and_then_lost() {
        let mut watchdog = watchdog();
        watchdog.begin_step(at(1.1));
        assert_eq!(found(&mut watchdog, 1.2), None);
        assert_eq!(found(&mut watchdog, 1.26), Some(Verdict::HoldStuck));
        assert_eq!(found(&mut watchdog, 2.2), Some(Verdict::HoldFault));
    }

    #[test]
    fn the_arm_is_halted_once_when_one_camera_s_next_picture_is_overdue() {
        let mut watchdog = watchdog();
        watchdog.hear(0, at(1.1));
        watchdog.come_round(at(1.1), true, 0.15);
        assert!(!watchdog.look(at(1.14)).halt);
        assert_eq!(watchdog.look(at(1.16)), Look { halt: true, found: None });
        assert!(!watchdog.look(at(1.17)).halt);
        watchdog.hear(1, at(1.2));
        assert!(!watchdog.look(at(1.21)).halt);
        assert!(watchdog.look(at(1.26)).halt, "the other one");
    }

    #[test]
    fn a_picture_that_cannot_be_read_puts_no_halt_off() {
        let mut watchdog = watchdog();
        (0..2).for_each(|camera| watchdog.hear(camera, at(1.1)));
        watchdog.come_round(at(1.1), true, 0.15);
        watchdog.read(0, at(1.1), Some(at(1.1)));
        watchdog.read(1, at(1.1), Some(at(1.0)));
        assert!(!watchdog.look(at(1.14)).halt);
        assert_eq!(watchdog.look(at(1.16)), Look { halt: true, found: None }, "long work has begun meanwhile");
        watchdog.hear(1, at(1.17));
        assert!(!watchdog.look(at(1.18)).halt);
        watchdog.read(1, at(1.1), Some(at(1.0)));
        watchdog.come_round(at(1.2), true, 0.15);
        assert!(!watchdog.look(at(1.24)).halt, "a newer one waits to be read");
    }

    #[test]
    fn a_silent_camera_is_named_and_one_that_was_never_heard_is_waited_for() {
        let mut watchdog = watchdog();
        watchdog.come_round(at(1.35), true, 0.15);
        assert_eq!(found(&mut watchdog, 1.35), Some(Verdict::HoldSilentCamera));
        watchdog.hear(1, at(1.36));
        watchdog.come_round(at(1.36), true, 0.15);
        assert_eq!(found(&mut watchdog, 1.37), None, "the other one says nothing new of it");
        let mut unheard = Watchdog::new(["static"].into_iter(), 0.1, 0.3);
        unheard.come_round(at(9.0), true, 0.15);
        assert_eq!(unheard.look(at(9.0)), Look::default());
    }

    #[test]
    fn it_wakes_when_the_next_thing_would_be_wrong_and_not_for_a_disarmed_arm() {
        let mut watchdog = watchdog();
        let wake = |watchdog: &Watchdog| watchdog.wake().map(|wake| (wake.as_secs_f64() * 1e3).round());
        assert_eq!(wake(&watchdog), Some(1150.0));
        watchdog.look(at(1.16));
        assert_eq!(wake(&watchdog), None, "it is stuck, and all that follows from it is known");
        watchdog.come_round(at(1.16), true, 0.15);
        assert_eq!(wake(&watchdog), Some(1300.0), "pictures are overdue, which is known: silence comes next");
        watchdog.come_round(at(1.16), false, 0.15);
        assert_eq!(watchdog.wake(), None);
    }
}
