//! What a step need not do: look at a picture that shows nothing new, or ask the network at all.
//!
//! Before a step, each camera is *looked* at (its encoder runs) or *kept* (its last media serve once more), and the whole
//! step may be *skipped*: what the last step that ran foresaw for it is carried out, or that step's own action again
//! where the network does not foresee. Everything that decides it is cheap: how much the picture changed since the one
//! that was encoded, how old that one is, how far the last action lies from what a skip would have made of its step.
//!
//! Some things forbid it whatever the limits say: an epoch's first steps, a hold, a gripper that is about to change or
//! has just changed, an arm that turned round or would, and age. Nothing is skipped beyond what was foreseen. Age is that of the picture that was encoded, on the pictures'
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
    /// A step is skipped while the last action that the network gave differs by no more from what a skip would have
    /// carried out in its place (rms of the arm outputs); 0: never skipped.
    pub skip_delta: f32,
    /// And while no patch of any picture has changed by more since it was encoded.
    pub skip_change: f32,
    /// The oldest that a picture's media may be when they are acted on, in control periods.
    pub max_age: u32,
    /// The most steps in a row that are skipped; never more than were foreseen.
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
    /// While the gripper does what the network wishes, has done so for some time, and the network does not waver: the
    /// probabilities of open, from and to, that leave it so.
    pub gripper_rests: Option<[f32; 2]>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The network is not asked: what was foreseen for the step is carried out, or the last action goes on.
    pub skip: bool,
    /// Steps skipped in a row, this one included.
    pub skips: u32,
    /// In the manifest's order.
    pub cameras: Vec<PlannedCamera>,
    /// How far the last action that the network gave lies from what a skip would have carried out in its place; `None`
    /// where that was an epoch's first.
    pub delta: Option<f32>,
    /// The actions that the last step that ran foresaw; 0: a skipped step repeats.
    pub foreseen: usize,
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
        Self { skip: false, skips: 0, cameras, delta: None, foreseen: 0, because: None, limits }
    }

    /// Of the oldest media that are acted on, in control periods.
    pub fn age(&self) -> u32 {
        self.cameras.iter().map(|camera| camera.age).max().unwrap_or_default()
    }

    /// Whether a camera's encoder runs.
    pub fn looks(&self, camera: usize) -> bool {
        !self.skip && self.cameras.get(camera).is_some_and(|camera| camera.look)
    }
}

/// What a plan is made from: the pictures that were encoded last, the last two actions, and what was foreseen.
#[derive(Debug, Clone)]
pub(crate) struct Planner {
    /// All cameras share one encoder: they are looked at together.
    jointly: bool,
    encoded: Vec<Option<(Glance, Stamp)>>,
    /// Of the last two steps that ran, the newest last.
    actions: Vec<Action>,
    /// Of the periods after the newest.
    foreseen: Vec<Action>,
    delta: Option<f32>,
    steps: u64,
    skips: u32,
}

impl Planner {
    pub(crate) fn new(cameras: usize, jointly: bool) -> Self {
        let (actions, foreseen) = (Vec::new(), Vec::new());
        Self { jointly, encoded: vec![None; cameras], actions, foreseen, delta: None, steps: 0, skips: 0 }
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
            return Plan { limits: *limits, foreseen: self.foreseen.len(), ..plan };
        }
        let because = self.forbids(limits, situation);
        let cameras = self.encoded.iter().zip(frames);
        let cameras: Vec<_> =
            cameras.map(|(encoded, frame)| Candidate::of(encoded.as_ref(), frame, situation)).collect();
        let young = |camera: &Candidate<'_>| camera.age.is_some_and(|age| age <= limits.max_age);
        let within = |camera: &Candidate<'_>, limit: f32| camera.change.is_some_and(|change| change <= limit);
        let skip = because.is_none()
            && limits.skip_delta > 0.0
            && self.skips < limits.max_skips
            && (self.foreseen.is_empty() || !self.ahead().is_empty())
            && self.delta.is_some_and(|delta| delta <= limits.skip_delta)
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
        let (delta, foreseen) = (self.delta, self.foreseen.len());
        Plan { skip, skips, cameras: cameras.collect(), delta, foreseen, because, limits: *limits }
    }

    /// The plan was carried out, with this action. `foreseen`: where the network ran, what it gave for the periods after.
    pub(crate) fn done(&mut self, plan: &Plan, action: Action, foreseen: Vec<Action>) {
        let instead = self.instead();
        self.steps += 1;
        self.skips = plan.skips;
        if plan.skip {
            return;
        }
        self.delta = instead.map(|instead| rms(&action.arm, &instead.arm));
        self.foreseen = foreseen;
        for (encoded, camera) in self.encoded.iter_mut().zip(&plan.cameras) {
            if camera.look {
                *encoded = camera.glance.clone().map(|glance| (glance, camera.seen));
            }
        }
        self.actions.push(action);
        self.actions.drain(..self.actions.len().saturating_sub(2));
    }

    /// What goes on where the step is skipped: the arm outputs foreseen for it, or for as near to it as any were; without
    /// any the last action's. The gripper's probability is always that of the last step that ran.
    pub(crate) fn instead(&self) -> Option<Action> {
        let last = self.actions.last()?;
        let foreseen = self.ahead().first().or(self.foreseen.last());
        Some(Action { arm: foreseen.unwrap_or(last).arm, ..*last })
    }

    /// What was foreseen for the step and those after it.
    fn ahead(&self) -> &[Action] {
        self.foreseen.get(self.skips as usize..).unwrap_or_default()
    }

    /// What must be looked at and thought through whatever the limits say.
    fn forbids(&self, limits: &PlanLimits, situation: &Situation) -> Option<&'static str> {
        let leave = |[from, to]: [f32; 2]| self.ahead().iter().all(|action| (from..=to).contains(&action.gripper));
        match situation.gripper_rests {
            _ if self.steps < u64::from(limits.first_steps) => Some("first steps"),
            _ if !situation.steady => Some("after a hold"),
            None => Some("gripper"),
            Some(range) if !leave(range) => Some("gripper is about to change"),
            _ if self.turns() => Some("turned"),
            _ => None,
        }
    }

    /// Whether the last two actions point apart, or what is foreseen for the step and what goes on before it.
    fn turns(&self) -> bool {
        let [before, last] = &self.actions[..] else { return true };
        let coming = self.ahead().first().map(|next| {
            let now = self.skips.checked_sub(1).and_then(|n| self.foreseen.get(n as usize));
            (now.unwrap_or(last), next)
        });
        [Some((before, last)), coming].into_iter().flatten().any(|(a, b)| a.turns_to(b))
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
