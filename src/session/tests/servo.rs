//! What MoveIt Servo reports, and what it may not decide.

use super::*;

#[test]
fn an_arm_that_waits_for_servo_holds_until_it_is_ready_and_when_it_halts() {
    let mut robot = Robot::acting();
    robot.session.safety.servo = Some(ServoWatch::new("/servo_node"));
    assert_eq!(robot.step(1.0).verdict, Verdict::HoldServo);
    robot.on(Event::Servo { report: Servo::Ready, received: Duration::from_secs_f64(1.0) }, 1.0);
    assert_eq!(robot.step(1.05).verdict, Verdict::Act);
    robot.on(
        Event::Servo { report: Servo::Status(Some(Halt::Singularity)), received: Duration::from_secs_f64(1.1) },
        1.1,
    );
    assert_eq!(robot.memory(), LstmState::zeros(1, 1), "what it remembers is of a motion that did not happen");
    let told = robot.step(1.1);
    assert_eq!((told.verdict, told.state), (Verdict::HoldSingularity, State::Hold));
    robot.on(Event::Servo { report: Servo::Status(None), received: Duration::from_secs_f64(1.7) }, 1.7);
    assert_eq!(robot.step(1.7).verdict, Verdict::Act);
}

#[test]
fn a_stop_of_servo_takes_no_camera_as_it_is_now_only_a_person_does() {
    let mut robot = Robot::acting();
    robot.session.safety.servo = Some(ServoWatch::new("/servo_node"));
    let servo = |robot: &mut Robot, report, secs| {
        robot.on(Event::Servo { report, received: Duration::from_secs_f64(secs) }, secs);
    };
    servo(&mut robot, Servo::Ready, 1.0);
    assert_eq!(robot.step(1.0).verdict, Verdict::Act);
    let other = |robot: &mut Robot, secs: f64| {
        robot.show(0, Frame { encoding: "bgr8", ..frame(secs) }, secs);
        robot.show(1, frame(secs), secs);
        robot.look(secs).unwrap().verdict
    };
    servo(&mut robot, Servo::Status(None), 1.1);
    assert_eq!(other(&mut robot, 1.1), Verdict::HoldChangedFrame);
    servo(&mut robot, Servo::Status(Some(Halt::JointBound)), 1.2);
    servo(&mut robot, Servo::Status(None), 1.8);
    assert_eq!(other(&mut robot, 1.8), Verdict::HoldChangedFrame, "nobody has said that this is right");
    robot.reply(Event::Reset(()), 1.85).unwrap();
    servo(&mut robot, Servo::Status(None), 1.9);
    assert_eq!(other(&mut robot, 1.9), Verdict::Act);
}
