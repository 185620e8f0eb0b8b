use super::*;

fn raw() -> RawConfig {
    RawConfig { bundle: "models/toy".into(), ..RawConfig::default() }
}

#[test]
fn the_defaults_hold_together_once_a_bundle_is_named() {
    let config = raw().check().unwrap();
    assert!(config.dry_run && !config.autostart, "nothing moves before a person says so");
    assert_eq!(config.estop_heartbeat_secs, None);
    assert!(RawConfig::default().check().unwrap_err().to_string().contains("bundle is"));
}

#[test]
fn times_of_pictures_follow_the_control_period_unless_they_are_given() {
    let guard = raw().check().unwrap().guard(10.0);
    assert_eq!([guard.max_frame_age_secs, guard.max_silence_secs, guard.max_frame_skew_secs], [0.6, 0.3, 0.15]);
    let given = RawConfig { max_silence: 0.2, ..raw() };
    assert_eq!(given.check().unwrap().guard(10.0).max_silence_secs, 0.2);
}

#[test]
fn frame_and_gripper_are_the_bundles_unless_they_are_given() {
    let robot: Embodiment = serde_json::from_value(serde_json::json!({
        "control_hz": 10, "cameras": [],
        "arm": [{"name": "x", "unit": "m", "scale": 0.05, "frame": "tool_base"}],
        "gripper": {"name": "jaw", "unit": "rad", "open": 0.0, "closed": 0.8, "open_above": 0.5}
    }))
    .unwrap();
    let config = raw().check().unwrap().on(&robot);
    let Config { twist, gripper, .. } = config;
    assert_eq!((twist.frame_id.as_str(), gripper.open, gripper.closed), ("tool_base", 0.0, 0.8));
    let mut given = raw();
    (given.twist.frame_id, given.gripper.open) = ("link0".into(), 0.04);
    let Config { twist, gripper, .. } = given.check().unwrap().on(&robot);
    assert_eq!((twist.frame_id.as_str(), gripper.open, gripper.closed), ("link0", 0.04, 0.0));
}

#[test]
fn simulated_time_alone_takes_no_limit_away() {
    let rules = |raw: RawConfig| raw.check().unwrap().rules(30.0, true);
    let simulated = rules(raw());
    assert!(simulated.limits.is_some() && simulated.guard.frozen.is_some() && simulated.dwell_secs > 0.0);
    let mut asked = raw();
    asked.twist.mode = "lock_step".into();
    assert!(rules(asked).limits.is_none());
}

#[test]
fn thresholds_by_parameter_limit_what_the_bundles_do_unless_a_metric_is_named() {
    let folder = tempfile::tempdir().unwrap();
    crate::bundle::copy_toy(folder.path());
    let file = folder.path().join("thresholds.json");
    let own = std::fs::read_to_string(&file).unwrap().replace("\"rms\"", "\"cosine\"");
    std::fs::write(&file, own).unwrap();
    let bundle = Bundle::open(folder.path()).unwrap();
    let mut raw = RawConfig { bundle: folder.path().to_str().unwrap().into(), ..RawConfig::default() };
    raw.gate.thresholds = vec![0.1; bundle.manifest.exits.len() - 1];
    let metric = |raw: &RawConfig| raw.check().unwrap().settings(&bundle).unwrap().gauge.metric();
    assert_eq!(metric(&raw), Metric::Cosine);
    raw.gate.metric = "rms".into();
    assert_eq!(metric(&raw), Metric::Rms);
}

#[test]
fn a_band_in_which_the_gripper_would_never_turn_is_refused() {
    let mut bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap();
    bundle.manifest.embodiment.gripper.open_above = 0.1;
    let error = raw().check().unwrap().settings(&bundle).unwrap_err().to_string();
    assert!(error.starts_with("gripper.hysteresis is 0.1, expected less"), "{error}");
}

#[test]
fn a_metric_that_the_bundles_thresholds_do_not_limit_is_refused() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tabletop");
    let bundle = Bundle::open(folder).unwrap();
    let mut raw = RawConfig { bundle: folder.into(), ..RawConfig::default() };
    raw.gate.metric = "cosine".into();
    let error = raw.check().unwrap().settings(&bundle).unwrap_err().to_string();
    assert!(error.starts_with("gate.metric is \"cosine\", expected rms"), "{error}");
    raw.gate.thresholds = vec![0.1; bundle.manifest.exits.len() - 1];
    assert_eq!(raw.check().unwrap().settings(&bundle).unwrap().gauge.metric(), Metric::Cosine);
}

#[test]
fn every_bad_value_is_refused_with_its_parameter_and_what_may_be() {
    type Case = (fn(&mut RawConfig), &'static str, &'static str);
    let cases: [Case; 19] = [
        (|r| r.provider = "gpu".into(), "provider", "cpu, cuda or tensorrt"),
        (|r| r.threads = -1, "threads", "0 (one a core) to 256"),
        (|r| r.max_frame_age = f64::NAN, "max_frame_age", "from 0.02"),
        (|r| r.max_frame_skew = -0.1, "max_frame_skew", "from 0.001"),
        (|r| r.images.transport = "theora".into(), "images.transport", "raw or compressed"),
        (|r| r.images.qos = "best".into(), "images.qos", "sensor_data"),
        (|r| r.max_silence = 0.01, "max_silence", "from 0.02"),
        (|r| r.images.frozen = -1, "images.frozen", "0 (not looked at)"),
        (|r| r.twist.mode = "auto".into(), "twist.mode", "lock_step"),
        (|r| r.twist.jerk = 0.0, "twist.jerk", "from 0.1"),
        (|r| r.gripper.dwell = -1.0, "gripper.dwell", "from 0"),
        (|r| r.gripper.joints.clear(), "gripper.joints", "at least one"),
        (|r| r.servo.node = "servo_node".into(), "servo.node", "its full name"),
        (|r| r.gate.metric = "l2".into(), "gate.metric", "rms"),
        (|r| r.gate.thresholds = vec![0.1, f64::NAN], "gate.thresholds", "finite"),
        (|r| r.plan.keep_change = 2.0, "plan.keep_change", "from 0"),
        (|r| r.plan.max_age = -2, "plan.max_age", "0 to 100"),
        (|r| r.budget.of = "vision".into(), "budget.of", "llm or whole"),
        (|r| r.budget.peak = f64::INFINITY, "budget.peak", "from 0"),
    ];
    for (spoil, parameter, expected) in cases {
        let mut raw = raw();
        spoil(&mut raw);
        let error = raw.check().unwrap_err().to_string();
        assert!(error.starts_with(parameter) && error.contains(expected), "{error}");
    }
}
