//! One MCAP file of a bag: what is in it, and whether it has an index.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use mcap::sans_io::LinearReaderOptions;
use mcap::sans_io::summary_reader::{SummaryReadEvent, SummaryReader, SummaryReaderOptions};
use mcap::{Channel, McapResult, Summary};

use super::{BagError, Topic};

/// No record is larger: a length beyond it is damage, not data.
const RECORD_LIMIT: usize = 1 << 30;

/// An MCAP file.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) topics: BTreeMap<String, Topic>,
    /// Where the chunks are; `None` when the file can only be read from the front.
    pub(super) index: Option<Summary>,
}

impl Recording {
    pub(super) fn open(path: PathBuf) -> Result<Self, BagError> {
        check_magic(&path)?;
        let unreadable = |source| BagError::Unreadable { source, path: path.clone() };
        let mut file = File::open(&path).map_err(unreadable)?;
        // A file without its end has no summary, which is no reason not to read the rest.
        let summary = summary(&mut file).unwrap_or_default();
        let Some(summary) = summary.filter(|summary| summary.stats.is_some()) else {
            return Ok(Self { topics: scan(&path)?, path, index: None });
        };
        let counts = summary.stats.as_ref().map(|stats| &stats.channel_message_counts);
        let mut topics = BTreeMap::new();
        for (id, channel) in &summary.channels.iter().collect::<BTreeMap<_, _>>() {
            let messages = counts.and_then(|counts| counts.get(*id)).copied().unwrap_or_default();
            count(&mut topics, channel, messages);
        }
        Ok(Self { path, topics, index: Some(summary).filter(|summary| !summary.chunk_indexes.is_empty()) })
    }

    /// Its messages from the front, in the file's order.
    pub(super) fn linear(path: &Path) -> std::io::Result<mcap::io::MessageReader<BufReader<File>>> {
        let options =
            LinearReaderOptions::default().with_validate_chunk_crcs(true).with_record_length_limit(RECORD_LIMIT);
        let source = BufReader::with_capacity(1 << 20, File::open(path)?);
        Ok(mcap::io::MessageReader::new_with_options(source, options))
    }
}

fn check_magic(path: &Path) -> Result<(), BagError> {
    let unreadable = |source| BagError::Unreadable { source, path: path.to_path_buf() };
    let mut start = Vec::new();
    File::open(path).map_err(unreadable)?.take(16).read_to_end(&mut start).map_err(unreadable)?;
    if start.starts_with(mcap::MAGIC) {
        return Ok(());
    }
    if start.starts_with(b"SQLite format 3") {
        return Err(BagError::Storage { found: "sqlite3".into(), path: path.to_path_buf() });
    }
    Err(BagError::NotABag { found: "the file does not begin as MCAP does".into(), path: path.to_path_buf() })
}

fn summary(file: &mut File) -> McapResult<Option<Summary>> {
    let options = SummaryReaderOptions::default().with_file_size(file.metadata()?.len());
    let mut reader = SummaryReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event? {
            SummaryReadEvent::ReadRequest(need) => {
                let read = file.read(reader.insert(need))?;
                reader.notify_read(read);
            }
            SummaryReadEvent::SeekRequest(to) => reader.notify_seeked(file.seek(to)?),
        }
    }
    Ok(reader.finish())
}

/// The topics of a file that does not list them, by reading it once as far as it goes.
fn scan(path: &Path) -> Result<BTreeMap<String, Topic>, BagError> {
    let mut topics = BTreeMap::new();
    let reader = Recording::linear(path).map_err(|source| BagError::Unreadable { source, path: path.to_path_buf() })?;
    for message in reader.map_while(Result::ok) {
        count(&mut topics, &message.channel, 1);
    }
    Ok(topics)
}

fn count(topics: &mut BTreeMap<String, Topic>, channel: &Channel<'_>, messages: u64) {
    let message_type = || channel.schema.as_ref().map_or_else(String::new, |schema| schema.name.clone());
    let topic = || Topic { message_type: message_type(), encoding: channel.message_encoding.clone(), messages: 0 };
    topics.entry(channel.topic.clone()).or_insert_with(topic).messages += messages;
}
