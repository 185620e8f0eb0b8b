//! rosbag2 in and out, without ROS: what `ros2 bag record` writes is what training, calibration and replay read, in MCAP or
//! SQLite, compressed or not, whole or as a recorder that was killed left it.
//!
//! A bag is never read into memory whole, and always in the order of its log times. What had to be done for that, and
//! what is missing, its notes tell.

mod answers;
mod files;
mod input;
mod message;
mod metadata;
mod motion;
mod read;
mod sets;
pub mod source;
mod storage;
#[cfg(test)]
mod tests;
mod texts;
mod unread;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use answers::AnswerBag;
pub use files::find;
pub use input::{Input, Inputs};
pub use message::{
    CompressedImage, DiagnosticStatus, Header, Image, JointTrajectory, JointTrajectoryPoint, KeyValue, Message, Text,
    Time, TwistStamped,
};
pub use motion::{Displacement, GripperMotion, Motion, When};
pub use read::Messages;
pub use sets::{Seen, Set, Sets};
pub use storage::Stored;
pub use texts::Texts;
pub use unread::Unread;
pub use write::BagWriter;

use files::Files;
use storage::Storage;

use crate::units::Stamp;

/// Where a node of the usual name tells its decisions.
pub const DECISIONS: &str = "/deer_vla/decision";

/// A recording: one or several files.
#[derive(Debug)]
pub struct Bag {
    files: Vec<BagFile>,
    topics: BTreeMap<String, Topic>,
    custom_data: BTreeMap<String, String>,
    notes: Vec<String>,
}

/// One file of a recording.
#[derive(Debug)]
struct BagFile {
    path: PathBuf,
    storage: Box<dyn Storage>,
}

/// What a bag holds of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// `package/msg/Name`
    pub message_type: String,
    /// `cdr` in every bag that ROS 2 writes.
    pub encoding: String,
    /// How many messages.
    pub messages: u64,
}

/// Why a bag cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// A file cannot be read.
    #[error("the bag cannot be read: {source}\nfile: {path}")]
    Unreadable {
        /// What the system says.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// Neither a bag's folder nor one of its files.
    #[error("not a bag: {found}; give a folder that `ros2 bag record` wrote, or an .mcap or .db3 file\npath: {path}")]
    NotABag {
        /// What is there.
        found: String,
        /// Where.
        path: PathBuf,
    },
    /// A topic is not in the bag.
    #[error("the bag has no topic {topic}; it has {there}")]
    MissingTopic {
        /// Which.
        topic: String,
        /// Those that are there, with their types.
        there: String,
    },
    /// Nothing was said of an input, and no topic or several may be it.
    #[error("which topic is {what}? Say it by {option} or in a --source file ({field}); the bag has {there}")]
    NoTopic {
        /// Which input.
        what: String,
        /// Where the source file says it.
        field: String,
        /// The option that says it.
        option: String,
        /// The topics that are there, with their types.
        there: String,
    },
    /// A camera that the policy does not have.
    #[error("the source names a camera {role}; the policy's are {roles}")]
    NoRole {
        /// Which.
        role: String,
        /// Those that the policy has.
        roles: String,
    },
    /// Joint positions that no description makes poses of.
    #[error("{topic} carries joint positions, which need motion.urdf in the source file, beside base and tip: {what}")]
    Kinematics {
        /// Which topic.
        topic: String,
        /// What is missing or wrong.
        what: String,
    },
    /// One topic for two cameras.
    #[error("topic {topic} is named for two inputs, {roles}; each needs its own")]
    TwoRoles {
        /// Which.
        topic: String,
        /// For which cameras.
        roles: String,
    },
    /// `custom_data` has no such key.
    #[error("metadata.yaml's custom_data has no key {key}; it has {}", if .there.is_empty() { "none" } else { .there })]
    NoKey {
        /// Which.
        key: String,
        /// Those that are there.
        there: String,
    },
    /// A topic carries something else.
    #[error("topic {topic} carries {found}, expected {expected}")]
    Type {
        /// Which.
        topic: String,
        /// Its type and encoding.
        found: String,
        /// What could be read.
        expected: &'static str,
    },
    /// The file ends early or is damaged.
    #[error(
        "the file is cut short or damaged after message {messages}{}: {flaw}; what came before was used\nfile: {path}",
        .last.map_or_else(String::new, |stamp| format!(" (logged at {stamp})"))
    )]
    Damaged {
        /// Messages that were read before it.
        messages: u64,
        /// When the last of them was logged.
        last: Option<Stamp>,
        /// What is wrong.
        flaw: String,
        /// Where.
        path: PathBuf,
    },
    /// The folder to be written exists.
    #[error("{path} exists; give another folder, or remove it")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A bag cannot be written.
    #[error("the bag cannot be written: {source}\npath: {path}")]
    Unwritable {
        /// What went wrong.
        source: mcap::McapError,
        /// Where.
        path: PathBuf,
    },
}

impl Bag {
    /// Opens a bag's folder, or one of its files. What is there is opened: notes tell what is not.
    ///
    /// # Errors
    /// `Unreadable` or `NotABag`, where nothing can be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BagError> {
        let Files { paths, custom_data, mut notes } = Files::of(path.as_ref())?;
        let (mut files, mut refused) = (Vec::new(), Vec::new());
        for path in paths {
            match storage::open(&path) {
                Ok(storage) => files.push(BagFile { path, storage }),
                Err(error) => refused.push(error),
            }
        }
        if files.is_empty()
            && let Some(error) = refused.pop()
        {
            return Err(error);
        }
        notes.extend(refused.iter().map(|error| format!("a file was left out: {error}")));
        notes.extend(files.iter().filter_map(|file| file.storage.note()));
        let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
        for (name, topic) in files.iter().flat_map(|file| file.storage.topics()) {
            topics
                .entry(name.clone())
                .and_modify(|known| known.messages += topic.messages)
                .or_insert_with(|| topic.clone());
        }
        Ok(Self { files, topics, custom_data, notes })
    }

    /// What is wrong with the recording and what was done about it, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Its files, in order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// What is in it, by name.
    pub fn topics(&self) -> &BTreeMap<String, Topic> {
        &self.topics
    }

    /// Where a node's decisions are: `/deer_vla/decision`, or the first topic of that kind of a node with another name. The
    /// usual name where there is none.
    pub fn decisions(&self) -> &str {
        let theirs = |(name, topic): &(&String, &Topic)| {
            name.ends_with("/decision") && topic.message_type == DiagnosticStatus::TYPE
        };
        let usual = self.topics.get_key_value(DECISIONS);
        usual.or_else(|| self.topics.iter().find(theirs)).map_or(DECISIONS, |(name, _)| name)
    }

    /// One topic.
    ///
    /// # Errors
    /// `MissingTopic`, with those that are there.
    pub fn topic(&self, name: &str) -> Result<&Topic, BagError> {
        self.topics.get(name).ok_or_else(|| BagError::MissingTopic { topic: name.to_owned(), there: self.there() })
    }

    /// The topics that are there with their types, for people.
    fn there(&self) -> String {
        let typed = |(name, topic): (&String, &Topic)| match topic.message_type.as_str() {
            "" => format!("{name} (no schema, so nobody knows what it is)"),
            message_type => format!("{name} ({message_type})"),
        };
        let there: Vec<_> = self.topics.iter().map(typed).collect();
        if there.is_empty() { "none".to_owned() } else { there.join(", ") }
    }

    /// What the recorder was told to keep beside the messages: `metadata.yaml`'s `custom_data`.
    pub fn custom_data(&self) -> &BTreeMap<String, String> {
        &self.custom_data
    }

    /// The messages of some topics in the order of their log times.
    pub fn messages<'a>(&'a self, topics: &[&str]) -> Messages<'a> {
        Messages::new(&self.files, topics.iter().map(|&topic| topic.to_owned()).collect())
    }
}
