//! Answers as numbers.

use super::*;
use crate::session::metrics::Group;

fn number(groups: &[Group], group: &str, name: &str) -> Option<f64> {
    let (_, numbers) = groups.iter().find(|(found, _)| *found == group)?;
    numbers.iter().find(|(found, _)| found == name).map(|(_, number)| *number)
}

#[test]
fn metrics_are_a_number_a_key_and_leave_out_what_is_endless() {
    let told = Robot::acting().step(1.0);
    let step = told.decision.clone().unwrap();
    let groups = Answer { stamp: Stamp::from_secs(1.25), total_ms: 5.5, ..told }.metrics(PERIOD);
    let found = |group, name| number(&groups, group, name);
    assert_eq!([found("exit", "taken"), found("exit", "layer")], [Some(0.0), Some(step.layer as f64)]);
    assert_eq!(found("delta", "exit_0"), Some(f64::from(step.deltas[0])));
    assert_eq!((step.thresholds[0], found("threshold", "exit_0")), (f32::INFINITY, None), "the cap has no limit");
    assert_eq!([found("ms", "total"), found("ms", "period")], [Some(5.5), Some(PERIOD * 1e3)]);
    assert_eq!([found("age_s", "static"), found("age_s", "gripper")], [Some(0.25), Some(0.25)]);
    assert_eq!([found("state", "acts"), found("motion", "gripper_open")], [Some(1.0), Some(f64::from(step.gripper))]);
}

#[test]
fn metrics_of_a_hold_are_those_that_a_hold_has() {
    let mut robot = Robot::new(&[0.5, 0.5], false, Some(limits()));
    let groups = robot.step(1.0).metrics(PERIOD);
    assert_eq!([number(&groups, "state", "acts"), number(&groups, "motion", "speed_m_s")], [Some(0.0), Some(0.0)]);
    assert_eq!([number(&groups, "age_s", "static"), number(&groups, "ms", "period")], [Some(0.0), Some(PERIOD * 1e3)]);
    assert!(["exit", "delta", "threshold"].iter().all(|name| groups.iter().all(|(group, _)| group != name)));
    assert_eq!([number(&groups, "ms", "total"), number(&groups, "motion", "gripper_open")], [None, None]);
}
