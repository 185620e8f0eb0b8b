//! Which pictures of several cameras belong together, and when a step is due on them. One rule for the node, `replay`
//! and `calibrate`.

use crate::units::Stamp;

/// Pictures that come sooner than this many control periods after the last step wait for the next: a fast camera must
/// not make the arm fast.
const SOONEST_PERIODS: f64 = 0.75;
/// Pictures of two cameras this many control periods apart still show the same moment.
const TOGETHER_PERIODS: f64 = 0.5;

/// Tells when a set of pictures is due.
///
/// Pictures further apart than half a period belong to different moments: the partner of one was lost or is still on its
/// way, and so the next of the older camera is waited for. No longer than a period, because cameras may simply be that
/// far apart.
#[derive(Debug, Clone)]
pub struct Pairing {
    period_secs: f64,
    /// The newest picture of the last set.
    last: Option<Stamp>,
    /// Since when every camera has had an unused picture.
    complete: Option<Stamp>,
}

impl Pairing {
    /// Nothing has been used yet. `period_secs`: one control period.
    pub fn new(period_secs: f64) -> Self {
        Self { period_secs, last: None, complete: None }
    }

    /// Whether a step is due at `now` on one unused picture of every camera, taken at `stamps`.
    pub fn due(&mut self, stamps: impl Iterator<Item = Stamp> + Clone, now: Stamp) -> bool {
        let Some(newest) = stamps.clone().max() else { return false };
        let too_soon = 0.0..SOONEST_PERIODS * self.period_secs;
        if self.last.is_some_and(|last| too_soon.contains(&newest.secs_since(last))) {
            return false;
        }
        let complete = *self.complete.get_or_insert(now);
        // A clock that was set back has waited long enough.
        self.together(stamps) || !(0.0..self.period_secs).contains(&now.secs_since(complete))
    }

    /// Whether pictures taken at `stamps` show the same moment.
    pub fn together(&self, stamps: impl Iterator<Item = Stamp> + Clone) -> bool {
        let apart_secs = stamps.clone().max().zip(stamps.min()).map(|(newest, oldest)| newest.secs_since(oldest));
        apart_secs.is_some_and(|secs| secs <= TOGETHER_PERIODS * self.period_secs)
    }

    /// Whether a picture taken at `stamp` may be one of the next set. A fast camera's next one will be.
    pub fn wants(&self, stamp: Stamp) -> bool {
        !self.last.is_some_and(|last| self.soon(stamp, last))
    }

    /// Whether a picture taken at `stamp` is one of a camera that is faster than steps are, of which one at hand was taken
    /// `before`.
    pub fn soon(&self, stamp: Stamp, before: Stamp) -> bool {
        stamp > before && stamp.secs_since(before) < SOONEST_PERIODS * self.period_secs
    }

    /// Whether the pictures that wait are worth reading now. Of each camera: when the one was taken that waits, and the one
    /// that was read and that no step has used.
    ///
    /// A fast camera beside a slow one is read once, then when the other's picture has come, and once a period meanwhile,
    /// so that somebody looks at it.
    pub fn reads(&self, cameras: impl Iterator<Item = (Option<Stamp>, Option<Stamp>)> + Clone) -> bool {
        let set = cameras.clone().all(|(waits, unused)| waits.or(unused).is_some());
        let overdue = |waits: Stamp, unused: Stamp| !(0.0..self.period_secs).contains(&waits.secs_since(unused));
        let reads = |waits: Stamp, unused: Option<Stamp>| set || unused.is_none_or(|unused| overdue(waits, unused));
        cameras.into_iter().any(|(waits, unused)| waits.is_some_and(|waits| self.wants(waits) && reads(waits, unused)))
    }

    /// A step begins on the set whose newest picture was taken at `newest`.
    pub fn begin_step(&mut self, newest: Option<Stamp>) {
        (self.last, self.complete) = (newest, None);
    }

    /// A step begins on pictures whose partners may still come; they count for no set.
    pub fn begin_apart(&mut self) {
        self.complete = None;
    }

    /// The next pictures are due however soon they come, or come again.
    pub fn forget_step(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pairing: &mut Pairing, stamps: [f64; 2], now: f64) -> bool {
        pairing.due(stamps.into_iter().map(Stamp::from_secs), Stamp::from_secs(now))
    }

    #[test]
    fn pictures_of_one_moment_are_due_at_once_and_no_set_comes_too_soon() {
        let mut pairing = Pairing::new(0.1);
        assert!(due(&mut pairing, [1.0, 1.05], 1.05));
        pairing.begin_step(Some(Stamp::from_secs(1.05)));
        assert!(!due(&mut pairing, [1.1, 1.1], 1.1), "half a period after the last step");
        assert!(due(&mut pairing, [1.14, 1.13], 1.14));
    }

    #[test]
    fn a_picture_that_comes_too_soon_for_the_next_set_is_not_wanted() {
        let mut pairing = Pairing::new(0.1);
        let wants = |pairing: &Pairing, secs| pairing.wants(Stamp::from_secs(secs));
        assert!(wants(&pairing, 1.0));
        pairing.begin_step(Some(Stamp::from_secs(1.0)));
        assert!(!wants(&pairing, 1.05) && wants(&pairing, 1.08));
        assert!(wants(&pairing, 1.0), "the same once more is for others to judge");
        assert!(wants(&pairing, 0.5), "so is a clock that was set back");
        pairing.forget_step();
        assert!(wants(&pairing, 1.05));
    }

    #[test]
    fn of_a_fast_camera_beside_a_slow_one_few_pictures_are_read() {
        let mut pairing = Pairing::new(0.1);
        let stamp = |secs: Option<f64>| secs.map(Stamp::from_secs);
        let reads = |pairing: &Pairing, fast: [Option<f64>; 2], slow: [Option<f64>; 2]| {
            pairing.reads([fast, slow].into_iter().map(|[waits, unused]| (stamp(waits), stamp(unused))))
        };
        let none = [None, None];
        pairing.begin_step(Some(Stamp::from_secs(1.0)));
        assert!(!reads(&pairing, [Some(1.05), None], none), "too soon after the last step");
        assert!(reads(&pairing, [Some(1.08), None], none), "the first of the next set");
        assert!(!reads(&pairing, [Some(1.1), Some(1.08)], none), "one is at hand");
        assert!(reads(&pairing, [Some(1.2), Some(1.08)], none), "it must be seen what the camera sends");
        assert!(reads(&pairing, [Some(1.1), Some(1.08)], [Some(1.11), None]), "now the newest of both");
        assert!(reads(&pairing, [None, Some(1.08)], [Some(1.11), None]));
        assert!(reads(&pairing, [Some(0.5), Some(1.08)], none), "a clock that was set back");
    }

    #[test]
    fn a_partner_is_waited_for_no_longer_than_a_period() {
        let mut pairing = Pairing::new(0.1);
        assert!(!due(&mut pairing, [1.0, 1.08], 1.08));
        assert!(!due(&mut pairing, [1.0, 1.08], 1.17));
        assert!(due(&mut pairing, [1.0, 1.08], 1.19));
        pairing.begin_step(Some(Stamp::from_secs(1.08)));
        assert!(!due(&mut pairing, [2.0, 2.08], 2.08));
        assert!(due(&mut pairing, [2.0, 2.08], 1.0), "the clock was set back meanwhile");
    }
}
