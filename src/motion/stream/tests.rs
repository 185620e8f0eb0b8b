use super::*;
use proptest::prelude::*;

const PERIOD: f64 = 1.0 / 30.0;

fn limits() -> Limits {
    Limits {
        linear: Limit { speed: 0.35, acceleration: 10.0, jerk: 500.0 },
        angular: Limit { speed: 0.7, acceleration: 20.0, jerk: 1000.0 },
    }
}

fn sum(total: &mut [f64; 6], twist: &Twist, secs: f64) {
    let values = twist.linear.iter().chain(&twist.angular);
    total.iter_mut().zip(values).for_each(|(total, v)| *total += v * secs);
}

/// The largest norms of a sequence of vectors' `order`-th differences.
fn largest(mut values: Vec<[f64; 3]>, tick_secs: f64, order: usize) -> f64 {
    for _ in 0..order {
        let rate = |w: &[[f64; 3]]| std::array::from_fn(|i| (w[1][i] - w[0][i]) / tick_secs);
        values = values.windows(2).map(rate).collect();
    }
    values.into_iter().map(norm).fold(0.0, f64::max)
}

fn check(limit: &Limit, velocities: &[[f64; 3]], tick_secs: f64) {
    for (order, most) in [limit.speed, limit.acceleration, limit.jerk].into_iter().enumerate() {
        let found = largest(velocities.to_vec(), tick_secs, order);
        assert!(found <= most * (1.0 + 1e-9), "derivative {order}: {found} where {most} is the most");
    }
}

/// Actions for a stream of `hz`, each after the ticks beside it; then nothing until it is over.
fn run(hz: f64, actions: &[([f64; 6], usize)]) -> (Vec<Twist>, [f64; 6], f64) {
    let (limits, tick_secs) = (limits(), 1.0 / hz);
    let mut stream = Stream::new(&limits, tick_secs, PERIOD);
    let (mut told, mut asked, mut lost) = (Vec::new(), [0.0; 6], 0.0);
    for &([x, y, z, a, b, c], ticks) in actions {
        let (twist, _) = limits.cut(&Twist { linear: [x, y, z], angular: [a, b, c] });
        sum(&mut asked, &twist, PERIOD);
        lost += stream.act(&twist).iter().sum::<f64>();
        told.extend((0..ticks).map(|_| stream.tick(1).0));
    }
    let most = (hz * (PERIOD * 4.0 + 4.0 * stream.delay_secs())) as usize + 8;
    told.extend((0..most).map(|_| stream.tick(1).0));
    assert!(stream.at_rest(), "still moving {most} ticks after the last action");
    assert_eq!(stream.tick(1).0, Twist::default());
    (told, asked, lost)
}

fn moved(told: &[Twist], hz: f64) -> [f64; 6] {
    let mut total = [0.0; 6];
    told.iter().for_each(|twist| sum(&mut total, twist, 1.0 / hz));
    total
}

#[test]
fn the_averages_are_as_short_as_the_limits_allow() {
    let stream = Stream::new(&limits(), 0.01, PERIOD);
    assert_eq!(stream.linear.averages.each_ref().map(|average| average.newest.len()), [7, 4]);
    assert!((stream.delay_secs() - 0.045).abs() < 1e-12);
}

#[test]
fn one_action_is_carried_out_and_ends_by_itself() {
    let (told, asked, lost) = run(100.0, &[([0.3, 0.0, -0.1, 0.0, 0.5, 0.0], 0)]);
    assert_eq!(lost, 0.0);
    for (moved, asked) in moved(&told, 100.0).iter().zip(asked) {
        assert!((moved - asked).abs() < 1e-12);
    }
    let last = told.iter().rposition(|twist| *twist != Twist::default()).unwrap();
    assert!((10..20).contains(&last), "{last} ticks");
}

#[test]
fn a_halt_is_zero_at_once_and_nothing_of_the_motion_comes_back() {
    let mut stream = Stream::new(&limits(), 0.01, PERIOD);
    stream.act(&Twist { linear: [0.3; 3], angular: [0.0; 3] });
    let mut moved = [0.0; 6];
    (0..5).for_each(|_| sum(&mut moved, &stream.tick(1).0, 0.01));
    assert!(moved[0] > 1e-4);
    let left = 3f64.sqrt() * (0.3 * PERIOD - moved[0]);
    assert!((stream.stop()[0] - left).abs() < 1e-12, "what is not carried out is told");
    assert!((0..50).all(|_| stream.tick(1).0 == Twist::default()));
}

#[test]
fn steady_actions_are_a_steady_velocity() {
    let (told, ..) = run(120.0, &[([0.3, 0.0, 0.0, 0.0, 0.0, 0.0], 4); 30]);
    assert!(told[20..120].iter().all(|twist| (twist.linear[0] - 0.3).abs() < 1e-9), "{told:?}");
}

#[test]
fn a_caller_that_slept_for_long_ends_the_motion() {
    let mut stream = Stream::new(&limits(), 0.01, PERIOD);
    stream.act(&Twist { linear: [0.3; 3], angular: [0.0; 3] });
    assert_eq!(stream.tick(8).0, Twist::default());
    assert!(stream.at_rest());
}

#[test]
fn actions_that_come_too_fast_are_cut_and_what_was_cut_is_told() {
    let actions = [([0.35, 0.0, 0.0, 0.0, 0.0, 0.0], 2); 40];
    let (told, asked, lost) = run(100.0, &actions);
    assert!(lost > 0.1 && (asked[0] - lost - moved(&told, 100.0)[0]).abs() < 1e-9, "{lost}");
}

/// The figure in the README: run it with `--nocapture`.
#[test]
fn ten_thousand_random_actions_are_carried_out_to_the_last_nanometre() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut number = |most: f64| (random.f64() * 2.0 - 1.0) * most;
    let action = |_| (std::array::from_fn(|i| if i < 3 { number(0.6) } else { number(1.5) }), 4);
    let actions: Vec<_> = (0..10_000).map(action).collect();
    let (told, asked, lost) = run(120.0, &actions);
    let errors = moved(&told, 120.0).into_iter().zip(asked).map(|(moved, asked)| (moved - asked).abs());
    let worst = errors.fold(0.0, f64::max);
    println!("integral error over 10 000 random actions: {worst:.1e} (m, rad)");
    assert!(worst < 1e-9 && lost == 0.0, "{worst}, {lost}");
}

fn actions() -> impl Strategy<Value = Vec<([f64; 6], usize)>> {
    // At 200 Hz a period is less than 7 ticks: actions may come as late as a lost picture makes them, not early.
    prop::collection::vec((prop::array::uniform6(-2.0f64..2.0), 7usize..20), 1..30)
}

proptest! {
    #[test]
    fn whatever_is_asked_is_carried_out_within_every_limit(hz in 50.0f64..200.0, actions in actions()) {
        let (told, asked, lost) = run(hz, &actions);
        prop_assert_eq!(lost, 0.0);
        for (moved, asked) in moved(&told, hz).iter().zip(asked) {
            prop_assert!((moved - asked).abs() < 1e-9, "{moved} for {asked}");
        }
        check(&limits().linear, &told.iter().map(|twist| twist.linear).collect::<Vec<_>>(), 1.0 / hz);
        check(&limits().angular, &told.iter().map(|twist| twist.angular).collect::<Vec<_>>(), 1.0 / hz);
    }

    #[test]
    fn commands_between_two_ticks_change_neither_where_it_leads_nor_how_fast_it_gets_there(
        actions in prop::collection::vec((prop::array::uniform3(-0.5f64..0.5), 2usize..8, 0.0f64..1.0), 1..40)
    ) {
        let (limits, mut stream) = (limits(), Stream::new(&limits(), 0.01, PERIOD));
        // Velocities, and how long each holds.
        let (mut told, mut asked) = (vec![([0.0; 3], 1.0)], [0.0; 3]);
        for (linear, ticks, share) in actions {
            let (action, _) = limits.cut(&Twist { linear, angular: [0.0; 3] });
            let cut = stream.act(&action);
            prop_assume!(cut == [0.0; 2]);
            asked = std::array::from_fn(|i| asked[i] + action.linear[i] * PERIOD);
            if let Some(between) = stream.between(share) {
                told.last_mut().unwrap().1 = share;
                told.push((between.linear, 1.0 - share));
            }
            told.extend((0..ticks).map(|_| (stream.tick(1).0.linear, 1.0)));
        }
        told.extend((0..60).map(|_| (stream.tick(1).0.linear, 1.0)));
        for pair in told.windows(2) {
            let change: [f64; 3] = std::array::from_fn(|i| pair[1].0[i] - pair[0].0[i]);
            prop_assert!(norm(change) <= limits.linear.acceleration * 0.01 * pair[0].1 + 1e-9, "{:?}", pair);
            prop_assert!(norm(pair[1].0) <= limits.linear.speed + 1e-9, "{:?}", pair);
        }
        for (i, asked) in asked.into_iter().enumerate() {
            let moved: f64 = told.iter().map(|(velocity, ticks)| velocity[i] * ticks * 0.01).sum();
            prop_assert!((moved - asked).abs() < 1e-9, "{} for {}", moved, asked);
        }
    }

    #[test]
    fn a_caller_that_is_late_moves_the_arm_no_further(late in prop::collection::vec(1u32..4, 1..40)) {
        let mut stream = Stream::new(&limits(), 0.01, PERIOD);
        let action = Twist { linear: [0.3, 0.1, 0.0], angular: [0.0, 0.2, 0.6] };
        let (mut total, mut asked, mut before) = ([0.0; 6], [0.0; 6], Twist::default());
        let rest = std::iter::repeat_n(1, 60);
        for (i, ticks) in late.iter().copied().chain(rest).enumerate() {
            if i < late.len() && i % 4 == 0 {
                stream.act(&action);
                sum(&mut asked, &action, PERIOD);
            }
            // An arm goes on as it was told last.
            sum(&mut total, &before, 0.01 * f64::from(ticks));
            before = stream.tick(ticks).0;
        }
        prop_assert!(stream.at_rest());
        for (moved, asked) in total.iter().zip(asked) {
            prop_assert!((moved - asked).abs() < 1e-9, "{moved} for {asked}");
        }
    }
}
