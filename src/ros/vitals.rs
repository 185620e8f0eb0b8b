//! Signs of life of the control loop and the cameras, and the thread that looks at them.
//!
//! It halts the arm without asking the control loop, which may be what hangs. The arm halts even if this thread hangs
//! too: the command thread's motion ends by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::motion::Twist;
use crate::safety::{Hold, Pulse, State, Verdict, Watchdog};
use crate::session::Answer;
use crate::units::Stamp;

pub(super) struct Vitals {
    began: Instant,
    signs: Mutex<Signs>,
}

struct Signs {
    watchdog: Watchdog,
    pulse: Pulse,
    armed: bool,
    /// What was found wrong and is not over.
    barked: Option<Hold>,
    last: Option<Answer>,
}

impl Vitals {
    pub(super) fn new(roles: &[String], watchdog: Watchdog) -> Self {
        let cameras = roles.iter().map(|role| (role.clone(), None)).collect();
        let pulse = Pulse { stepping: None, alive: Duration::ZERO, cameras, patience_secs: f64::INFINITY };
        let signs = Signs { watchdog, pulse, armed: false, barked: None, last: None };
        Self { began: Instant::now(), signs: Mutex::new(signs) }
    }

    /// A moment on the machine's clock.
    pub(super) fn machine(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }

    pub(super) fn hear(&self, camera: usize, at: Instant) {
        let machine = self.machine(at);
        if let Some((_, heard)) = self.lock().pulse.cameras.get_mut(camera) {
            *heard = Some(machine);
        }
    }

    pub(super) fn allow_silence(&self, max_silence_secs: f64) {
        self.lock().watchdog.max_silence_secs = max_silence_secs;
    }

    /// The control loop comes round. So long after the last pictures the action on them is over.
    pub(super) fn come_round(&self, armed: bool, patience_secs: f64) {
        let machine = self.machine(Instant::now());
        let mut signs = self.lock();
        (signs.pulse.alive, signs.pulse.patience_secs, signs.armed) = (machine, patience_secs, armed);
    }

    /// Whether the next pictures are overdue, so that the arm must stand until they come.
    pub(super) fn overdue(&self) -> bool {
        let machine = self.machine(Instant::now());
        let signs = self.lock();
        signs.armed && signs.pulse.overdue(machine)
    }

    pub(super) fn begin_step(&self) {
        let machine = self.machine(Instant::now());
        self.lock().pulse.stepping = Some(machine);
    }

    /// Ends a step; gives what was found wrong meanwhile: its answer must not be followed then. An action on pictures
    /// whose successors are overdue is over before it begins, and the arm was told to stand.
    pub(super) fn end_step(&self) -> Option<Hold> {
        let machine = self.machine(Instant::now());
        let mut signs = self.lock();
        (signs.pulse.stepping, signs.pulse.alive) = (None, machine);
        let barked = signs.barked.take_if(|hold| matches!(hold.verdict, Verdict::HoldStuck | Verdict::HoldFault));
        let spent = || Hold::new(Verdict::HoldSpent, "the network answered when the next pictures were overdue");
        barked.or_else(|| (signs.armed && signs.pulse.overdue(machine)).then(spent))
    }

    pub(super) fn answered(&self, answer: &Answer) {
        self.lock().last = Some(answer.clone());
    }

    /// Looks; gives the answer to publish when something is newly wrong. The arm must be halted then.
    pub(super) fn check(&self, now: Stamp) -> Option<(Hold, Option<Answer>)> {
        let machine = self.machine(Instant::now());
        let mut signs = self.lock();
        let Signs { watchdog, pulse, armed, .. } = &*signs;
        let found = watchdog.check(machine, pulse).filter(|_| *armed);
        let known = found.as_ref().map(|hold| hold.verdict) == signs.barked.as_ref().map(|hold| hold.verdict);
        signs.barked = found;
        let hold = signs.barked.clone().filter(|_| !known)?;
        let answer = signs.last.clone().map(|last| Answer {
            stamp: now,
            verdict: hold.verdict,
            state: if hold.verdict == Verdict::HoldFault { State::Fault } else { State::Hold },
            message: hold.message.clone(),
            decision: None,
            twist: Twist::default(),
            grip: None,
            clips: Vec::new(),
            cut: [0.0; 2],
            ..last
        });
        Some((hold, answer))
    }

    fn lock(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_hangs_is_found_once_and_its_answer_is_not_followed() {
        let vitals = Vitals::new(&[], Watchdog { period_secs: 0.001, max_silence_secs: 1.0 });
        vitals.come_round(true, 1.0);
        vitals.begin_step();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(vitals.check(Stamp(1)).map(|(hold, _)| hold.verdict), Some(Verdict::HoldStuck));
        assert!(vitals.check(Stamp(2)).is_none());
        assert_eq!(vitals.end_step().map(|hold| hold.verdict), Some(Verdict::HoldStuck));
        vitals.begin_step();
        assert!(vitals.end_step().is_none());
    }

    #[test]
    fn an_answer_that_comes_when_the_next_pictures_are_overdue_is_not_followed() {
        let vitals = Vitals::new(&["static".to_owned()], Watchdog { period_secs: 1.0, max_silence_secs: 1.0 });
        vitals.hear(0, Instant::now());
        let answer = |patience_secs| {
            vitals.come_round(true, patience_secs);
            vitals.begin_step();
            std::thread::sleep(Duration::from_millis(5));
            vitals.end_step().map(|hold| hold.verdict)
        };
        assert_eq!([answer(60.0), answer(0.001)], [None, Some(Verdict::HoldSpent)]);
    }
}
