use super::*;
use serde::Deserialize;

/// `lab/tests/test_plan.py` writes it.
const CONTRACT: &str = include_str!("../../../tests/contracts/plan.json");

#[derive(Deserialize)]
struct Contract {
    period_secs: f64,
    max_frame_age: f64,
    scenes: Vec<Scene>,
}

#[derive(Deserialize)]
struct Scene {
    limits: PlanLimits,
    steps: Vec<Planned>,
}

#[derive(Deserialize)]
struct Planned {
    stamps: [i64; 2],
    shade: usize,
    patches: [[usize; 4]; 2],
    steady: bool,
    gripper_rests: Option<[f32; 2]>,
    arm: [f32; 6],
    ahead: Vec<[f32; 7]>,
    plan: serde_json::Value,
}

/// Both are none, or alike up to rounding.
fn near(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() < 1e-6,
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

/// As the contract describes it: stripes, and a brighter patch.
fn frame(camera: usize, stamp: i64, shade: usize, [left, top, side, more]: [usize; 4]) -> Frame {
    let (width, height) = [(128, 96), (80, 80)][camera];
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let patch = (top..top + side).contains(&y) && (left..left + side).contains(&x);
            rgb.extend((0..3).map(|c| ((7 * x + 13 * y + 29 * c + shade) % 150 + if patch { more } else { 0 }) as u8));
        }
    }
    Frame::new(Stamp(stamp), [width as u32, height as u32], rgb, "rgb8")
}

#[test]
fn the_contract_with_the_lab_is_kept() {
    let contract: Contract = serde_json::from_str(CONTRACT).unwrap();
    for scene in contract.scenes {
        let mut planner = Planner::new(2, false);
        for (number, step) in scene.steps.iter().enumerate() {
            let frames = [0, 1].map(|i| frame(i, step.stamps[i], step.shade, step.patches[i]));
            let situation = Situation {
                period_secs: contract.period_secs,
                oldest: Stamp(step.stamps[0] - Stamp::from_secs(contract.max_frame_age).0),
                steady: step.steady,
                gripper_rests: step.gripper_rests,
            };
            let plan = planner.plan(&scene.limits, &frames.each_ref(), &situation);
            let (found, wanted) = (serde_json::to_value(&plan).unwrap(), &step.plan);
            for key in ["skip", "skips", "because", "foreseen"] {
                assert_eq!(found[key], wanted[key], "{key} at step {number}");
            }
            assert!(near(found["delta"].as_f64(), wanted["delta"].as_f64()), "delta at step {number}: {found}");
            for (ours, theirs) in plan.cameras.iter().zip(wanted["cameras"].as_array().unwrap()) {
                let told = (ours.look, ours.seen.0, u64::from(ours.age));
                let expected = (theirs["look"].as_bool(), theirs["seen"].as_i64(), theirs["age"].as_u64());
                assert_eq!((Some(told.0), Some(told.1), Some(told.2)), expected, "step {number}");
                assert!(near(ours.change.map(f64::from), theirs["change"].as_f64()), "step {number}");
            }
            let ran = Action { arm: step.arm, gripper: 0.9 };
            let action = planner.instead().filter(|_| plan.skip).unwrap_or(ran);
            let carried_out = wanted["carried_out"].as_array().unwrap();
            for (ours, theirs) in action.arm.iter().zip(carried_out) {
                assert!(near(Some(f64::from(*ours)), theirs.as_f64()), "step {number}");
            }
            let ahead = step.ahead.iter().map(|[arm @ .., gripper]| Action { arm: *arm, gripper: *gripper });
            planner.done(&plan, action, ahead.collect());
        }
    }
}

const PERIOD: i64 = 33_000_000;
const OFTEN: PlanLimits =
    PlanLimits { keep_change: 1.0, skip_delta: 1.0, skip_change: 1.0, max_age: 3, max_skips: 9, first_steps: 0 };

/// Plans of steps whose pictures and actions are all alike, one a period; `stamp` of the n-th.
fn still(limits: PlanLimits, steady: impl Fn(i64) -> bool, stamp: impl Fn(i64) -> i64) -> Vec<Plan> {
    let mut planner = Planner::new(1, false);
    let plan = |n: i64| {
        let frame = frame(0, stamp(n), 0, [0; 4]);
        let oldest = Stamp(stamp(n) - 6 * PERIOD);
        let situation =
            Situation { period_secs: PERIOD as f64 * 1e-9, oldest, steady: steady(n), gripper_rests: Some([0.6, 1.0]) };
        let plan = planner.plan(&limits, &[&frame], &situation);
        planner.done(&plan, Action { arm: [0.1; 6], gripper: 0.9 }, Vec::new());
        plan
    };
    (0..20).map(plan).collect()
}

#[test]
fn nothing_is_older_than_its_bound_however_often_it_could_be_kept() {
    for skip_delta in [0.0, 1.0] {
        let plans = still(PlanLimits { skip_delta, ..OFTEN }, |_| true, |n| n * PERIOD);
        let ages: Vec<u32> = plans.iter().map(|plan| plan.cameras[0].age).collect();
        assert_eq!(ages.iter().max(), Some(&3), "{ages:?}");
    }
    // Pictures that come at half the rate are twice as old.
    let slow = still(PlanLimits { skip_delta: 0.0, ..OFTEN }, |_| true, |n| 2 * n * PERIOD);
    assert!(slow.iter().all(|plan| plan.cameras[0].age <= 2), "{slow:?}");
}

#[test]
fn everything_is_looked_at_after_a_hold_and_when_the_clock_was_set_back() {
    let plans = still(OFTEN, |n| n != 9, |n| n * PERIOD);
    assert!(!plans[9].skip && plans[9].cameras[0].look && plans[9].because == Some("after a hold"));
    let plans = still(OFTEN, |_| true, |n| if n < 9 { 1000 * PERIOD } else { 0 } + n * PERIOD);
    assert!(!plans[9].skip && plans[9].cameras[0].look);
}

#[test]
fn a_step_is_skipped_only_so_often_in_a_row() {
    let plans = still(PlanLimits { max_age: 9, max_skips: 2, ..OFTEN }, |_| true, |n| n * PERIOD);
    let skips: Vec<u32> = plans[2..8].iter().map(|plan| plan.skips).collect();
    assert_eq!(skips, [1, 2, 0, 1, 2, 0]);
}

/// Plans of steps whose pictures do not change, and the arm output that each carries out. The network gives one of `arms`
/// whenever it runs, and foresees `ahead` with it.
fn followed(arms: &[f32], ahead: &[(f32, f32)], max_skips: u32) -> Vec<(Plan, f32)> {
    let limits = PlanLimits { skip_delta: 0.1, max_age: 9, max_skips, ..OFTEN };
    let mut planner = Planner::new(1, false);
    let follow = |(number, arm): (usize, &f32)| {
        let frame = frame(0, number as i64 * PERIOD, 0, [0; 4]);
        let (period_secs, oldest) = (PERIOD as f64 * 1e-9, Stamp(0));
        let situation = Situation { period_secs, oldest, steady: true, gripper_rests: Some([0.6, 1.0]) };
        let plan = planner.plan(&limits, &[&frame], &situation);
        let ran = Action { arm: [*arm; 6], gripper: 0.9 };
        let action = planner.instead().filter(|_| plan.skip).unwrap_or(ran);
        let ahead = ahead.iter().map(|&(v, gripper)| Action { arm: [v; 6], gripper });
        planner.done(&plan, action, ahead.collect());
        (plan, action.arm[0])
    };
    arms.iter().enumerate().map(follow).collect()
}

#[test]
fn nothing_is_skipped_beyond_what_was_foreseen() {
    let steps = followed(&[0.5; 9], &[(0.5, 0.9), (0.4, 0.9), (0.3, 0.9)], 8);
    let told: Vec<_> = steps.iter().map(|(plan, arm)| (plan.skips, *arm)).collect();
    let wanted = [(0, 0.5), (0, 0.5), (1, 0.5), (2, 0.4), (3, 0.3), (0, 0.5), (0, 0.5), (1, 0.5), (2, 0.4)];
    assert_eq!(told, wanted, "after three skips 0.5 is compared with the 0.3 foreseen for as near to it as any");
}

#[test]
fn an_action_is_compared_with_what_was_foreseen_for_its_own_step() {
    let steps = followed(&[0.5, 0.6, 9.0, 0.8, 0.0], &[(0.6, 0.9), (0.7, 0.9)], 1);
    let told: Vec<_> = steps.iter().map(|(plan, _)| plan.skip).collect();
    assert_eq!(told, [false, false, true, false, false]);
    assert!(steps[2].0.delta.unwrap() < 1e-6, "0.6 was foreseen at 0.5");
    assert!((steps[4].0.delta.unwrap() - 0.1).abs() < 1e-6, "of 0.8, for which 0.7 was foreseen two steps before");
}

#[test]
fn a_gripper_or_a_turn_that_is_foreseen_forbids_the_skip() {
    let steps = followed(&[0.5; 6], &[(0.5, 0.9), (0.5, 0.55)], 3);
    assert!(steps.iter().all(|(plan, _)| !plan.skip));
    assert_eq!(steps[4].0.because, Some("gripper is about to change"), "though not in the very next step");
    let steps = followed(&[0.5; 6], &[(0.5, 0.9), (-0.5, 0.9)], 3);
    let told: Vec<_> = steps.iter().map(|(plan, _)| plan.skip).collect();
    assert_eq!((told, steps[3].0.because), (vec![false, false, true, false, false, true], Some("turned")));
}

#[test]
fn cameras_of_one_encoder_are_always_looked_at() {
    let mut planner = Planner::new(2, true);
    let limits = PlanLimits { skip_delta: 0.0, ..OFTEN };
    for n in 0..6 {
        let frames = [0, 1].map(|camera| frame(camera, n * PERIOD, 0, [0; 4]));
        let situation =
            Situation { period_secs: 0.033, oldest: Stamp(0), steady: true, gripper_rests: Some([0.6, 1.0]) };
        let plan = planner.plan(&limits, &frames.each_ref(), &situation);
        assert!(plan.cameras.iter().all(|camera| camera.look));
        planner.done(&plan, Action { arm: [0.1; 6], gripper: 0.9 }, Vec::new());
    }
}
