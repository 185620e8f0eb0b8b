//! What has arrived and waits for the control loop: the newest picture of each camera, and everything else in order.
//!
//! r2r keeps ten messages a subscription and drops the newest when they are full, so each stream is drained here at
//! once; of pictures only the newest is worth keeping.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use r2r::sensor_msgs::msg::{CompressedImage, Image};

use crate::config::Config;
use crate::safety::Report;

/// Tells whoever asked what came of it: a message, or why not.
pub(super) type Reply = Box<dyn FnOnce(Result<String, String>) + Send>;

/// Something that is not a picture.
pub(super) enum Event {
    Instruction(String),
    Estop(bool),
    Enable(bool, Reply),
    Reset(Reply),
    ClearFault(Reply),
    Servo(Report),
    Configure(Box<Config>, Reply),
}

/// A picture as it came.
pub(super) enum Picture {
    Raw(Box<Image>),
    Compressed(Box<CompressedImage>),
}

/// A camera's newest picture and when it came.
pub(super) struct Arrival {
    pub(super) camera: usize,
    pub(super) picture: Picture,
    pub(super) received: Instant,
    /// Messages since the one that was looked at last, this one included.
    pub(super) messages: u64,
}

pub(super) struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    pictures: Vec<Option<Arrival>>,
    events: VecDeque<Event>,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(cameras: usize) -> Self {
        let pictures = (0..cameras).map(|_| None).collect();
        Self { state: Mutex::new(State { pictures, events: VecDeque::new(), closed: false }), wake: Condvar::new() }
    }

    /// Replaces the camera's picture that nobody has looked at yet.
    pub(super) fn picture(&self, camera: usize, picture: Picture) {
        let received = Instant::now();
        if let Some(slot) = self.lock().pictures.get_mut(camera) {
            let messages = 1 + slot.as_ref().map_or(0, |before| before.messages);
            *slot = Some(Arrival { camera, picture, received, messages });
        }
        self.wake.notify_one();
    }

    pub(super) fn push(&self, event: Event) {
        self.lock().events.push_back(event);
        self.wake.notify_one();
    }

    /// Ends the control loop.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Everything that has arrived, waiting at most `timeout` for it; `None` once the inbox is closed.
    pub(super) fn wait(&self, timeout: Duration) -> Option<(Vec<Event>, Vec<Arrival>)> {
        let idle = |s: &mut State| !s.closed && s.events.is_empty() && s.pictures.iter().all(Option::is_none);
        let (mut state, _) =
            self.wake.wait_timeout_while(self.lock(), timeout, idle).unwrap_or_else(PoisonError::into_inner);
        let pictures = state.pictures.iter_mut().filter_map(Option::take).collect();
        (!state.closed).then(|| (state.events.drain(..).collect(), pictures))
    }

    /// The events that have arrived, without waiting.
    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32) -> Picture {
        Picture::Raw(Box::new(Image { width, ..Image::default() }))
    }

    #[test]
    fn of_pictures_only_the_newest_is_kept_of_events_all() {
        let inbox = Inbox::new(2);
        for width in 1..=30 {
            inbox.picture(1, image(width));
            inbox.push(Event::Estop(width == 30));
        }
        let (events, pictures) = inbox.wait(Duration::ZERO).unwrap();
        assert_eq!((events.len(), pictures.len()), (30, 1));
        assert_eq!((pictures[0].camera, pictures[0].messages), (1, 30));
        assert!(matches!(&pictures[0].picture, Picture::Raw(image) if image.width == 30));
        let (events, pictures) = inbox.wait(Duration::ZERO).unwrap();
        assert!(events.is_empty() && pictures.is_empty());
    }

    #[test]
    fn a_closed_inbox_ends_the_wait() {
        let inbox = Inbox::new(1);
        inbox.close();
        assert!(inbox.wait(Duration::from_secs(60)).is_none());
    }
}
