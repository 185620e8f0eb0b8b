use super::*;

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
