//! The newest picture of every camera: which belong together, and when a step is due on them.

use std::time::Duration;

use crate::frame::Frame;
use crate::safety::{CameraWatch, Guard, Hold, Verdict};
use crate::units::Stamp;

/// Pictures that come sooner than this many control periods after the last step wait for the next: a fast camera must
/// not make the arm fast.
const SOONEST_PERIODS: f64 = 0.75;
/// Pictures of two cameras this many control periods apart still show the same moment.
const TOGETHER_PERIODS: f64 = 0.5;

pub(super) struct Cameras {
    slots: Vec<Slot>,
    period_secs: f64,
    last_step: Option<Stamp>,
    /// Since when every camera has had an unused picture.
    complete: Option<Stamp>,
}

/// A camera's newest picture, and whether a step has used it.
struct Slot {
    watch: CameraWatch,
    frame: Option<Frame>,
    used: bool,
}

impl Cameras {
    pub(super) fn new<'a>(roles: impl Iterator<Item = &'a str>, period_secs: f64) -> Self {
        let slot = |role| Slot { watch: CameraWatch::new(role), frame: None, used: true };
        Self { slots: roles.map(slot).collect(), period_secs, last_step: None, complete: None }
    }

    pub(super) fn take(&mut self, camera: usize, frame: Frame, frozen: Option<u32>) {
        if let Some(slot) = self.slots.get_mut(camera) {
            slot.watch.see(&frame, frozen);
            (slot.frame, slot.used) = (Some(frame), false);
        }
    }

    pub(super) fn hear(&mut self, camera: usize, machine: Duration, messages: u64) {
        if let Some(slot) = self.slots.get_mut(camera) {
            slot.watch.hear(machine, messages);
        }
    }

    /// When the camera that was heard longest ago was heard last, once all have been.
    pub(super) fn heard(&self) -> Option<Duration> {
        self.slots.iter().map(|slot| slot.watch.heard()).min().flatten()
    }

    /// Seconds between two pictures of the slowest camera.
    pub(super) fn slowest_gap_secs(&self) -> Option<f64> {
        self.slots.iter().filter_map(|slot| slot.watch.rate_hz()).min_by(f64::total_cmp).map(|rate_hz| 1.0 / rate_hz)
    }

    /// See [`super::Control::due`].
    pub(super) fn due(&mut self, now: Stamp) -> bool {
        let (Some(newest), true) = (self.newest(), self.fresh()) else {
            return false;
        };
        let too_soon = 0.0..SOONEST_PERIODS * self.period_secs;
        if self.last_step.is_some_and(|last| too_soon.contains(&newest.secs_since(last))) {
            return false;
        }
        let complete = *self.complete.get_or_insert(now);
        let oldest = self.frames().map(|frame| frame.stamp).min();
        let together = oldest.is_some_and(|oldest| newest.secs_since(oldest) <= TOGETHER_PERIODS * self.period_secs);
        together || now.secs_since(complete) >= self.period_secs
    }

    /// A step begins on what is there.
    pub(super) fn begin_step(&mut self) {
        self.last_step = self.newest();
        self.complete = None;
        self.mark_used();
    }

    /// The next pictures are due however soon they come, or come again.
    pub(super) fn forget_step(&mut self) {
        self.last_step = None;
    }

    pub(super) fn mark_used(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.used = true);
    }

    /// A new sentence is answered on the pictures at hand, however soon after the last step.
    pub(super) fn begin_epoch(&mut self) {
        self.forget_step();
        self.accept();
    }

    /// From here on pictures may look otherwise.
    pub(super) fn accept(&mut self) {
        self.watches().for_each(CameraWatch::begin_epoch);
    }

    pub(super) fn moved(&mut self, path: [f64; 2]) {
        self.watches().for_each(|watch| watch.moved(path));
    }

    pub(super) fn stood(&mut self) {
        self.watches().for_each(CameraWatch::stood);
    }

    pub(super) fn trust(&mut self) {
        self.watches().for_each(CameraWatch::trust);
    }

    fn watches(&mut self) -> impl Iterator<Item = &mut CameraWatch> {
        self.slots.iter_mut().map(|slot| &mut slot.watch)
    }

    /// What is wrong with the first camera that something is wrong with.
    pub(super) fn hold(&self, guard: &Guard, now: Stamp, machine: Option<Duration>) -> Option<Hold> {
        self.slots.iter().find_map(|slot| slot.watch.hold(guard, now, machine))
    }

    /// The same for one camera.
    pub(super) fn hold_of(&self, camera: usize, guard: &Guard, now: Stamp, machine: Option<Duration>) -> Option<Hold> {
        self.slots.get(camera)?.watch.hold(guard, now, machine)
    }

    pub(super) fn facts(&self, camera: usize) -> Vec<(String, String)> {
        self.slots.get(camera).map(|slot| slot.watch.facts()).unwrap_or_default()
    }

    /// What keeps the arm from being enabled. A frozen picture does not: the arm stands, and so may the picture. Nor does
    /// another format: whoever enables the arm takes the cameras as they are.
    pub(super) fn dead(&self, guard: &Guard, now: Stamp, machine: Option<Duration>) -> Option<Hold> {
        let harmless = |verdict| matches!(verdict, Verdict::HoldFrozenFrame | Verdict::HoldChangedFrame);
        self.hold(guard, now, machine).filter(|hold| !harmless(hold.verdict))
    }

    pub(super) fn skewed(&self, guard: &Guard) -> Option<Hold> {
        guard.skewed(self.slots.iter().filter_map(|slot| Some((slot.watch.role(), slot.frame.as_ref()?.stamp))))
    }

    /// Whether every camera has a picture that no step has used.
    pub(super) fn fresh(&self) -> bool {
        self.slots.iter().all(|slot| slot.frame.is_some() && !slot.used)
    }

    pub(super) fn stamps(&self) -> Vec<(String, Option<Stamp>)> {
        let stamp = |slot: &Slot| slot.frame.as_ref().map(|frame| frame.stamp);
        self.slots.iter().map(|slot| (slot.watch.role().to_owned(), stamp(slot))).collect()
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.slots.iter().filter_map(|slot| slot.frame.as_ref())
    }

    pub(super) fn newest(&self) -> Option<Stamp> {
        self.frames().map(|frame| frame.stamp).max()
    }
}
