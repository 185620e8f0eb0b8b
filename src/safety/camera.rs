//! One camera's pictures over time: are they what a living camera sends?
//!
//! Age is not enough: a driver that hangs may send its last picture over and over with fresh stamps. What is wrong is
//! named, and holds until pictures come that are right.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Guard, Hold, Verdict};
use crate::frame::Frame;
use crate::units::Stamp;

/// Motion (m, rad) after which no camera with noise shows the same picture, and an arm has not gone far.
const VISIBLE: [f64; 2] = [0.001, 0.005];
/// So many of the newest tell a rate or a duration, by their median: one lost picture is no slow camera.
const NEWEST: usize = 9;

/// What is known of one camera.
#[derive(Debug, Clone)]
pub struct CameraWatch {
    role: String,
    newest: Option<Picture>,
    /// What the first picture looked like that was acted on in this epoch.
    reference: Option<Format>,
    /// By how many seconds the newest picture is older than the one before it.
    behind_secs: Option<f64>,
    /// When the newest picture was taken that was acted on.
    acted: Option<Stamp>,
    /// Pictures in a row that were the same as the one before although the arm had visibly moved, and how far it was told
    /// to move since the picture changed last (m, rad). An arm that stands may look the same for as long as it does.
    same: u32,
    path: [f64; 2],
    frozen: bool,
    /// When the newest message came, on the machine's clock, and the seconds between messages.
    heard: Option<Duration>,
    gaps: Newest,
    /// Seconds that pictures took to be read.
    reading: Newest,
    /// Messages that could not be read, and why the last could not.
    refused: u64,
    refusal: Option<String>,
    /// Why nothing can come, as far as that is known.
    trouble: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Picture {
    stamp: Stamp,
    format: Format,
    fingerprint: u64,
    contrast: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Format {
    width: u32,
    height: u32,
    encoding: &'static str,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} {}", self.width, self.height, self.encoding)
    }
}

impl CameraWatch {
    /// A camera that has not been heard yet.
    pub fn new(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            newest: None,
            reference: None,
            behind_secs: None,
            acted: None,
            same: 0,
            path: [0.0; 2],
            frozen: false,
            heard: None,
            gaps: Newest::default(),
            reading: Newest::default(),
            refused: 0,
            refusal: None,
            trouble: None,
        }
    }

    /// Its name in the bundle.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Sees the next picture. `frozen` pictures in a row that are the same while the arm moves mean a frozen camera.
    pub fn see(&mut self, frame: &Frame, frozen: Option<u32>) {
        let Frame { stamp, sent: [width, height], encoding, .. } = *frame;
        let format = Format { width, height, encoding };
        let picture = Picture { stamp, format, fingerprint: frame.fingerprint(), contrast: frame.contrast() };
        if let Some(before) = self.newest.replace(picture) {
            let behind_secs = before.stamp.secs_since(stamp);
            self.behind_secs = (behind_secs > 0.0).then_some(behind_secs);
            let visible = self.path.iter().zip(VISIBLE).any(|(path, visible)| *path >= visible);
            if before.fingerprint != picture.fingerprint {
                self.trust();
            } else if visible {
                self.same += 1;
            }
        }
        self.frozen |= frozen.is_some_and(|most| self.same >= most);
    }

    /// Hears that `messages` more have come, the last of them at `machine`; not all of them are seen.
    pub fn hear(&mut self, machine: Duration, messages: u64) {
        if let Some(before) = self.heard.replace(machine) {
            self.gaps.push(machine.saturating_sub(before).as_secs_f64() / messages.max(1) as f64);
        }
    }

    /// A picture took so long to be read.
    pub fn read_in(&mut self, took: Duration) {
        self.reading.push(took.as_secs_f64());
    }

    /// How long a picture takes to be read, in seconds: the median of the newest.
    pub fn reading_secs(&self) -> f64 {
        self.reading.median
    }

    /// A message could not be read. No picture counts as new because of it.
    pub fn refuse(&mut self, reason: String) {
        self.refused += 1;
        self.refusal = Some(reason);
    }

    /// Nothing can come, and why; or nothing is known to stand in the way any more.
    pub fn trouble(&mut self, reason: Option<String>) {
        self.trouble = reason;
    }

    /// Width and height of the newest picture.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.newest.map(|picture| (picture.format.width, picture.format.height))
    }

    /// When the newest message came, on the machine's clock.
    pub fn heard(&self) -> Option<Duration> {
        self.heard
    }

    /// The arm was told to move so far (m, rad) since the newest picture.
    pub fn moved(&mut self, path: [f64; 2]) {
        self.path = [self.path[0] + path[0], self.path[1] + path[1]];
    }

    /// From here on pictures may look otherwise: as the first does that is acted on.
    pub fn accept(&mut self) {
        self.reference = None;
    }

    /// The newest picture is acted on.
    pub fn act(&mut self) {
        self.reference = self.reference.or(self.newest.map(|picture| picture.format));
        self.acted = self.newest.map(|picture| picture.stamp);
    }

    /// The clock was set: pictures may be older now than one that was acted on.
    pub fn begin_time(&mut self) {
        self.acted = None;
    }

    /// A person looked, or the picture changed: it is not frozen.
    pub fn trust(&mut self) {
        (self.same, self.path, self.frozen) = (0, [0.0; 2], false);
    }

    /// What is wrong with it, if anything is. `machine`: the machine's clock, where it counts.
    pub fn hold(&self, guard: &Guard, now: Stamp, machine: Option<Duration>) -> Option<Hold> {
        self.dead(guard, now, machine).or_else(|| self.otherwise())
    }

    /// What is wrong with it whoever looked. Whoever enables the arm takes the cameras as they are: the arm stands, and so
    /// may the picture, and another format is the right one.
    pub fn dead(&self, guard: &Guard, now: Stamp, machine: Option<Duration>) -> Option<Hold> {
        let Some(picture) = &self.newest else {
            return Some(self.missing());
        };
        let silent = || machine.and_then(|machine| self.silent(guard, machine));
        (guard.age(now, &self.role, picture.stamp))
            .or_else(silent)
            .or_else(|| self.unfit(picture, guard))
            .or_else(|| machine.and_then(|_| self.slow(guard)))
    }

    fn missing(&self) -> Hold {
        let Self { role, refused, .. } = self;
        let message = match (&self.trouble, &self.refusal) {
            (Some(trouble), _) => format!("no picture from the {role} camera: {trouble}"),
            (None, Some(refusal)) => {
                format!("no picture from the {role} camera could be read ({refused} came): {refusal}")
            }
            (None, None) => format!("no picture from the {role} camera yet"),
        };
        Hold::new(Verdict::HoldMissingFrame, message)
    }

    fn silent(&self, guard: &Guard, machine: Duration) -> Option<Hold> {
        let silent_secs = machine.saturating_sub(self.heard?).as_secs_f64();
        let limit = guard.max_silence_secs;
        (silent_secs > limit).then(|| {
            let message =
                format!("the {} camera has sent nothing for {silent_secs:.3} s (max_silence {limit} s)", self.role);
            Hold::new(Verdict::HoldSilentCamera, message)
        })
    }

    fn slow(&self, guard: &Guard) -> Option<Hold> {
        let rate_hz = self.rate_hz()?;
        (rate_hz < guard.min_rate_hz).then(|| {
            let message = format!(
                "the {} camera sends {rate_hz:.1} pictures a second, at least {:.1} are needed (images.min_rate)",
                self.role, guard.min_rate_hz
            );
            Hold::new(Verdict::HoldSlowCamera, message)
        })
    }

    fn unfit(&self, picture: &Picture, guard: &Guard) -> Option<Hold> {
        let role = &self.role;
        let contrast = &picture.contrast;
        if let Some(behind_secs) = self.behind_secs {
            let message =
                format!("the {role} camera's picture is {behind_secs:.3} s older than the one that came before it");
            return Some(Hold::new(Verdict::HoldReorderedFrame, message));
        }
        // A burst of late pictures shows what was before the last motion. What is further back is a clock that was set.
        let late_secs = self.acted.map_or(0.0, |acted| acted.secs_since(picture.stamp));
        if late_secs > 0.0 && late_secs <= guard.max_frame_age_secs {
            let message = format!("the {role} camera's picture is {late_secs:.3} s older than one that was acted on");
            return Some(Hold::new(Verdict::HoldReorderedFrame, message));
        }
        (*contrast < guard.min_contrast).then(|| {
            let message = format!(
                "the {role} camera's picture shows nothing: its contrast is {contrast:.1}, at least {} is needed \
                 (images.min_contrast); is the lens covered?",
                guard.min_contrast
            );
            Hold::new(Verdict::HoldBlankFrame, message)
        })
    }

    fn otherwise(&self) -> Option<Hold> {
        let (role, format) = (&self.role, self.newest?.format);
        if let Some(reference) = self.reference.filter(|reference| *reference != format) {
            let message = format!(
                "the {role} camera's pictures were {reference} when the epoch began and are {format} now; call ~/reset \
                 if that is right"
            );
            return Some(Hold::new(Verdict::HoldChangedFrame, message));
        }
        self.frozen.then(|| {
            let message = format!(
                "the {role} camera's picture does not change while the arm moves; restart its driver (images.frozen)"
            );
            Hold::new(Verdict::HoldFrozenFrame, message)
        })
    }

    /// Pictures a second, once enough have come to tell.
    pub fn rate_hz(&self) -> Option<f64> {
        Some(self.gaps.median).filter(|gap| self.gaps.secs.len() == NEWEST && *gap > 0.0).map(|gap| 1.0 / gap)
    }

    /// Names and values for people: format, contrast, how many pictures in a row are the same.
    pub fn facts(&self) -> Vec<(String, String)> {
        let Some(Picture { format, contrast, .. }) = self.newest else { return Vec::new() };
        vec![
            ("format".into(), format.to_string()),
            ("contrast".into(), format!("{contrast:.1}")),
            ("same in a row".into(), self.same.to_string()),
            ("reading (ms)".into(), format!("{:.3}", self.reading_secs() * 1e3)),
        ]
    }
}

/// The newest of some durations, in seconds, and their median: 0 where there is none.
#[derive(Debug, Clone, Default)]
struct Newest {
    secs: VecDeque<f64>,
    median: f64,
}

impl Newest {
    fn push(&mut self, secs: f64) {
        self.secs.push_back(secs);
        self.secs.drain(..self.secs.len().saturating_sub(NEWEST));
        let mut sorted = [f64::INFINITY; NEWEST];
        sorted.iter_mut().zip(&self.secs).for_each(|(slot, secs)| *slot = *secs);
        sorted.sort_unstable_by(f64::total_cmp);
        self.median = sorted[self.secs.len() / 2];
    }
}

#[cfg(test)]
mod tests;
