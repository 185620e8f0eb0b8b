//! The whole journey of a frame, without ROS, clocks, threads or files: pictures and a sentence in, one answer out.
//!
//! The node and `deer_vla replay` are thin around this, which is why a replayed bag takes the exits that the robot
//! took.

mod answer;
mod cameras;
mod epoch;
mod readiness;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::bundle::{Action, Bundle};
use crate::engine::{Engine, EngineError};
use crate::frame::Frame;
use crate::motion::{self, Gripper, Limits, Twist};
use crate::network::{Policy, Settings, Step};
use crate::observe::Observer;
use crate::safety::{Arming, ClockWatch, Guard, Hold, ServoWatch, Verdict};
use crate::thresholds::Thresholds;
use crate::units::Stamp;
pub use answer::{Answer, Identity};
use cameras::Cameras;
pub use epoch::InstructionError;

/// An action is over after its control period; this many periods after it, an arm that got no other is told to stand.
const SPENT_PERIODS: f64 = 1.5;

/// Holds what one robot's policy knows between two steps.
pub struct Control<E> {
    observer: Observer,
    policy: Policy<E>,
    rules: Rules,
    arming: Arming,
    clock: ClockWatch,
    /// The machine's clock at the last beat.
    machine: Option<Duration>,
    /// MoveIt Servo, where the arm waits for it.
    servo: Option<ServoWatch>,
    gripper: Gripper,
    action: Action,
    cameras: Cameras,
    instruction: String,
    epoch: u64,
    steps: u64,
    /// How long a step at full depth takes, once it was rehearsed.
    step_secs: Option<f64>,
    last: Option<Answer>,
    identity: Identity,
}

/// What the arm's side demands.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Limits on the pictures.
    pub guard: Guard,
    /// Limits on the motion. `None` where a world waits for every command and obeys it to the letter (lock-step): it
    /// does not matter then how long a step takes.
    pub limits: Option<Limits>,
    /// Probability on either side of the gripper's threshold within which nothing changes.
    pub hysteresis: f64,
    /// A gripper command stands for at least so many seconds.
    pub dwell_secs: f64,
    /// The robot's clock is a simulator's.
    pub simulated: bool,
}

impl<E: Engine> Control<E> {
    /// Puts the pieces together; nothing has been seen or said yet.
    pub fn new(
        bundle: &Bundle,
        observer: Observer,
        policy: Policy<E>,
        rules: Rules,
        arming: Arming,
        provider: String,
    ) -> Self {
        let manifest = &bundle.manifest;
        let action = manifest.action.clone();
        let roles = manifest.cameras.iter().map(|camera| camera.role.as_str());
        Self {
            observer,
            policy,
            arming,
            clock: ClockWatch::new(rules.simulated),
            machine: None,
            servo: None,
            gripper: Gripper::new(action.gripper.open_above, rules.hysteresis, rules.dwell_secs),
            cameras: Cameras::new(roles, 1.0 / action.control_hz),
            rules,
            action,
            instruction: String::new(),
            epoch: 0,
            steps: 0,
            step_secs: None,
            last: None,
            identity: Identity { bundle: manifest.name.clone(), bundle_sha256: bundle.hash.clone(), provider },
        }
    }

    /// Takes a camera's newest picture; `camera` counts in the manifest's order.
    pub fn frame(&mut self, camera: usize, frame: Frame) {
        self.cameras.take(camera, frame, self.rules.guard.frozen);
    }

    /// Hears that a camera has sent so many more pictures, the last of them at `machine` on the machine's clock.
    pub fn hear(&mut self, camera: usize, machine: Duration, messages: u64) {
        self.cameras.hear(camera, machine, messages);
    }

    /// Reads the robot's clock and the machine's in one moment. From the first beat on, the machine's clock judges
    /// whether cameras are silent or slow and whether the robot's clock jumps; without, as in a lock-stepped world or a
    /// replay, nothing depends on how fast this machine is.
    pub fn beat(&mut self, now: Stamp, machine: Duration) {
        self.machine = Some(machine);
        self.clock.beat(now, machine, self.rules.guard.max_clock_jump_secs);
        if let Some(heard) = self.cameras.heard() {
            self.clock.settle(heard);
        }
    }

    /// Whether a step should be taken: every camera has delivered a picture that no step has used, they were taken
    /// together, and the last step is a control period ago.
    ///
    /// Pictures further apart than half a period belong to different moments: the partner of one was lost or is still
    /// on its way, and so the next of the older camera is waited for. No longer than a period, because cameras may
    /// simply be that far apart.
    pub fn due(&mut self, now: Stamp) -> bool {
        self.cameras.due(now)
    }

    /// The last answer, when the very pictures that it answered have come again: a simulator that waits for its
    /// command sends them anew when the command was lost. On a real robot the same pictures mean a frozen camera.
    pub fn repeated(&mut self) -> Option<Answer> {
        let stamps = self.cameras.stamps();
        let last = self.last.as_ref().filter(|last| self.cameras.fresh() && last.frames == stamps)?.clone();
        self.cameras.mark_used();
        Some(last)
    }

    /// What is wrong with a camera, if anything is, and names and values of what is known of it.
    pub fn camera(&self, camera: usize, now: Stamp) -> (Option<Hold>, Vec<(String, String)>) {
        let hold = self.cameras.hold_of(camera, &self.rules.guard, now, self.machine);
        (hold, self.cameras.facts(camera))
    }

    /// Counts instructions and resets; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What is set now.
    pub fn settings(&self) -> &Settings {
        self.policy.settings()
    }

    /// The policy's engine.
    pub fn engine(&self) -> &E {
        self.policy.engine()
    }

    /// Swaps the thresholds; from the next step on.
    ///
    /// # Errors
    /// When a stage does not load; everything stays as it was.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) -> Result<(), EngineError> {
        self.policy.configure(Settings { thresholds, ..self.policy.settings().clone() })
    }

    /// One control step on the newest pictures: exactly one answer. `elapsed` is the time since the step began.
    pub fn step(&mut self, now: Stamp, elapsed: &mut dyn FnMut() -> Duration) -> Answer {
        self.cameras.begin_step();
        let skewed = self.cameras.skewed(&self.rules.guard);
        let mut answer = match self.hold(now).or(skewed) {
            Some(hold) => self.holding(now, hold),
            None => self.act(now, elapsed),
        };
        if answer.verdict == Verdict::HoldFutureFrame {
            // It may be the clock that is late: the same pictures, sent anew, are another question.
            self.cameras.forget_step();
        }
        answer.total_ms = elapsed().as_secs_f64() * 1e3;
        self.last = Some(answer.clone());
        answer
    }

    /// The answer where a step's own came too late to be followed, or none will come.
    pub fn give_up(&mut self, now: Stamp, hold: Hold) -> Answer {
        let answer = self.holding(now, hold);
        self.last = Some(answer.clone());
        answer
    }

    /// Between pictures: the answer that stops the arm when they stay away, once for each reason.
    pub fn watch(&mut self, now: Stamp) -> Option<Answer> {
        let Answer { verdict: last, stamp, .. } = *self.last.as_ref()?;
        let hold = self.hold(now).or_else(|| {
            let spent = last == Verdict::Act;
            spent.then(|| self.spent(now.secs_since(stamp))).flatten()
        })?;
        if hold.verdict == last {
            return None;
        }
        let answer = self.holding(now, hold);
        self.last = Some(answer.clone());
        Some(answer)
    }

    /// Whether the last action is over. Where the machine's clock counts, the next pictures are overdue by it, however
    /// long the step on the last ones took to begin.
    fn spent(&self, acted_secs: f64) -> Option<Hold> {
        let since = |(machine, heard): (Duration, Duration)| machine.saturating_sub(heard).as_secs_f64();
        let waited_secs = self.machine.zip(self.cameras.heard()).map_or(acted_secs, since);
        let message = format!("no new set of pictures for {waited_secs:.3} s; the last action is over");
        (waited_secs > self.patience_secs()).then(|| Hold::new(Verdict::HoldSpent, message))
    }

    /// How long after the last set of pictures the action on it is over, whether or not another came. Where the
    /// machine's clock counts, a camera that is slow by nature is given its own time.
    pub fn patience_secs(&self) -> f64 {
        let most_secs = SPENT_PERIODS * self.period_secs();
        let gap_secs = self.machine.and_then(|_| self.cameras.slowest_gap_secs());
        gap_secs.filter(|gap_secs| *gap_secs > most_secs).map_or(most_secs, |gap_secs| SPENT_PERIODS * gap_secs)
    }

    fn act(&mut self, now: Stamp, elapsed: &mut dyn FnMut() -> Duration) -> Answer {
        let step = match self.infer(elapsed) {
            Ok(step) => step,
            Err(reason) => {
                self.arming.fault(reason.clone());
                return self.holding(now, Hold::new(Verdict::HoldFault, reason));
            }
        };
        self.steps += 1;
        let (asked, mut clips) = motion::twist(&self.action, &step.arm);
        let (twist, cut) = self.rules.limits.map_or((asked, [0.0; 2]), |limits| limits.cut(&asked));
        clips.extend(["speed", "turn"].iter().zip(cut).filter(|(_, cut)| *cut > 0.0).map(|(name, _)| (*name).into()));
        let period_secs = self.period_secs();
        self.cameras.moved(twist.speeds().map(|speed| speed * period_secs));
        let grip = self.gripper.command(step.gripper, now);
        let answer = self.answer(now, Hold::new(Verdict::Act, ""));
        Answer { decision: Some(step), twist, grip, clips, cut: cut.map(|speed| speed * period_secs), ..answer }
    }

    fn infer(&mut self, elapsed: &mut dyn FnMut() -> Duration) -> Result<Step, String> {
        let images = self.observer.images(self.cameras.frames());
        self.policy.step(images, elapsed).map_err(|e| e.to_string())
    }

    /// What forbids motion, whether or not pictures are due.
    fn hold(&mut self, now: Stamp) -> Option<Hold> {
        if self.arming.starts_by_itself() {
            let unready = self.unready(now);
            // Refused is not ready yet; the answer says that it is not armed.
            if self.arming.enable(now, unready).is_ok() {
                self.cameras.accept();
            }
        }
        if let Some(mut hold) = self.arming.hold(now) {
            if let (Verdict::HoldDisarmed, Some(reason)) = (hold.verdict, self.unready(now)) {
                hold.message = format!("not ready: {reason}");
            }
            return Some(hold);
        }
        if self.instruction.is_empty() {
            return Some(Hold::new(Verdict::HoldNoInstruction, "no instruction; publish a sentence on `instruction`"));
        }
        let cameras = || self.cameras.hold(&self.rules.guard, now, self.machine);
        let servo = self.servo.as_ref().and_then(|servo| servo.hold(now));
        servo.or_else(|| self.clock.hold()).or_else(cameras)
    }

    /// An answer without motion.
    fn holding(&mut self, now: Stamp, hold: Hold) -> Answer {
        // Between two pictures the arm comes to rest, but it is the same motion.
        if hold.verdict != Verdict::HoldSpent {
            self.cameras.stood();
        }
        self.answer(now, hold)
    }

    fn answer(&self, now: Stamp, hold: Hold) -> Answer {
        let ready = self.arming.armed() || self.unready(now).is_none();
        Answer {
            stamp: now,
            verdict: hold.verdict,
            state: self.arming.state(ready, hold.verdict != Verdict::Act),
            message: hold.message,
            epoch: self.epoch,
            step: self.steps,
            instruction: self.instruction.clone(),
            frames: self.cameras.stamps(),
            decision: None,
            twist: Twist::default(),
            grip: None,
            clips: Vec::new(),
            cut: [0.0; 2],
            total_ms: 0.0,
            identity: self.identity.clone(),
        }
    }

    /// The newest picture's capture time.
    pub fn newest(&self) -> Option<Stamp> {
        self.cameras.newest()
    }

    /// The time in a simulated world whose clock shows `clock`: a picture may overtake the clock message of its own step.
    /// One that is further ahead than a picture may be old is stamped by another clock, and no measure of time.
    pub fn simulated_now(&self, clock: Stamp) -> Stamp {
        let silent = clock == Stamp(0);
        let near = |newest: &Stamp| silent || newest.secs_since(clock) <= self.rules.guard.max_frame_age_secs;
        self.newest().filter(near).map_or(clock, |newest| clock.max(newest))
    }

    fn period_secs(&self) -> f64 {
        1.0 / self.action.control_hz
    }
}
