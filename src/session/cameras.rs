//! The newest picture of every camera: which belong together, and when a step is due on them.

use std::time::Duration;

use super::event::Picture;
use super::pairing::Pairing;
use crate::frame::Frame;
use crate::safety::{CameraWatch, Guard, Hold};
use crate::units::Stamp;

pub(super) struct Cameras {
    slots: Vec<Slot>,
    pairing: Pairing,
    lock_step: bool,
}

/// A camera's newest picture, when it came, and whether a step has used it.
struct Slot {
    watch: CameraWatch,
    frame: Option<(Frame, Duration)>,
    used: bool,
    /// In lock-step: it was used, but beside a picture of another moment. Its partner may be on its way, and after that a
    /// world sends nothing before both are answered.
    parted: bool,
}

impl Cameras {
    pub(super) fn new<'a>(roles: impl Iterator<Item = &'a str>, period_secs: f64, lock_step: bool) -> Self {
        let slot = |role| Slot { watch: CameraWatch::new(role), frame: None, used: true, parted: false };
        Self { slots: roles.map(slot).collect(), pairing: Pairing::new(period_secs), lock_step }
    }

    /// Takes what a camera sent. Only what can be read counts as a sign of life: a picture that is refused is none.
    pub(super) fn take(&mut self, picture: Picture, frozen: Option<u32>) {
        let Picture { camera, frame, received, messages, took, .. } = picture;
        let Some(slot) = self.slots.get_mut(camera) else { return };
        match frame {
            Ok(frame) => {
                slot.watch.hear(received, messages);
                slot.watch.read_in(took);
                slot.watch.see(&frame, frozen);
                (slot.frame, slot.used, slot.parted) = (Some((frame, received)), false, false);
            }
            Err(reason) => slot.watch.refuse(reason),
        }
    }

    pub(super) fn trouble(&mut self, camera: usize, reason: Option<String>) {
        if let Some(slot) = self.slots.get_mut(camera) {
            slot.watch.trouble(reason);
        }
    }

    /// When the camera that was heard longest ago was heard last, once all have been.
    pub(super) fn heard(&self) -> Option<Duration> {
        self.slots.iter().map(|slot| slot.watch.heard()).min().flatten()
    }

    /// When a camera sent last what could be read.
    pub(super) fn shown(&self, camera: usize) -> Option<Duration> {
        self.slots.get(camera).and_then(|slot| slot.watch.heard())
    }

    /// When the last of the pictures at hand came.
    pub(super) fn received(&self) -> Option<Duration> {
        self.slots.iter().filter_map(|slot| slot.frame.as_ref().map(|(_, received)| *received)).max()
    }

    /// Seconds between two pictures of the slowest camera.
    pub(super) fn slowest_gap_secs(&self) -> Option<f64> {
        self.slots.iter().filter_map(|slot| slot.watch.rate_hz()).min_by(f64::total_cmp).map(|rate_hz| 1.0 / rate_hz)
    }

    /// How long the pictures of one set take to be read, in seconds.
    pub(super) fn reading_secs(&self) -> f64 {
        self.slots.iter().map(|slot| slot.watch.reading_secs()).sum()
    }

    /// Width and height of each camera's newest picture, once all have sent one.
    pub(super) fn sizes(&self) -> Option<Vec<(u32, u32)>> {
        self.slots.iter().map(|slot| slot.watch.size()).collect()
    }

    /// Whether a step should be taken on what is there.
    pub(super) fn due(&mut self, now: Stamp) -> bool {
        let fresh = self.fresh() || self.reunited();
        let stamps = self.slots.iter().filter_map(|slot| Some(slot.frame.as_ref()?.0.stamp));
        fresh && self.pairing.due(stamps, now)
    }

    /// Whether the partner of a picture has come that was used without it.
    fn reunited(&self) -> bool {
        let news = self.slots.iter().any(|slot| !slot.used);
        news && self.slots.iter().all(|slot| !slot.used || slot.parted) && self.together()
    }

    /// Whether pictures that wait, taken then, are worth reading now.
    pub(super) fn reads(&self, waiting: &[Option<Stamp>]) -> bool {
        let unused = |slot: &Slot| slot.frame.as_ref().filter(|_| !slot.used).map(|(frame, _)| frame.stamp);
        self.pairing.reads(waiting.iter().copied().zip(self.slots.iter().map(unused)))
    }

    /// Which pictures belong together, and when they are due.
    pub(super) fn pairing(&self) -> &Pairing {
        &self.pairing
    }

    /// A step begins on what is there.
    pub(super) fn begin_step(&mut self) {
        self.mark_used();
        if self.slots.iter().any(|slot| slot.parted) {
            self.pairing.begin_apart();
        } else {
            self.pairing.begin_step(self.newest());
        }
    }

    /// What is there is acted on.
    pub(super) fn act(&mut self) {
        self.watches().for_each(CameraWatch::act);
    }

    /// The next pictures are due however soon they come, or come again.
    pub(super) fn forget_step(&mut self) {
        self.pairing.forget_step();
    }

    pub(super) fn mark_used(&mut self) {
        let parted = self.lock_step && !self.together();
        self.slots.iter_mut().for_each(|slot| (slot.used, slot.parted) = (true, parted));
    }

    /// Whether the pictures at hand show the same moment.
    fn together(&self) -> bool {
        self.pairing.together(self.slots.iter().filter_map(|slot| Some(slot.frame.as_ref()?.0.stamp)))
    }

    /// The clock was set.
    pub(super) fn begin_time(&mut self) {
        self.watches().for_each(CameraWatch::begin_time);
    }

    /// From here on pictures may look otherwise.
    pub(super) fn accept(&mut self) {
        self.watches().for_each(CameraWatch::accept);
    }

    pub(super) fn moved(&mut self, path: [f64; 2]) {
        self.watches().for_each(|watch| watch.moved(path));
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

    /// What keeps the arm from being enabled.
    pub(super) fn dead(&self, guard: &Guard, now: Stamp, machine: Option<Duration>) -> Option<Hold> {
        self.slots.iter().find_map(|slot| slot.watch.dead(guard, now, machine))
    }

    pub(super) fn skewed(&self, guard: &Guard) -> Option<Hold> {
        guard.skewed(self.slots.iter().filter_map(|slot| Some((slot.watch.role(), slot.frame.as_ref()?.0.stamp))))
    }

    /// Whether every camera has a picture that no step has used.
    pub(super) fn fresh(&self) -> bool {
        self.slots.iter().all(|slot| slot.frame.is_some() && !slot.used)
    }

    pub(super) fn stamps(&self) -> Vec<(String, Option<Stamp>)> {
        let stamp = |slot: &Slot| slot.frame.as_ref().map(|(frame, _)| frame.stamp);
        self.slots.iter().map(|slot| (slot.watch.role().to_owned(), stamp(slot))).collect()
    }

    /// The picture at hand of each camera that has sent one.
    pub(super) fn frames(&self) -> Vec<&Frame> {
        self.slots.iter().filter_map(|slot| slot.frame.as_ref().map(|(frame, _)| frame)).collect()
    }

    pub(super) fn newest(&self) -> Option<Stamp> {
        self.slots.iter().filter_map(|slot| Some(slot.frame.as_ref()?.0.stamp)).max()
    }
}
