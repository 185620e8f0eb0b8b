//! A topic's texts, and which is nearest to a moment.

use super::input::decode;
use super::message::Text;
use super::{Bag, BagError, Message, Stored, When};
use crate::units::Stamp;

/// The texts of a `std_msgs/String` topic, by their log times.
pub struct Texts {
    topic: String,
    texts: Vec<(Stamp, String)>,
}

impl Texts {
    /// Of a topic in `bag`.
    ///
    /// # Errors
    /// `MissingTopic` or `Type`.
    pub fn new(bag: &Bag, topic: &str) -> Result<Self, BagError> {
        let found = bag.topic(topic)?.message_type.clone();
        if found != Text::TYPE {
            return Err(BagError::Type { topic: topic.to_owned(), found, expected: Text::TYPE });
        }
        Ok(Self { topic: topic.to_owned(), texts: Vec::new() })
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// One message, no earlier than the one before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, message: &Stored) -> Result<(), String> {
        self.texts.push((message.log_time, decode::<Text>(&message.data)?.data));
        Ok(())
    }

    /// The text that was recorded nearest to a moment.
    pub fn nearest(&self, when: When) -> Option<&str> {
        let after = self.texts.partition_point(|(at, _)| *at <= when.log);
        let near = &self.texts[after.saturating_sub(1)..(after + 1).min(self.texts.len())];
        near.iter().min_by_key(|(at, _)| (at.0 - when.log.0).abs()).map(|(_, text)| text.as_str())
    }
}
