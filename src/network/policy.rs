//! One control step: pictures → stages in turn → the first exit that agrees with the one before → one action.
//!
//! Nothing here asks for the time: the caller hands in a watch that it started when the step began.

use std::time::Duration;

use ndarray::{Array1, ArrayViewMut4};

use super::costs::Costs;
use super::gate::{Candidate, Reason, rms};
use super::gauge::{Gauge, Moment};
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
            let moment = Moment { step: self.steps, age: plan.age(), delta_before };
            let delta = self.settings.gauge.delta(exit, here.candidate(), reference.candidate(), moment);
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
mod tests {
    use super::*;
    use crate::engine::Scripted;
    use crate::network::{INPUTS, Metric};
    use proptest::prelude::*;

    fn settings(limits: &[f64], cap: usize) -> Settings {
        let thresholds = Thresholds::new(limits, limits.len() + 1).unwrap();
        Settings { thresholds, gauge: Metric::Rms.into(), cap, deadline: None, plan: PlanLimits::default() }
    }

    fn policy(levels: &[f32], settings: Settings) -> Policy<Scripted> {
        let exits: Vec<usize> = (0..levels.len() - 1).map(|k| 2 * k + 1).collect();
        let (costs, planner) = (Costs::new(exits.len()), Planner::new(2, false));
        Policy { engine: Scripted::level(levels), cameras: 2, exits, settings, planner, steps: 0, exit: 0, costs }
    }

    fn step(policy: &mut Policy<Scripted>) -> Result<Step, EngineError> {
        policy.step(&mut || Duration::ZERO)
    }

    #[test]
    fn stops_at_the_first_exit_that_agrees_with_the_one_before() {
        // probe 0.0; exits 0.5, 0.3, 0.29, 0.0
        let mut policy = policy(&[0.0, 0.5, 0.3, 0.29, 0.0], settings(&[0.1, 0.1, 0.1], 3));
        let step = step(&mut policy).unwrap();
        assert_eq!((step.exit, step.layer, step.reason), (2, 5, Reason::Agreed));
        assert_eq!(step.arm, [0.29; 6]);
        assert_eq!(step.deltas.len(), 3);
        assert!((step.deltas[0] - 0.5).abs() < 1e-6 && (step.deltas[1] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn the_first_exit_is_compared_with_the_probe_in_one_head_call() {
        let mut policy = policy(&[0.48, 0.5, 0.9], settings(&[0.05], 1));
        assert_eq!(step(&mut policy).unwrap().exit, 0);
        assert_eq!(policy.engine.calls, ["look 0", "look 1", "recall", "stage 0", "head 2", "ahead"]);
    }

    #[test]
    fn the_head_runs_once_an_exit_and_the_state_of_the_exit_taken_is_adopted() {
        let mut policy = policy(&[0.0, 0.5, 0.9, 0.9], settings(&[0.1, 0.1], 2));
        let taken = step(&mut policy).unwrap().exit;
        let run =
            ["look 0", "look 1", "recall", "stage 0", "head 2", "stage 1", "head 1", "stage 2", "head 1", "ahead"];
        assert_eq!(policy.engine.calls, run);
        let state = policy.state().unwrap();
        assert_eq!(state.h[[0, 0, 0]], 1.0, "one step on from the state before, not three");
        assert_eq!(state.c[[0, 0, 0]], taken as f32 + 1.0, "the row of the exit that was taken");
        step(&mut policy).unwrap();
        assert_eq!(policy.state().unwrap().h[[0, 0, 0]], 2.0);
    }

    /// Whatever an exit shows, its predicted distance is `e` to the power of what is added.
    fn predicting(added: [f64; 2]) -> Gauge {
        let regressor = |added| {
            serde_json::json!({"mean": [0, 0, 0, 0, 0, 0], "scale": [1, 1, 1, 1, 1, 1],
            "linear": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, added], "units": []})
        };
        let table = serde_json::json!({"schema": 1, "manifest_sha256": "", "signs_sha256": "", "inputs": INPUTS,
            "exits": added.map(regressor)});
        Gauge::predicted(serde_json::from_value(table).unwrap())
    }

    #[test]
    fn a_predicted_step_ends_where_the_regressor_sees_full_depth_near_whatever_the_neighbour_says() {
        let mut settings = settings(&[0.1, 0.1], 2);
        settings.gauge = predicting([0.0, -3.0]);
        let mut policy = policy(&[0.0, 0.0, 0.5, 0.5], settings);
        let step = step(&mut policy).unwrap();
        assert_eq!((step.exit, step.reason, step.metric), (1, Reason::Agreed, Metric::Predicted));
        assert_eq!(step.deltas, [1.0, (-3f32).exp()]);
    }

    #[test]
    fn a_prediction_that_is_not_a_number_is_a_fault_and_so_is_one_that_nobody_makes() {
        for gauge in [predicting([800.0, 0.0]), Metric::Predicted.into()] {
            let mut settings = settings(&[0.1, 0.1], 2);
            settings.gauge = gauge;
            let error = step(&mut policy(&[0.0, 0.5, 0.5, 0.5], settings)).unwrap_err();
            assert!(matches!(error, EngineError::NotFinite { exit: 0, .. }), "{error}");
        }
    }

    #[test]
    fn the_cap_ends_a_step_whatever_its_delta() {
        let mut policy = policy(&[0.0, 0.5, 0.0, 0.5], settings(&[-1.0, -1.0], 1));
        let step = step(&mut policy).unwrap();
        assert_eq!((step.exit, step.reason, step.thresholds[1]), (1, Reason::Cap, f32::INFINITY));
    }

    #[test]
    fn a_negative_threshold_is_never_met() {
        let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[-1.0], 1));
        assert_eq!(step(&mut policy).unwrap().exit, 1);
    }

    #[test]
    fn an_action_that_is_not_a_number_is_a_fault_and_changes_nothing() {
        let mut policy = policy(&[0.0, f32::NAN, 0.1], settings(&[0.1], 1));
        assert!(matches!(step(&mut policy), Err(EngineError::NotFinite { exit: 0, .. })));
        assert_eq!(policy.state().unwrap(), LstmState::zeros(1, 1));
    }

    /// The network asked once, then `skips` steps that do not ask it.
    fn skipping(policy: &mut Policy<Scripted>, skips: u32) -> Vec<Step> {
        let skip = |n| Plan { skip: n > 0, skips: n, ..Plan::look(2) };
        (0..=skips).map(|n| policy.follow(skip(n), &mut || Duration::ZERO).unwrap()).collect()
    }

    #[test]
    fn a_skipped_step_carries_out_what_was_foreseen_for_it_and_leaves_the_gripper() {
        let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1));
        policy.engine.ahead = [0.4, 0.3].map(|v| Action { arm: [v; 6], gripper: 0.7 }).into();
        let steps = skipping(&mut policy, 2);
        assert_eq!([0, 1, 2].map(|n| steps[n].arm), [[0.5; 6], [0.4; 6], [0.3; 6]]);
        assert_eq!([0, 1, 2].map(|n| steps[n].gripper), [0.9; 3]);
        assert_eq!(steps[2].reason, Reason::Skipped);
        let asked = policy.engine.calls.iter().filter(|call| *call == "ahead").count();
        assert_eq!(asked, 1, "of the exit that was taken: {:?}", policy.engine.calls);
    }

    #[test]
    fn a_network_that_does_not_foresee_has_its_last_action_repeated() {
        let steps = skipping(&mut policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1)), 2);
        assert_eq!([1, 2].map(|n| steps[n].arm), [[0.5; 6]; 2]);
    }

    #[test]
    fn a_foreseen_action_that_is_not_a_number_is_a_fault_and_changes_nothing() {
        let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1));
        policy.engine.ahead = vec![Action { arm: [0.4; 6], gripper: f32::NAN }];
        assert!(matches!(step(&mut policy), Err(EngineError::NotFinite { exit: 0, .. })));
        assert_eq!(policy.state().unwrap(), LstmState::zeros(1, 1));
    }

    #[test]
    fn a_new_epoch_embeds_its_prompt_and_clears_the_state() {
        let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1));
        step(&mut policy).unwrap();
        policy.start_epoch(&[7, 8]).unwrap();
        assert_eq!((policy.engine.ids.clone(), policy.state().unwrap()), (vec![7, 8], LstmState::zeros(1, 1)));
    }

    #[test]
    fn the_newest_exit_is_taken_when_the_next_would_be_late() {
        let mut settings = settings(&[-1.0, -1.0], 2);
        settings.deadline = Some(Duration::from_millis(45));
        let mut policy = policy(&[0.0, 0.5, 0.1, 0.9], settings);
        // Each look at the watch is 10 ms later: start, vision, recall, then 20 ms an exit.
        let watch = || {
            let mut looks = 0;
            move || {
                looks += 1;
                Duration::from_millis(10 * (looks - 1))
            }
        };
        let first = policy.step(&mut watch()).unwrap();
        assert_eq!((first.exit, first.reason), (1, Reason::Anytime), "exit 1 ended at 60 ms");
        policy.settings.deadline = Some(Duration::from_millis(35));
        let second = policy.step(&mut watch()).unwrap();
        assert_eq!((second.exit, second.reason), (0, Reason::Anytime), "exit 0 ended at 40 ms");
    }

    #[test]
    fn exits_return_to_full_depth_when_load_ends() {
        let mut settings = settings(&[-1.0, -1.0], 2);
        settings.deadline = Some(Duration::from_millis(20));
        let mut policy = policy(&[0.0, 0.5, 0.1, 0.9], settings);
        let mut exit = |lap_ms: u64| {
            let mut looks = 0;
            let mut watch = || {
                looks += 1;
                Duration::from_millis(lap_ms * (looks - 1))
            };
            policy.step(&mut watch).unwrap().exit
        };
        assert_eq!(exit(1), 2);
        assert_eq!([exit(9), exit(9)], [0, 0], "a deeper exit would be late");
        let quiet: Vec<usize> = (0..100).map(|_| exit(1)).collect();
        assert_eq!(quiet[60..], [2; 40], "{quiet:?}");
    }

    #[test]
    fn a_cap_that_moves_loads_or_drops_stages() {
        let mut policy = policy(&[0.0, 0.5, 0.1, 0.9], settings(&[-1.0, -1.0], 2));
        policy.configure(settings(&[-1.0, -1.0], 0)).unwrap();
        assert_eq!(policy.engine.calls, ["load 0"]);
        assert_eq!(step(&mut policy).unwrap().exit, 0);
    }

    proptest! {
        #[test]
        fn larger_thresholds_never_go_deeper(
            levels in prop::collection::vec(-1f32..1.0, 5),
            limits in prop::collection::vec(0.0f64..1.0, 3),
            more in prop::collection::vec(0.0f64..1.0, 3),
        ) {
            let eager: Vec<f64> = limits.iter().zip(&more).map(|(a, b)| a + b).collect();
            let careful = step(&mut policy(&levels, settings(&limits, 3))).unwrap().exit;
            let hasty = step(&mut policy(&levels, settings(&eager, 3))).unwrap().exit;
            prop_assert!(hasty <= careful);
        }
    }
}
