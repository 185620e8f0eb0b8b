use std::time::Duration;

use super::*;
use crate::network::PlanLimits;

fn bundle() -> Bundle {
    Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap()
}

#[test]
fn no_schedule_breaks_what_must_hold() {
    let bundle = bundle();
    for seed in 0..200 {
        let schedule = Schedule::draw(seed);
        if let Err(broken) = judge(&schedule, &bundle) {
            let shorter = shrink(&schedule, &bundle, broken.invariant);
            panic!("seed {seed}: {broken}\n{:#?}", shorter.incidents);
        }
    }
}

#[test]
fn a_schedule_repeats_to_the_bit() {
    let bundle = bundle();
    let told = |seed| {
        let (lines, _) = tell(&Schedule::draw(seed), &bundle);
        lines.into_iter().map(|line| format!("{:?} {}", line.at, line.text)).collect::<Vec<_>>()
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}

/// A robot of 30 Hz whose cameras send so many pictures a second, which take so long to be read from 0.5 s to 4.5 s.
fn flooded(rates_hz: [f64; 2], reading: Duration) -> Schedule {
    let drawn = Schedule::draw(0);
    let camera = |rate_hz, ms| Camera {
        rate_hz,
        phase: Duration::from_millis(ms),
        jitter: Duration::from_millis(2),
        latency: Duration::from_millis(3),
    };
    let robot = Robot {
        control_hz: 30.0,
        cameras: [camera(rates_hz[0], 1), camera(rates_hz[1], 5)],
        heartbeat_secs: None,
        deadline: None,
        stage: Duration::from_millis(2),
        autostart: true,
        servo: false,
        late: Duration::from_millis(1),
        plan: PlanLimits::default(),
        ..drawn.robot
    };
    let (at, long) = (Duration::from_millis(500), Duration::from_secs(4));
    let incidents = vec![Incident { at, what: What::Heavy(reading, long) }];
    Schedule { robot, incidents, calm: at + long, end: at + long + Duration::from_secs(2), ..drawn }
}

/// Pictures of the first camera that were shown and read, actions, and holds but for the first.
fn counts(schedule: &Schedule) -> [usize; 4] {
    let (lines, result) = tell(schedule, &bundle());
    result.unwrap();
    assert!(!lines.iter().any(|line| line.text.contains("hold_fault")));
    ["camera 0", "  Read(0)", "  decision act", "  decision hold"]
        .map(|what| lines.iter().filter(|line| line.text.starts_with(what)).count())
}

#[test]
fn cameras_that_are_faster_than_their_pictures_can_be_read_are_read_once_a_step() {
    for ms in [1, 5, 10, 15, 20, 40] {
        let [shown, read, acts, holds] = counts(&flooded([60.0; 2], Duration::from_millis(ms)));
        assert!(shown > 380 && acts > 60, "{ms} ms: {acts} actions on {shown} pictures");
        assert!(read <= acts + holds + 2, "{ms} ms: {read} pictures were read for {acts} actions and {holds} holds");
    }
}

#[test]
fn a_fast_camera_waits_for_a_slow_one_unread() {
    let [shown, read, acts, _] = counts(&flooded([240.0, 30.0], Duration::from_millis(1)));
    assert!(shown > 1500 && acts > 180 && read <= 2 * acts + 2, "{read} of {shown} were read for {acts} actions");
}

#[test]
fn over_skipped_steps_the_stream_goes_on_without_a_stop() {
    let often = PlanLimits { skip_delta: 9.0, skip_change: 1.0, max_age: 20, max_skips: 3, ..PlanLimits::default() };
    for ahead in [0, 3] {
        let mut schedule = flooded([30.0; 2], Duration::from_millis(1));
        (schedule.robot.plan, schedule.robot.ahead) = (often, ahead);
        let (lines, result) = tell(&schedule, &bundle());
        result.unwrap();
        let count = |what: &str| lines.iter().filter(|line| line.text.starts_with(what)).count();
        let [acts, skipped, twists] = ["  decision act", "  decision act, skipped", "  twist"].map(count);
        assert!(
            12 * skipped > acts && twists > 2 * acts,
            "{ahead} ahead: {skipped} of {acts} skipped, {twists} twists"
        );
        assert_eq!(count("  twist [0.0000, 0.0000, 0.0000] [0.0000, 0.0000, 0.0000]"), 0, "{ahead} ahead");
    }
}
