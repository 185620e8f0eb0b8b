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
use crate::motion::Grip;
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
    Unheard(Grip),
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
    /// Pictures that were read meanwhile, this one not included.
    pub(super) reads: u64,
}

impl Arrival {
    fn is_read(&self) -> bool {
        matches!(self.content, Content::Read(..))
    }

    /// Whether it was read and spares reading one that was taken at `stamp`.
    fn will_do(&self, stamp: Stamp, pairing: Option<&Pairing>) -> bool {
        let nearly = || pairing.is_some_and(|pairing| pairing.soon(stamp, self.stamp));
        matches!(self.content, Content::Read(Ok(_), _)) && nearly()
    }
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

    /// Replaces the camera's picture that nobody has looked at yet; but one that was read already and is nearly as new
    /// stays, for it will do.
    pub(super) fn picture(&self, arrival: Arrival) {
        let mut state = self.lock();
        let State { pictures, pairing, news, .. } = &mut *state;
        let Some(slot) = pictures.get_mut(arrival.camera) else { return };
        match slot {
            Some(before) if !arrival.is_read() && before.will_do(arrival.stamp, pairing.as_ref()) => {
                before.messages += arrival.messages;
            }
            _ => {
                let before = slot.as_ref().map_or((0, 0), |b| (b.messages, b.reads + u64::from(b.is_read())));
                *slot = Some(Arrival { messages: arrival.messages + before.0, reads: before.1, ..arrival });
            }
        }
        *news = true;
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

    /// Everything that has arrived; but for pictures that by when they were taken are not worth reading yet: they are left
    /// for newer ones to take their place, so that nobody reads them in vain.
    pub(super) fn take(&self, reads: impl Fn(&[Option<Stamp>]) -> bool) -> (VecDeque<Message>, Vec<Arrival>) {
        let mut state = self.lock();
        state.news = false;
        let waiting: Vec<_> = state.pictures.iter().map(|slot| slot.as_ref().map(|waits| waits.stamp)).collect();
        let reads = reads(&waiting);
        let pictures = state.pictures.iter_mut().filter_map(|slot| slot.take_if(|_| reads)).collect();
        (std::mem::take(&mut state.messages), pictures)
    }

    /// Tells whoever receives pictures what is known of the last step.
    pub(super) fn expect(&self, pairing: &Pairing) {
        self.lock().pairing = Some(pairing.clone());
    }

    /// Whether a camera's picture taken then is worth reading before anybody asks for it: one at a time.
    pub(super) fn wants(&self, camera: usize, stamp: Stamp) -> bool {
        let state = self.lock();
        let Some(pairing) = &state.pairing else { return true };
        let waits = state.pictures.get(camera).and_then(Option::as_ref);
        pairing.wants(stamp) && !waits.is_some_and(Arrival::is_read)
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
        Arrival {
            camera,
            stamp: Stamp(1),
            content: Content::Unread(image),
            received: Duration::ZERO,
            messages: 1,
            reads: 0,
        }
    }

    #[test]
    fn of_pictures_only_the_newest_is_kept_of_messages_all() {
        let inbox = Inbox::new(2);
        for width in 1..=30 {
            inbox.picture(arrival(1, width));
            inbox.push(Message::Estop(width == 30, Duration::ZERO));
        }
        assert!(inbox.wait(Instant::now()));
        let (messages, pictures) = inbox.take(|_: &[_]| true);
        assert_eq!((messages.len(), pictures.len()), (30, 1));
        assert_eq!((pictures[0].camera, pictures[0].messages), (1, 30));
        assert!(matches!(&pictures[0].content, Content::Unread(Payload::Raw(image)) if image.width == 30));
        let (messages, pictures) = inbox.take(|_: &[_]| true);
        assert!(messages.is_empty() && pictures.is_empty());
    }

    #[test]
    fn pictures_that_nobody_wants_are_left_and_count_for_the_next() {
        let inbox = Inbox::new(2);
        let unwanted = |_: &[_]| false;
        (0..2).for_each(|camera| inbox.picture(arrival(camera, 1)));
        assert!(inbox.take(unwanted).1.is_empty());
        let waits = Instant::now();
        assert!(inbox.wait(waits + Duration::from_millis(1)) && waits.elapsed() >= Duration::from_millis(1));
        inbox.picture(arrival(1, 2));
        let pictures = inbox.take(|_: &[_]| true).1;
        assert_eq!(pictures.iter().map(|arrival| arrival.messages).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn while_nobody_takes_pictures_one_of_a_camera_is_read_and_the_newest_kept() {
        let inbox = Inbox::new(1);
        let period = 100_000_000;
        inbox.expect(&Pairing::new(0.1));
        let at = |stamp, content| Arrival { stamp: Stamp(stamp), content, ..arrival(0, 1) };
        let read = || {
            let (rgb, encoding) = (vec![0; 768], "rgb8");
            Content::Read(Ok(Frame::new(Stamp(period), [16, 16], rgb, encoding)), Duration::ZERO)
        };
        let unread = || arrival(0, 1).content;
        assert!(inbox.wants(0, Stamp(period)));
        inbox.picture(at(period, read()));
        assert!(!inbox.wants(0, Stamp(2 * period)), "one waits");
        inbox.picture(at(period + period / 2, unread()));
        let taken = inbox.take(|_: &[_]| true).1.remove(0);
        assert!(taken.is_read() && taken.messages == 2, "what is nearly as new and was read will do");
        inbox.picture(at(period, read()));
        inbox.picture(at(2 * period, unread()));
        let taken = inbox.take(|_: &[_]| true).1.remove(0);
        assert!(!taken.is_read() && taken.stamp == Stamp(2 * period), "what was read is too old by now");
        assert_eq!((taken.messages, taken.reads), (2, 1));
    }

    #[test]
    fn a_closed_inbox_ends_the_wait() {
        let inbox = Inbox::new(1);
        inbox.close();
        assert!(!inbox.wait(Instant::now() + Duration::from_secs(60)));
    }
}
