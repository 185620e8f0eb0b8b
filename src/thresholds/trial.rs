//! A plan tried on a recording: what it would have looked at, kept and skipped, and how far from full depth with every
//! picture its actions would have been.
//!
//! The arm of the recording went its own way, so this is open loop: it tells limits apart, and says too little of how
//! errors add up on a robot.

use ndarray::{ArrayViewMut4, Axis};

use super::Thresholds;
use super::calibrate::{Exits, at_exits, features};
use super::plans::Cell;
use crate::bundle::Manifest;
use crate::engine::{Action, Engine, EngineError, LstmState};
use crate::frame::Frame;
use crate::motion::Gripper;
use crate::network::{Metric, Plan, PlanLimits, Planner, Situation, rms};
use crate::units::Stamp;

/// Runs one setting of the plan's limits through the network, step after step.
///
/// Any thresholds are to be solved afterwards, and what a plan skips depends on what was done before: so each step takes
/// the exit that one of `gates`, drawn at random, would have taken. Exits drawn evenly would let two actions in a row
/// differ by more than they do in use.
pub struct Trial<'e, E> {
    engine: &'e mut E,
    rules: &'e Rules,
    limits: PlanLimits,
    rest: LstmState,
    foresees: bool,
    random: fastrand::Rng,
    state: LstmState,
    planner: Planner,
    gripper: Gripper,
    last: Option<Stamp>,
    steps: u64,
}

/// Errors are means over about this time. An action that is off for a moment, and the other way round in the next, leaves
/// the arm where it should be; what is off in the same direction for long adds up. A plan whose single
/// actions were nearer than another's, but off in one direction, did half a task less (models/tabletop/README.md).
const ERROR_SECS: f64 = 0.5;

/// What is the same for every setting that is tried.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What the deltas measure.
    pub metric: Metric,
    /// One of them, drawn at random, decides where a step stops.
    pub gates: Vec<Thresholds>,
    /// The control period in seconds.
    pub period_secs: f64,
    /// The oldest picture that may be acted on, in seconds.
    pub max_frame_age_secs: f64,
    /// As at an epoch's start.
    pub gripper: Gripper,
}

/// One step of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// What was looked at.
    pub plan: Plan,
    /// What each exit said; `None` where the step was skipped.
    pub exits: Option<Exits>,
    /// `[exit][period]`: what each exit foresaw; no rows where the step was skipped or the network does not foresee.
    pub ahead: Vec<Vec<Action>>,
    /// What was carried out.
    pub action: Action,
}

impl<'e, E: Engine> Trial<'e, E> {
    /// The same `seed` draws the same gates.
    pub fn new(engine: &'e mut E, manifest: &Manifest, rules: &'e Rules, limits: PlanLimits, seed: u64) -> Self {
        let rest = LstmState::zeros(manifest.lstm.layers, manifest.lstm.hidden);
        let planner = Planner::new(manifest.cameras.len(), manifest.sees_jointly());
        let (random, gripper, state) = (fastrand::Rng::with_seed(seed), rules.gripper.clone(), rest.clone());
        let foresees = manifest.ahead > 1;
        Self { engine, rules, limits, rest, foresees, random, state, planner, gripper, last: None, steps: 0 }
    }

    /// Begins an instruction.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn instruction(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        (self.state, self.gripper) = (self.rest.clone(), self.rules.gripper.clone());
        self.planner.clear();
        (self.last, self.steps) = (None, 0);
        self.engine.embed(ids)
    }

    /// A step on one picture a camera; `paint` writes those that are looked at, `[1, 3, S, S]` each.
    ///
    /// # Errors
    /// When the network cannot be run, or gives an action that is not finite.
    pub fn step(
        &mut self,
        frames: &[Frame],
        paint: &mut dyn FnMut(usize, ArrayViewMut4<'_, f32>),
    ) -> Result<Tried, EngineError> {
        let stamp = frames.iter().map(|frame| frame.stamp).max().unwrap_or_default();
        let plan = self.planner.plan(&self.limits, &frames.iter().collect::<Vec<_>>(), &self.situation(stamp));
        let (exits, action, ahead, foreseen) = match self.planner.instead().filter(|_| plan.skip) {
            Some(action) => (None, action, Vec::new(), Vec::new()),
            None => {
                let (exits, ahead, taken) = self.think(&plan, paint)?;
                let (action, foreseen) = (exits.actions[taken], ahead.get(taken).cloned().unwrap_or_default());
                (Some(exits), action, ahead, foreseen)
            }
        };
        self.planner.done(&plan, action, foreseen);
        self.grip(action.gripper, stamp);
        (self.last, self.steps) = (Some(stamp), self.steps + 1);
        Ok(Tried { plan, exits, ahead, action })
    }

    /// What every exit says from the state so far and foresees, and the one that is taken, whose state becomes the state.
    fn think(
        &mut self,
        plan: &Plan,
        paint: &mut dyn FnMut(usize, ArrayViewMut4<'_, f32>),
    ) -> Result<(Exits, Vec<Vec<Action>>, usize), EngineError> {
        for camera in (0..plan.cameras.len()).filter(|&camera| plan.looks(camera)) {
            self.engine.draw(camera, &mut |image| paint(camera, image));
            self.engine.look(camera)?;
        }
        let gate = &self.rules.gates[self.random.usize(..self.rules.gates.len())];
        let cap = gate.as_slice().len() - 1;
        let features = features(self.engine, cap + 1)?;
        let gauge = self.rules.metric.into();
        let exits = at_exits(self.engine, &features, &self.state, &gauge, self.steps)?;
        let taken = (0..cap).find(|&k| exits.deltas[k] <= gate.limit(k, cap)).unwrap_or(cap);
        let before = self.state.clone();
        let foreseeing = if self.foresees { cap + 1 } else { 0 };
        let mut ahead = Vec::with_capacity(foreseeing);
        for exit in (0..foreseeing).chain([taken]) {
            let row = features.row(1 + exit).insert_axis(Axis(0));
            self.state = self.engine.head(row, &before)?.1;
            ahead.push(self.engine.ahead()?);
        }
        ahead.truncate(foreseeing);
        Ok((exits, ahead, taken))
    }

    /// As the session would have known it, had nothing but a gap in the pictures held the arm.
    fn situation(&self, stamp: Stamp) -> Situation {
        let Rules { period_secs, max_frame_age_secs, .. } = *self.rules;
        let gap_secs = self.last.map_or(f64::INFINITY, |last| stamp.secs_since(last));
        Situation {
            period_secs,
            oldest: Stamp(stamp.0 - Stamp::from_secs(max_frame_age_secs).0),
            steady: gap_secs <= 1.5 * period_secs,
            gripper_rests: self.gripper.rests(),
        }
    }

    fn grip(&mut self, probability: f32, stamp: Stamp) {
        let now = std::time::Duration::from_nanos(stamp.0.unsigned_abs());
        self.gripper.decide(probability);
        if let Some(grip) = self.gripper.command(now) {
            self.gripper.told(grip, now);
        }
    }
}

impl Tried {
    /// The arm outputs that are carried out at the `skips`-th skipped step after this one, had it stopped at `exit`: as
    /// the planner has it.
    fn after(&self, exit: usize, skips: u32) -> Option<[f32; 6]> {
        let foreseen = self.ahead.get(exit).map_or(&[][..], Vec::as_slice);
        let action = foreseen.get((skips as usize).saturating_sub(1)).or(foreseen.last());
        action.or(self.exits.as_ref()?.actions.get(exit)).map(|action| action.arm)
    }
}

/// What of a trial leads from one step to the next, for [`Cell::add`].
#[derive(Debug, Clone)]
pub struct Course {
    /// When the network was asked last.
    held: Option<Tried>,
    /// Per exit, how far the arm outputs are off as a mean that fades.
    off: Vec<[f32; 6]>,
    /// A step's share of that mean.
    share: f32,
}

impl Course {
    /// Of a network with so many exits.
    pub fn new(exits: usize, period_secs: f64) -> Self {
        let share = (period_secs / ERROR_SECS).min(1.0) as f32;
        Self { held: None, off: vec![[0.0; 6]; exits], share }
    }

    /// An instruction begins.
    pub fn clear(&mut self) {
        self.held = None;
        self.off.fill([0.0; 6]);
    }

    /// The size of the mean after a step at which `exit` carries `arm` out.
    fn add(&mut self, exit: usize, arm: &[f32; 6], reference: &[f32; 6]) -> f64 {
        let off = &mut self.off[exit];
        for (off, (arm, reference)) in off.iter_mut().zip(arm.iter().zip(reference)) {
            *off += self.share * (arm - reference - *off);
        }
        rms(off, &[0.0; 6]).into()
    }
}

impl Cell {
    /// Nothing was tried yet.
    pub fn new(fixed: Option<String>, limits: PlanLimits, cameras: usize, exits: usize) -> Self {
        let (looks, empty) = (vec![0; cameras], vec![Vec::new(); exits]);
        Self { fixed, limits, steps: 0, skipped: 0, looks, deltas: empty.clone(), errors: empty }
    }

    /// Counts a step. `reference`: what full depth with every picture gave for the moment.
    pub fn add(&mut self, tried: &Tried, course: &mut Course, reference: &[f32; 6]) {
        self.steps += 1;
        for (camera, looks) in self.looks.iter_mut().enumerate() {
            *looks += u64::from(tried.plan.looks(camera));
        }
        if let Some(exits) = &tried.exits {
            for (k, action) in exits.actions.iter().enumerate() {
                self.deltas[k].push(exits.deltas[k].into());
                self.errors[k].push(course.add(k, &action.arm, reference));
            }
            course.held = Some(tried.clone());
            return;
        }
        self.skipped += 1;
        let Some(held) = course.held.take() else { return };
        for (k, row) in self.errors.iter_mut().enumerate() {
            let arm = held.after(k, tried.plan.skips);
            row.last_mut().zip(arm).into_iter().for_each(|(sum, arm)| *sum += course.add(k, &arm, reference));
        }
        course.held = Some(held);
    }

    /// Another recording's steps of the same setting.
    pub fn join(&mut self, other: Self) {
        self.steps += other.steps;
        self.skipped += other.skipped;
        self.looks.iter_mut().zip(other.looks).for_each(|(sum, looks)| *sum += looks);
        for (rows, others) in [(&mut self.deltas, other.deltas), (&mut self.errors, other.errors)] {
            rows.iter_mut().zip(others).for_each(|(row, more)| row.extend(more));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::engine::Scripted;

    const PERIOD: f64 = 1.0 / 30.0;

    fn frame(n: i64, shade: u8) -> Frame {
        let rgb = vec![shade; 64 * 64 * 3];
        Frame::new(Stamp::from_secs(n as f64 * PERIOD), [64, 64], rgb, "rgb8")
    }

    /// Twenty steps of the toy's two cameras, whose shades change as told, through exits that all say the same but
    /// the second, and against a reference that is 0.1 away from that.
    fn cell(limits: PlanLimits, shade: impl Fn(i64) -> u8) -> (Cell, Vec<String>) {
        foreseeing(&[], limits, shade)
    }

    /// By a network that foresees arm outputs of these levels.
    fn foreseeing(ahead: &[f32], limits: PlanLimits, shade: impl Fn(i64) -> u8) -> (Cell, Vec<String>) {
        let mut manifest = Bundle::open("models/toy").unwrap().manifest;
        manifest.ahead = 1 + ahead.len();
        let mut engine = Scripted::level(&[0.5, 0.5, 0.6, 0.5, 0.5, 0.5, 0.5]);
        engine.ahead = ahead.iter().map(|&level| Action { arm: [level; 6], gripper: 0.9 }).collect();
        let rules = Rules {
            metric: Metric::Rms,
            gates: vec![Thresholds::deepest(6)],
            period_secs: PERIOD,
            max_frame_age_secs: 6.0 * PERIOD,
            gripper: Gripper::new(0.5, 0.1, 0.0),
        };
        let mut trial = Trial::new(&mut engine, &manifest, &rules, limits, 1);
        let (mut cell, mut course) = (Cell::new(None, limits, 2, 6), Course::new(6, ERROR_SECS));
        trial.instruction(&[1]).unwrap();
        for n in 0..20 {
            let tried = trial.step(&[frame(n, shade(n)), frame(n, 9)], &mut |_, _| ()).unwrap();
            cell.add(&tried, &mut course, &[0.5; 6]);
        }
        (cell, engine.calls)
    }

    const KEEP: PlanLimits =
        PlanLimits { keep_change: 0.05, skip_delta: 0.0, skip_change: 1.0, max_age: 5, max_skips: 1, first_steps: 4 };

    #[test]
    fn a_picture_that_never_changes_is_kept_and_costs_no_error() {
        let (cell, calls) = cell(KEEP, |_| 200);
        // Looked at in the five steps before the gripper rests, then every sixth: 10, 16.
        assert_eq!((cell.steps, cell.skipped, cell.looks.clone()), (20, 0, vec![7, 7]));
        assert_eq!(calls.iter().filter(|call| *call == "look 1").count(), 7);
        assert!(cell.errors[0].iter().chain(&cell.errors[5]).all(|&error| error == 0.0));
        assert!(cell.errors[1].iter().all(|&error| (error - 0.1).abs() < 1e-6));
    }

    #[test]
    fn a_picture_that_changes_is_looked_at_whatever_the_other_shows() {
        let (cell, _) = cell(KEEP, |n| (20 * (n % 10)) as u8);
        assert_eq!(cell.looks, [20, 7]);
    }

    #[test]
    fn a_skipped_steps_error_belongs_to_the_exit_whose_action_goes_on() {
        let limits = PlanLimits { keep_change: 0.0, skip_delta: 0.1, max_skips: 2, ..KEEP };
        let (cell, calls) = cell(limits, |_| 200);
        let asked = calls.iter().filter(|call| *call == "stage 5").count();
        // Five steps in full; then two of three are skipped.
        assert_eq!((cell.skipped, asked), (10, 10));
        assert_eq!(cell.looks, [10, 10]);
        let sums: Vec<f64> = cell.errors[1].iter().map(|error| (error * 10.0).round()).collect();
        assert_eq!(sums, [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 1.0]);
        assert!(cell.errors[5].iter().all(|&error| error == 0.0));
    }

    #[test]
    fn a_skipped_step_is_off_by_what_was_foreseen_for_it() {
        let limits = PlanLimits { keep_change: 0.0, skip_delta: 1.0, max_skips: 2, ..KEEP };
        let (cell, _) = foreseeing(&[0.7, 0.8], limits, |_| 200);
        assert_eq!(cell.skipped, 10);
        let sums = |exit: usize| cell.errors[exit].iter().map(|error| (error * 10.0).round()).collect::<Vec<_>>();
        assert_eq!(sums(5), [0.0, 0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.0], "0.2 and 0.3 off");
        assert_eq!(sums(1)[4], 6.0, "and its own 0.1");
    }

    #[test]
    fn what_is_off_by_turns_counts_for_less_than_what_is_off_for_long() {
        let mut course = Course::new(2, PERIOD);
        let off = |level: f32| [0.5 + level; 6];
        let mut sums = [0.0; 2];
        for n in 0..60 {
            sums[0] += course.add(0, &off(0.1), &[0.5; 6]);
            sums[1] += course.add(1, &off(if n % 2 == 0 { 0.1 } else { -0.1 }), &[0.5; 6]);
        }
        assert!(sums[0] > 4.0 && sums[1] < 0.3, "{sums:?}");
        course.clear();
        assert!(course.add(0, &off(0.1), &[0.5; 6]) < 0.01, "a new instruction begins with nothing");
    }

    #[test]
    fn recordings_of_a_setting_add_up() {
        let (mut sum, _) = cell(KEEP, |_| 200);
        let (other, _) = cell(KEEP, |_| 200);
        sum.join(other);
        assert_eq!((sum.steps, sum.looks.clone(), sum.deltas[3].len()), (40, vec![14, 14], 40));
    }
}
