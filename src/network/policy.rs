//! One control step: pictures → stages in turn → the first exit that agrees with the one before → one action.
//!
//! Nothing here asks for the time: the caller hands in a watch that it started when the step began.

use std::time::Duration;

use ndarray::{Array1, ArrayViewMut4};

use super::costs::Costs;
use super::gate::{Candidate, Context, Reason, rms};
use super::gauge::Gauge;
use super::plan::{Plan, PlanLimits, Planner, Situation};
use super::step::{Lap, Step, Timing};
use crate::bundle::Manifest;
use crate::engine::{Action, Engine, EngineError, LstmState};
use crate::frame::Frame;
use crate::thresholds::Thresholds;

/// Runs the network as deep as the moment needs and carries the head's state over time.
pub struct Policy<E> {
    engine: E,
    cameras: usize,
    exits: Vec<usize>,
    settings: Settings,
    planner: Planner,
    /// Since the state was cleared.
    steps: u64,
    /// That was taken last.
    exit: usize,
    costs: Costs,
}

/// What a user may change while the policy runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Limits per exit.
    pub thresholds: Thresholds,
    /// What they limit.
    pub gauge: Gauge,
    /// The deepest exit allowed.
    pub cap: usize,
    /// A step should end this long after it began: the newest finished exit is taken when the next would be late.
    pub deadline: Option<Duration>,
    /// When a camera may be kept and a step skipped.
    pub plan: PlanLimits,
}

/// An arm output beyond -1..1 is cut; one beyond this is a network gone mad.
const MOST: f32 = 10.0;

impl<E: Engine> Policy<E> {
    /// A policy at the start of an epoch that has no instruction yet.
    pub fn new(engine: E, manifest: &Manifest, settings: Settings) -> Self {
        let (cameras, exits) = (manifest.cameras.len(), manifest.exits.clone());
        let planner = Planner::new(cameras, manifest.sees_jointly());
        Self { engine, cameras, costs: Costs::new(exits.len()), exits, settings, planner, steps: 0, exit: 0 }
    }

    /// Starts an epoch: embeds its prompt and clears the head's state.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn start_epoch(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        self.reset();
        self.engine.embed(ids)
    }

    /// Clears the head's state.
    pub fn reset(&mut self) {
        self.engine.reset();
        self.planner.clear();
        self.steps = 0;
    }

    /// What is set now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes settings between two steps; loads or drops stages where the cap moves.
    ///
    /// # Errors
    /// When a stage does not load; the old settings stay.
    pub fn configure(&mut self, settings: Settings) -> Result<(), EngineError> {
        if settings.cap != self.settings.cap {
            self.engine.load_to(settings.cap)?;
        }
        self.settings = settings;
        Ok(())
    }

    /// The engine, for whoever loaded it.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The head's state.
    ///
    /// # Errors
    /// When it cannot be brought to the host.
    pub fn state(&self) -> Result<LstmState, EngineError> {
        self.engine.state()
    }

    /// Embeds a prompt for rehearsals, where no epoch has begun yet.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn embed(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        self.engine.embed(ids)
    }

    /// Lets `paint` write a camera's picture for its next look: `[1, 3, S, S]`, as the manifest says.
    pub fn draw(&mut self, camera: usize, paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {
        self.engine.draw(camera, paint);
    }

    /// Runs every part down to the cap once on the pictures that were drawn and forgets what comes out: the first run of a
    /// network allocates, and no step costs more than this one.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn rehearse(&mut self) -> Result<(), EngineError> {
        self.planner.forget();
        (0..self.cameras).try_for_each(|camera| self.engine.look(camera))?;
        self.engine.recall()?;
        for k in 0..=self.settings.cap {
            self.engine.stage(k)?;
            self.engine.act()?;
        }
        Ok(())
    }

    /// What a step on these pictures should do, in this situation.
    pub fn plan(&self, frames: &[&Frame], situation: &Situation) -> Plan {
        self.planner.plan(&self.settings.plan, frames, situation)
    }

    /// One control step that looks at every picture that was drawn. `elapsed` is the time since it began.
    ///
    /// # Errors
    /// [`EngineError`]; the head's state is then as it was before.
    pub fn step(&mut self, elapsed: &mut dyn FnMut() -> Duration) -> Result<Step, EngineError> {
        self.follow(Plan::look(self.cameras), elapsed)
    }

    /// One control step as planned, on the pictures that were drawn of the cameras that it looks at.
    ///
    /// # Errors
    /// [`EngineError`]; the head's state is then as it was before, and every camera is looked at anew.
    pub fn follow(&mut self, plan: Plan, elapsed: &mut dyn FnMut() -> Duration) -> Result<Step, EngineError> {
        let (step, foreseen) = match self.planner.instead().filter(|_| plan.skip) {
            Some(action) => (self.skipped(plan, action), Vec::new()),
            None => self.run(plan, elapsed).inspect_err(|_| self.planner.forget())?,
        };
        self.planner.done(&step.plan, Action { arm: step.arm, gripper: step.gripper }, foreseen);
        self.steps += 1;
        self.exit = step.exit;
        Ok(step)
    }

    /// What goes on without the network; the head remembers nothing of it.
    fn skipped(&self, plan: Plan, action: Action) -> Step {
        let (exit, layer) = (self.exit, self.exits[self.exit]);
        let Action { arm, gripper } = action;
        let (metric, (deltas, thresholds, timing)) = (self.settings.gauge.metric(), Default::default());
        Step { exit, layer, reason: Reason::Skipped, metric, deltas, thresholds, arm, gripper, plan, timing }
    }

    /// The network's step, and what it foresees.
    fn run(&mut self, plan: Plan, elapsed: &mut dyn FnMut() -> Duration) -> Result<(Step, Vec<Action>), EngineError> {
        let mut timing = Timing::default();
        let mut lap = Lap::start(elapsed);
        (0..self.cameras).filter(|&camera| plan.looks(camera)).try_for_each(|camera| self.engine.look(camera))?;
        timing.vision_ms = lap.next_ms();
        self.engine.recall()?;
        timing.head_ms = lap.next_ms();
        let mut deltas = Vec::with_capacity(self.exits.len());
        let (mut before, mut delta_before) = (None, None);
        for exit in 0..self.exits.len() {
            self.engine.stage(exit)?;
            let stage_ms = lap.next_ms();
            timing.stage_ms.push(stage_ms);
            let seen = self.seen()?;
            let head_ms = lap.next_ms();
            timing.head_ms += head_ms;
            self.costs.learn(exit, stage_ms + head_ms);

            let Some((here, reference)) = neighbours(&seen, before.as_ref()) else { break };
            let context = Context { step: self.steps, age: plan.age(), delta_before };
            let delta = self.settings.gauge.delta(exit, here.candidate(), reference.candidate(), context);
            deltas.push(delta);
            let Action { arm, gripper } = here.action;
            check(exit, delta, &here.action)?;
            if let Some(reason) = self.verdict(exit, delta, lap.now) {
                if reason == Reason::Anytime {
                    self.costs.doubt(exit + 1);
                }
                let foreseen = self.engine.ahead()?;
                foreseen.iter().try_for_each(|action| check(exit, delta, action))?;
                self.engine.commit();
                timing.head_ms += lap.next_ms();
                let limits = (0..=exit).map(|k| self.settings.thresholds.limit(k, self.settings.cap));
                let (layer, thresholds) = (self.exits[exit], limits.collect());
                let metric = self.settings.gauge.metric();
                let step = Step { exit, layer, reason, metric, deltas, thresholds, arm, gripper, plan, timing };
                return Ok((step, foreseen));
            }
            delta_before = Some(rms(&here.action.arm, &reference.action.arm));
            before = seen.into_iter().next_back();
        }
        Err(EngineError::Order("no exit gave an action that ends the step".into()))
    }

    /// What the stage that ran last offers for comparison: the probe before the exit itself, after stage 0.
    fn seen(&mut self) -> Result<Vec<Seen>, EngineError> {
        let actions = self.engine.act()?;
        // Features leave the device only where they are looked at.
        let features = self.settings.gauge.needs_features().then(|| self.engine.features()).transpose()?;
        let row = |n: usize| features.as_ref().map_or_else(|| Array1::zeros(0), |rows| rows.row(n).to_owned());
        Ok(actions.into_iter().enumerate().map(|(n, action)| Seen { action, feature: row(n) }).collect())
    }

    /// Whether the step ends at `exit`, and why.
    fn verdict(&self, exit: usize, delta: f32, elapsed: Duration) -> Option<Reason> {
        let Settings { thresholds, cap, deadline, .. } = &self.settings;
        if exit >= *cap {
            return Some(Reason::Cap);
        }
        if delta <= thresholds.limit(exit, *cap) {
            return Some(Reason::Agreed);
        }
        let next = self.costs.of(exit + 1);
        deadline.is_some_and(|deadline| elapsed + next > deadline).then_some(Reason::Anytime)
    }
}

/// An action, and the feature that it was made from where features are looked at.
struct Seen {
    action: Action,
    feature: Array1<f32>,
}

impl Seen {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { arm: self.action.arm, gripper: self.action.gripper, feature: self.feature.view() }
    }
}

/// An exit and the one before it; before exit 0 the probe, which came in the same call.
fn neighbours<'a>(seen: &'a [Seen], before: Option<&'a Seen>) -> Option<(&'a Seen, &'a Seen)> {
    let here = seen.last()?;
    Some((here, before.or_else(|| seen.first())?))
}

fn check(exit: usize, delta: f32, action: &Action) -> Result<(), EngineError> {
    let Action { arm, gripper } = *action;
    if !(delta.is_finite() && gripper.is_finite() && arm.iter().all(|v| v.is_finite())) {
        return Err(EngineError::NotFinite { exit, arm, gripper });
    }
    if arm.iter().any(|v| v.abs() > MOST) {
        return Err(EngineError::OutOfBounds { exit, arm });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
