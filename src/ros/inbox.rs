//! What has arrived and waits for the control loop: the newest picture of each camera, and everything else in order.
//!
//! r2r keeps ten messages a subscription and drops the newest when they are full, so each stream is drained here at
//! once; of pictures only the newest is worth keeping.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use r2r::sensor_msgs::msg::{CompressedImage, Image};

use crate::config::Config;
use crate::frame::{Frame, FrameError};
use crate::safety::{Hold, Report};
use crate::session::{self, Pairing};
use crate::units::Stamp;

/// Tells whoever asked what came of it: a message, or why not.
pub(super) type Reply = Box<dyn FnOnce(Result<String, String>) + Send>;

/// Something that is not a picture.
pub(super) enum Message {
    Instruction(String),
    Trouble(usize, Option<String>),
    Estop(bool, Duration),
    Enable(bool, Reply),
    Reset(Reply),
    ClearFault(Reply),
    Servo(Report, Duration),
    Configure(Box<Config>, Reply),
    Commanded(session::Report),
    Found(Hold),
}

/// A picture as it came.
pub(super) enum Payload {
    Raw(Box<Image>),
    Compressed(Box<CompressedImage>),
}

impl Payload {
    /// When it was taken.
    pub(super) fn stamp(&self) -> Stamp {
        let stamp = match self {
            Self::Raw(image) => &image.header.stamp,
            Self::Compressed(image) => &image.header.stamp,
        };
        Stamp::new(stamp.sec, stamp.nanosec)
    }
}

/// What waits of a picture.
pub(super) enum Content {
    /// To be read by whoever wants it.
    Unread(Payload),
    /// Read by whoever received it, and how long that took.
    Read(Result<Frame, FrameError>, Duration),
}

/// A camera's newest picture, when it was taken, and when it came, on the machine's clock.
pub(super) struct Arrival {
    pub(super) camera: usize,
    pub(super) stamp: Stamp,
    pub(super) content: Content,
    pub(super) received: Duration,
    /// Messages since the one that was looked at last, this one included.
    pub(super) messages: u64,
}

pub(super) struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    pictures: Vec<Option<Arrival>>,
    /// One of them has come since they were looked through.
    news: bool,
    pairing: Option<Pairing>,
    messages: VecDeque<Message>,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(cameras: usize) -> Self {
        let pictures = (0..cameras).map(|_| None).collect();
        let state = State { pictures, news: false, pairing: None, messages: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Replaces the camera's picture that nobody has looked at yet.
    pub(super) fn picture(&self, arrival: Arrival) {
        let mut state = self.lock();
        if let Some(slot) = state.pictures.get_mut(arrival.camera) {
            let messages = arrival.messages + slot.as_ref().map_or(0, |before| before.messages);
            *slot = Some(Arrival { messages, ..arrival });
            state.news = true;
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn push(&self, message: Message) {
        self.lock().messages.push_back(message);
        self.wake.notify_one();
    }

    /// Ends the control loop.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits until something has arrived, or `deadline`; `false` once the inbox is closed.
    pub(super) fn wait(&self, deadline: Instant) -> bool {
        let idle = |s: &mut State| !s.closed && s.messages.is_empty() && !s.news;
        let timeout = deadline.saturating_duration_since(Instant::now());
        let (state, _) =
            self.wake.wait_timeout_while(self.lock(), timeout, idle).unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Everything that has arrived; but for pictures none of which is wanted by when it was taken: they are left for
    /// newer ones to take their place, so that nobody reads them in vain.
    pub(super) fn take(&self, wanted: impl Fn(Stamp) -> bool) -> (VecDeque<Message>, Vec<Arrival>) {
        let mut state = self.lock();
        state.news = false;
        let any = state.pictures.iter().flatten().any(|arrival| wanted(arrival.stamp));
        let pictures = state.pictures.iter_mut().filter_map(|slot| slot.take_if(|_| any)).collect();
        (std::mem::take(&mut state.messages), pictures)
    }

    /// Tells whoever receives pictures what is known of the last step.
    pub(super) fn expect(&self, pairing: &Pairing) {
        self.lock().pairing = Some(pairing.clone());
    }

    /// Whether a picture taken then is worth reading before anybody asks for it.
    pub(super) fn wants(&self, stamp: Stamp) -> bool {
        self.lock().pairing.as_ref().is_none_or(|pairing| pairing.wants(stamp))
    }

    /// The messages that have arrived; the pictures are left.
    pub(super) fn messages(&self) -> VecDeque<Message> {
        std::mem::take(&mut self.lock().messages)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(camera: usize, width: u32) -> Arrival {
        let image = Payload::Raw(Box::new(Image { width, ..Image::default() }));
        Arrival { camera, stamp: Stamp(1), content: Content::Unread(image), received: Duration::ZERO, messages: 1 }
    }

    #[test]
    fn of_pictures_only_the_newest_is_kept_of_messages_all() {
        let inbox = Inbox::new(2);
        for width in 1..=30 {
            inbox.picture(arrival(1, width));
            inbox.push(Message::Estop(width == 30, Duration::ZERO));
        }
        assert!(inbox.wait(Instant::now()));
        let (messages, pictures) = inbox.take(|_| true);
        assert_eq!((messages.len(), pictures.len()), (30, 1));
        assert_eq!((pictures[0].camera, pictures[0].messages), (1, 30));
        assert!(matches!(&pictures[0].content, Content::Unread(Payload::Raw(image)) if image.width == 30));
        let (messages, pictures) = inbox.take(|_| true);
        assert!(messages.is_empty() && pictures.is_empty());
    }

    #[test]
    fn pictures_that_nobody_wants_are_left_and_count_for_the_next() {
        let inbox = Inbox::new(2);
        let unwanted = |_| false;
        (0..2).for_each(|camera| inbox.picture(arrival(camera, 1)));
        assert!(inbox.take(unwanted).1.is_empty());
        let waits = Instant::now();
        assert!(inbox.wait(waits + Duration::from_millis(1)) && waits.elapsed() >= Duration::from_millis(1));
        inbox.picture(arrival(1, 2));
        let pictures = inbox.take(|_| true).1;
        assert_eq!(pictures.iter().map(|arrival| arrival.messages).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_closed_inbox_ends_the_wait() {
        let inbox = Inbox::new(1);
        inbox.close();
        assert!(!inbox.wait(Instant::now() + Duration::from_secs(60)));
    }
}
