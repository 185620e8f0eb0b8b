//! What takes effect later, and when a thread that sleeps too long goes on.

use std::time::Duration;

use super::Caller;
use crate::session::{Effect, Event};

/// What takes effect when the work is done that led to it.
pub(super) enum Later {
    Effect(Effect<Caller>),
    Deliver(Event<Caller>),
    Halt,
    StepBegins,
    Read { camera: usize, heard: Duration, shown: Option<Duration> },
    Round { armed: bool, patience_secs: f64 },
}

/// Ordered by nothing: time and count come before it.
pub(super) struct Wrapped(pub(super) Later);

impl PartialEq for Wrapped {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Wrapped {}

impl PartialOrd for Wrapped {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wrapped {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// When a thread goes on that wants to be woken at `wake`: drawn once, and never before.
pub(super) fn late(
    known: &mut Option<(Duration, Duration)>,
    wake: Option<Duration>,
    delay: impl FnOnce(Duration) -> Duration,
) -> Option<Duration> {
    let wake = wake?;
    match known {
        Some((wanted, at)) if *wanted == wake => Some(*at),
        _ => {
            let at = wake + delay(wake);
            *known = Some((wake, at));
            Some(at)
        }
    }
}
