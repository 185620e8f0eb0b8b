//! One file of a recording, whatever format it is stored in: MCAP, or SQLite as rosbag2 had it up to Humble.

mod linear;
mod mcap;
mod sorted;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::mcap::McapFile;
use self::sqlite::SqliteFile;
use super::{BagError, Topic};
use crate::units::Stamp;

const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// A file that messages can be read from.
pub(super) trait Storage: Debug {
    /// What is in it, by name.
    fn topics(&self) -> &BTreeMap<String, Topic>;

    /// When its first and its last message were logged; `None` where it has none.
    fn span(&self) -> Option<(Stamp, Stamp)>;

    /// Its messages on some topics in the order of their log times. Ends after the first flaw.
    ///
    /// # Errors
    /// `Unreadable`.
    fn messages<'a>(&'a self, topics: &[String]) -> io::Result<Reading<'a>>;

    /// What was done to it that its reader should know.
    fn note(&self) -> Option<String> {
        None
    }
}

/// Messages, and what is wrong where they end early.
pub(super) type Reading<'a> = Box<dyn Iterator<Item = Result<Stored, Flaw>> + 'a>;

/// Why a file can be read no further: what the format's library says.
#[derive(Debug)]
pub(super) struct Flaw(pub(super) String);

/// A message as it lies in the bag, decompressed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// When it was recorded.
    pub log_time: Stamp,
    /// Its number among all messages of the file that were read.
    pub number: u64,
    /// On which topic.
    pub topic: String,
    /// Its bytes in the topic's encoding.
    pub data: Vec<u8>,
}

impl Stored {
    /// As it was before rosbag2 compressed it, where it did (compression mode MESSAGE). No message of ROS begins so.
    pub(super) fn unpacked(mut self) -> Self {
        if self.data.starts_with(&ZSTD)
            && let Ok(data) = zstd::decode_all(self.data.as_slice())
        {
            self.data = data;
        }
        self
    }
}

/// Opens a file by what it begins with; its name says nothing.
///
/// # Errors
/// `Unreadable` or `NotABag`.
pub(super) fn open(path: &Path) -> Result<Box<dyn Storage>, BagError> {
    let unreadable = |source| BagError::Unreadable { source, path: path.to_path_buf() };
    let mut start = Vec::new();
    File::open(path).map_err(unreadable)?.take(16).read_to_end(&mut start).map_err(unreadable)?;
    if start.starts_with(::mcap::MAGIC) {
        return Ok(Box::new(McapFile::open(path.to_path_buf())?));
    }
    if start.starts_with(b"SQLite format 3") {
        return Ok(Box::new(SqliteFile::open(path)?));
    }
    if start.starts_with(&ZSTD) {
        return Ok(Box::new(Unpacked::open(path)?));
    }
    let found = match start.is_empty() {
        true => "the file is empty",
        false => "the file begins neither as MCAP nor as SQLite does",
    };
    Err(BagError::NotABag { found: found.into(), path: path.to_path_buf() })
}

/// A file that rosbag2 compressed whole (compression mode FILE), unpacked to a temporary one.
#[derive(Debug)]
struct Unpacked {
    inner: Box<dyn Storage>,
    /// Removes the file when the recording is closed.
    _file: tempfile::TempPath,
    note: Option<String>,
}

impl Unpacked {
    fn open(path: &Path) -> Result<Self, BagError> {
        let unreadable = |source| BagError::Unreadable { source, path: path.to_path_buf() };
        let mut file = tempfile::NamedTempFile::new().map_err(unreadable)?;
        // What lies before the end of a file that is cut comes out; the format says then how far it goes.
        let packed = File::open(path).map_err(unreadable)?;
        let mut decoder = zstd::Decoder::new(packed).map_err(unreadable)?;
        let note = io::copy(&mut decoder, &mut file)
            .err()
            .map(|error| format!("{} does not unpack to its end ({error}): what came before was used", path.display()));
        let file = file.into_temp_path();
        let inner = open(&file).map_err(|error| named(error, path))?;
        Ok(Self { inner, _file: file, note })
    }
}

/// The error of an unpacked file, told of the one that the user knows.
fn named(error: BagError, path: &Path) -> BagError {
    match error {
        BagError::NotABag { found, .. } => BagError::NotABag { found, path: PathBuf::from(path) },
        other => other,
    }
}

impl Storage for Unpacked {
    fn topics(&self) -> &BTreeMap<String, Topic> {
        self.inner.topics()
    }

    fn span(&self) -> Option<(Stamp, Stamp)> {
        self.inner.span()
    }

    fn messages<'a>(&'a self, topics: &[String]) -> io::Result<Reading<'a>> {
        self.inner.messages(topics)
    }

    fn note(&self) -> Option<String> {
        self.note.clone().or_else(|| self.inner.note())
    }
}
