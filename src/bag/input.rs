//! A bag's messages as the policy's inputs: pictures and sentences.

use super::message::{CompressedImage, Image, Text};
use super::{Bag, BagError, Message, Messages, Stored};
use crate::frame::{Frame, RawImage};
use crate::units::Stamp;

/// Which topics are the policy's inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// One image topic a camera, in the manifest's order.
    pub cameras: Vec<String>,
    /// The instruction's, where it comes from the bag.
    pub instruction: Option<String>,
    /// The emergency stop's, where it is in the bag.
    pub estop: Option<String>,
}

/// One thing that a robot heard or saw.
#[derive(Debug)]
pub enum Input {
    /// A camera's picture.
    Frame {
        /// Which camera, in the manifest's order.
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
}

const BOOL: &str = "std_msgs/msg/Bool";

/// `std_msgs/Bool`
#[derive(serde::Deserialize)]
struct Bool {
    data: bool,
}

/// A bag's inputs in the order in which they were recorded, each with its log time.
pub struct Inputs<'a> {
    messages: Messages<'a>,
    topics: Vec<(String, Kind)>,
    /// How many there are.
    pub total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Raw(usize),
    Compressed(usize),
    Text,
    Bool,
}

impl Bag {
    /// The policy's inputs.
    ///
    /// # Errors
    /// `MissingTopic` or `Type`.
    pub fn inputs(&self, sources: &Sources) -> Result<Inputs<'_>, BagError> {
        let mut topics = Vec::new();
        for (camera, name) in sources.cameras.iter().enumerate() {
            topics.push((name.clone(), self.image_kind(name, camera)?));
        }
        if let Some(name) = &sources.instruction {
            let kinds = [(Text::TYPE, Kind::Text)];
            topics.push((name.clone(), self.kind(name, &kinds, "std_msgs/msg/String (cdr)")?));
        }
        if let Some(name) = &sources.estop {
            topics.push((name.clone(), self.kind(name, &[(BOOL, Kind::Bool)], "std_msgs/msg/Bool (cdr)")?));
        }
        let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
        let total = names.iter().filter_map(|&name| self.topics().get(name)).map(|topic| topic.messages).sum();
        Ok(Inputs { messages: self.messages(&names), topics, total })
    }

    fn image_kind(&self, name: &str, camera: usize) -> Result<Kind, BagError> {
        let kinds = [(Image::TYPE, Kind::Raw(camera)), (CompressedImage::TYPE, Kind::Compressed(camera))];
        self.kind(name, &kinds, "sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage (cdr)")
    }

    fn kind(&self, name: &str, kinds: &[(&str, Kind)], expected: &'static str) -> Result<Kind, BagError> {
        let topic = self.topic(name)?;
        let kind = kinds.iter().find(|(message_type, _)| *message_type == topic.message_type);
        match kind.filter(|_| topic.encoding == "cdr") {
            Some((_, kind)) => Ok(*kind),
            None => {
                let found = format!("{} ({})", topic.message_type, topic.encoding);
                Err(BagError::Type { topic: name.to_owned(), found, expected })
            }
        }
    }
}

impl Iterator for Inputs<'_> {
    type Item = Result<(Stamp, Input), BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let message = match self.messages.next()? {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            };
            if let Some((_, kind)) = self.topics.iter().find(|(name, _)| *name == message.topic) {
                return Some(Ok((message.log_time, read(message, *kind))));
            }
        }
    }
}

fn read(message: Stored, kind: Kind) -> Input {
    let input = match kind {
        Kind::Raw(camera) => raw(&message.data).map(|frame| Input::Frame { camera, frame }),
        Kind::Compressed(camera) => compressed(&message.data).map(|frame| Input::Frame { camera, frame }),
        Kind::Text => decode::<Text>(&message.data).map(|text| Input::Instruction(text.data)),
        Kind::Bool => (cdr::deserialize(&message.data).map(|Bool { data }| Input::Estop(data)))
            .map_err(|e| format!("the message does not decode as {BOOL}: {e}")),
    };
    input.unwrap_or_else(|reason| Input::Unreadable { topic: message.topic, reason })
}

fn raw(data: &[u8]) -> Result<Frame, String> {
    let Image { header, height, width, encoding, step, data, .. } = decode(data)?;
    let image = RawImage { stamp: header.stamp.into(), width, height, encoding: &encoding, step, data: &data };
    Frame::from_raw(image).map_err(|e| e.to_string())
}

fn compressed(data: &[u8]) -> Result<Frame, String> {
    let CompressedImage { header, format, data } = decode(data)?;
    Frame::from_compressed(header.stamp.into(), &format, &data).map_err(|e| e.to_string())
}

fn decode<M: Message + serde::de::DeserializeOwned>(data: &[u8]) -> Result<M, String> {
    cdr::deserialize(data).map_err(|e| format!("the message does not decode as {}: {e}", M::TYPE))
}
