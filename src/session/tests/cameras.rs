//! When pictures are a set that a step may answer, and which make the arm stand.

use super::*;

#[test]
fn a_step_waits_for_every_camera_and_for_its_control_period() {
    let mut robot = Robot::acting();
    robot.show(0, frame(1.0), 1.0);
    assert!(robot.look(1.0).is_some_and(|told| told.verdict != Verdict::Act), "it is not armed yet");
    robot.show(1, frame(1.0), 1.0);
    assert_eq!(robot.look(1.0).unwrap().verdict, Verdict::Act);
    robot.see(1.0 + 0.5 * PERIOD);
    assert!(robot.look(1.0 + 0.5 * PERIOD).is_none(), "a camera of 60 Hz must not make an arm of 30 Hz twice as fast");
    assert_eq!(robot.step(1.0 + 0.9 * PERIOD).verdict, Verdict::Act);
}

#[test]
fn a_picture_that_came_alone_does_not_stop_the_arm() {
    let mut robot = Robot::acting();
    robot.step(1.0);
    robot.show(0, frame(1.0 + PERIOD), 1.0 + PERIOD);
    assert!(robot.look(1.0 + PERIOD).is_none());
}

#[test]
fn pictures_taken_too_far_apart_hold() {
    let mut robot = Robot::acting();
    robot.step(1.0);
    robot.show(0, frame(1.03), 1.1);
    robot.show(1, frame(1.1), 1.1);
    assert!(robot.look(1.1).is_none(), "the partner of the newer one may still come");
    let told = robot.look(1.1 + 1.01 * PERIOD).unwrap();
    assert_eq!((told.verdict, told.twist), (Verdict::HoldSkewedFrames, Twist::default()));
    robot.show(0, frame(1.1), 1.14);
    assert!(robot.look(1.14).is_none(), "what was held on is not acted on");
}

#[test]
fn a_burst_of_late_pictures_is_not_acted_on() {
    let mut robot = Robot::acting();
    assert_eq!(robot.step(1.0).verdict, Verdict::Act);
    for (periods, secs) in [(3.0, 1.01), (2.0, 1.02), (1.0, 1.03)] {
        (0..2).for_each(|camera| robot.show(camera, frame(1.0 - periods * PERIOD), secs));
        assert_eq!(robot.look(secs).map(|told| told.verdict), Some(Verdict::HoldReorderedFrame), "{periods}");
    }
    assert_eq!(robot.step(1.0 + PERIOD).verdict, Verdict::Act);
}

#[test]
fn a_camera_that_sends_the_same_picture_while_the_arm_moves_holds_it() {
    let mut robot = Robot::acting();
    let mut frozen = |i: i32| {
        let secs = 1.0 + f64::from(i) * PERIOD;
        robot.show(0, Frame { stamp: Stamp::from_secs(secs), ..frame(1.0) }, secs);
        robot.show(1, frame(secs), secs);
        robot.look(secs).unwrap().verdict
    };
    assert_eq!(
        [0, 1, 2, 3].map(&mut frozen),
        [Verdict::Act, Verdict::Act, Verdict::HoldFrozenFrame, Verdict::HoldFrozenFrame]
    );
}

#[test]
fn a_camera_that_changed_hides_no_dead_one_from_whoever_enables() {
    let mut robot = Robot::acting();
    assert_eq!(robot.step(1.0).verdict, Verdict::Act);
    robot.on(Event::Enable(false, ()), 1.1);
    robot.show(0, Frame { encoding: "bgr8", ..frame(9.0) }, 9.0);
    let refused = robot.enable(9.0).unwrap_err();
    assert!(refused.contains("gripper"), "{refused}");
    robot.show(1, frame(9.0), 9.0);
    robot.enable(9.0).unwrap();
}

#[test]
fn a_picture_may_overtake_the_simulated_clock_but_not_be_stamped_by_another() {
    let mut robot = Robot::lock_step(&[0.5, 0.5]);
    robot.session.safety.rules.simulated = true;
    robot.session.safety.rules.guard.frozen = None;
    let mut shown = |clock: f64, stamp: f64| {
        robot.see(stamp);
        let before = robot.session.record.last.clone().map(|last| last.step);
        robot.look(clock).filter(|told| Some(told.step) != before || told.verdict != Verdict::Act).map(|t| t.verdict)
    };
    assert_eq!(shown(0.0, 5.0), Some(Verdict::Act), "nobody has said what time it is");
    assert_eq!(shown(5.0, 5.0 + PERIOD), Some(Verdict::Act));
    assert_eq!(shown(5.1, 5.5), Some(Verdict::HoldFutureFrame));
    assert_eq!(shown(5.5, 5.5), Some(Verdict::Act), "the clock was late, and the same pictures came again");
    assert_eq!(shown(5.5, 5.5), None, "they are answered");
}

#[test]
fn a_clock_that_is_set_holds_until_pictures_of_the_new_time_have_come() {
    let mut robot = Robot::acting();
    let mut at = |secs: f64, machine: f64| {
        for camera in 0..2 {
            let (frame, received) = (frame(secs), Duration::from_secs_f64(machine));
            let (stamp, took) = (frame.stamp, Duration::ZERO);
            let picture = Picture { camera, stamp, frame: Ok(frame), received, messages: 1, took };
            robot.on(Event::Picture(picture), secs);
        }
        let now = Moment { machine: Duration::from_secs_f64(machine), ..robot.at(secs) };
        let look = |robot: &mut Robot| robot.session.look::<()>(now, &mut || Duration::ZERO);
        let mut effects = look(&mut robot);
        if !robot.session.thinking() {
            effects.extend(look(&mut robot)); // after the rehearsal
        }
        robot.session.think(&mut || Duration::ZERO);
        effects.extend(robot.session.finish(now));
        answer(effects).unwrap().verdict
    };
    assert_eq!(at(1.0, 1.0), Verdict::Act);
    assert_eq!(at(6.0, 1.03), Verdict::HoldClockAhead);
    assert_eq!(at(6.03, 1.06), Verdict::Act);
}

#[test]
fn in_lock_step_pictures_taken_too_far_apart_hold_once_the_clock_has_gone_on() {
    let mut robot = Robot::lock_step(&[0.5, 0.5]);
    robot.session.safety.rules.simulated = true;
    robot.session.safety.rules.guard.max_frame_age_secs = 10.0;
    robot.step(1.0);
    robot.show(0, frame(2.0), 2.0);
    robot.show(1, frame(1.5), 2.0);
    assert_eq!(robot.look(2.0).unwrap().verdict, Verdict::HoldSpent, "the newer one's partner may still come");
    let told = robot.look(2.01);
    assert!(told.is_none(), "{told:?}");
    let later = 2.0 + 1.01 * PERIOD;
    assert_eq!(robot.look(later).unwrap().verdict, Verdict::HoldSkewedFrames);
    robot.show(1, frame(2.0), later);
    assert_eq!(robot.look(later).unwrap().verdict, Verdict::Act, "now it has come, and the world waits");
}
