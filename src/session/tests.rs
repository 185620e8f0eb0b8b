use super::*;
use crate::engine::{LstmState, Scripted};
use crate::network::Metric;
use crate::safety::{Halt, Report, State};

const PERIOD: f64 = 1.0 / 30.0;

/// Control over the toy bundle's cameras and tokenizer, with an engine that plays `levels`.
fn control(levels: &[f32], armed: bool) -> Control<Scripted> {
    governed(levels, armed, None)
}

fn governed(levels: &[f32], armed: bool, limits: Option<Limits>) -> Control<Scripted> {
    let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap();
    let exits = bundle.manifest.exits.len();
    let settings = Settings { thresholds: Thresholds::deepest(exits), metric: Metric::Rms, cap: 0, deadline: None };
    let policy = Policy::new(Scripted::level(levels), &bundle.manifest, settings);
    let guard = Guard { frozen: Some(2), ..Guard::default() };
    let rules = Rules { guard, limits, hysteresis: 0.1, dwell_secs: 0.0, simulated: false };
    let observer = Observer::new(&bundle).unwrap();
    let mut control = Control::new(&bundle, observer, policy, rules, Arming::new(armed, None), "scripted".into());
    control.rehearse(&mut || Duration::ZERO).unwrap();
    control
}

/// A picture that is no other moment's.
fn frame(secs: f64) -> Frame {
    let rgb = [[(secs * 1e3) as u8; 3], [200; 3]].concat().repeat(32 * 64);
    Frame { stamp: Stamp::from_secs(secs), width: 64, height: 64, rgb, encoding: "rgb8" }
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
    assert_eq!(answer.grip, Some(crate::motion::Grip::Open));
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
    let refused = control.enable(Stamp::from_secs(1.0)).unwrap_err().to_string();
    assert!(refused.contains("not ready: no picture from the static camera"), "{refused}");
    assert_eq!(verdict(&mut control, 1.0), Verdict::HoldDisarmed);
    see(&mut control, 1.0);
    control.enable(Stamp::from_secs(1.0)).unwrap();
    assert_eq!(verdict(&mut control, 1.0), Verdict::HoldNoInstruction);
    control.instruction("push the button").unwrap();
    assert_eq!(verdict(&mut control, 1.5), Verdict::HoldStaleFrame);
    control.instruction("").unwrap();
    assert_eq!(verdict(&mut control, 1.0), Verdict::HoldNoInstruction);
    let visions = control.engine().calls.iter().filter(|call| *call == "vision").count();
    assert_eq!(visions, 1, "nothing of this needed the network but its rehearsal");
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
    control.enable(Stamp::from_secs(1.1)).unwrap();
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

fn limits() -> Limits {
    let limit = |speed| crate::motion::Limit { speed, acceleration: 10.0, jerk: 500.0 };
    Limits { linear: limit(0.35), angular: limit(0.7) }
}

#[test]
fn a_motion_beyond_the_limits_is_cut_and_the_answer_says_by_how_much() {
    let mut control = governed(&[1.0, 1.0], true, Some(limits()));
    control.instruction("push the button").unwrap();
    let answer = step(&mut control, 1.0);
    assert_eq!(answer.state, State::Active);
    assert!((answer.twist.speeds()[0] - 0.35).abs() < 1e-9 && answer.twist.speeds()[1] < 0.7 + 1e-9);
    assert_eq!(answer.clips, ["speed", "turn"]);
    let asked_m = 0.02 * 3f64.sqrt();
    assert!((answer.cut[0] - (asked_m - 0.35 * PERIOD)).abs() < 1e-9, "{:?}", answer.cut);
}

#[test]
fn a_network_slower_than_the_control_period_is_not_ready() {
    let mut control = governed(&[0.5, 0.5], false, Some(limits()));
    see(&mut control, 1.0);
    let mut clock = Duration::ZERO;
    let mut slow = || {
        clock += Duration::from_millis(50);
        clock
    };
    control.rehearse(&mut slow).unwrap();
    let refused = control.enable(Stamp::from_secs(1.0)).unwrap_err().to_string();
    assert!(refused.contains("50.0 ms") && refused.contains("33.3 ms"), "{refused}");
    assert_eq!(control.state(Stamp::from_secs(1.0)), State::Disarmed);
    control.rehearse(&mut || Duration::ZERO).unwrap();
    assert_eq!(control.state(Stamp::from_secs(1.0)), State::Ready);
    control.enable(Stamp::from_secs(1.0)).unwrap();
}

#[test]
fn enabling_again_clears_the_networks_state() {
    let mut control = control(&[0.5, 0.5], true);
    control.instruction("push the button").unwrap();
    step(&mut control, 1.0);
    assert_eq!(control.policy.state().h[[0, 0, 0]], 1.0);
    control.arming().disable();
    control.enable(Stamp::from_secs(1.0)).unwrap();
    assert_eq!(control.policy.state(), &LstmState::zeros(4, 32));
}

#[test]
fn a_camera_that_sends_the_same_picture_while_the_arm_moves_holds_it() {
    let mut control = control(&[0.5, 0.5], true);
    control.instruction("push the button").unwrap();
    let mut frozen = |i: i32| {
        let secs = 1.0 + f64::from(i) * PERIOD;
        let stamp = Stamp::from_secs(secs);
        control.frame(0, Frame { stamp, ..frame(1.0) });
        control.frame(1, frame(secs));
        control.step(stamp, &mut || Duration::ZERO).verdict
    };
    assert_eq!(
        [0, 1, 2, 3].map(&mut frozen),
        [Verdict::Act, Verdict::Act, Verdict::HoldFrozenFrame, Verdict::HoldFrozenFrame]
    );
}

#[test]
fn an_arm_that_waits_for_servo_holds_until_it_is_ready() {
    let mut control = control(&[0.5, 0.5], true);
    control.instruction("push the button").unwrap();
    control.wait_for_servo("/servo_node");
    assert_eq!(step(&mut control, 1.0).verdict, Verdict::HoldServo);
    control.servo(Report::Ready, Stamp::from_secs(1.0));
    assert_eq!(step(&mut control, 1.05).verdict, Verdict::Act);
}

#[test]
fn what_the_controller_ran_into_holds_and_clears_the_networks_state() {
    let mut control = control(&[0.5, 0.5], true);
    control.instruction("push the button").unwrap();
    control.wait_for_servo("/servo_node");
    control.servo(Report::Ready, Stamp::from_secs(1.0));
    assert_eq!(step(&mut control, 1.05).verdict, Verdict::Act);
    control.servo(Report::Status(Some(Halt::Singularity)), Stamp::from_secs(1.1));
    assert_eq!(control.policy.state(), &LstmState::zeros(4, 32));
    let answer = step(&mut control, 1.1);
    assert_eq!((answer.verdict, answer.state), (Verdict::HoldSingularity, State::Hold));
    control.servo(Report::Status(None), Stamp::from_secs(1.7));
    assert_eq!(step(&mut control, 1.7).verdict, Verdict::Act);
}

#[test]
fn a_picture_may_overtake_the_simulated_clock_but_not_be_stamped_by_another() {
    let mut control = control(&[0.5, 0.5, 0.5, 0.5], true);
    control.rules.guard.frozen = None;
    control.instruction("push the button").unwrap();
    let mut shown = |clock: f64, stamp: f64| {
        see(&mut control, stamp);
        let now = control.simulated_now(Stamp::from_secs(clock));
        control.due(now).then(|| control.step(now, &mut || Duration::ZERO).verdict)
    };
    assert_eq!(shown(0.0, 5.0), Some(Verdict::Act), "nobody has said what time it is");
    assert_eq!(shown(5.0, 5.0 + PERIOD), Some(Verdict::Act));
    assert_eq!(shown(5.1, 5.5), Some(Verdict::HoldFutureFrame));
    assert_eq!(shown(5.5, 5.5), Some(Verdict::Act), "the clock was late, and the same pictures came again");
    assert_eq!(shown(5.5, 5.5), None, "they are answered");
}

#[test]
fn a_clock_that_is_set_holds_until_pictures_of_the_new_time_have_come() {
    let mut control = control(&[0.5, 0.5], true);
    control.instruction("push the button").unwrap();
    let mut at = |secs: f64, machine: f64| {
        let machine = Duration::from_secs_f64(machine);
        (0..2).for_each(|camera| control.hear(camera, machine, 1));
        control.beat(Stamp::from_secs(secs), machine);
        step(&mut control, secs).verdict
    };
    assert_eq!(at(1.0, 1.0), Verdict::Act);
    assert_eq!(at(6.0, 1.03), Verdict::HoldClockAhead);
    assert_eq!(at(6.03, 1.06), Verdict::Act);
}

#[test]
fn an_answer_that_came_too_late_is_given_up() {
    let mut control = control(&[0.5, 0.5], true);
    control.instruction("push the button").unwrap();
    step(&mut control, 1.0);
    let answer = control.give_up(Stamp::from_secs(1.1), Hold::new(Verdict::HoldStuck, "late"));
    assert_eq!((answer.verdict, answer.twist), (Verdict::HoldStuck, Twist::default()));
}
