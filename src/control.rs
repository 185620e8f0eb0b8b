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
use crate::thresholds::Thresholds;
use crate::units::Stamp;

/// An action is over after its control period; this many periods after it, an arm that got no other is told to stand.
const SPENT_PERIODS: f64 = 1.5;
/// Pictures that come sooner than this many control periods after the last step wait for the next: a fast camera must
/// not make the arm fast.
const SOONEST_PERIODS: f64 = 0.75;

/// Pictures of two cameras this many control periods apart still show the same moment.
const TOGETHER_PERIODS: f64 = 0.5;

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
    /// Since when every camera has had an unused picture.
    complete: Option<Stamp>,
    last: Option<Answer>,
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
            complete: None,
            last: None,
            identity: Identity { bundle: manifest.name.clone(), bundle_sha256: bundle.hash.clone(), provider },
        }
    }

    /// Takes a camera's newest picture; `camera` counts in the manifest's order.
    pub fn frame(&mut self, camera: usize, frame: Frame) {
        if let Some(camera) = self.cameras.get_mut(camera) {
            (camera.frame, camera.used) = (Some(frame), false);
        }
    }

    /// Whether a step should be taken: every camera has delivered a picture that no step has used, they were taken
    /// together, and the last step is a control period ago.
    ///
    /// Pictures further apart than half a period belong to different moments: the partner of one was lost or is still
    /// on its way, and so the next of the older camera is waited for. No longer than a period, because cameras may
    /// simply be that far apart.
    pub fn due(&mut self, now: Stamp) -> bool {
        let (Some(newest), true) = (self.newest(), self.fresh()) else {
            return false;
        };
        let too_soon = 0.0..SOONEST_PERIODS * self.period_secs();
        if self.last_step.is_some_and(|last| too_soon.contains(&newest.secs_since(last))) {
            return false;
        }
        let complete = *self.complete.get_or_insert(now);
        let oldest = self.cameras.iter().filter_map(|camera| camera.frame.as_ref().map(|frame| frame.stamp)).min();
        let together = oldest.is_some_and(|oldest| newest.secs_since(oldest) <= TOGETHER_PERIODS * self.period_secs());
        together || now.secs_since(complete) >= self.period_secs()
    }

    /// The last answer, when the very pictures that it answered have come again: a simulator that waits for its
    /// command sends them anew when the command was lost. On a real robot the same pictures mean a frozen camera.
    pub fn repeated(&mut self) -> Option<Answer> {
        let last = self.last.as_ref().filter(|last| self.fresh() && last.frames == self.stamps())?.clone();
        self.cameras.iter_mut().for_each(|camera| camera.used = true);
        Some(last)
    }

    fn fresh(&self) -> bool {
        self.cameras.iter().all(|camera| camera.frame.is_some() && !camera.used)
    }

    fn stamps(&self) -> Vec<(String, Option<Stamp>)> {
        self.cameras.iter().map(|c| (c.role.clone(), c.frame.as_ref().map(|frame| frame.stamp))).collect()
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
        // The new sentence is answered on the pictures at hand, however soon after the last step.
        self.last_step = None;
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

    /// Swaps the thresholds; from the next step on.
    ///
    /// # Errors
    /// When a stage does not load; everything stays as it was.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) -> Result<(), EngineError> {
        self.policy.configure(Settings { thresholds, ..self.policy.settings().clone() })
    }

    /// One control step on the newest pictures: exactly one answer. `elapsed` is the time since the step began.
    pub fn step(&mut self, now: Stamp, elapsed: &mut dyn FnMut() -> Duration) -> Answer {
        self.last_step = self.newest();
        self.complete = None;
        self.cameras.iter_mut().for_each(|camera| camera.used = true);
        let set = self.cameras.iter().filter_map(|c| Some((c.role.as_str(), c.frame.as_ref()?.stamp)));
        let skewed = self.guard.skewed(set);
        let mut answer = match self.hold(now).or(skewed) {
            Some(hold) => self.holding(now, hold),
            None => self.act(now, elapsed),
        };
        answer.total_ms = elapsed().as_secs_f64() * 1e3;
        self.last = Some(answer.clone());
        answer
    }

    /// Between pictures: the answer that stops the arm when they stay away, once for each reason.
    pub fn watch(&mut self, now: Stamp) -> Option<Answer> {
        let Answer { verdict: last, stamp, .. } = *self.last.as_ref()?;
        let hold = self.hold(now).or_else(|| {
            let waited_secs = now.secs_since(stamp);
            let spent = last == Verdict::Act && waited_secs > SPENT_PERIODS * self.period_secs();
            let message = format!("no new set of pictures for {waited_secs:.3} s; the last action is over");
            spent.then(|| Hold::new(Verdict::HoldSpent, message))
        })?;
        if hold.verdict == last {
            return None;
        }
        let answer = self.holding(now, hold);
        self.last = Some(answer.clone());
        Some(answer)
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
        let images = self.observer.images(frames);
        self.policy.step(images, elapsed).map_err(|e: PolicyError| e.to_string())
    }

    /// What forbids motion, whether or not pictures are due.
    fn hold(&mut self, now: Stamp) -> Option<Hold> {
        if let Some(hold) = self.arming.hold(now) {
            return Some(hold);
        }
        if self.instruction.is_empty() {
            return Some(Hold::new(Verdict::HoldNoInstruction, "no instruction; publish a sentence on `instruction`"));
        }
        let frames = self.cameras.iter().map(|c| (c.role.as_str(), c.frame.as_ref().map(|frame| frame.stamp)));
        self.guard.stale(now, frames)
    }

    /// An answer without motion.
    fn holding(&self, now: Stamp, hold: Hold) -> Answer {
        Answer {
            stamp: now,
            verdict: hold.verdict,
            message: hold.message,
            epoch: self.epoch,
            step: self.steps,
            instruction: self.instruction.clone(),
            frames: self.stamps(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{LstmState, Scripted};
    use crate::gate::Metric;

    const PERIOD: f64 = 1.0 / 30.0;

    /// Control over the toy bundle's cameras and tokenizer, with an engine that plays `levels`.
    fn control(levels: &[f32], armed: bool) -> Control<Scripted> {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap();
        let exits = bundle.manifest.exits.len();
        let settings = Settings { thresholds: Thresholds::deepest(exits), metric: Metric::Rms, cap: 0, deadline: None };
        let policy = Policy::new(Scripted::level(levels), &bundle.manifest, settings);
        let guard = Guard { max_frame_age_secs: 0.2, max_frame_skew_secs: 0.05 };
        let observer = Observer::new(&bundle).unwrap();
        Control::new(&bundle, observer, policy, guard, Arming::new(armed, None), 0.1, "scripted".into())
    }

    fn frame(secs: f64) -> Frame {
        Frame { stamp: Stamp::from_secs(secs), width: 64, height: 64, rgb: vec![128; 64 * 64 * 3] }
    }

    fn see(control: &mut Control<Scripted>, secs: f64) {
        control.frame(0, frame(secs));
        control.frame(1, frame(secs));
    }

    fn step(control: &mut Control<Scripted>, secs: f64) -> Answer {
        see(control, secs);
        control.step(Stamp::from_secs(secs), &mut || Duration::ZERO)
    }

    #[test]
    fn pictures_and_a_sentence_give_a_motion_and_its_reason() {
        let mut control = control(&[0.5, 0.5], true);
        assert!(control.instruction("push the button").unwrap());
        let answer = step(&mut control, 1.0);
        assert_eq!((answer.verdict, answer.epoch, answer.step), (Verdict::Act, 1, 1));
        assert!((answer.twist.linear[0] - 0.3).abs() < 1e-6);
        assert_eq!(answer.grip, Some(crate::shaper::Grip::Open));
        let fields = answer.fields();
        for name in ["verdict", "exit", "deltas", "thresholds", "stamp_static", "stamp_gripper", "bundle_sha256"] {
            assert!(fields.iter().any(|(key, value)| key == name && !value.is_empty()), "{name}: {fields:?}");
        }
        assert_eq!(step(&mut control, 1.0 + PERIOD).grip, None, "the gripper's command is sent once");
    }

    #[test]
    fn a_new_sentence_starts_an_epoch_and_the_same_one_does_not() {
        let mut control = control(&[0.5, 0.5], true);
        control.instruction("push the button").unwrap();
        step(&mut control, 1.0);
        assert!(!control.instruction(" push the button ").unwrap());
        assert_eq!(control.policy.state().h[[0, 0, 0]], 1.0, "the state is that after one step");
        assert!(control.instruction("open the drawer").unwrap());
        assert_eq!(control.epoch(), 2);
        assert_eq!(control.policy.state(), &LstmState::zeros(4, 32));
    }

    #[test]
    fn whatever_is_missing_or_wrong_gives_a_zero_twist() {
        let mut control = control(&[0.5, 0.5], false);
        let verdict = |control: &mut Control<Scripted>, secs| {
            let answer = control.step(Stamp::from_secs(secs), &mut || Duration::ZERO);
            assert_eq!(answer.twist, Twist::default(), "{:?}", answer.verdict);
            answer.verdict
        };
        assert_eq!(verdict(&mut control, 1.0), Verdict::HoldDisarmed);
        control.enable(Stamp::from_secs(1.0)).unwrap();
        assert_eq!(verdict(&mut control, 1.0), Verdict::HoldNoInstruction);
        control.instruction("push the button").unwrap();
        assert_eq!(verdict(&mut control, 1.0), Verdict::HoldMissingFrame);
        see(&mut control, 1.0);
        assert_eq!(verdict(&mut control, 1.5), Verdict::HoldStaleFrame);
        control.instruction("").unwrap();
        assert_eq!(verdict(&mut control, 1.0), Verdict::HoldNoInstruction);
        assert!(!control.engine().calls.contains(&"vision".to_owned()), "nothing of this needed the network");
    }

    #[test]
    fn a_network_that_gives_no_number_latches_a_fault() {
        let mut control = control(&[0.5, f32::NAN], true);
        control.instruction("push the button").unwrap();
        let answer = step(&mut control, 1.0);
        assert_eq!((answer.verdict, answer.twist), (Verdict::HoldFault, Twist::default()));
        assert!(answer.message.contains("not finite"), "{}", answer.message);
        assert!(control.enable(Stamp::from_secs(1.1)).is_err());
    }

    #[test]
    fn an_arm_that_gets_no_further_action_is_told_to_stand_once() {
        let mut control = control(&[0.5, 0.5], true);
        control.instruction("push the button").unwrap();
        step(&mut control, 1.0);
        let watch = |control: &mut Control<Scripted>, secs| control.watch(Stamp::from_secs(secs)).map(|a| a.verdict);
        assert_eq!(watch(&mut control, 1.0 + PERIOD), None);
        assert_eq!(watch(&mut control, 1.0 + 2.0 * PERIOD), Some(Verdict::HoldSpent));
        assert_eq!(watch(&mut control, 1.0 + 3.0 * PERIOD), None);
        assert_eq!(watch(&mut control, 1.3), Some(Verdict::HoldStaleFrame));
        assert_eq!(watch(&mut control, 1.4), None);
    }

    #[test]
    fn a_step_waits_for_every_camera_and_for_its_control_period() {
        let mut control = control(&[0.5, 0.5], true);
        control.instruction("push the button").unwrap();
        let due = |control: &mut Control<Scripted>, secs| control.due(Stamp::from_secs(secs));
        control.frame(0, frame(1.0));
        assert!(!due(&mut control, 1.0), "the other camera has delivered nothing");
        control.frame(1, frame(1.0));
        assert!(due(&mut control, 1.0));
        step(&mut control, 1.0);
        assert!(!due(&mut control, 1.0));
        see(&mut control, 1.0 + 0.5 * PERIOD);
        assert!(!due(&mut control, 1.1), "a camera of 60 Hz must not make an arm of 30 Hz twice as fast");
        see(&mut control, 1.0 + 0.9 * PERIOD);
        assert!(due(&mut control, 1.1));
        see(&mut control, 0.5);
        assert!(due(&mut control, 0.5), "a clock that was set back");
    }

    #[test]
    fn a_picture_that_came_alone_does_not_stop_the_arm() {
        let mut control = control(&[0.5, 0.5], true);
        control.instruction("push the button").unwrap();
        step(&mut control, 1.0);
        control.frame(0, frame(1.1));
        let answer = control.watch(Stamp::from_secs(1.0 + PERIOD));
        assert!(answer.is_none(), "{answer:?}");
    }

    #[test]
    fn pictures_taken_too_far_apart_hold() {
        let mut control = control(&[0.5, 0.5], true);
        control.instruction("push the button").unwrap();
        control.frame(0, frame(1.0));
        control.frame(1, frame(1.1));
        let answer = control.step(Stamp::from_secs(1.1), &mut || Duration::ZERO);
        assert_eq!((answer.verdict, answer.twist), (Verdict::HoldSkewedFrames, Twist::default()));
    }

    #[test]
    fn after_a_lost_picture_the_cameras_pair_up_again() {
        let mut control = control(&[0.5, 0.5], true);
        let due = |control: &mut Control<Scripted>, secs| control.due(Stamp::from_secs(secs));
        control.frame(0, frame(1.0)); // its partner was lost
        control.frame(1, frame(1.0 + PERIOD)); // overtook its partner
        assert!(!due(&mut control, 1.0 + PERIOD));
        control.frame(0, frame(1.0 + PERIOD));
        assert!(due(&mut control, 1.0 + PERIOD));
    }

    #[test]
    fn cameras_that_are_always_apart_are_waited_for_no_longer_than_a_period() {
        let mut control = control(&[0.5, 0.5], true);
        control.frame(0, frame(1.0));
        control.frame(1, frame(1.0 - 0.8 * PERIOD));
        assert!(!control.due(Stamp::from_secs(1.0)));
        control.frame(0, frame(1.0 + PERIOD));
        assert!(control.due(Stamp::from_secs(1.0 + 1.01 * PERIOD)));
    }

    #[test]
    fn the_same_pictures_again_get_the_same_answer_without_another_step() {
        let mut control = control(&[0.5, 0.5], true);
        control.instruction("push the button").unwrap();
        let first = step(&mut control, 1.0);
        assert!(control.repeated().is_none());
        see(&mut control, 1.0);
        assert!(!control.due(Stamp::from_secs(1.0)));
        let again = control.repeated().unwrap();
        assert_eq!((again.stamp, again.step, again.twist), (first.stamp, 1, first.twist));
        assert_eq!(control.policy.state().h[[0, 0, 0]], 1.0);
        control.instruction("open the drawer").unwrap();
        see(&mut control, 1.0);
        assert!(control.due(Stamp::from_secs(1.0)), "another sentence is another question");
    }
}
