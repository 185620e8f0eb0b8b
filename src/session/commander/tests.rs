use proptest::prelude::*;

use super::*;
use crate::motion::{Limit, Limits};

const TICK: Duration = Duration::from_millis(10);
const FORWARD: Twist = Twist { linear: [0.1, 0.0, 0.0], angular: [0.0; 3] };

fn at(ms: u64, halts: u64) -> Moment {
    Moment { robot: Stamp(ms as i64 * 1_000_000), machine: Duration::from_millis(ms), halts }
}

fn forward(halts: u64, until_ms: u64) -> Order {
    let until = Some(Duration::from_millis(until_ms));
    Order::Move(Move { stamp: Stamp(1), twist: FORWARD, grip: Some(Grip::Open), halts, until })
}

fn streaming() -> Commander {
    let limit = Limit { speed: 1.0, acceleration: 100.0, jerk: 1e5 };
    Commander::streaming(Stream::new(&Limits { linear: limit, angular: limit }, 0.01, 0.03), TICK, 2, TICK * 4)
}

/// The speeds along x of every command until it falls silent, or `ticks` have passed.
fn speeds(commander: &mut Commander, from_ms: u64, ticks: u64) -> Vec<f64> {
    let command = |tick| commander.tick(at(from_ms + 10 * tick, 0));
    let speed = |command| match command {
        Command::Twist(_, twist) => Some(twist.linear[0]),
        _ => None,
    };
    (0..ticks).flat_map(command).filter_map(speed).collect()
}

#[test]
fn a_motion_ends_by_itself_in_zeros_and_then_in_silence() {
    let mut commander = streaming();
    let commands = commander.on(forward(0, 50), at(10, 0));
    assert_eq!(commands[1], Command::Grip(Stamp(1), Grip::Open));
    let speeds = speeds(&mut commander, 10, 20);
    let moved: f64 = speeds.iter().sum::<f64>() * 0.01;
    assert!((moved - 0.003).abs() < 1e-12, "one period of 0.1 m/s: {speeds:?}");
    assert_eq!(speeds[speeds.len() - 2..], [0.0; 2]);
    assert_eq!(commander.wake(), None);
}

#[test]
fn a_halt_is_a_zero_twist_at_once_and_tells_what_was_dropped() {
    let mut commander = streaming();
    commander.on(forward(0, 50), at(10, 0));
    commander.tick(at(10, 0));
    let Command::Report(report) = &commander.on(Order::Halt, at(12, 1))[0] else { panic!("no report") };
    assert!(report.dropped[0] > 0.0);
    assert_eq!(commander.wake(), Some(Duration::from_millis(12)));
    assert_eq!(speeds(&mut commander, 12, 9), [0.0; 2]);
    assert!(commander.on(Order::Halt, at(90, 2)).is_empty(), "it stands");
}

#[test]
fn a_gripper_command_stands_for_its_dwell_though_the_next_order_was_made_before_it_was_told() {
    let mut commander = streaming();
    let mut told = |grip: Grip, ms: u64| {
        let Order::Move(motion) = forward(0, ms + 50) else { unreachable!() };
        let commands = commander.on(Order::Move(Move { grip: Some(grip), ..motion }), at(ms, 0));
        let Command::Report(report) = &commands[0] else { panic!("{commands:?}") };
        assert_eq!(report.grip.is_some(), commands.contains(&Command::Grip(Stamp(1), grip)));
        report.grip.map(|(grip, _)| grip)
    };
    assert_eq!(told(Grip::Open, 10), Some(Grip::Open));
    assert_eq!(told(Grip::Closed, 11), None);
    assert_eq!(told(Grip::Open, 12), Some(Grip::Open));
    assert_eq!(told(Grip::Closed, 52), Some(Grip::Closed));
}

#[test]
fn an_order_that_is_late_or_older_than_the_last_halt_moves_nothing() {
    for (order, now, why) in
        [(forward(0, 50), at(51, 0), "1.0 ms too late"), (forward(0, 50), at(20, 1), "was halted after")]
    {
        let mut commander = streaming();
        let commands = commander.on(order, now);
        let [Command::Report(Report { grip: None, refused: Some(reason), .. })] = &commands[..] else {
            panic!("{commands:?}")
        };
        assert!(reason.contains(why), "{reason}");
        assert_eq!(commander.wake(), None);
    }
}

#[test]
fn a_world_that_waits_gets_one_command_an_order_and_a_zero_for_one_that_is_refused() {
    let mut commander = Commander::lock_step(TICK);
    let commands = commander.on(forward(0, 0), at(0, 0));
    assert_eq!(commands[1..], [Command::Grip(Stamp(1), Grip::Open), Command::Twist(Stamp(1), FORWARD)]);
    let commands = commander.on(forward(0, 0), at(0, 1));
    assert_eq!(commands[1..], [Command::Twist(Stamp(1), Twist::default())]);
    assert!(commander.on(Order::Halt, at(0, 2)).is_empty());
}

#[test]
fn it_ends_in_zeros_if_the_arm_moved_and_silently_if_not() {
    let mut still = streaming();
    still.on(Order::Finish, at(10, 0));
    assert!(still.finished());
    let mut moving = streaming();
    moving.on(forward(0, 50), at(10, 0));
    moving.tick(at(10, 0));
    moving.on(Order::Finish, at(15, 0));
    assert!(!moving.finished());
    assert_eq!(speeds(&mut moving, 15, 9), [0.0; 2]);
    assert!(moving.finished());
}

#[test]
fn a_motion_between_two_ticks_is_a_command_at_once_and_the_next_tick_comes_when_it_would() {
    let mut commander = streaming();
    commander.on(forward(0, 50), at(10, 0));
    commander.tick(at(10, 0));
    let commands = commander.on(forward(0, 50), at(15, 0));
    let Command::Twist(stamp, between) = commands[2] else { panic!("{commands:?}") };
    assert_eq!(stamp, at(15, 0).robot);
    assert_eq!(commander.wake(), Some(Duration::from_millis(20)));
    let [Command::Twist(_, after)] = commander.tick(at(20, 0))[..] else { panic!("no tick") };
    // The first tick is a tenth of the way into two averages of 2 and 1 ticks.
    assert!(between.linear[0] > 0.0 && between.linear[0] < after.linear[0], "{between:?}, then {after:?}");
    let commands = commander.on(forward(0, 50), at(21, 1));
    assert_eq!(commands.len(), 1, "a motion that is refused is no command: {commands:?}");
}

#[test]
fn a_halt_after_a_command_between_two_ticks_is_a_zero_twist_at_once() {
    let mut commander = streaming();
    commander.on(forward(0, 50), at(10, 0));
    commander.tick(at(10, 0));
    commander.on(forward(0, 50), at(15, 0));
    commander.on(Order::Halt, at(16, 1));
    assert_eq!(speeds(&mut commander, 16, 9), [0.0; 2]);
}

const LIMIT: Limit = Limit { speed: 0.35, acceleration: 10.0, jerk: 500.0 };

/// Every command along x, in m/s, and when it came, of motions that begin at `orders`, in microseconds; and how far
/// they lead less what was dropped on the way.
fn burst(orders: &[(u64, f64)]) -> (Vec<(f64, f64)>, f64) {
    let (tick, period_secs) = (Duration::from_millis(10), 1.0 / 30.0);
    let stream = Stream::new(&Limits { linear: LIMIT, angular: LIMIT }, tick.as_secs_f64(), period_secs);
    let mut commander = Commander::streaming(stream, tick, 3, Duration::ZERO);
    let (mut told, mut asked) = (Vec::new(), 0.0);
    let mut note = |commands: Vec<Command>, machine: Duration, asked: &mut f64| {
        for command in commands {
            match command {
                Command::Twist(_, twist) => told.push((machine.as_secs_f64(), twist.linear[0])),
                Command::Report(report) => *asked -= report.dropped[0],
                Command::Grip(..) => (),
            }
        }
    };
    let at = |machine| Moment { robot: Stamp(1), machine, halts: 0 };
    let until = orders.last().map_or(0, |order| order.0) + 1_000_000;
    for &(micros, speed) in orders.iter().chain([&(until, 0.0)]) {
        let machine = Duration::from_micros(micros);
        while let Some(wake) = commander.wake().filter(|wake| *wake < machine) {
            note(commander.tick(at(wake)), wake, &mut asked);
        }
        if micros < until {
            let twist = Twist { linear: [speed, 0.0, 0.0], angular: [0.0; 3] };
            asked += speed * period_secs;
            let order = Move { stamp: Stamp(1), twist, grip: None, halts: 0, until: None };
            note(commander.on(Order::Move(order), at(machine)), machine, &mut asked);
            note(commander.tick(at(machine)), machine, &mut asked);
        }
    }
    (told, asked)
}

#[test]
fn the_arm_neither_stops_nor_starts_over_skipped_steps_whose_orders_come_sooner() {
    // Pictures come each 1/30 s. Every fourth step asks the network, which takes its time; the three after it do not.
    for network_micros in [2_000, 8_000, 16_000, 25_000] {
        let begins = |n: u64| (n * 33_333 + if n.is_multiple_of(4) { network_micros } else { 0 }, 0.1);
        let (told, _) = burst(&(0..24).map(begins).collect::<Vec<_>>());
        let under_way = told.iter().filter(|(secs, _)| (0.2..0.75).contains(secs));
        let speeds: Vec<f64> = under_way.map(|(_, speed)| *speed).collect();
        let slowest = speeds.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(slowest > 0.08, "{network_micros} us: down to {slowest} of 0.1 m/s, {speeds:.3?}");
    }
}

proptest! {
    #[test]
    fn a_burst_of_motions_speeds_the_arm_up_no_faster_than_its_limits(
        orders in prop::collection::vec((0u64..40_000, 0.0f64..0.35), 1..60)
    ) {
        let mut micros = 0;
        let orders: Vec<_> = orders.into_iter().map(|(gap, speed)| { micros += gap; (micros, speed) }).collect();
        let (told, asked) = burst(&orders);
        let mut moved = 0.0;
        for pair in told.windows(2) {
            let [(before, slow), (after, fast)] = [pair[0], pair[1]];
            moved += slow * (after - before);
            prop_assert!(fast <= LIMIT.speed + 1e-9, "{} m/s", fast);
            let most = LIMIT.acceleration * (after - before).min(0.01);
            prop_assert!((fast - slow).abs() <= most + 1e-9, "{} m/s in {} s", fast - slow, after - before);
        }
        prop_assert!((moved - asked).abs() < 1e-9, "{} m for {} m", moved, asked);
        let (first, last) = (told[0].0, told[told.len() - 1].0);
        prop_assert!(told.len() as f64 <= 2.0 * ((last - first) / 0.01 + 2.0), "{} commands", told.len());
    }
}
