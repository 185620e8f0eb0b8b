use super::*;
use crate::engine::Scripted;
use crate::network::{INPUTS, Metric};
use proptest::prelude::*;

fn settings(limits: &[f64], cap: usize) -> Settings {
    let thresholds = Thresholds::new(limits, limits.len() + 1).unwrap();
    Settings { thresholds, gauge: Metric::Rms.into(), cap, deadline: None, plan: PlanLimits::default() }
}

fn policy(levels: &[f32], settings: Settings) -> Policy<Scripted> {
    let exits: Vec<usize> = (0..levels.len() - 1).map(|k| 2 * k + 1).collect();
    let (costs, planner) = (Costs::new(exits.len()), Planner::new(2, false));
    Policy { engine: Scripted::level(levels), cameras: 2, exits, settings, planner, steps: 0, exit: 0, costs }
}

fn step(policy: &mut Policy<Scripted>) -> Result<Step, EngineError> {
    policy.step(&mut || Duration::ZERO)
}

#[test]
fn stops_at_the_first_exit_that_agrees_with_the_one_before() {
    // probe 0.0; exits 0.5, 0.3, 0.29, 0.0
    let mut policy = policy(&[0.0, 0.5, 0.3, 0.29, 0.0], settings(&[0.1, 0.1, 0.1], 3));
    let step = step(&mut policy).unwrap();
    assert_eq!((step.exit, step.layer, step.reason), (2, 5, Reason::Agreed));
    assert_eq!(step.arm, [0.29; 6]);
    assert_eq!(step.deltas.len(), 3);
    assert!((step.deltas[0] - 0.5).abs() < 1e-6 && (step.deltas[1] - 0.2).abs() < 1e-6);
}

#[test]
fn the_first_exit_is_compared_with_the_probe_in_one_head_call() {
    let mut policy = policy(&[0.48, 0.5, 0.9], settings(&[0.05], 1));
    assert_eq!(step(&mut policy).unwrap().exit, 0);
    assert_eq!(policy.engine.calls, ["look 0", "look 1", "recall", "stage 0", "head 2", "ahead"]);
}

#[test]
fn the_head_runs_once_an_exit_and_the_state_of_the_exit_taken_is_adopted() {
    let mut policy = policy(&[0.0, 0.5, 0.9, 0.9], settings(&[0.1, 0.1], 2));
    let taken = step(&mut policy).unwrap().exit;
    let run = ["look 0", "look 1", "recall", "stage 0", "head 2", "stage 1", "head 1", "stage 2", "head 1", "ahead"];
    assert_eq!(policy.engine.calls, run);
    let state = policy.state().unwrap();
    assert_eq!(state.h[[0, 0, 0]], 1.0, "one step on from the state before, not three");
    assert_eq!(state.c[[0, 0, 0]], taken as f32 + 1.0, "the row of the exit that was taken");
    step(&mut policy).unwrap();
    assert_eq!(policy.state().unwrap().h[[0, 0, 0]], 2.0);
}

/// Whatever an exit shows, its predicted distance is `e` to the power of what is added.
fn predicting(added: [f64; 2]) -> Gauge {
    let regressor = |added| {
        serde_json::json!({"mean": [0, 0, 0, 0, 0, 0], "scale": [1, 1, 1, 1, 1, 1],
        "linear": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, added], "units": []})
    };
    let table = serde_json::json!({"schema": 1, "manifest_sha256": "", "signs_sha256": "", "inputs": INPUTS,
        "exits": added.map(regressor)});
    Gauge::predicted(serde_json::from_value(table).unwrap())
}

#[test]
fn a_predicted_step_ends_where_the_regressor_sees_full_depth_near_whatever_the_neighbour_says() {
    let mut settings = settings(&[0.1, 0.1], 2);
    settings.gauge = predicting([0.0, -3.0]);
    let mut policy = policy(&[0.0, 0.0, 0.5, 0.5], settings);
    let step = step(&mut policy).unwrap();
    assert_eq!((step.exit, step.reason, step.metric), (1, Reason::Agreed, Metric::Predicted));
    assert_eq!(step.deltas, [1.0, (-3f32).exp()]);
}

#[test]
fn a_prediction_that_is_not_a_number_is_a_fault_and_so_is_one_that_nobody_makes() {
    for gauge in [predicting([800.0, 0.0]), Metric::Predicted.into()] {
        let mut settings = settings(&[0.1, 0.1], 2);
        settings.gauge = gauge;
        let error = step(&mut policy(&[0.0, 0.5, 0.5, 0.5], settings)).unwrap_err();
        assert!(matches!(error, EngineError::NotFinite { exit: 0, .. }), "{error}");
    }
}

#[test]
fn the_cap_ends_a_step_whatever_its_delta() {
    let mut policy = policy(&[0.0, 0.5, 0.0, 0.5], settings(&[-1.0, -1.0], 1));
    let step = step(&mut policy).unwrap();
    assert_eq!((step.exit, step.reason, step.thresholds[1]), (1, Reason::Cap, f32::INFINITY));
}

#[test]
fn a_negative_threshold_is_never_met() {
    let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[-1.0], 1));
    assert_eq!(step(&mut policy).unwrap().exit, 1);
}

#[test]
fn an_action_that_is_not_a_number_is_a_fault_and_changes_nothing() {
    let mut policy = policy(&[0.0, f32::NAN, 0.1], settings(&[0.1], 1));
    assert!(matches!(step(&mut policy), Err(EngineError::NotFinite { exit: 0, .. })));
    assert_eq!(policy.state().unwrap(), LstmState::zeros(1, 1));
}

/// The network asked once, then `skips` steps that do not ask it.
fn skipping(policy: &mut Policy<Scripted>, skips: u32) -> Vec<Step> {
    let skip = |n| Plan { skip: n > 0, skips: n, ..Plan::look(2) };
    (0..=skips).map(|n| policy.follow(skip(n), &mut || Duration::ZERO).unwrap()).collect()
}

#[test]
fn a_skipped_step_carries_out_what_was_foreseen_for_it_and_leaves_the_gripper() {
    let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1));
    policy.engine.ahead = [0.4, 0.3].map(|v| Action { arm: [v; 6], gripper: 0.7 }).into();
    let steps = skipping(&mut policy, 2);
    assert_eq!([0, 1, 2].map(|n| steps[n].arm), [[0.5; 6], [0.4; 6], [0.3; 6]]);
    assert_eq!([0, 1, 2].map(|n| steps[n].gripper), [0.9; 3]);
    assert_eq!(steps[2].reason, Reason::Skipped);
    let asked = policy.engine.calls.iter().filter(|call| *call == "ahead").count();
    assert_eq!(asked, 1, "of the exit that was taken: {:?}", policy.engine.calls);
}

#[test]
fn a_network_that_does_not_foresee_has_its_last_action_repeated() {
    let steps = skipping(&mut policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1)), 2);
    assert_eq!([1, 2].map(|n| steps[n].arm), [[0.5; 6]; 2]);
}

#[test]
fn a_foreseen_action_that_is_not_a_number_is_a_fault_and_changes_nothing() {
    let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1));
    policy.engine.ahead = vec![Action { arm: [0.4; 6], gripper: f32::NAN }];
    assert!(matches!(step(&mut policy), Err(EngineError::NotFinite { exit: 0, .. })));
    assert_eq!(policy.state().unwrap(), LstmState::zeros(1, 1));
}

#[test]
fn a_new_epoch_embeds_its_prompt_and_clears_the_state() {
    let mut policy = policy(&[0.5, 0.5, 0.5], settings(&[0.1], 1));
    step(&mut policy).unwrap();
    policy.start_epoch(&[7, 8]).unwrap();
    assert_eq!((policy.engine.ids.clone(), policy.state().unwrap()), (vec![7, 8], LstmState::zeros(1, 1)));
}

#[test]
fn the_newest_exit_is_taken_when_the_next_would_be_late() {
    let mut settings = settings(&[-1.0, -1.0], 2);
    settings.deadline = Some(Duration::from_millis(45));
    let mut policy = policy(&[0.0, 0.5, 0.1, 0.9], settings);
    // Each look at the watch is 10 ms later: start, vision, recall, then 20 ms an exit.
    let watch = || {
        let mut looks = 0;
        move || {
            looks += 1;
            Duration::from_millis(10 * (looks - 1))
        }
    };
    let first = policy.step(&mut watch()).unwrap();
    assert_eq!((first.exit, first.reason), (1, Reason::Anytime), "exit 1 ended at 60 ms");
    policy.settings.deadline = Some(Duration::from_millis(35));
    let second = policy.step(&mut watch()).unwrap();
    assert_eq!((second.exit, second.reason), (0, Reason::Anytime), "exit 0 ended at 40 ms");
}

#[test]
fn exits_return_to_full_depth_when_load_ends() {
    let mut settings = settings(&[-1.0, -1.0], 2);
    settings.deadline = Some(Duration::from_millis(20));
    let mut policy = policy(&[0.0, 0.5, 0.1, 0.9], settings);
    let mut exit = |lap_ms: u64| {
        let mut looks = 0;
        let mut watch = || {
            looks += 1;
            Duration::from_millis(lap_ms * (looks - 1))
        };
        policy.step(&mut watch).unwrap().exit
    };
    assert_eq!(exit(1), 2);
    assert_eq!([exit(9), exit(9)], [0, 0], "a deeper exit would be late");
    let quiet: Vec<usize> = (0..100).map(|_| exit(1)).collect();
    assert_eq!(quiet[60..], [2; 40], "{quiet:?}");
}

#[test]
fn a_cap_that_moves_loads_or_drops_stages() {
    let mut policy = policy(&[0.0, 0.5, 0.1, 0.9], settings(&[-1.0, -1.0], 2));
    policy.configure(settings(&[-1.0, -1.0], 0)).unwrap();
    assert_eq!(policy.engine.calls, ["load 0"]);
    assert_eq!(step(&mut policy).unwrap().exit, 0);
}

proptest! {
    #[test]
    fn larger_thresholds_never_go_deeper(
        levels in prop::collection::vec(-1f32..1.0, 5),
        limits in prop::collection::vec(0.0f64..1.0, 3),
        more in prop::collection::vec(0.0f64..1.0, 3),
    ) {
        let eager: Vec<f64> = limits.iter().zip(&more).map(|(a, b)| a + b).collect();
        let careful = step(&mut policy(&levels, settings(&limits, 3))).unwrap().exit;
        let hasty = step(&mut policy(&levels, settings(&eager, 3))).unwrap().exit;
        prop_assert!(hasty <= careful);
    }
}
