//! What must stand before the arm may move.

use std::time::Duration;

use super::{Change, Effect, Level, Session};
use crate::network::Network;
use crate::safety::{Refused, State, Verdict};
use crate::units::Moment;

/// Steps at full depth whose median is the step time.
const REHEARSALS: usize = 5;
const FAR_TOO_SLOW_PERIODS: f64 = 3.0;
/// A network that was too slow is given another chance after so long: whatever else this machine was busy with may be
/// over.
const REHEARSE_AGAIN: Duration = Duration::from_secs(2);

/// Width and height of each camera's pictures.
type Sizes = Vec<(u32, u32)>;

/// What is known of the network's time.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// How long a step at full depth takes, once it was rehearsed; without the reading of its pictures.
    step_secs: Option<f64>,
    /// When it was rehearsed last, and on pictures of which sizes.
    rehearsed: Option<(Duration, Option<Sizes>)>,
}

impl<N: Network> Session<N> {
    /// Runs the network before it may move an arm. A network that cannot be run is a fault.
    pub fn rehearse<R>(&mut self, now: Moment, watch: &mut dyn FnMut() -> Duration) -> Effect<R> {
        self.readiness.rehearsed = Some((now.machine, self.cameras.sizes()));
        match self.try_rehearse(watch) {
            Ok(step_secs) => {
                let of = if self.cameras.sizes().is_some() { "the cameras' pictures" } else { "made-up pictures" };
                let ms = step_secs * 1e3;
                Effect::Log(Level::Info, format!("the network is warm: a step at full depth on {of} takes {ms:.1} ms"))
            }
            Err(reason) => {
                let reason = format!("the network cannot be run: {reason}");
                self.safety.arming.fault(reason.clone());
                Effect::Log(Level::Error, reason)
            }
        }
    }

    /// Rehearses what has not been, on what the cameras really send; and again what was too slow or failed.
    pub(super) fn rehearse_if_needed<R>(
        &mut self,
        now: Moment,
        watch: &mut dyn FnMut() -> Duration,
    ) -> Option<Effect<R>> {
        if self.armed() || self.safety.rules.lock_step() {
            return None;
        }
        let (when, sizes) = self.readiness.rehearsed.as_ref()?;
        let sizes_now = self.cameras.sizes();
        let others = sizes_now.is_some() && *sizes != sizes_now;
        let again = self.too_slow() || self.readiness.step_secs.is_none();
        let again = again && now.machine.saturating_sub(*when) > REHEARSE_AGAIN;
        (others || again).then(|| self.rehearse(now, watch))
    }

    /// The median of some steps at full depth, in seconds: everything from frames to actions.
    fn try_rehearse(&mut self, watch: &mut dyn FnMut() -> Duration) -> Result<f64, String> {
        self.readiness.step_secs = None;
        let mut secs = Vec::new();
        // The first run allocates and is not counted; where nobody asks for the time, it is enough.
        let rehearsals = if self.safety.rules.lock_step() { 0 } else { REHEARSALS };
        for _ in 0..=rehearsals {
            let began = watch();
            self.network.rehearse(&self.cameras.frames())?;
            let took_secs = watch().saturating_sub(began).as_secs_f64();
            secs.push(took_secs);
            // What is far too slow need not be run often to be found so.
            if secs.len() > 1 && took_secs > FAR_TOO_SLOW_PERIODS * self.period_secs() {
                break;
            }
        }
        let counted = if secs.len() > 1 { &mut secs[1..] } else { &mut secs[..] };
        counted.sort_by(f64::total_cmp);
        let median = counted.get(counted.len() / 2).copied().unwrap_or_default();
        self.readiness.step_secs = Some(median);
        Ok(median)
    }

    /// How long a step at full depth takes, in seconds, once it was rehearsed: with the reading of its pictures.
    pub fn step_secs(&self) -> Option<f64> {
        self.readiness.step_secs.map(|secs| secs + self.cameras.reading_secs())
    }

    /// Allows motion and clears the network's state, which is of another time.
    pub(super) fn enable(&mut self, now: Moment) -> Result<(), Refused> {
        let unready = self.unready(now);
        self.safety.arming.enable(now.machine, unready)?;
        // Whoever enables it takes the cameras as they are.
        self.cameras.trust();
        self.reset();
        Ok(())
    }

    /// What is missing before motion can be enabled, if anything is.
    pub fn unready(&self, now: Moment) -> Option<String> {
        let now = self.now(now);
        if let Some(hold) = self.safety.arming.estopped(now.machine) {
            return Some(hold.message);
        }
        let Some(step_secs) = self.step_secs() else {
            return Some("the network has not been run yet".into());
        };
        if self.too_slow() {
            let period_secs = self.period_secs();
            return Some(format!(
                "a step at full depth takes {:.1} ms, of which {:.1} ms to read its pictures, longer than the control \
                 period of {:.1} ms; let the cameras send smaller pictures, lower budget.peak, set gate.deadline, or \
                 take a faster provider",
                step_secs * 1e3,
                self.cameras.reading_secs() * 1e3,
                period_secs * 1e3
            ));
        }
        let guard = &self.safety.rules.guard;
        self.cameras.dead(guard, now.robot, self.machine(now)).map(|hold| hold.message)
    }

    /// Whether a step takes longer than the control period, by the last rehearsal. The deadline counts from when the
    /// pictures have been read.
    fn too_slow(&self) -> bool {
        let deadline_secs = self.settings().deadline.map_or(f64::INFINITY, |deadline| deadline.as_secs_f64());
        let slow = |secs: f64| secs.min(deadline_secs) + self.cameras.reading_secs() > self.period_secs();
        !self.safety.rules.lock_step() && self.readiness.step_secs.is_some_and(slow)
    }

    pub(super) fn clear_fault<R>(
        &mut self,
        reply: R,
        now: Moment,
        watch: &mut dyn FnMut() -> Duration,
    ) -> Vec<Effect<R>> {
        let cleared = self.safety.arming.clear_fault();
        let mut effects = Vec::new();
        if cleared.is_ok() && self.readiness.step_secs.is_none() {
            effects.push(self.rehearse(now, watch));
        }
        let told = cleared.map(|()| "fault cleared; call ~/enable to go on".into()).map_err(|e| e.to_string());
        effects.push(Effect::Reply(reply, told));
        effects
    }

    /// What is published as the state of arming.
    pub fn state(&self, now: Moment) -> State {
        let holds = self.record.last.as_ref().is_none_or(|last| last.verdict != Verdict::Act);
        self.safety.arming.state(self.unready(now).is_none(), holds)
    }

    /// Changes what may change while running. When a stage does not load, everything stays as it was; a network that loads
    /// and does not run is a fault.
    pub(super) fn configure(&mut self, change: Change, watch: &mut dyn FnMut() -> Duration) -> Result<(), String> {
        let Change { settings, guard, live } = change;
        let same_depth = settings.cap == self.settings().cap;
        self.network.configure(settings)?;
        self.safety.rules.guard = guard;
        self.live = live;
        if same_depth {
            return Ok(());
        }
        self.try_rehearse(watch).map(drop).inspect_err(|reason| {
            self.safety.arming.fault(format!("the network cannot be run: {reason}"));
        })
    }
}
