//! A bag's messages as the policy's inputs: pictures and sentences.

use std::iter::Peekable;

use super::message::{CompressedImage, Image, Text};
use super::source::{CameraTopic, Clock, Resolved, Spoken};
use super::{Bag, BagError, Message, Messages, Stored};
use crate::frame::{Frame, FrameError, RawImage};
use crate::units::Stamp;

/// One thing that a robot heard or saw.
#[derive(Debug)]
pub enum Input {
    /// A camera's picture.
    Frame {
        /// Which camera, in the source's order.
        camera: usize,
        /// The picture.
        frame: Frame,
    },
    /// A sentence.
    Instruction(String),
    /// The emergency stop: pressed or not.
    Estop(bool),
    /// A message that could not be read.
    Unreadable {
        /// Its topic.
        topic: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that whoever reads the recording should know; each is told once.
    Note(String),
    /// A message on one of the further topics that were asked for.
    Other(Stored),
}

const BOOL: &str = "std_msgs/msg/Bool";
/// What ffmpeg_image_transport publishes: video, in H.264 and its like.
const FFMPEG: &str = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket";

/// `std_msgs/Bool`
#[derive(serde::Deserialize)]
struct Bool {
    data: bool,
}

/// A bag's inputs in the order in which they were recorded, each with its log time.
pub struct Inputs<'a> {
    messages: Peekable<Messages<'a>>,
    source: &'a Resolved,
    topics: Vec<(String, Kind)>,
    /// The sentence that is not in the bag, until it was said.
    sentence: Option<String>,
    /// What is to be told before the next message.
    notes: Vec<String>,
    doubted: Vec<String>,
    /// How many there are.
    pub total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Raw(usize),
    Compressed(usize),
    Text,
    Bool,
    Other,
}

impl Bag {
    /// The policy's inputs, as `source` says; with the messages on `others`.
    ///
    /// # Errors
    /// `MissingTopic` or `Type`.
    pub fn inputs<'a>(&'a self, source: &'a Resolved, others: &[&str]) -> Result<Inputs<'a>, BagError> {
        let mut topics = Vec::new();
        for (number, camera) in source.cameras.iter().enumerate() {
            topics.push((camera.topic.clone(), self.image_kind(camera, number)?));
        }
        let sentence = match &source.spoken {
            Spoken::Topic(name) => {
                let kinds = [(Text::TYPE, Kind::Text)];
                topics.push((name.clone(), self.kind(name, &kinds, "std_msgs/msg/String (cdr)")?));
                None
            }
            Spoken::Sentence(sentence) => Some(sentence.clone()),
        };
        if let Some(name) = &source.estop {
            topics.push((name.clone(), self.kind(name, &[(BOOL, Kind::Bool)], "std_msgs/msg/Bool (cdr)")?));
        }
        topics.extend(others.iter().map(|&name| (name.to_owned(), Kind::Other)));
        let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
        let total = names.iter().filter_map(|&name| self.topics().get(name)).map(|topic| topic.messages).sum();
        let messages = self.messages(&names).peekable();
        let notes = self.notes().iter().rev().cloned().collect();
        Ok(Inputs { messages, source, topics, sentence, notes, doubted: Vec::new(), total })
    }

    fn image_kind(&self, camera: &CameraTopic, number: usize) -> Result<Kind, BagError> {
        let name = &camera.topic;
        let kinds = [(Image::TYPE, Kind::Raw(number)), (CompressedImage::TYPE, Kind::Compressed(number))];
        let kind = self.kind(name, &kinds, "sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage (cdr)")?;
        match (kind, camera.view.encoding.as_deref()) {
            (Kind::Compressed(_), Some(encoding)) if !camera.view.fits_compressed() => {
                let found = format!("{}, which the source calls {encoding}", CompressedImage::TYPE);
                let expected = "rgb8 or bgr8 as the encoding of compressed pictures";
                Err(BagError::Type { topic: name.clone(), found, expected })
            }
            _ => Ok(kind),
        }
    }

    fn kind(&self, name: &str, kinds: &[(&str, Kind)], expected: &'static str) -> Result<Kind, BagError> {
        let topic = self.topic(name)?;
        let kind = kinds.iter().find(|(message_type, _)| *message_type == topic.message_type);
        match kind.filter(|_| topic.encoding == "cdr") {
            Some((_, kind)) => Ok(*kind),
            None => {
                let found = match topic.message_type.as_str() {
                    "" => format!("messages without a schema, so nothing says what they are ({})", topic.encoding),
                    FFMPEG => video(name),
                    message_type => format!("{message_type} ({})", topic.encoding),
                };
                Err(BagError::Type { topic: name.to_owned(), found, expected })
            }
        }
    }
}

impl Inputs<'_> {
    fn read(&mut self, message: Stored, kind: Kind) -> Input {
        let clock = self.source.clock;
        let input = match kind {
            Kind::Raw(camera) => {
                raw(&message, &self.source.cameras[camera], clock).map(|frame| Input::Frame { camera, frame })
            }
            Kind::Compressed(camera) => {
                let frame = self.compressed(&message, &self.source.cameras[camera]);
                frame.map(|frame| Input::Frame { camera, frame })
            }
            Kind::Text => decode::<Text>(&message.data).map(|text| Input::Instruction(text.data)),
            Kind::Bool => (cdr::deserialize(&message.data).map(|Bool { data }| Input::Estop(data)))
                .map_err(|e| format!("the message does not decode as {BOOL}: {e}")),
            Kind::Other => return Input::Other(message),
        };
        input.unwrap_or_else(|reason| Input::Unreadable { topic: message.topic, reason })
    }

    fn compressed(&mut self, message: &Stored, camera: &CameraTopic) -> Result<Frame, String> {
        let CompressedImage { header, format, data } = decode(&message.data)?;
        let stamp = stamp(header.stamp.into(), message, self.source.clock);
        let frame = camera.view.compressed(stamp, &format, &data).map_err(|error| refused(&error))?;
        if !self.doubted.contains(&message.topic)
            && let Some(doubt) = camera.view.doubt(&format, &data)
        {
            self.doubted.push(message.topic.clone());
            self.notes.push(format!("{}: {doubt}", message.topic));
        }
        Ok(frame)
    }
}

impl Iterator for Inputs<'_> {
    type Item = (Stamp, Input);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = match self.messages.peek() {
                Some(Ok(message)) => message.log_time,
                _ => Stamp::default(),
            };
            if let Some(note) = self.notes.pop() {
                return Some((at, Input::Note(note)));
            }
            if self.messages.peek().is_some_and(Result::is_ok)
                && let Some(sentence) = self.sentence.take()
            {
                return Some((at, Input::Instruction(sentence)));
            }
            let message = match self.messages.next()? {
                Ok(message) => message,
                Err(error) => return Some((at, Input::Note(error.to_string()))),
            };
            if let Some(kind) = self.topics.iter().find(|(name, _)| *name == message.topic).map(|(_, kind)| *kind) {
                return Some((message.log_time, self.read(message, kind)));
            }
        }
    }
}

/// How pictures are made of it: the command is that of ffmpeg_image_transport's README, "Republishing".
fn video(topic: &str) -> String {
    format!(
        "{FFMPEG}, which is video; play it and record what this makes of it: ros2 run image_transport republish --ros-args \
         -p in_transport:=ffmpeg -p out_transport:=raw -r in/ffmpeg:={topic} -r out:=/decoded (Humble: republish ffmpeg raw \
         --ros-args -r …)"
    )
}

fn raw(message: &Stored, camera: &CameraTopic, clock: Clock) -> Result<Frame, String> {
    let Image { header, height, width, encoding, is_bigendian, step, data } = decode(&message.data)?;
    let stamp = stamp(header.stamp.into(), message, clock);
    let encoding = encoding.as_str();
    let image = RawImage { stamp, width, height, encoding, big_endian: is_bigendian != 0, step, data: &data };
    camera.view.raw(image).map_err(|error| refused(&error))
}

/// When it was taken, as far as the clock that counts tells.
fn stamp(header: Stamp, message: &Stored, clock: Clock) -> Stamp {
    match clock {
        Clock::Header => header,
        Clock::Log => message.log_time,
    }
}

fn refused(error: &FrameError) -> String {
    match error {
        FrameError::NoStamp => {
            "the image has no capture time (header.stamp is 0); --clock log takes the time when it was recorded".into()
        }
        other => other.to_string(),
    }
}

pub(super) fn decode<M: Message + serde::de::DeserializeOwned>(data: &[u8]) -> Result<M, String> {
    cdr::deserialize(data).map_err(|e| format!("the message does not decode as {}: {e}", M::TYPE))
}
