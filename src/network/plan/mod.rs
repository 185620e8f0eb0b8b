//! What a step need not do: look at a picture that shows nothing new, or ask the network at all.
//!
//! Before a step, each camera is *looked* at (its encoder runs) or *kept* (its last media serve once more), and the whole
//! step may be *skipped*: the last action goes on for one control period. Everything that decides it is cheap: how much
//! the picture changed since the one that was encoded, how old that one is, how far the last two actions agree.
//!
//! Some things forbid it whatever the limits say: an epoch's first steps, a hold, a gripper that is about to change or
//! has just changed, an arm that turned round, and age. Age is that of the picture that was encoded, on the pictures'
//! own clock: a kept picture never passes for a fresh one.
//!
//! `lab/deer_lab/plan.py` is its twin; `tests/contracts/plan.json` holds both to the same decisions.

use serde::{Deserialize, Serialize};

use super::glance::Glance;
use super::rms;
use crate::engine::Action;
use crate::frame::Frame;
use crate::units::Stamp;

/// When a camera may be kept and a step skipped. The default is never.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlanLimits {
    /// A camera is kept while no patch of its picture has changed by more since it was encoded, 0 to 1; 0: never kept.
    pub keep_change: f32,
    /// A step is skipped while the last two actions differ by no more (rms of the arm outputs); 0: never skipped.
    pub skip_delta: f32,
    /// And while no patch of any picture has changed by more since it was encoded.
    pub skip_change: f32,
    /// The oldest that a picture's media may be when they are acted on, in control periods.
    pub max_age: u32,
    /// The most steps in a row that are skipped.
    pub max_skips: u32,
    /// So many steps of an epoch are taken in full.
    pub first_steps: u32,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self { keep_change: 0.0, skip_delta: 0.0, skip_change: 0.1, max_age: 4, max_skips: 3, first_steps: 4 }
    }
}

impl PlanLimits {
    /// Whether anything is ever kept or skipped.
    pub fn spares(&self) -> bool {
        self.keep_change > 0.0 || self.skip_delta > 0.0
    }
}

/// What the session knows that a plan depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// The control period in seconds.
    pub period_secs: f64,
    /// Media of pictures that were taken before may not be acted on.
    pub oldest: Stamp,
    /// The last step's action was carried out, and nothing has held the arm since.
    pub steady: bool,
    /// The gripper does what the network wishes, has done so for some time, and the network does not waver.
    pub gripper_rests: bool,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The last action goes on for one period.
    pub skip: bool,
    /// Steps skipped in a row, this one included.
    pub skips: u32,
    /// In the manifest's order.
    pub cameras: Vec<PlannedCamera>,
    /// How far the last two actions differ; `None` where there are not two.
    pub delta: Option<f32>,
    /// What forbids more than these would allow, if anything does.
    pub because: Option<&'static str>,
    /// What decided.
    pub limits: PlanLimits,
}

/// What a step does with a camera.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedCamera {
    /// Its encoder runs on the picture at hand.
    pub look: bool,
    /// When the picture was taken whose media the step acts on.
    pub seen: Stamp,
    /// How old that is beside the picture at hand, in control periods; 0 after a look.
    pub age: u32,
    /// How much the picture at hand differs from the one that was encoded last; `None` where none was.
    pub change: Option<f32>,
    #[serde(skip)]
    glance: Option<Glance>,
}

impl Plan {
    /// Everything is looked at, whatever the pictures show.
    pub fn look(cameras: usize) -> Self {
        let camera = PlannedCamera { look: true, seen: Stamp(0), age: 0, change: None, glance: None };
        let (limits, cameras) = (PlanLimits::default(), vec![camera; cameras]);
        Self { skip: false, skips: 0, cameras, delta: None, because: None, limits }
    }

    /// Whether a camera's encoder runs.
    pub fn looks(&self, camera: usize) -> bool {
        !self.skip && self.cameras.get(camera).is_some_and(|camera| camera.look)
    }
}

/// What a plan is made from: the pictures that were encoded last, and the last two actions.
#[derive(Debug, Clone)]
pub(crate) struct Planner {
    /// All cameras share one encoder: they are looked at together.
    jointly: bool,
    encoded: Vec<Option<(Glance, Stamp)>>,
    /// The newest last.
    actions: Vec<Action>,
    steps: u64,
    skips: u32,
}

impl Planner {
    pub(crate) fn new(cameras: usize, jointly: bool) -> Self {
        Self { jointly, encoded: vec![None; cameras], actions: Vec::new(), steps: 0, skips: 0 }
    }

    /// An epoch begins.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.encoded.len(), self.jointly);
    }

    /// What was encoded last is of no known picture.
    pub(super) fn forget(&mut self) {
        self.encoded.fill(None);
    }

    pub(crate) fn plan(&self, limits: &PlanLimits, frames: &[&Frame], situation: &Situation) -> Plan {
        if !limits.spares() {
            let mut plan = Plan::look(self.encoded.len());
            plan.cameras.iter_mut().zip(frames).for_each(|(camera, frame)| camera.seen = frame.stamp);
            return Plan { limits: *limits, ..plan };
        }
        let delta = self.delta();
        let because = self.forbids(limits, situation);
        let cameras = self.encoded.iter().zip(frames);
        let cameras: Vec<_> =
            cameras.map(|(encoded, frame)| Candidate::of(encoded.as_ref(), frame, situation)).collect();
        let young = |camera: &Candidate<'_>| camera.age.is_some_and(|age| age <= limits.max_age);
        let within = |camera: &Candidate<'_>, limit: f32| camera.change.is_some_and(|change| change <= limit);
        let skip = because.is_none()
            && limits.skip_delta > 0.0
            && self.skips < limits.max_skips
            && delta.is_some_and(|delta| delta <= limits.skip_delta)
            && cameras.iter().all(|camera| young(camera) && within(camera, limits.skip_change));
        let keep = |camera: &Candidate<'_>| {
            because.is_none()
                && limits.keep_change > 0.0
                && !self.jointly
                && young(camera)
                && within(camera, limits.keep_change)
        };
        let cameras = cameras.into_iter().map(|camera| {
            let look = !skip && !keep(&camera);
            camera.planned(look)
        });
        let skips = if skip { self.skips + 1 } else { 0 };
        Plan { skip, skips, cameras: cameras.collect(), delta, because, limits: *limits }
    }

    /// The plan was carried out, with this action.
    pub(crate) fn done(&mut self, plan: &Plan, action: Action) {
        self.steps += 1;
        self.skips = plan.skips;
        if plan.skip {
            return;
        }
        for (encoded, camera) in self.encoded.iter_mut().zip(&plan.cameras) {
            if camera.look {
                *encoded = camera.glance.clone().map(|glance| (glance, camera.seen));
            }
        }
        self.actions.push(action);
        self.actions.drain(..self.actions.len().saturating_sub(2));
    }

    /// The last action, which a skipped step repeats.
    pub(super) fn last(&self) -> Option<Action> {
        self.actions.last().copied()
    }

    fn delta(&self) -> Option<f32> {
        let [before, last] = self.actions[..] else { return None };
        Some(rms(&before.arm, &last.arm))
    }

    /// What must be looked at and thought through whatever the limits say.
    fn forbids(&self, limits: &PlanLimits, situation: &Situation) -> Option<&'static str> {
        let turned = || {
            let [before, last] = self.actions[..] else { return true };
            let along = |range: std::ops::Range<usize>| range.map(|i| before.arm[i] * last.arm[i]).sum::<f32>();
            along(0..3) < 0.0 || along(3..6) < 0.0
        };
        match () {
            () if self.steps < u64::from(limits.first_steps) => Some("first steps"),
            () if !situation.steady => Some("after a hold"),
            () if !situation.gripper_rests => Some("gripper"),
            () if turned() => Some("turned"),
            () => None,
        }
    }
}

/// A camera before it is decided whether it is looked at.
struct Candidate<'a> {
    stamp: Stamp,
    encoded: Option<&'a (Glance, Stamp)>,
    glance: Glance,
    change: Option<f32>,
    /// Of the media, in periods; `None` where they may not be acted on.
    age: Option<u32>,
}

impl<'a> Candidate<'a> {
    fn of(encoded: Option<&'a (Glance, Stamp)>, frame: &Frame, situation: &Situation) -> Self {
        let glance = Glance::of(frame);
        let change = encoded.map(|(before, _)| glance.change(before));
        let seen = encoded.map(|(_, seen)| *seen).filter(|seen| *seen >= situation.oldest && *seen <= frame.stamp);
        let age = seen.map(|seen| (frame.stamp.secs_since(seen) / situation.period_secs).round() as u32);
        Self { stamp: frame.stamp, encoded, glance, change, age }
    }

    fn planned(self, look: bool) -> PlannedCamera {
        let kept = self.encoded.filter(|_| !look);
        let seen = kept.map_or(self.stamp, |(_, seen)| *seen);
        let age = if look { 0 } else { self.age.unwrap_or_default() };
        PlannedCamera { look, seen, age, change: self.change, glance: Some(self.glance) }
    }
}

#[cfg(test)]
mod tests;
