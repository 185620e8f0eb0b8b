//! One control step: from pictures that are due to one answer, with the network's opinion between.

use std::time::Duration;

use super::{Answer, Effect, Identity, Level, Move, Session};
use crate::bundle::Embodiment;
use crate::motion::{self, Gripper, Limits, Twist};
use crate::network::{Network, Settings, Situation, Step};
use crate::safety::{Hold, Verdict};
use crate::units::{Moment, Stamp};

/// Without an answer for so long, it is said once more why.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// What carries an action out.
pub(super) struct Motion {
    pub(super) embodiment: Embodiment,
    pub(super) limits: Option<Limits>,
    pub(super) gripper: Gripper,
}

/// What was answered, and what became of it.
pub(super) struct Record {
    pub(super) identity: Identity,
    pub(super) last: Option<Answer>,
    /// When the pictures of the last step were taken.
    asked: Vec<(String, Option<Stamp>)>,
    /// When it looked last, and when it said something last, on the machine's clock.
    pub(super) looked: Duration,
    said: Duration,
    /// Lock-step: whether the last answer was that of a disarmed arm.
    stood: bool,
    dropped: [f64; 2],
    refused: Option<String>,
    /// The halts before the last action, if it was ordered and nothing has held the arm since.
    carried: Option<u64>,
}

/// A step that waits for the network.
pub(super) struct Pending {
    began: Moment,
    /// The epoch, and whether the arm was armed, when it began.
    asked: (u64, bool),
    /// When its last picture came, and until when its action may begin.
    received: Option<Duration>,
    until: Option<Duration>,
    situation: Situation,
    outcome: Option<Result<Step, String>>,
    took: Duration,
}

impl Record {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            last: None,
            asked: Vec::new(),
            looked: Duration::ZERO,
            said: Duration::ZERO,
            stood: false,
            dropped: [0.0; 2],
            refused: None,
            carried: None,
        }
    }

    pub(super) fn commanded(&mut self, refused: Option<String>, dropped: [f64; 2]) {
        self.carried = self.carried.filter(|_| refused.is_none());
        self.dropped = [self.dropped[0] + dropped[0], self.dropped[1] + dropped[1]];
        self.refused = refused.or(self.refused.take());
    }
}

impl<N: Network> Session<N> {
    /// Whether a step has begun that only the network can answer.
    pub fn thinking(&self) -> bool {
        self.pending.is_some()
    }

    /// Asks the network, which takes its time.
    pub fn think(&mut self, watch: &mut dyn FnMut() -> Duration) {
        let Some(pending) = &mut self.pending else { return };
        let began = watch();
        let mut elapsed = || watch().saturating_sub(began);
        pending.outcome = Some(self.network.step(&self.cameras.frames(), &pending.situation, &mut elapsed));
        pending.took = elapsed();
    }

    /// Ends a step whose network has been asked. What changed meanwhile (a new sentence, a disarm) makes its opinion one
    /// on another question: it is dropped, and the same pictures are answered anew.
    pub fn finish<R>(&mut self, now: Moment) -> Vec<Effect<R>> {
        let Some(mut pending) = self.pending.take() else { return Vec::new() };
        // The clocks and the emergency stop's heartbeat may have changed meanwhile as well.
        self.beat(now);
        let now = self.now(now);
        let _disarms = self.safety.arming.hold(now.machine);
        match pending.outcome.take() {
            None => Vec::new(),
            Some(Err(reason)) => {
                self.safety.arming.fault(reason.clone());
                self.give_up(Hold::new(Verdict::HoldFault, reason), pending.took, now)
            }
            Some(Ok(_)) if (self.epoch.number, self.armed()) != pending.asked => {
                self.record.carried = None;
                self.begin(now)
            }
            Some(Ok(step)) => self.act(step, &pending, now),
        }
    }

    /// Begins a step on the pictures at hand; answers it at once where no motion is allowed.
    pub(super) fn begin<R>(&mut self, now: Moment) -> Vec<Effect<R>> {
        self.cameras.begin_step();
        self.record.asked = self.cameras.stamps();
        let skewed = self.cameras.skewed(&self.safety.rules.guard);
        if let Some(hold) = self.hold(now).or(skewed) {
            if hold.verdict == Verdict::HoldFutureFrame {
                // It may be the clock that is late: the same pictures, sent anew, are another question.
                self.cameras.forget_step();
            }
            return self.give_up(hold, Duration::ZERO, now);
        }
        self.cameras.act();
        let received = self.cameras.received();
        let patience = Duration::from_secs_f64(self.patience_secs());
        self.pending = Some(Pending {
            began: now,
            situation: self.situation(now),
            // What a step does by itself, as to arm when it is the first that may, belongs to its answer.
            asked: (self.epoch.number, self.armed()),
            received,
            until: received.filter(|_| !self.safety.rules.lock_step()).map(|newest| newest + patience),
            outcome: None,
            took: Duration::ZERO,
        });
        Vec::new()
    }

    /// What the network's plan for a step depends on beside the pictures.
    fn situation(&self, now: Moment) -> Situation {
        let age_secs = self.safety.rules.guard.max_frame_age_secs;
        Situation {
            period_secs: self.period_secs(),
            oldest: Stamp(now.robot.0 - Stamp::from_secs(age_secs).0),
            steady: self.record.carried == Some(now.halts),
            gripper_rests: self.motion.gripper.rests(),
        }
    }

    /// What is wrong with the pictures that a step was really made from: a kept one is as old as it is.
    fn stale(&self, step: &Step, began: Moment) -> Option<Hold> {
        let stamps = self.cameras.stamps();
        let seen = stamps.iter().zip(&step.plan.cameras).filter(|(_, camera)| !camera.look);
        seen.filter_map(|((role, _), camera)| self.safety.rules.guard.age(began.robot, role, camera.seen)).next()
    }

    /// The network's opinion as an answer, unless it comes too late.
    fn act<R>(&mut self, step: Step, pending: &Pending, now: Moment) -> Vec<Effect<R>> {
        self.epoch.steps += 1;
        self.motion.gripper.decide(step.gripper);
        let late = pending.until.is_some_and(|until| now.machine > until);
        let spent = || Hold::new(Verdict::HoldSpent, "the network answered when the next pictures were overdue");
        // A halt that nobody gives a reason for is the watchdog's, because the next pictures were overdue.
        let overdue = late || now.halts > pending.began.halts;
        let found = self.safety.found.take();
        let found = found.or_else(|| self.halts_of_others(now)).or_else(|| self.stale(&step, pending.began));
        if let Some(hold) = found.or_else(|| overdue.then(spent)) {
            return self.give_up(hold, pending.took, now);
        }
        let (twist, clips, cut) = self.motion.twist(&step);
        self.cameras.moved(twist.speeds().map(|speed| speed * self.period_secs()));
        let network_ms = step.timing.total_ms();
        let overhead = |received: Duration| now.machine.saturating_sub(received).as_secs_f64() * 1e3 - network_ms;
        let answer = Answer {
            grip: self.motion.gripper.command(now.machine),
            overhead_ms: pending.received.map(overhead),
            decision: Some(step),
            total_ms: pending.took.as_secs_f64() * 1e3,
            twist,
            clips,
            cut,
            ..self.answer(pending.began, Hold::new(Verdict::Act, ""))
        };
        let order =
            Move { stamp: answer.stamp, twist, grip: answer.grip, halts: pending.began.halts, until: pending.until };
        self.record.carried = Some(pending.began.halts);
        let mut effects = vec![Effect::Move(order)];
        effects.extend(self.published(answer, now));
        effects
    }

    /// The answer where no motion is allowed, or the network's opinion came too late.
    fn give_up<R>(&mut self, hold: Hold, took: Duration, now: Moment) -> Vec<Effect<R>> {
        let answer = Answer { total_ms: took.as_secs_f64() * 1e3, ..self.answer(now, hold) };
        self.answered(answer, now)
    }

    /// What an answer without motion means to the arm, and that it is said.
    pub(super) fn answered<R>(&mut self, answer: Answer, now: Moment) -> Vec<Effect<R>> {
        self.record.carried = None;
        // Once it stands, a disarmed arm may be someone else's to move.
        let stands = std::mem::replace(&mut self.record.stood, answer.verdict == Verdict::HoldDisarmed);
        let stands = stands && self.record.stood;
        let order = match self.safety.rules.lock_step() {
            false => Some(Effect::Halt),
            true if stands => None,
            true => Some(Effect::Move(Move {
                stamp: answer.stamp,
                twist: Twist::default(),
                grip: None,
                halts: now.halts,
                until: None,
            })),
        };
        order.into_iter().chain(self.published(answer, now)).collect()
    }

    fn published<R>(&mut self, answer: Answer, now: Moment) -> Vec<Effect<R>> {
        let Record { dropped, refused, .. } = &mut self.record;
        let answer = Answer { dropped: std::mem::take(dropped), refused: refused.take(), ..answer };
        self.record.stood &= answer.verdict == Verdict::HoldDisarmed;
        (self.record.last, self.record.said) = (Some(answer.clone()), now.machine);
        let trimmed = answer.decision.as_ref().and_then(|step| self.hold_average(step));
        [Effect::Publish(Box::new(answer))].into_iter().chain(trimmed).collect()
    }

    /// Trims the limits where an average is to be held.
    fn hold_average<R>(&mut self, step: &Step) -> Option<Effect<R>> {
        let (thresholds, plan) = self.live.as_mut()?.step(step)?;
        let before = self.settings().clone();
        let settings = Settings { thresholds, plan: plan.unwrap_or(before.plan), ..before };
        let error = self.network.configure(settings).err()?;
        Some(Effect::Log(Level::Error, format!("the average could not be held: {error}")))
    }

    /// Lock-step: the last answer, when the very pictures that it answered have come again. A simulator that waits for
    /// its command sends them anew when the command was lost. On a real robot the same pictures mean a frozen camera.
    pub(super) fn repeated<R>(&mut self, now: Moment) -> Option<Vec<Effect<R>>> {
        if !self.safety.rules.lock_step() {
            return None;
        }
        let stamps = self.cameras.stamps();
        // What was said between two sets of pictures is no answer to the second.
        let again = self.cameras.fresh() && self.record.asked == stamps;
        let last = self.record.last.as_ref().filter(|last| again && last.frames == stamps)?.clone();
        self.cameras.mark_used();
        // What has been forbidden since then is not done a second time.
        if let Some(hold) = self.hold(now).filter(|_| last.verdict == Verdict::Act) {
            let answer = self.answer(now, hold);
            return Some(self.answered(answer, now));
        }
        let (stamp, twist, grip) = (last.stamp, last.twist, last.grip);
        let order = Move { stamp, twist, grip, halts: now.halts, until: None };
        Some(vec![Effect::Move(order), Effect::Publish(Box::new(last))])
    }

    /// Between pictures: the answer that stops the arm when they stay away, once for each reason.
    pub(super) fn watch(&mut self, now: Moment) -> Option<Answer> {
        let Answer { verdict: last, stamp, .. } = *self.record.last.as_ref()?;
        let spent = last == Verdict::Act;
        let hold = self.hold(now);
        let hold = hold.or_else(|| spent.then(|| self.spent(now, stamp)).flatten())?;
        (hold.verdict != last).then(|| self.answer(now, hold))
    }

    /// Whether the last action is over. Where the machine's clock counts, the next pictures are overdue by it, however
    /// long the step on the last ones took to begin.
    fn spent(&self, now: Moment, acted: Stamp) -> Option<Hold> {
        let machine = self.machine(now).zip(self.cameras.heard());
        let waited_secs =
            machine.map_or(now.robot.secs_since(acted), |(machine, heard)| machine.saturating_sub(heard).as_secs_f64());
        let message = format!("no new set of pictures for {waited_secs:.3} s; the last action is over");
        (waited_secs > self.patience_secs()).then(|| Hold::new(Verdict::HoldSpent, message))
    }

    /// The reason once more, where nothing has been said for long. A world in lock-step hears it until its first pictures
    /// have come; after that it is the world that waits.
    pub(super) fn still_standing(&mut self, now: Moment) -> Option<Answer> {
        let quiet = now.machine.saturating_sub(self.record.said) >= SAY_AGAIN;
        if !quiet || (self.safety.rules.lock_step() && self.record.last.is_some()) {
            return None;
        }
        let waiting = || Hold::new(Verdict::HoldSpent, "no new set of pictures; the last action is over");
        let hold = self.hold(now).unwrap_or_else(waiting);
        Some(self.answer(now, hold))
    }

    /// What forbids motion, whether or not pictures are due.
    fn hold(&mut self, now: Moment) -> Option<Hold> {
        if self.safety.arming.starts_by_itself() {
            let unready = self.unready(now);
            // Refused is not ready yet; the answer says that it is not armed.
            if self.safety.arming.enable(now.machine, unready).is_ok() {
                self.cameras.accept();
            }
        }
        if let Some(mut hold) = self.safety.arming.hold(now.machine) {
            if let (Verdict::HoldDisarmed, Some(reason)) = (hold.verdict, self.unready(now)) {
                hold.message = format!("not ready: {reason}");
            }
            return Some(hold);
        }
        if self.epoch.instruction.is_empty() {
            let nothing = || "no instruction; publish a sentence on `instruction`".to_owned();
            let refused = |reason: &String| format!("the instruction was not taken up: {reason}");
            return Some(Hold::new(
                Verdict::HoldNoInstruction,
                self.epoch.refusal.as_ref().map_or_else(nothing, refused),
            ));
        }
        let cameras = || self.cameras.hold(&self.safety.rules.guard, now.robot, self.machine(now));
        self.halts_of_others(now).or_else(cameras)
    }

    /// What MoveIt Servo or a clock that was set forbids.
    fn halts_of_others(&self, now: Moment) -> Option<Hold> {
        let servo = self.safety.servo.as_ref().and_then(|servo| servo.hold(now.machine));
        servo.or_else(|| self.safety.clock.hold().cloned())
    }

    /// An answer without motion, or the beginning of one with it.
    fn answer(&self, now: Moment, hold: Hold) -> Answer {
        let ready = self.armed() || self.unready(now).is_none();
        Answer {
            stamp: now.robot,
            verdict: hold.verdict,
            state: self.safety.arming.state(ready, hold.verdict != Verdict::Act),
            message: hold.message,
            epoch: self.epoch.number,
            step: self.epoch.steps,
            instruction: self.epoch.instruction.clone(),
            frames: self.cameras.stamps(),
            decision: None,
            twist: Twist::default(),
            grip: None,
            clips: Vec::new(),
            cut: [0.0; 2],
            dropped: [0.0; 2],
            refused: None,
            total_ms: 0.0,
            overhead_ms: None,
            identity: self.record.identity.clone(),
        }
    }
}

impl Motion {
    /// The mean velocity of one control period that carries a step out, what was cut to get it by name, and how far
    /// that keeps the arm from where the network wanted it (m, rad).
    fn twist(&self, step: &Step) -> (Twist, Vec<String>, [f64; 2]) {
        let (asked, mut clips) = motion::twist(&self.embodiment, &step.arm);
        let (twist, cut) = self.limits.map_or((asked, [0.0; 2]), |limits| limits.cut(&asked));
        clips.extend(["speed", "turn"].iter().zip(cut).filter(|(_, cut)| *cut > 0.0).map(|(name, _)| (*name).into()));
        (twist, clips, cut.map(|speed| speed / self.embodiment.control_hz))
    }
}
