//! How many messages of a recording could not be read, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts messages that were left out, by topic and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread(Vec<Kind>);

/// What is wrong with some messages of a topic, or with `sets of pictures` or `sentences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    topic: String,
    /// The first one's, in full.
    reason: String,
    times: u64,
}

impl Unread {
    /// Counts one message.
    pub fn add(&mut self, topic: &str, reason: &str) {
        self.count(topic, reason, 1);
    }

    /// Counts what another has counted.
    pub fn join(&mut self, other: &Unread) {
        for kind in &other.0 {
            self.count(&kind.topic, &kind.reason, kind.times);
        }
    }

    fn count(&mut self, topic: &str, reason: &str, times: u64) {
        match self.0.iter_mut().find(|kind| kind.topic == topic && alike(&kind.reason, reason)) {
            Some(kind) => kind.times += times,
            None => self.0.push(Kind { topic: topic.to_owned(), reason: reason.to_owned(), times }),
        }
    }
}

/// Are two reasons the same but for their numbers, as where each picture was cut?
fn alike(one: &str, other: &str) -> bool {
    let words = |text: &'_ str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    words(one) == words(other)
}

/// A line a topic and one for each reason below it; nothing where everything was read.
impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (first, kind) in self.0.iter().enumerate() {
            let topic = || self.0.iter().filter(|other| other.topic == kind.topic);
            if self.0[..first].iter().any(|earlier| earlier.topic == kind.topic) {
                continue;
            }
            let of = if kind.topic.starts_with('/') { "messages of " } else { "" };
            writeln!(f, "left out {} {of}{}:", topic().map(|kind| kind.times).sum::<u64>(), kind.topic)?;
            for Kind { reason, times, .. } in topic() {
                writeln!(f, "  {times} times: {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_topic_and_by_what_is_wrong() {
        let mut unread = Unread::default();
        assert_eq!(unread.to_string(), "");
        unread.add("/static/image", "cut after 12 %");
        unread.add("/gripper/image", "cut after 12 %");
        unread.add("/static/image", "no pixels");
        unread.add("/static/image", "cut after 7 %");
        let lines = "left out 3 messages of /static/image:\n  2 times: cut after 12 %\n  1 times: no pixels\n\
                     left out 1 messages of /gripper/image:\n  1 times: cut after 12 %\n";
        assert_eq!(unread.to_string(), lines);
        let before = unread.clone();
        unread.join(&before);
        assert!(unread.to_string().contains("6 messages of /static/image:\n  4 times"), "{unread}");
    }
}
