//! What the session would have seen: sets of pictures that belong together, at the policy's rate, under a sentence. One
//! reading for `frames` and `calibrate`, by the pairing that the session itself has.

use super::{Input, Inputs, Stored, Unread};
use crate::frame::Frame;
use crate::safety::Guard;
use crate::session::Pairing;
use crate::units::Stamp;

/// What is counted where a set is no step.
const SETS: &str = "sets of pictures";

/// One thing of a recording, in the order in which the session would have met it.
#[derive(Debug)]
pub enum Seen {
    /// A sentence, trimmed: it begins an epoch. Empty: hold.
    Sentence(String),
    /// Pictures to take a step on.
    Set(Set),
    /// A message on one of the further topics.
    Other(Stored),
}

/// Pictures that belong together, one a camera in the source's order.
#[derive(Debug)]
pub struct Set {
    /// The pictures.
    pub frames: Vec<Frame>,
    /// When the last of them was recorded.
    pub log_time: Stamp,
}

impl Set {
    /// When the newest picture was taken.
    pub fn stamp(&self) -> Stamp {
        self.frames.iter().map(|frame| frame.stamp).max().unwrap_or_default()
    }
}

/// A recording's sets.
pub struct Sets<'a> {
    inputs: Inputs<'a>,
    moments: Moments,
    /// What was said last; `None` while nothing can be done.
    sentence: Option<String>,
    /// A sentence has just begun: when. Pictures that came too soon for the last one are due on it.
    begun: Option<Stamp>,
    /// What is no step, by reason.
    pub left_out: Unread,
    /// What whoever reads the recording should know.
    pub notes: Vec<String>,
}

impl<'a> Sets<'a> {
    /// The sets of pictures of `cameras` cameras; `guard` says how far apart a set's pictures may be.
    pub fn new(inputs: Inputs<'a>, cameras: usize, guard: Guard, period_secs: f64) -> Self {
        let moments = Moments::new(cameras, guard, period_secs);
        Self { inputs, moments, sentence: None, begun: None, left_out: Unread::default(), notes: Vec::new() }
    }

    /// The sentence could not be taken up: hold until the next.
    pub fn refuse(&mut self, reason: &str) {
        self.left_out.add("sentences", reason);
        self.sentence = None;
    }

    /// The next set on the pictures at hand, or why there is none.
    fn set(&mut self, log_time: Stamp) -> Option<Set> {
        let (frames, hold) = self.moments.take()?;
        if let Some(reason) = hold {
            self.left_out.add(SETS, &reason);
            return None;
        }
        if self.sentence.is_none() {
            self.left_out.add(SETS, "no sentence had been said, or it meant hold");
            return None;
        }
        Some(Set { frames, log_time })
    }
}

impl Iterator for Sets<'_> {
    type Item = Seen;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(set) = self.begun.take().and_then(|log_time| self.set(log_time)) {
                return Some(Seen::Set(set));
            }
            let (log_time, input) = self.inputs.next()?;
            match input {
                // As on the robot, the same text again changes nothing and an empty one means hold.
                Input::Instruction(text) if Some(text.trim()) != self.sentence.as_deref() => {
                    let text = text.trim().to_owned();
                    self.sentence = Some(text.clone()).filter(|text| !text.is_empty());
                    self.moments.pairing.forget_step();
                    self.begun = Some(log_time);
                    return Some(Seen::Sentence(text));
                }
                Input::Instruction(_) | Input::Estop(_) => (),
                Input::Frame { camera, frame } => {
                    self.moments.see(camera, frame);
                    if let Some(set) = self.set(log_time) {
                        return Some(Seen::Set(set));
                    }
                }
                Input::Unreadable { topic, reason } => self.left_out.add(&topic, &reason),
                Input::Note(note) => self.notes.push(note),
                Input::Other(message) => return Some(Seen::Other(message)),
            }
        }
    }
}

/// Pictures that show the same moment, one a camera, a control period from set to set.
struct Moments {
    frames: Vec<Option<Frame>>,
    /// When each camera's last picture was taken, and whether the one before it was taken later.
    last: Vec<(Option<Stamp>, bool)>,
    guard: Guard,
    pairing: Pairing,
}

impl Moments {
    fn new(cameras: usize, guard: Guard, period_secs: f64) -> Self {
        let (frames, last) = (vec![None; cameras], vec![(None, false); cameras]);
        Self { frames, last, guard, pairing: Pairing::new(period_secs) }
    }

    fn see(&mut self, camera: usize, frame: Frame) {
        let (before, overtaken) = &mut self.last[camera];
        *overtaken = before.replace(frame.stamp).is_some_and(|before| before > frame.stamp);
        self.frames[camera] = Some(frame);
    }

    /// The pictures that a step would be due on now, and not again; and why it would hold.
    fn take(&mut self) -> Option<(Vec<Frame>, Option<String>)> {
        let stamps: Vec<Stamp> = self.frames.iter().map(|frame| Some(frame.as_ref()?.stamp)).collect::<Option<_>>()?;
        let newest = *stamps.iter().max()?;
        if !self.pairing.due(stamps.iter().copied(), newest) {
            return None;
        }
        self.pairing.begin_step(Some(newest));
        let frames: Vec<Frame> = self.frames.iter_mut().filter_map(Option::take).collect();
        if self.last.iter().any(|(_, overtaken)| *overtaken) {
            return Some((frames, Some("a picture was taken before the one that came before it".into())));
        }
        let apart = self.guard.max_frame_skew_secs;
        let skewed = self.guard.skewed(frames.iter().map(|frame| ("", frame.stamp))).is_some();
        Some((frames, skewed.then(|| format!("the pictures were taken more than {apart:.3} s apart"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many sets two cameras give at 10 Hz of control: `(camera, milliseconds)` in the order of arrival.
    fn sets(max_frame_skew_secs: f64, pictures: &[(usize, i64)]) -> usize {
        let guard = Guard { max_frame_skew_secs, ..Guard::default() };
        let mut moments = Moments::new(2, guard, 0.1);
        let set = |&(camera, ms): &(usize, i64)| {
            let stamp = Stamp(ms * 1_000_000);
            moments.see(camera, Frame::new(stamp, [1, 1], vec![0; 3], "rgb8"));
            moments.take()
        };
        pictures.iter().filter_map(set).filter(|(_, hold)| hold.is_none()).count()
    }

    #[test]
    fn every_set_of_pictures_taken_together_is_used_once() {
        assert_eq!(sets(0.05, &[(0, 0), (1, 2), (0, 100), (1, 102), (1, 200), (0, 203)]), 3);
        assert_eq!(sets(0.05, &[(0, 0), (0, 100), (1, 102)]), 1, "the first has lost its partner");
    }

    #[test]
    fn a_camera_of_twice_the_rate_gives_no_more_sets() {
        let fast: Vec<(usize, i64)> = (0..20).flat_map(|n| [(0, 50 * n), (1, 50 * n + 1)]).collect();
        assert_eq!(sets(0.05, &fast), 10);
    }

    #[test]
    fn pictures_too_far_apart_to_act_on_are_no_sample() {
        let pictures = [(0, 0), (1, 30), (0, 100), (1, 130), (0, 300), (1, 301)];
        assert_eq!(sets(0.02, &pictures), 1);
        assert_eq!(sets(0.05, &pictures), 3);
    }
}
