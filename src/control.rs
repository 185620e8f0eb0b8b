//! The whole journey of a frame, without ROS, clocks, threads or files: pictures and a sentence in, one answer out.
//!
//! The node and `deer_vla replay` are thin around this, which is why a replayed bag takes the exits that the robot
//! took.

use std::time::Duration;

use crate::answer::{Answer, Identity};
use crate::bundle::{Action, Bundle};
use crate::engine::{Engine, EngineError};
use crate::frame::Frame;
use crate::observe::{ObserveError, Observer};
use crate::policy::{Policy, PolicyError, Settings, Step};
use crate::safety::{Arming, Guard, Hold, Refused, State, Verdict};
use crate::shaper::{self, Gripper, Twist};
use crate::units::Stamp;

/// An action is over after its control period; this many periods after it, an arm that got no other is told to stand.
const SPENT_PERIODS: f64 = 1.5;
/// Pictures that come sooner than this many control periods after the last step wait for the next: a fast camera must
/// not make the arm fast.
const SOONEST_PERIODS: f64 = 0.75;

/// Holds what one robot's policy knows between two steps.
pub struct Control<E> {
    observer: Observer,
    policy: Policy<E>,
    guard: Guard,
    arming: Arming,
    gripper: Gripper,
    action: Action,
    cameras: Vec<Camera>,
    instruction: String,
    epoch: u64,
    steps: u64,
    last_step: Option<Stamp>,
    last_answer: Option<(Verdict, Stamp)>,
    identity: Identity,
}

/// A camera's newest picture, and whether a step has used it.
struct Camera {
    role: String,
    frame: Option<Frame>,
    used: bool,
}

/// Why an instruction was not taken up.
#[derive(Debug, thiserror::Error)]
pub enum InstructionError {
    /// It could not be tokenized.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// It could not be embedded.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl<E: Engine> Control<E> {
    /// Puts the pieces together; nothing has been seen or said yet.
    pub fn new(
        bundle: &Bundle,
        observer: Observer,
        policy: Policy<E>,
        guard: Guard,
        arming: Arming,
        gripper_hysteresis: f64,
        provider: String,
    ) -> Self {
        let manifest = &bundle.manifest;
        let camera = |role: &String| Camera { role: role.clone(), frame: None, used: true };
        Self {
            observer,
            policy,
            guard,
            arming,
            gripper: Gripper::new(manifest.action.gripper.open_above, gripper_hysteresis),
            action: manifest.action.clone(),
            cameras: manifest.cameras.iter().map(|c| camera(&c.role)).collect(),
            instruction: String::new(),
            epoch: 0,
            steps: 0,
            last_step: None,
            last_answer: None,
            identity: Identity { bundle: manifest.name.clone(), bundle_sha256: bundle.hash.clone(), provider },
        }
    }

    /// Takes a camera's newest picture; `camera` counts in the manifest's order.
    pub fn frame(&mut self, camera: usize, frame: Frame) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            (camera.frame, camera.used) = (Some(frame), false);
        }
    }

    /// Whether every camera has delivered a picture that no step has used, one control period after the last.
    pub fn due(&self) -> bool {
        let fresh = self.cameras.iter().all(|camera| camera.frame.is_some() && !camera.used);
        let soonest_secs = SOONEST_PERIODS * self.period_secs();
        let waited = |last: Stamp| self.newest().is_none_or(|n| !(0.0..soonest_secs).contains(&n.secs_since(last)));
        fresh && self.last_step.is_none_or(waited)
    }

    /// Hears an instruction. A new text starts an epoch, the same text changes nothing, an empty one means hold.
    /// Tells whether an epoch started.
    ///
    /// # Errors
    /// When the text cannot be embedded; the arm then holds, as for an empty text.
    pub fn instruction(&mut self, text: &str) -> Result<bool, InstructionError> {
        let text = text.trim();
        if text == self.instruction {
            return Ok(false);
        }
        self.instruction.clear();
        self.new_epoch();
        if !text.is_empty() {
            let ids = self.observer.ids(text)?;
            self.policy.start_epoch(&ids)?;
            self.instruction = text.to_owned();
        }
        Ok(true)
    }

    /// Starts the epoch of the same instruction again: state cleared, gripper command sent anew.
    pub fn reset(&mut self) {
        self.policy.reset();
        self.new_epoch();
    }

    fn new_epoch(&mut self) {
        self.epoch += 1;
        self.steps = 0;
        self.gripper.reset();
    }

    /// Allows motion and clears the network's state, which is of another time.
    ///
    /// # Errors
    /// While a fault is latched or the emergency stop is pressed or silent.
    pub fn enable(&mut self, now: Stamp) -> Result<(), Refused> {
        self.arming.enable(now)?;
        self.reset();
        Ok(())
    }

    /// The arming state, for requests that concern nothing else.
    pub fn arming(&mut self) -> &mut Arming {
        &mut self.arming
    }

    /// Counts instructions and resets; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether motion is enabled.
    pub fn armed(&self) -> bool {
        *self.arming.state() == State::Active
    }

    /// What is set now.
    pub fn settings(&self) -> &Settings {
        self.policy.settings()
    }

    /// The policy's engine.
    pub fn engine(&self) -> &E {
        self.policy.engine()
    }

    /// Changes what may change while running.
    ///
    /// # Errors
    /// When a stage does not load; everything stays as it was.
    pub fn configure(&mut self, settings: Settings, guard: Guard) -> Result<(), EngineError> {
        self.policy.configure(settings)?;
        self.guard = guard;
        Ok(())
    }

    /// One control step on the newest pictures: exactly one answer. `elapsed` is the time since the step began.
    pub fn step(&mut self, now: Stamp, elapsed: &mut dyn FnMut() -> Duration) -> Answer {
        self.last_step = self.newest();
        for camera in &mut self.cameras {
            camera.used = true;
        }
        let mut answer = match self.hold(now) {
            Some(hold) => self.holding(now, hold),
            None => self.act(now, elapsed),
        };
        answer.total_ms = elapsed().as_secs_f64() * 1e3;
        self.last_answer = Some((answer.verdict, now));
        answer
    }

    /// Between pictures: the answer that stops the arm when they stay away, once for each reason.
    pub fn watch(&mut self, now: Stamp) -> Option<Answer> {
        let (last, since) = self.last_answer?;
        let hold = self.hold(now).or_else(|| {
            let waited_secs = now.secs_since(since);
            let spent = last == Verdict::Act && waited_secs > SPENT_PERIODS * self.period_secs();
            let message = format!("no new set of pictures for {waited_secs:.3} s; the last action is over");
            spent.then(|| Hold::new(Verdict::HoldSpent, message))
        })?;
        if hold.verdict == last {
            return None;
        }
        self.last_answer = Some((hold.verdict, now));
        Some(self.holding(now, hold))
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
        let (twist, clips) = shaper::twist(&self.action, &step.arm);
        let grip = self.gripper.command(step.gripper);
        let answer = self.holding(now, Hold::new(Verdict::Act, ""));
        Answer { decision: Some(step), twist, grip, clips, ..answer }
    }

    fn infer(&mut self, elapsed: &mut dyn FnMut() -> Duration) -> Result<Step, String> {
        let frames = self.cameras.iter().filter_map(|camera| camera.frame.as_ref());
        let images = self.observer.images(frames).map_err(|e| e.to_string())?;
        self.policy.step(images, elapsed).map_err(|e: PolicyError| e.to_string())
    }

    fn hold(&mut self, now: Stamp) -> Option<Hold> {
        if let Some(hold) = self.arming.hold(now) {
            return Some(hold);
        }
        if self.instruction.is_empty() {
            return Some(Hold::new(Verdict::HoldNoInstruction, "no instruction; publish a sentence on `instruction`"));
        }
        let frames = self.cameras.iter().map(|c| (c.role.as_str(), c.frame.as_ref().map(|frame| frame.stamp)));
        self.guard.hold(now, frames)
    }

    /// An answer without motion.
    fn holding(&self, now: Stamp, hold: Hold) -> Answer {
        let frame = |c: &Camera| (c.role.clone(), c.frame.as_ref().map(|frame| frame.stamp));
        Answer {
            stamp: now,
            verdict: hold.verdict,
            message: hold.message,
            epoch: self.epoch,
            step: self.steps,
            instruction: self.instruction.clone(),
            frames: self.cameras.iter().map(frame).collect(),
            decision: None,
            twist: Twist::default(),
            grip: None,
            clips: Vec::new(),
            total_ms: 0.0,
            identity: self.identity.clone(),
        }
    }

    /// The newest picture's capture time.
    pub fn newest(&self) -> Option<Stamp> {
        self.cameras.iter().filter_map(|camera| camera.frame.as_ref().map(|frame| frame.stamp)).max()
    }

    fn period_secs(&self) -> f64 {
        1.0 / self.action.control_hz
    }
}
