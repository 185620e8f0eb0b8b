//! Messages of a bag in the order of their log times, a file after the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use mcap::sans_io::IndexedReader;
use mcap::sans_io::indexed_reader::{IndexedReadEvent, IndexedReaderOptions};
use mcap::{McapError, McapResult, Summary};

use super::{BagError, Recording};
use crate::units::Stamp;

/// Messages of a file without an index that are held back to be put in order. A recorder with several threads swaps
/// neighbours, no more.
const WINDOW: usize = 64;

/// A message as it lies in the bag.
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

/// The messages of some topics in the order of their log times. Ends after the first error.
pub struct Messages<'a> {
    topics: Vec<String>,
    left: VecDeque<&'a Recording>,
    file: Option<OpenFile<'a>>,
}

struct OpenFile<'a> {
    path: PathBuf,
    reader: Reader<'a>,
    read: u64,
    last: Option<Stamp>,
}

enum Reader<'a> {
    Indexed(Box<Indexed<'a>>),
    Linear(Box<Linear>),
}

impl<'a> Messages<'a> {
    pub(super) fn new(recordings: &'a [Recording], topics: Vec<String>) -> Self {
        Self { topics, left: recordings.iter().collect(), file: None }
    }

    fn next_in_file(&mut self) -> Result<Option<Stored>, BagError> {
        loop {
            if self.file.is_none() {
                let Some(recording) = self.left.pop_front() else { return Ok(None) };
                self.file = Some(OpenFile::new(recording, &self.topics)?);
            }
            let Some(file) = &mut self.file else { return Ok(None) };
            match file.next()? {
                Some(message) if self.topics.contains(&message.topic) => return Ok(Some(message)),
                Some(_) => (),
                None => self.file = None,
            }
        }
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Stored, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_in_file();
        if next.is_err() {
            (self.file, self.left) = (None, VecDeque::new());
        }
        next.transpose()
    }
}

impl<'a> OpenFile<'a> {
    fn new(recording: &'a Recording, topics: &[String]) -> Result<Self, BagError> {
        let path = recording.path.clone();
        let unreadable = |source| BagError::Unreadable { source, path: path.clone() };
        let reader = match &recording.index {
            Some(index) => {
                let file = File::open(&path).map_err(unreadable)?;
                let reader = Indexed::new(index, file, topics).map_err(|source| damaged(&path, 0, None, source))?;
                Reader::Indexed(Box::new(reader))
            }
            None => Reader::Linear(Box::new(Linear::new(Recording::linear(&path).map_err(unreadable)?))),
        };
        Ok(Self { path, reader, read: 0, last: None })
    }

    fn next(&mut self) -> Result<Option<Stored>, BagError> {
        let next = match &mut self.reader {
            Reader::Indexed(reader) => reader.next(self.read),
            Reader::Linear(reader) => reader.next(),
        };
        let message = next.map_err(|source| damaged(&self.path, self.read, self.last, source))?;
        let Some(message) = message else { return Ok(None) };
        if let Some(last) = self.last.filter(|&last| last > message.log_time) {
            let late_secs = last.secs_since(message.log_time);
            return Err(BagError::Unordered { message: message.number, late_secs, path: self.path.clone() });
        }
        self.read += 1;
        self.last = Some(message.log_time);
        Ok(Some(message))
    }
}

fn damaged(path: &std::path::Path, messages: u64, last: Option<Stamp>, source: McapError) -> BagError {
    BagError::Damaged { messages, last, source, path: path.to_path_buf() }
}

/// Reads the chunks that the index names.
struct Indexed<'a> {
    summary: &'a Summary,
    file: File,
    reader: IndexedReader,
    chunk: Vec<u8>,
}

impl<'a> Indexed<'a> {
    fn new(summary: &'a Summary, file: File, topics: &[String]) -> McapResult<Self> {
        let options = IndexedReaderOptions::new().include_topics(topics);
        let reader = IndexedReader::new_with_options(summary, options)?;
        Ok(Self { summary, file, reader, chunk: Vec::new() })
    }

    fn next(&mut self, number: u64) -> McapResult<Option<Stored>> {
        loop {
            let (offset, length) = match self.reader.next_event().transpose()? {
                None => return Ok(None),
                Some(IndexedReadEvent::Message { header, data }) => {
                    let unknown = || McapError::UnknownChannel(header.sequence, header.channel_id);
                    let channel = self.summary.channels.get(&header.channel_id).ok_or_else(unknown)?;
                    let log_time = Stamp(header.log_time as i64);
                    return Ok(Some(Stored { log_time, number, topic: channel.topic.clone(), data: data.to_vec() }));
                }
                Some(IndexedReadEvent::ReadChunkRequest { offset, length }) => (offset, length),
            };
            self.file.seek(SeekFrom::Start(offset))?;
            self.chunk.resize(length, 0);
            self.file.read_exact(&mut self.chunk)?;
            self.reader.insert_chunk_record_data(offset, &self.chunk)?;
        }
    }
}

/// Reads from the front and puts a window of messages in order.
struct Linear {
    reader: mcap::io::MessageReader<BufReader<File>>,
    window: BinaryHeap<Reverse<Stored>>,
    read: u64,
    end: Option<McapResult<()>>,
}

impl Linear {
    fn new(reader: mcap::io::MessageReader<BufReader<File>>) -> Self {
        Self { reader, window: BinaryHeap::new(), read: 0, end: None }
    }

    fn next(&mut self) -> McapResult<Option<Stored>> {
        while self.end.is_none() && self.window.len() < WINDOW {
            match self.reader.next() {
                Some(Ok(message)) => {
                    let (log_time, number) = (Stamp(message.log_time as i64), self.read);
                    let (topic, data) = (message.channel.topic.clone(), message.data.into_owned());
                    self.window.push(Reverse(Stored { log_time, number, topic, data }));
                    self.read += 1;
                }
                Some(Err(error)) => self.end = Some(Err(error)),
                None => self.end = Some(Ok(())),
            }
        }
        // What was read before the file broke off still comes.
        match self.window.pop() {
            Some(Reverse(message)) => Ok(Some(message)),
            None => self.end.take().unwrap_or(Ok(())).map(|()| None),
        }
    }
}
