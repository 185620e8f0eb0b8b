//! What the session lets a plan spare.

use super::*;
use crate::motion::Grip;

/// Everything is spared that may be.
const OFTEN: PlanLimits =
    PlanLimits { keep_change: 1.0, skip_delta: 1.0, skip_change: 1.0, max_age: 5, max_skips: 2, first_steps: 2 };

fn planning(plan: PlanLimits) -> Robot {
    let mut robot = Robot::acting();
    let settings = Settings { plan, ..robot.session.settings().clone() };
    let change = Change { settings, guard: *robot.session.guard(), live: None };
    robot.reply(Event::Configure(Box::new(change), ()), 0.0).unwrap();
    robot
}

/// A step at `secs`, and the gripper told what it is to be told.
fn told(robot: &mut Robot, secs: f64) -> Answer {
    let answer = robot.step(secs);
    if let Some(grip) = answer.grip {
        commanded(robot, Some(grip), None, secs);
    }
    answer
}

fn commanded(robot: &mut Robot, grip: Option<Grip>, refused: Option<String>, secs: f64) {
    let grip = grip.map(|grip| (grip, Duration::from_secs_f64(secs)));
    robot.on(Event::Commanded(Report { grip, refused, dropped: [0.0; 2] }), secs);
}

fn spared(answer: &Answer) -> bool {
    let plan = &answer.decision.as_ref().unwrap().plan;
    plan.skip || plan.cameras.iter().any(|camera| !camera.look)
}

/// The time of the n-th of pictures that come at the control rate.
fn at(n: u32) -> f64 {
    1.0 + f64::from(n) / 30.0
}

#[test]
fn a_skipped_step_says_so_and_the_network_is_not_asked() {
    let mut robot = planning(OFTEN);
    let asked = |robot: &Robot| robot.session.network().engine().calls.iter().filter(|call| *call == "recall").count();
    // The first pictures are rehearsed on.
    told(&mut robot, at(0));
    let rehearsed = asked(&robot);
    let answers: Vec<Answer> = (1..13).map(|n| told(&mut robot, at(n))).collect();
    let skipped = answers.iter().filter(|answer| answer.decision.as_ref().unwrap().plan.skip).count();
    assert!(skipped > 3, "{skipped}");
    assert_eq!(asked(&robot) - rehearsed, 12 - skipped);
    let fields = answers.iter().find(|answer| spared(answer)).unwrap().fields();
    for name in ["plan", "seen_static", "age_gripper", "change_static", "skip_delta"] {
        assert!(fields.iter().any(|(field, _)| field == name), "{name}");
    }
}

#[test]
fn after_a_hold_a_refused_order_or_a_halt_everything_is_looked_at() {
    type Trouble = fn(&mut Robot, f64);
    let troubles: [Trouble; 3] = [
        |robot, secs| assert_ne!(robot.look(secs + 0.2).unwrap().verdict, Verdict::Act),
        |robot, secs| commanded(robot, None, Some("late".into()), secs),
        |robot, _| robot.halts += 1,
    ];
    for (number, trouble) in troubles.into_iter().enumerate() {
        let mut robot = planning(OFTEN);
        let before: Vec<Answer> = (0..9).map(|n| told(&mut robot, at(n))).collect();
        assert!(before[6..].iter().all(spared), "trouble {number}");
        trouble(&mut robot, at(8));
        let after = told(&mut robot, at(16));
        assert_eq!(after.verdict, Verdict::Act);
        assert!(!spared(&after), "trouble {number}");
    }
}

#[test]
fn a_gripper_that_was_not_told_yet_lets_nothing_be_spared() {
    let mut robot = planning(OFTEN);
    assert!((0..9).all(|n| !spared(&robot.step(at(n)))));
}

#[test]
fn a_kept_picture_is_as_old_as_it_is_to_the_guard() {
    // Pictures may be 0.2 s old: six periods, less than the plan allows.
    let mut robot = planning(PlanLimits { max_age: 50, max_skips: 50, ..OFTEN });
    for answer in (0..40).map(|n| told(&mut robot, at(n))) {
        let plan = answer.decision.unwrap().plan;
        assert!(plan.cameras.iter().all(|camera| answer.stamp.secs_since(camera.seen) <= 0.2 + 1e-9), "{plan:?}");
    }
}
