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
        let (Some(oldest), Some(newest)) = (stamps.clone().min(), stamps.max()) else { return false };
        let too_soon = 0.0..SOONEST_PERIODS * self.period_secs;
        if self.last.is_some_and(|last| too_soon.contains(&newest.secs_since(last))) {
            return false;
        }
        let complete = *self.complete.get_or_insert(now);
        let together = newest.secs_since(oldest) <= TOGETHER_PERIODS * self.period_secs;
        // A clock that was set back has waited long enough.
        together || !(0.0..self.period_secs).contains(&now.secs_since(complete))
    }

    /// Whether a picture taken at `stamp` may be one of the next set. A fast camera's next one will be.
    pub fn wants(&self, stamp: Stamp) -> bool {
        let soon = |last: Stamp| stamp > last && stamp.secs_since(last) < SOONEST_PERIODS * self.period_secs;
        !self.last.is_some_and(soon)
    }

    /// A step begins on the set whose newest picture was taken at `newest`.
    pub fn begin_step(&mut self, newest: Option<Stamp>) {
        (self.last, self.complete) = (newest, None);
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
