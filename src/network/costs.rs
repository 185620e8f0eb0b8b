//! What each exit has cost lately, for steps that must end in time.

use std::time::Duration;

/// What is left of a cost after every step that it cut short: half after 34 steps, so that a moment of load is over in
/// seconds and a network that stays slow is tried too deep once in seconds.
const DOUBT: f64 = 0.98;

/// The time of each exit's stage and head call.
#[derive(Debug, Clone)]
pub(super) struct Costs(Vec<Option<Duration>>);

impl Costs {
    pub(super) fn new(exits: usize) -> Self {
        Self(vec![None; exits])
    }

    /// Nothing where it was never run.
    pub(super) fn of(&self, exit: usize) -> Duration {
        self.0.get(exit).copied().flatten().unwrap_or_default()
    }

    /// A cost that rises at once and falls slowly: a deadline is missed by the slow runs, not by the mean.
    pub(super) fn learn(&mut self, exit: usize, ms: f64) {
        let measured = Duration::from_secs_f64(ms * 1e-3);
        let cost = &mut self.0[exit];
        *cost = Some(cost.map_or(measured, |old| measured.max(old.mul_f64(0.9) + measured.mul_f64(0.1))));
    }

    /// A cost that is too high to be tried is never measured again, and what made it high may be over: it is believed
    /// a little less with every step that it cuts short.
    pub(super) fn doubt(&mut self, exit: usize) {
        if let Some(Some(cost)) = self.0.get_mut(exit) {
            *cost = cost.mul_f64(DOUBT);
        }
    }
}
