//! Where two decisions on the same pictures part, and why.

use super::told::{Taken, Told};

/// Two machines round differently; a step of the arm is 1.
const ALIKE: f32 = 1e-4;
/// No two actions differ by so much: a limit that means this exit always.
const ANY: f32 = 1e6;

/// The first thing in the order of deciding by which `now` is another decision than `before`, if any is.
pub(super) fn difference(before: &Told, now: &Told) -> Option<String> {
    if before.instruction != now.instruction {
        return Some(format!("the sentence was {:?}, is {:?}", before.instruction, now.instruction));
    }
    match (&before.step, &now.step) {
        (Some(was), Some(is)) => steps(was, is),
        (None, None) if before.verdict == now.verdict => None,
        _ => Some(format!("it was {}, is {}", verdict(before), verdict(now))),
    }
}

fn verdict(told: &Told) -> String {
    let why = if told.message.is_empty() { String::new() } else { format!(" ({})", told.message) };
    format!("{}{why}", told.verdict)
}

fn steps(was: &Taken, is: &Taken) -> Option<String> {
    let skipped = [was, is].map(|taken| taken.ran_to().is_none());
    if skipped[0] != skipped[1] {
        return Some(
            if skipped[0] { "the step was skipped, and is not" } else { "the step is skipped, and was not" }.into(),
        );
    }
    let visited = was.deltas.len().min(is.deltas.len());
    for exit in 0..visited {
        let (a, b) = (was.deltas[exit], is.deltas[exit]);
        if (a - b).abs() > ALIKE {
            return Some(format!(
                "the network computed otherwise: delta at exit {exit} was {a}, is {b}; exit {} was taken, is {}",
                was.exit, is.exit
            ));
        }
    }
    if was.exit != is.exit {
        return Some(format!("exit {} was taken ({}), is {} ({})", was.exit, why(was), is.exit, why(is)));
    }
    let apart = rms(&was.arm, &is.arm);
    if apart > ALIKE || (was.gripper - is.gripper).abs() > ALIKE {
        let gripper = format!("the gripper's probability {} and {}", was.gripper, is.gripper);
        return Some(format!("the same exit gave another action: {apart} apart, {gripper}"));
    }
    None
}

/// Why a step ended where it did.
fn why(taken: &Taken) -> String {
    let at = |values: &[f32]| values.get(taken.exit).map_or_else(|| "?".into(), f32::to_string);
    match taken.reason.as_str() {
        "agreed" if taken.thresholds.get(taken.exit).is_some_and(|&limit| limit >= ANY) => {
            "its limit allows any delta".into()
        }
        "agreed" => format!("delta {} within the limit {}", at(&taken.deltas), at(&taken.thresholds)),
        "anytime" => "the next stage would have ended after the deadline".into(),
        _ => "the deepest exit allowed".into(),
    }
}

/// Root mean square of the difference of two arm actions.
pub(super) fn rms(a: &[f32], b: &[f32]) -> f32 {
    let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (squares / a.len().max(1) as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(exit: usize, deltas: &[f32], limit: f32) -> Told {
        let arm = vec![deltas[exit]; 6];
        let thresholds = vec![limit; deltas.len()];
        let step = Taken { exit, reason: "agreed".into(), deltas: deltas.into(), thresholds, arm, ..Taken::default() };
        Told { verdict: "act".into(), step: Some(step), ..Told::default() }
    }

    #[test]
    fn alike_is_no_difference_though_times_and_last_digits_differ() {
        let was = told(1, &[0.5, 0.1], 0.2);
        assert_eq!(difference(&was, &told(1, &[0.500_001, 0.1], 0.2)), None);
    }

    #[test]
    fn another_exit_is_told_with_the_deltas_and_limits_that_made_it() {
        let found = difference(&told(1, &[0.5, 0.1], 0.2), &told(0, &[0.5], 0.6)).unwrap();
        for words in ["exit 1 was taken", "delta 0.1 within the limit 0.2", "is 0", "delta 0.5 within the limit 0.6"] {
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn another_network_is_told_by_its_first_delta() {
        let found = difference(&told(1, &[0.5, 0.1], 0.2), &told(1, &[0.3, 0.1], 0.2)).unwrap();
        assert!(found.contains("computed otherwise: delta at exit 0 was 0.5, is 0.3"), "{found}");
    }

    #[test]
    fn a_step_that_is_skipped_is_another_decision_whatever_it_gives() {
        let was = told(1, &[0.5, 0.1], 0.2);
        let mut is = was.clone();
        is.step.iter_mut().for_each(|step| step.reason = "skipped".into());
        assert_eq!(difference(&was, &is).unwrap(), "the step is skipped, and was not");
    }

    #[test]
    fn a_hold_against_an_act_is_told_with_its_reason() {
        let hold = Told { verdict: "hold_stale_frame".into(), message: "0.3 s old".into(), ..Told::default() };
        let found = difference(&hold, &told(0, &[0.5], 0.6)).unwrap();
        assert_eq!(found, "it was hold_stale_frame (0.3 s old), is act");
        let other = Told { message: "0.4 s old".into(), ..hold.clone() };
        assert_eq!(difference(&hold, &other), None, "the same reason, other numbers");
    }
}
