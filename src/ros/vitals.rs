//! The watchdog's thread, and the signs of life that reach it.
//!
//! It halts the arm without asking the control loop, which may be what hangs. The arm halts even if this thread hangs
//! too: the commander's motion ends by itself.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::clock::{Clock, Machine};
use super::inbox::{Inbox, Message};
use super::mailbox::Mailbox;
use super::outputs::{ERROR, Outputs};
use crate::safety::{Hold, State, Verdict, Watchdog};
use crate::session::Answer;

pub(super) struct Vitals {
    signs: Mutex<Signs>,
    changed: Condvar,
}

struct Signs {
    watchdog: Watchdog,
    last: Option<Answer>,
    closed: bool,
}

impl Vitals {
    pub(super) fn new(watchdog: Watchdog) -> Self {
        Self { signs: Mutex::new(Signs { watchdog, last: None, closed: false }), changed: Condvar::new() }
    }

    pub(super) fn hear(&self, camera: usize, machine: Duration) {
        self.tell(|watchdog| watchdog.hear(camera, machine));
    }

    pub(super) fn read(&self, camera: usize, heard: Duration, shown: Option<Duration>) {
        self.tell(|watchdog| watchdog.read(camera, heard, shown));
    }

    pub(super) fn allow_silence(&self, max_silence_secs: f64) {
        self.tell(|watchdog| watchdog.allow_silence(max_silence_secs));
    }

    /// The control loop comes round.
    pub(super) fn come_round(&self, machine: Duration, armed: bool, patience_secs: f64) {
        self.tell(|watchdog| watchdog.come_round(machine, armed, patience_secs));
    }

    pub(super) fn begin_step(&self, machine: Duration) {
        self.tell(|watchdog| watchdog.begin_step(machine));
    }

    /// Ends the watchdog's thread.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Most signs of life put off the next look: then the thread need not hear of them.
    fn tell(&self, sign: impl FnOnce(&mut Watchdog)) {
        let mut signs = self.lock();
        let before = signs.watchdog.wake();
        sign(&mut signs.watchdog);
        let sooner = signs.watchdog.wake().is_some_and(|wake| before.is_none_or(|before| wake < before));
        drop(signs);
        if sooner {
            self.changed.notify_one();
        }
    }

    pub(super) fn answered(&self, answer: &Answer) {
        self.lock().last = Some(answer.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the watchdog's thread needs.
pub(super) struct WatchdogThread {
    pub(super) vitals: Arc<Vitals>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outputs: Outputs,
    pub(super) clock: Clock,
    pub(super) machine: Machine,
    pub(super) logger: String,
}

impl WatchdogThread {
    pub(super) fn run(self) {
        while self.sleep() {
            let look = self.vitals.lock().watchdog.look(self.machine.now());
            if let Some(hold) = &look.found {
                self.inbox.push(Message::Found(hold.clone()));
            }
            if look.halt {
                self.mailbox.halt();
            }
            if let Some(hold) = look.found {
                self.say(&hold);
            }
        }
    }

    /// Sleeps until the watchdog wants to look, or a sign of life changed when that is; `false` once it is to end.
    fn sleep(&self) -> bool {
        let signs = self.vitals.lock();
        if signs.closed {
            return false;
        }
        let Some(wake) = signs.watchdog.wake() else {
            drop(self.vitals.changed.wait(signs));
            return true;
        };
        let left = self.machine.at(wake).saturating_duration_since(Instant::now());
        if !left.is_zero() {
            drop(self.vitals.changed.wait_timeout(signs, left));
        }
        true
    }

    /// Publishes the finding as the last answer would have to be now.
    fn say(&self, hold: &Hold) {
        r2r::log_error!(&self.logger, "holding: {}", hold.message);
        let now = self.clock.now();
        let state = if hold.verdict == Verdict::HoldFault { State::Fault } else { State::Hold };
        let last = self.vitals.lock().last.clone();
        let answer = last.map(|last| last.halted(now, state, hold));
        let said = answer.map_or(Ok(()), |answer| self.outputs.decision(&answer));
        let values = [("verdict".to_owned(), hold.verdict.as_str().to_owned())];
        let status = self.outputs.status("Watchdog", ERROR, &hold.message, values);
        if let Err(error) = said.and(self.outputs.diagnostics(now, vec![status])) {
            r2r::log_error!(&self.logger, "the watchdog's finding could not be published: {error}");
        }
    }
}
