mod cameras;
mod lock_step;
mod metrics;
mod plan;
mod robot;
mod servo;

use super::*;
use crate::engine::{LstmState, Scripted};
use crate::frame::Frame;
use crate::motion::{Grip, Limit, Twist};
use crate::network::{Metric, Observed, PlanLimits, Policy};
use crate::observe::Observer;
use crate::safety::{Halt, Report as Servo, State, Verdict};
use crate::thresholds::Thresholds;
use robot::{Robot, answer, frame, limits};

const PERIOD: f64 = 1.0 / 30.0;

#[test]
fn pictures_and_a_sentence_give_a_motion_and_its_reason() {
    let mut robot = Robot::acting();
    let told = robot.step(1.0);
    assert_eq!((told.verdict, told.epoch, told.step, told.state), (Verdict::Act, 1, 1, State::Active));
    assert!((told.twist.linear[0] - 0.35 / 3f64.sqrt()).abs() < 1e-9, "{:?}", told.twist);
    assert_eq!(told.grip, Some(Grip::Open));
    let fields = told.fields();
    for name in ["verdict", "exit", "metric", "deltas", "thresholds", "stamp_static", "stamp_gripper", "bundle_sha256"]
    {
        assert!(fields.iter().any(|(key, value)| key == name && !value.is_empty()), "{name}: {fields:?}");
    }
}

#[test]
fn the_gripper_is_latched_by_what_it_was_told() {
    let mut robot = Robot::acting();
    assert_eq!(robot.step(1.0).grip, Some(Grip::Open));
    let refused = Report { refused: Some("late".into()), ..Report::default() };
    robot.on(Event::Commanded(refused), 1.01);
    let next = robot.step(1.0 + PERIOD);
    assert_eq!(
        (next.grip, next.refused.as_deref()),
        (Some(Grip::Open), Some("late")),
        "that order was not carried out"
    );
    robot.on(Event::Commanded(Report { grip: Some((Grip::Open, Duration::from_secs(1))), ..Report::default() }), 1.04);
    assert_eq!(robot.step(1.0 + 2.0 * PERIOD).grip, None, "it was told");
    robot.on(Event::Unheard(Grip::Open), 1.08);
    assert_eq!(robot.step(1.0 + 3.0 * PERIOD).grip, Some(Grip::Open), "its goal came to nothing");
}

#[test]
fn an_opinion_that_comes_too_late_is_no_motion_and_its_grip_is_told_with_the_next() {
    let mut robot = Robot::acting();
    robot.see(1.0);
    let late = answer(robot.look_until(1.0, 1.06)).unwrap();
    assert_eq!((late.verdict, late.twist, late.grip), (Verdict::HoldSpent, Twist::default(), None));
    assert_eq!(robot.step(1.07).grip, Some(Grip::Open));
}

#[test]
fn what_is_late_is_judged_after_everything_that_takes_its_time() {
    let mut robot = Robot::acting();
    robot.see(1.0);
    let effects = robot.look_until(1.0, 1.049);
    let Some(Effect::Move(motion)) = effects.into_iter().find(|effect| matches!(effect, Effect::Move(_))) else {
        panic!("no motion")
    };
    assert_eq!(motion.until, Some(Duration::from_secs_f64(1.05)), "the commander refuses it after that");
}

#[test]
fn a_new_sentence_starts_an_epoch_and_the_same_one_does_not() {
    let mut robot = Robot::acting();
    robot.step(1.0);
    robot.say(" push the button ");
    assert_eq!(robot.memory().h[[0, 0, 0]], 1.0, "the state is that after one step");
    robot.say("open the drawer");
    assert_eq!(robot.session.epoch(), 2);
    assert_eq!(robot.memory(), LstmState::zeros(1, 1));
}

#[test]
fn a_sentence_that_is_too_long_holds_and_says_so() {
    let mut robot = Robot::acting();
    for (sentence, why) in [("x".repeat(2001), "2001 bytes"), ("push the button ".repeat(40), "tokens")] {
        robot.say(&sentence);
        let told = robot.step(1.0 + robot.session.epoch() as f64);
        assert_eq!(told.verdict, Verdict::HoldNoInstruction);
        assert!(told.message.contains(why), "{}", told.message);
    }
}

#[test]
fn whatever_is_missing_or_wrong_gives_a_zero_twist() {
    let mut robot = Robot::new(&[0.5, 0.5], false, Some(limits()));
    let refused = robot.enable(1.0).unwrap_err();
    assert!(refused.contains("not ready: no picture from the static camera"), "{refused}");
    assert_eq!(robot.step(1.0).verdict, Verdict::HoldDisarmed);
    robot.enable(1.0).unwrap();
    assert_eq!(robot.look(1.01).unwrap().verdict, Verdict::HoldNoInstruction);
    robot.say("push the button");
    assert_eq!(robot.look(1.3).unwrap().verdict, Verdict::HoldStaleFrame);
    robot.say("");
    assert_eq!(robot.step(2.0).verdict, Verdict::HoldNoInstruction);
    let visions = robot.session.network().engine().calls.iter().filter(|call| *call == "recall").count();
    assert_eq!(visions, 12, "nothing of this needed the network but its rehearsals: at the start, on real pictures");
}

#[test]
fn a_network_that_gives_no_number_latches_a_fault() {
    let mut robot = Robot::new(&[0.5, f32::NAN], true, Some(limits()));
    robot.say("push the button");
    let told = robot.step(1.0);
    assert_eq!((told.verdict, told.twist), (Verdict::HoldFault, Twist::default()));
    assert!(told.message.contains("not finite"), "{}", told.message);
    assert!(robot.enable(1.1).is_err());
}

#[test]
fn an_arm_that_gets_no_further_action_is_told_to_stand_once() {
    let mut robot = Robot::acting();
    robot.step(1.0);
    assert!(robot.look(1.0 + PERIOD).is_none());
    assert_eq!(robot.look(1.0 + 2.0 * PERIOD).unwrap().verdict, Verdict::HoldSpent);
    assert!(robot.look(1.0 + 2.5 * PERIOD).is_none());
    assert_eq!(robot.look(1.15).unwrap().verdict, Verdict::HoldSilentCamera);
    assert!(robot.look(1.16).is_none());
}

#[test]
fn the_reason_is_said_once_a_second_where_nothing_else_is() {
    let mut robot = Robot::new(&[0.5, 0.5], false, Some(limits()));
    let refuse = |robot: &mut Robot| {
        let frame = Err("image encoding \"yuyv\" is not read".to_owned());
        let (received, took) = (Duration::ZERO, Duration::ZERO);
        let picture = Picture { camera: 0, stamp: Stamp(1), frame, received, messages: 1, took };
        robot.on(Event::Picture(picture), 0.9);
    };
    refuse(&mut robot);
    assert!(robot.look(0.9).is_none());
    let told = robot.look(1.0).unwrap();
    assert!(told.verdict == Verdict::HoldDisarmed && told.message.contains("yuyv"), "{}", told.message);
    assert!(robot.look(1.9).is_none());
    assert!(robot.look(2.0).is_some());
    assert!(robot.enable(2.1).unwrap_err().contains("yuyv"));
    robot.on(Event::Trouble { camera: 0, reason: Some("it carries a PointCloud2".into()) }, 2.2);
    assert!(robot.enable(2.3).unwrap_err().contains("PointCloud2"));
}

#[test]
fn the_same_pictures_again_get_the_same_answer_in_lock_step_without_another_step() {
    let mut robot = Robot::lock_step(&[0.5, 0.5]);
    let first = robot.step(1.0);
    assert!(robot.look(1.0).is_none());
    let again = robot.step(1.0);
    assert_eq!((again.stamp, again.step, again.twist), (first.stamp, 1, first.twist));
    assert_eq!(robot.memory().h[[0, 0, 0]], 1.0);
    robot.say("open the drawer");
    assert_eq!(robot.step(1.0).epoch, 2, "another sentence is another question");
}

#[test]
fn a_motion_beyond_the_limits_is_cut_and_the_answer_says_by_how_much() {
    let mut robot = Robot::new(&[1.0, 1.0], true, Some(limits()));
    robot.say("push the button");
    let told = robot.step(1.0);
    assert!((told.twist.speeds()[0] - 0.35).abs() < 1e-9 && told.twist.speeds()[1] < 0.7 + 1e-9);
    assert_eq!(told.clips, ["speed", "turn"]);
    let asked_m = 0.02 * 3f64.sqrt();
    assert!((told.cut[0] - (asked_m - 0.35 * PERIOD)).abs() < 1e-9, "{:?}", told.cut);
}

#[test]
fn a_network_slower_than_the_control_period_is_not_ready() {
    let mut robot = Robot::new(&[0.5, 0.5], false, Some(limits()));
    robot.lap = Duration::from_millis(50);
    robot.see(1.0);
    robot.rehearse();
    let refused = robot.enable(1.0).unwrap_err();
    assert!(refused.contains("50.0 ms") && refused.contains("33.3 ms"), "{refused}");
    assert_eq!(robot.session.state(robot.at(1.0)), State::Disarmed);
    robot.lap = Duration::ZERO;
    robot.rehearse();
    assert_eq!(robot.session.state(robot.at(1.0)), State::Ready);
    robot.enable(1.0).unwrap();
}

#[test]
fn pictures_that_take_long_to_be_read_are_part_of_the_step() {
    let mut robot = Robot::new(&[0.5, 0.5], false, Some(limits()));
    for camera in 0..2 {
        let (received, took) = (Duration::from_secs(1), Duration::from_millis(18));
        let frame = frame(1.0);
        let picture = Picture { camera, stamp: frame.stamp, frame: Ok(frame), received, messages: 1, took };
        robot.on(Event::Picture(picture), 1.0);
    }
    let refused = robot.enable(1.0).unwrap_err();
    assert!(refused.contains("of which 36.0 ms to read its pictures"), "{refused}");
}

#[test]
fn the_network_is_rehearsed_on_pictures_of_the_size_that_the_cameras_send() {
    let mut robot = Robot::new(&[0.5, 0.5], false, Some(limits()));
    let visions = |robot: &Robot| robot.session.network().engine().calls.iter().filter(|c| *c == "recall").count();
    let before = visions(&robot);
    robot.step(1.0);
    assert_eq!(visions(&robot), before + 6);
    robot.step(1.0 + PERIOD);
    assert_eq!(visions(&robot), before + 6, "they send the same sizes");
}

#[test]
fn enabling_again_clears_the_networks_state() {
    let mut robot = Robot::acting();
    robot.step(1.0);
    assert_eq!(robot.memory().h[[0, 0, 0]], 1.0);
    robot.reply(Event::Enable(false, ()), 1.0).unwrap();
    robot.enable(1.0).unwrap();
    assert_eq!(robot.memory(), LstmState::zeros(1, 1));
}

#[test]
fn what_changed_while_the_network_ran_makes_its_opinion_one_on_another_question() {
    let mut robot = Robot::acting();
    robot.see(1.0);
    robot.begin(1.0);
    robot.session.think(&mut || Duration::ZERO);
    robot.on(Event::Estop { pressed: true, received: Duration::from_millis(1010) }, 1.01);
    let told = answer(robot.session.finish(robot.at(1.02))).unwrap();
    assert_eq!((told.verdict, told.twist), (Verdict::HoldEstop, Twist::default()));
}

#[test]
fn a_halt_while_the_network_ran_takes_its_opinion_back() {
    let mut robot = Robot::acting();
    robot.see(1.0);
    robot.begin(1.0);
    robot.session.think(&mut || Duration::ZERO);
    robot.halts += 1;
    robot.on(Event::Found(Hold::new(Verdict::HoldStuck, "late")), 1.01);
    let told = answer(robot.session.finish(robot.at(1.02))).unwrap();
    assert_eq!((told.verdict, told.message.as_str()), (Verdict::HoldStuck, "late"));
}
