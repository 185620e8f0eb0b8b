//! What must stand before the arm may move.

use std::time::Duration;

use super::Control;
use crate::engine::{Engine, EngineError};
use crate::network::Settings;
use crate::safety::{Arming, Guard, Refused, Report, ServoWatch, State, Verdict};
use crate::units::Stamp;

/// Steps at full depth whose median is the step time.
const REHEARSALS: usize = 5;

impl<E: Engine> Control<E> {
    /// Runs the network on made-up pictures, which must be done before it may move an arm, and takes its time.
    /// `elapsed` is the time since any moment.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn rehearse(&mut self, elapsed: &mut dyn FnMut() -> Duration) -> Result<(), EngineError> {
        if self.instruction.is_empty() {
            self.policy.embed(&self.observer.longest())?;
        }
        let mut secs = Vec::new();
        // The first run allocates and is not counted; where nobody asks for the time, it is enough.
        let rehearsals = if self.rules.limits.is_some() { REHEARSALS } else { 0 };
        for _ in 0..=rehearsals {
            let began = elapsed();
            self.policy.rehearse(self.observer.made_up())?;
            secs.push((elapsed() - began).as_secs_f64());
        }
        let counted = if secs.len() > 1 { &mut secs[1..] } else { &mut secs[..] };
        counted.sort_by(f64::total_cmp);
        self.step_secs = counted.get(counted.len() / 2).copied();
        Ok(())
    }

    /// How long a step at full depth takes, in seconds, once it was rehearsed.
    pub fn step_secs(&self) -> Option<f64> {
        self.step_secs
    }

    /// Allows motion and clears the network's state, which is of another time.
    ///
    /// # Errors
    /// While something is missing, a fault is latched or the emergency stop is pressed or silent.
    pub fn enable(&mut self, now: Stamp) -> Result<(), Refused> {
        // Whoever enables it takes the cameras as they are.
        self.cameras.trust();
        let unready = self.unready(now);
        self.arming.enable(now, unready)?;
        self.reset();
        Ok(())
    }

    /// What is missing before motion can be enabled, if anything is.
    pub fn unready(&self, now: Stamp) -> Option<String> {
        if let Some(hold) = self.arming.estopped(now) {
            return Some(hold.message);
        }
        let Some(step_secs) = self.step_secs else {
            return Some("the network has not been run yet".into());
        };
        if self.too_slow() {
            let period_secs = self.period_secs();
            return Some(format!(
                "a step at full depth takes {:.1} ms, longer than the control period of {:.1} ms; lower budget.peak, set \
                 gate.deadline, or take a faster provider",
                step_secs * 1e3,
                period_secs * 1e3
            ));
        }
        self.cameras.dead(&self.rules.guard, now, self.machine).map(|hold| hold.message)
    }

    /// Whether a step takes longer than the control period, by the last rehearsal.
    pub fn too_slow(&self) -> bool {
        let deadline_secs = self.settings().deadline.map_or(f64::INFINITY, |deadline| deadline.as_secs_f64());
        let slow = |step_secs: f64| step_secs.min(deadline_secs) > self.period_secs();
        self.rules.limits.is_some() && self.step_secs.is_some_and(slow)
    }

    /// From here on the arm holds unless MoveIt Servo at `node` is ready and moves it.
    pub fn wait_for_servo(&mut self, node: &str) {
        self.servo = Some(ServoWatch::new(node));
    }

    /// Hears of MoveIt Servo. Where it has stopped the arm, what the network remembers is of a motion that did not
    /// happen: its state is cleared.
    pub fn servo(&mut self, report: Report, now: Stamp) {
        if self.servo.as_mut().is_some_and(|servo| servo.hear(report, now)) {
            self.reset();
        }
    }

    /// The arming state, for requests that concern nothing else.
    pub fn arming(&mut self) -> &mut Arming {
        &mut self.arming
    }

    /// What is published as the state of arming.
    pub fn state(&self, now: Stamp) -> State {
        let holds = self.last.as_ref().is_none_or(|last| last.verdict != Verdict::Act);
        self.arming.state(self.unready(now).is_none(), holds)
    }

    /// Whether motion is enabled.
    pub fn armed(&self) -> bool {
        self.arming.armed()
    }

    /// Changes what may change while running.
    ///
    /// # Errors
    /// When a stage does not load or run; everything stays as it was, but a deeper network that does not run is not
    /// ready.
    pub fn configure(
        &mut self,
        settings: Settings,
        guard: Guard,
        elapsed: &mut dyn FnMut() -> Duration,
    ) -> Result<(), EngineError> {
        let same_depth = settings.cap == self.settings().cap;
        self.policy.configure(settings)?;
        self.rules.guard = guard;
        if same_depth {
            return Ok(());
        }
        self.step_secs = None;
        self.rehearse(elapsed)
    }
}
