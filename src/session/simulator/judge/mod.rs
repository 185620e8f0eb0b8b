//! What must hold whatever happens, judged from outside: by what was sent, and by what the world knows.

mod motion;
mod plan;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::network::Blind;
use super::schedule::{DWELL_SECS, EXITS, Fault, Incident, Schedule, TICK, What};
use super::time::Time;
use super::{Broken, Invariant};
use crate::engine::Action;
use crate::motion::{Grip, Twist};
use crate::network::PlanLimits;
use crate::safety::Verdict;
use crate::session::run::{Caller, Run, Seen};
use crate::session::{Answer, Order};
use crate::units::Stamp;

type Stamps = Vec<(String, Option<Stamp>)>;

/// A picture as the world knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) stamp: Stamp,
    pub(super) received: Duration,
    /// No motion may follow from it.
    pub(super) bad: bool,
    pub(super) unreadable: bool,
    pub(super) resized: bool,
    /// It shows what the one before it showed.
    pub(super) same: bool,
}

pub(super) struct Judge {
    period: Duration,
    /// A thread is never later than this, all of them together.
    slack: Duration,
    /// So long after an action its motion may last.
    tail: Duration,
    /// The longest gap between two pictures of a healthy camera.
    gap: Duration,
    heartbeat: Option<Duration>,
    deepest: usize,
    pictures: [VecDeque<Taken>; 2],
    bad_since: [Option<Duration>; 2],
    same: [u32; 2],
    stopped: Option<Duration>,
    pressed: bool,
    beaten: Duration,
    servo_stands: Option<Duration>,
    set: Option<Duration>,
    /// It has said that it is warm.
    looked: bool,
    calls: HashMap<Caller, Option<Duration>>,
    /// Act answers that may still be carried out.
    answers: VecDeque<(Duration, Answer)>,
    thinking: Duration,
    /// The epoch and the pictures that were acted on last.
    acted: Option<(u64, Stamps)>,
    /// Of the last answer, if it acted: the epoch, what the network said when it was asked last, and how many steps have
    /// been skipped since.
    planned: Option<(u64, Action, u32)>,
    plan: PlanLimits,
    /// Actions that the network foresees.
    ahead: usize,
    /// The newest picture of each camera that was acted on since the clock was set last.
    newest: [Option<Stamp>; 2],
    halted: Duration,
    /// The last motion that was begun.
    begun: Option<Duration>,
    /// A motion that was begun and is no command yet, and the last that was one at once.
    waits: Option<Duration>,
    last_at_once: Duration,
    epoch: u64,
    /// A person has said, enabled or reset something since: the cameras are as they should be.
    looked_at: bool,
    sizes: [Option<bool>; 2],
    gripper: Option<(Grip, Duration)>,
    asked: [f64; 6],
    moved: [f64; 6],
    dropped: [f64; 2],
    told: Twist,
    /// The commander was halted since.
    stands: bool,
    said: Duration,
    busiest: Duration,
    calm: Option<Duration>,
    /// Of the last answers since all is calm: when, and the exit.
    acts: VecDeque<(Duration, usize)>,
    end: Duration,
}

impl Judge {
    pub(super) fn new(schedule: &Schedule, delay: Duration) -> Self {
        let robot = &schedule.robot;
        let period = Duration::from_secs_f64(1.0 / robot.control_hz);
        let late = |incident: &Incident| match incident.what {
            What::Busy(late, _) => Some(late),
            _ => None,
        };
        let late = schedule.incidents.iter().filter_map(late).max().unwrap_or_default().max(robot.late);
        let lossy = |incident: &Incident| matches!(incident.what, What::Camera(_, Fault::Lossy, _));
        let factor = if schedule.incidents.iter().any(lossy) { 2.0 } else { 1.0 };
        let gap = robot.cameras.iter().map(|camera| Duration::from_secs_f64(factor / camera.rate_hz) + camera.jitter);
        Self {
            period,
            slack: late * 3 + TICK + Duration::from_millis(1),
            tail: period.mul_f64(1.5) + delay * 2 + TICK * 2,
            gap: gap.max().unwrap_or_default(),
            heartbeat: robot.heartbeat_secs.map(Duration::from_secs_f64),
            deepest: EXITS - 1,
            pictures: [VecDeque::new(), VecDeque::new()],
            bad_since: [None; 2],
            same: [0; 2],
            stopped: (!robot.autostart).then_some(Duration::ZERO),
            pressed: false,
            beaten: Duration::ZERO,
            servo_stands: None,
            set: None,
            looked: false,
            calls: HashMap::new(),
            answers: VecDeque::new(),
            thinking: Duration::ZERO,
            acted: None,
            planned: None,
            plan: robot.plan,
            ahead: robot.ahead,
            newest: [None; 2],
            halted: Duration::ZERO,
            begun: None,
            waits: None,
            last_at_once: Duration::ZERO,
            epoch: 0,
            looked_at: false,
            sizes: [None; 2],
            gripper: None,
            asked: [0.0; 6],
            moved: [0.0; 6],
            dropped: [0.0; 2],
            told: Twist::default(),
            stands: false,
            said: Duration::ZERO,
            busiest: Duration::ZERO,
            calm: None,
            acts: VecDeque::new(),
            end: schedule.end,
        }
    }

    pub(super) fn picture(&mut self, camera: usize, taken: Taken) {
        // A camera that shows the same while the arm is told to move is frozen.
        let moving = self.begun.is_some_and(|begun| taken.received.saturating_sub(begun) < self.period * 2);
        self.same[camera] = if taken.same && moving { self.same[camera] + 1 } else { 0 };
        let bad = taken.bad || self.same[camera] > 6;
        self.bad_since[camera] = bad.then(|| self.bad_since[camera].unwrap_or(taken.received));
        self.pictures[camera].push_back(taken);
        if self.pictures[camera].len() > 64 {
            self.pictures[camera].pop_front();
        }
    }

    /// A request, and whether it is to arm.
    pub(super) fn called(&mut self, caller: Caller, arms: Option<()>, at: Duration) {
        self.calls.insert(caller, arms.map(|()| at));
    }

    pub(super) fn looked_at(&mut self) {
        self.looked_at = true;
    }

    pub(super) fn stopped(&mut self, at: Duration) {
        self.stopped.get_or_insert(at);
    }

    pub(super) fn estop(&mut self, pressed: bool, at: Duration) {
        (self.pressed, self.beaten) = (pressed, at);
        if pressed {
            self.stopped = Some(at);
        }
    }

    pub(super) fn pressed(&self) -> bool {
        self.pressed
    }

    pub(super) fn heartbeat(&mut self, at: Duration) {
        self.beaten = at;
    }

    pub(super) fn servo(&mut self, stands: bool, at: Duration) {
        self.servo_stands = stands.then_some(at);
    }

    /// Of one that was set before its first look the node cannot know.
    pub(super) fn clock_set(&mut self, at: Duration) {
        (self.set, self.newest) = (self.looked.then_some(at), [None; 2]);
    }

    pub(super) fn calmed(&mut self, at: Duration) {
        self.calm = Some(at);
    }

    pub(super) fn see(&mut self, at: Duration, seen: &Seen, busiest: Duration) -> Result<(), Broken> {
        self.busiest = busiest;
        self.at_once(at, matches!(seen, Seen::Twist(..)))?;
        match seen {
            Seen::Answer(answer) => self.answer(at, answer),
            Seen::Twist(_, twist, ticks) => self.twist(at, twist, *ticks),
            Seen::Grip(_, grip) => {
                self.may_move(at, "the gripper was told")?;
                let turned = self.gripper.replace((*grip, at)).filter(|(told, _)| told != grip);
                match turned.filter(|(_, since)| at.saturating_sub(*since) < Duration::from_secs_f64(DWELL_SECS)) {
                    Some((told, since)) => {
                        let what = format!("{grip:?} although {told:?} was told at {since:.3?}");
                        Err(self.broken(at, Invariant::GripperIsTold, what))
                    }
                    None => Ok(()),
                }
            }
            Seen::Reply(caller, result) => self.reply(at, *caller, result.is_ok()),
            Seen::Halt => {
                self.halted = at;
                Ok(())
            }
            Seen::Order(Order::Move(motion), None) => {
                self.waits = Some(at);
                self.begun(at, motion)
            }
            Seen::Order(order, _) => {
                self.stands |= *order == Order::Halt;
                Ok(())
            }
            Seen::Log(..) => {
                self.looked = true;
                Ok(())
            }
            Seen::Read(_) => Ok(()),
            Seen::Thinking => {
                self.thinking = at;
                Ok(())
            }
        }
    }

    fn broken(&self, at: Duration, invariant: Invariant, what: impl Into<String>) -> Broken {
        Broken { at, invariant, what: what.into() }
    }

    fn reply(&mut self, at: Duration, caller: Caller, done: bool) -> Result<(), Broken> {
        let Some(arms) = self.calls.remove(&caller) else {
            return Err(self.broken(at, Invariant::OneReply, format!("call {caller} was answered twice")));
        };
        // What stopped it after the call is newer than the call.
        if let Some(called) = arms.filter(|_| done)
            && self.stopped.is_none_or(|stopped| stopped <= called)
        {
            self.stopped = None;
        }
        if arms.is_some() {
            // Whoever enables it takes the cameras as they are.
            (self.same, self.bad_since) = ([0; 2], [None; 2]);
        }
        Ok(())
    }

    fn answer(&mut self, at: Duration, answer: &Answer) -> Result<(), Broken> {
        let quiet = at.saturating_sub(self.said);
        if quiet > Duration::from_millis(1300) + self.busiest + self.slack {
            return Err(self.broken(at, Invariant::SaysWhy, format!("nothing was said for {quiet:.3?}")));
        }
        self.said = at;
        self.dropped = [self.dropped[0] + answer.dropped[0], self.dropped[1] + answer.dropped[1]];
        if answer.epoch != self.epoch {
            self.epoch = answer.epoch;
            if std::mem::take(&mut self.looked_at) {
                self.sizes = [None; 2];
            }
        }
        self.planned(at, answer)?;
        if answer.verdict != Verdict::Act {
            return Ok(());
        }
        let asked = Some((answer.epoch, answer.frames.clone()));
        if asked == self.acted {
            return Err(self.broken(at, Invariant::OneAnswer, "the same pictures were acted on twice"));
        }
        self.acted = asked;
        for (camera, (role, stamp)) in answer.frames.iter().enumerate() {
            self.fit(at, camera, role, *stamp)?;
            // Pictures of the old time are still on their way when the clock has been set.
            let settled = self.set.is_none_or(|set| at > set + Duration::from_millis(200));
            if settled && self.newest[camera] > *stamp {
                let what = format!("the {role} camera's picture is older than one that was acted on");
                return Err(self.broken(at, Invariant::FitPictures, what));
            }
            self.newest[camera] = stamp.filter(|_| settled);
            let resized = self.taken(camera, *stamp).is_some_and(|taken| taken.resized);
            if *self.sizes[camera].get_or_insert(resized) != resized {
                let what = format!("the {role} camera's picture has another size than the epoch's first");
                return Err(self.broken(at, Invariant::FitPictures, what));
            }
        }
        if let Some(set) = self.set.filter(|set| at > *set + self.period.mul_f64(0.5) + self.slack) {
            let before = |camera: usize| self.taken(camera, answer.frames[camera].1).is_some_and(|t| t.received < set);
            if (0..2).any(before) {
                return Err(self.broken(at, Invariant::FitPictures, "pictures from before the clock was set"));
            }
        }
        if let Some(step) = &answer.decision {
            self.acts.push_back((at, step.exit));
        }
        self.answers.push_back((self.thinking, answer.clone()));
        if self.answers.len() > 16 {
            self.answers.pop_front();
        }
        Ok(())
    }

    fn taken(&self, camera: usize, stamp: Option<Stamp>) -> Option<&Taken> {
        self.pictures[camera].iter().rev().find(|taken| Some(taken.stamp) == stamp)
    }

    /// Whether a picture may be acted on.
    fn fit(&self, at: Duration, camera: usize, role: &str, stamp: Option<Stamp>) -> Result<(), Broken> {
        let wrong = |what: &str| self.broken(at, Invariant::FitPictures, format!("the {role} camera's picture {what}"));
        let Some(taken) = self.taken(camera, stamp) else { return Err(wrong("was never sent")) };
        if taken.unreadable {
            return Err(wrong("could not be read"));
        }
        if taken.bad {
            return Err(wrong("is old, ahead or blank"));
        }
        Ok(())
    }

    pub(super) fn end(&self, run: &Run<Blind, Time>) -> Result<(), Broken> {
        if let Some(caller) = self.calls.keys().min() {
            return Err(self.broken(self.end, Invariant::OneReply, format!("call {caller} was never answered")));
        }
        let longest = run.longest;
        if longest[0] > 100 || longest[1] > 10 || longest[2] > 100 {
            return Err(self.broken(self.end, Invariant::BoundedQueues, format!("{longest:?}")));
        }
        self.went_on()?;
        for (part, range) in [(0, 0..3), (1, 3..6)] {
            let off = range.map(|i| (self.asked[i] - self.moved[i]).powi(2)).sum::<f64>().sqrt();
            // What the stream still holds at the end, and one tick at full speed for every halt that fell between two.
            let open = self.tail.as_secs_f64() * [0.35, 0.7][part];
            if off > self.dropped[part] + open + 1e-9 {
                let what = format!("{off:.6} off, {:.6} reported as dropped", self.dropped[part]);
                return Err(self.broken(self.end, Invariant::Integral, what));
            }
        }
        Ok(())
    }

    /// Once all is calm and the operator has gone on, it acts again, as deep as it may.
    fn went_on(&self) -> Result<(), Broken> {
        let since = self.end - Duration::from_millis(400);
        let acts: Vec<usize> = self.acts.iter().filter(|(at, _)| *at > since).map(|(_, exit)| *exit).collect();
        // Cameras that are never quite together are waited for.
        let expected = (0.4 / self.period.max(self.gap).as_secs_f64()).floor() as usize;
        if acts.len() < (expected / 3).max(1) {
            let what = format!("{} actions in the last 0.4 s, expected about {expected}", acts.len());
            return Err(self.broken(self.end, Invariant::GoesOn, what));
        }
        match acts.iter().find(|exit| **exit != self.deepest) {
            Some(exit) => Err(self.broken(self.end, Invariant::FullDepthAgain, format!("exit {exit}"))),
            None => Ok(()),
        }
    }
}
