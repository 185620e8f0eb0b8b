//! rosbag2 (MCAP) in and out, without ROS: what `ros2 bag record` writes is what training, calibration and replay read.
//!
//! A bag is never read into memory whole. Files with an index are read by it, strictly in the order of their log times;
//! files without one (a recorder that was killed, or the storage preset `fastwrite`) from the front, a window of messages
//! put in order.

mod answers;
mod input;
mod message;
mod metadata;
mod read;
mod recording;
pub mod source;
#[cfg(test)]
mod tests;
mod unread;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use answers::AnswerBag;
pub use input::{Input, Inputs, Sources};
pub use message::{
    CompressedImage, DiagnosticStatus, Header, Image, JointTrajectory, JointTrajectoryPoint, KeyValue, Message, Text,
    Time, TwistStamped,
};
pub use read::{Messages, Stored};
pub use unread::Unread;
pub use write::BagWriter;

use metadata::Metadata;
use recording::Recording;

use crate::units::Stamp;

/// A recording: one or several MCAP files.
#[derive(Debug)]
pub struct Bag {
    recordings: Vec<Recording>,
    topics: BTreeMap<String, Topic>,
    custom_data: BTreeMap<String, String>,
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
    /// Neither a bag's folder nor an MCAP file.
    #[error("not a bag: {found}; give a folder that `ros2 bag record -s mcap` wrote, or an .mcap file\npath: {path}")]
    NotABag {
        /// What is there.
        found: String,
        /// Where.
        path: PathBuf,
    },
    /// `metadata.yaml` is not what rosbag2 writes.
    #[error("the bag's metadata.yaml does not read: {source}; `ros2 bag reindex` writes it again\nfile: {path}")]
    Metadata {
        /// What the parser says.
        source: serde_norway::Error,
        /// Where.
        path: PathBuf,
    },
    /// Stored in another format.
    #[error(
        "the bag is stored as {found}, mcap is read; convert it: \
         pip install rosbags && rosbags-convert --src {path} --dst {path}_mcap --dst-storage mcap"
    )]
    Storage {
        /// Its storage plugin.
        found: String,
        /// The bag.
        path: PathBuf,
    },
    /// Compressed around the storage.
    #[error(
        "the bag is compressed by {found}; what MCAP compresses itself is read: convert the bag with `ros2 bag convert` \
         and no compression_mode, or record with --storage-preset-profile zstd_fast\npath: {path}"
    )]
    Compressed {
        /// `FILE` or `MESSAGE`.
        found: String,
        /// The bag.
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
        "the bag is cut short or damaged after message {messages}{}: {source}; what came before was read\nfile: {path}",
        .last.map_or_else(String::new, |stamp| format!(" (logged at {stamp})"))
    )]
    Damaged {
        /// Messages that were read before it.
        messages: u64,
        /// When the last of them was logged.
        last: Option<Stamp>,
        /// What is wrong.
        source: mcap::McapError,
        /// Where.
        path: PathBuf,
    },
    /// A file without an index whose messages are too far out of order.
    #[error(
        "message {message} was logged {late_secs:.3} s before one that is long past, and the file has no index; \
         put it in order: mcap sort {path} -o sorted.mcap"
    )]
    Unordered {
        /// Its number, of all topics.
        message: u64,
        /// By how much.
        late_secs: f64,
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
    /// Opens a bag's folder, or one MCAP file.
    ///
    /// # Errors
    /// `Unreadable`, `NotABag`, `Metadata`, `Storage` or `Compressed`. A file that is cut short opens: what is in it can
    /// be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BagError> {
        let mut recordings = Vec::new();
        let (files, custom_data) = files(path.as_ref())?;
        for file in files {
            recordings.push(Recording::open(file)?);
        }
        let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
        for (name, topic) in recordings.iter().flat_map(|recording| &recording.topics) {
            topics
                .entry(name.clone())
                .and_modify(|known| known.messages += topic.messages)
                .or_insert_with(|| topic.clone());
        }
        Ok(Self { recordings, topics, custom_data })
    }

    /// What is in it, by name.
    pub fn topics(&self) -> &BTreeMap<String, Topic> {
        &self.topics
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
        let typed = |(name, topic): (&String, &Topic)| format!("{name} ({})", topic.message_type);
        let there: Vec<_> = self.topics.iter().map(typed).collect();
        if there.is_empty() { "none".to_owned() } else { there.join(", ") }
    }

    /// What the recorder was told to keep beside the messages: `metadata.yaml`'s `custom_data`.
    pub fn custom_data(&self) -> &BTreeMap<String, String> {
        &self.custom_data
    }

    /// The messages of some topics in the order of their log times.
    pub fn messages<'a>(&'a self, topics: &[&str]) -> Messages<'a> {
        Messages::new(&self.recordings, topics.iter().map(|&topic| topic.to_owned()).collect())
    }
}

/// The MCAP files of a bag, in order, and its custom data.
fn files(path: &Path) -> Result<(Vec<PathBuf>, BTreeMap<String, String>), BagError> {
    if path.is_file() {
        return Ok((vec![path.to_path_buf()], BTreeMap::new()));
    }
    let entries = path.read_dir().map_err(|source| BagError::Unreadable { source, path: path.to_path_buf() })?;
    if path.join("metadata.yaml").is_file() {
        let metadata = Metadata::read(path)?;
        return Ok((metadata.files(path)?, metadata.custom_data()));
    }
    // A recorder that was killed leaves no metadata.yaml.
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let sqlite = files.iter().any(|file| file.extension().is_some_and(|e| e == "db3"));
    files.retain(|file| file.extension().is_some_and(|extension| extension == "mcap"));
    files.sort_by_key(|file| (split_number(file), file.clone()));
    match files.is_empty() {
        true if sqlite => Err(BagError::Storage { found: "sqlite3".into(), path: path.to_path_buf() }),
        true => {
            let found = "a folder with neither metadata.yaml nor an .mcap file".to_owned();
            Err(BagError::NotABag { found, path: path.to_path_buf() })
        }
        false => Ok((files, BTreeMap::new())),
    }
}

/// 10 in `name_10.mcap`, so that it comes after `name_9.mcap`.
fn split_number(file: &Path) -> Option<u64> {
    file.file_stem()?.to_str()?.rsplit('_').next()?.parse().ok()
}
