//! An MCAP file: what is in it, and whether it has an index.

use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mcap::sans_io::IndexedReader;
use mcap::sans_io::indexed_reader::{IndexedReadEvent, IndexedReaderOptions};
use mcap::sans_io::summary_reader::{SummaryReadEvent, SummaryReader, SummaryReaderOptions};
use mcap::{Channel, McapError, McapResult, Summary};

use super::linear::{Linear, WINDOW};
use super::sorted::Sorted;
use super::{Flaw, Reading, Storage, Stored};
use crate::bag::{BagError, Topic};
use crate::units::Stamp;

/// An MCAP file.
#[derive(Debug)]
pub(super) struct McapFile {
    path: PathBuf,
    topics: BTreeMap<String, Topic>,
    span: Option<(Stamp, Stamp)>,
    order: Order,
}

/// How its messages come in the order of their log times.
#[derive(Debug)]
enum Order {
    /// By the index.
    Index(Box<Summary>),
    /// From the front, but for neighbours.
    Front,
    /// Not without being sorted.
    Sorted,
}

impl McapFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, BagError> {
        let unreadable = |source| BagError::Unreadable { source, path: path.clone() };
        let mut file = File::open(&path).map_err(unreadable)?;
        // A file without its end has no summary, which is no reason not to read the rest.
        let summary = summary(&mut file).ok().flatten();
        let indexed = summary.filter(|summary| summary.stats.is_some() && !summary.chunk_indexes.is_empty());
        match indexed {
            Some(summary) => Ok(Self::indexed(path, summary)),
            None => Self::scanned(&path).map_err(unreadable),
        }
    }

    fn indexed(path: PathBuf, summary: Summary) -> Self {
        let mut topics = BTreeMap::new();
        let counts = summary.stats.as_ref().map(|stats| &stats.channel_message_counts);
        for (id, channel) in &summary.channels.iter().collect::<BTreeMap<_, _>>() {
            let messages = counts.and_then(|counts| counts.get(*id)).copied().unwrap_or_default();
            count(&mut topics, channel, messages);
        }
        let stats = summary.stats.as_ref().filter(|stats| stats.message_count > 0);
        let stamp = |time: u64| Stamp(time as i64);
        let span = stats.map(|stats| (stamp(stats.message_start_time), stamp(stats.message_end_time)));
        Self { path, topics, span, order: Order::Index(Box::new(summary)) }
    }

    /// Reads a file that does not list what is in it once, as far as it goes.
    fn scanned(path: &Path) -> io::Result<Self> {
        let (mut topics, mut window) = (BTreeMap::new(), BinaryHeap::new());
        let (mut span, mut last, mut ordered) = (None, i64::MIN, true);
        for message in Linear::reader(path)?.map_while(Result::ok) {
            count(&mut topics, &message.channel, 1);
            let time = message.log_time as i64;
            let (first, end) = span.get_or_insert((Stamp(time), Stamp(time)));
            (*first, *end) = ((*first).min(Stamp(time)), (*end).max(Stamp(time)));
            window.push(std::cmp::Reverse(time));
            if window.len() > WINDOW {
                let next = window.pop().map_or(time, |std::cmp::Reverse(next)| next);
                ordered &= next >= last;
                last = next;
            }
        }
        ordered &= window.into_iter().all(|std::cmp::Reverse(next)| next >= last);
        let order = if ordered { Order::Front } else { Order::Sorted };
        Ok(Self { path: path.to_path_buf(), topics, span, order })
    }
}

impl Storage for McapFile {
    fn topics(&self) -> &BTreeMap<String, Topic> {
        &self.topics
    }

    fn span(&self) -> Option<(Stamp, Stamp)> {
        self.span
    }

    fn messages<'a>(&'a self, topics: &[String]) -> io::Result<Reading<'a>> {
        Ok(match &self.order {
            Order::Index(summary) => match Indexed::new(summary, File::open(&self.path)?, topics) {
                Ok(reader) => Box::new(reader),
                Err(error) => Box::new(std::iter::once(Err(flaw(&error)))),
            },
            Order::Front => Box::new(Linear::open(&self.path)?),
            Order::Sorted => Box::new(Sorted::new(Linear::unordered(&self.path)?, topics)?),
        })
    }

    fn note(&self) -> Option<String> {
        let sorted = matches!(self.order, Order::Sorted);
        sorted.then(|| format!("{} has neither an index nor an order: it was sorted by log times", self.path.display()))
    }
}

fn flaw(error: &McapError) -> Flaw {
    Flaw(error.to_string())
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

fn count(topics: &mut BTreeMap<String, Topic>, channel: &Channel<'_>, messages: u64) {
    let message_type = || channel.schema.as_ref().map_or_else(String::new, |schema| schema.name.clone());
    let topic = || Topic { message_type: message_type(), encoding: channel.message_encoding.clone(), messages: 0 };
    topics.entry(channel.topic.clone()).or_insert_with(topic).messages += messages;
}

/// Reads the chunks that the index names.
struct Indexed<'a> {
    summary: &'a Summary,
    file: File,
    reader: IndexedReader,
    chunk: Vec<u8>,
    read: u64,
}

impl<'a> Indexed<'a> {
    fn new(summary: &'a Summary, file: File, topics: &[String]) -> McapResult<Self> {
        let options = IndexedReaderOptions::new().include_topics(topics);
        let reader = IndexedReader::new_with_options(summary, options)?;
        Ok(Self { summary, file, reader, chunk: Vec::new(), read: 0 })
    }

    fn read(&mut self) -> McapResult<Option<Stored>> {
        loop {
            let (offset, length) = match self.reader.next_event().transpose()? {
                None => return Ok(None),
                Some(IndexedReadEvent::Message { header, data }) => {
                    let unknown = || McapError::UnknownChannel(header.sequence, header.channel_id);
                    let channel = self.summary.channels.get(&header.channel_id).ok_or_else(unknown)?;
                    let (log_time, number) = (Stamp(header.log_time as i64), self.read);
                    self.read += 1;
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

impl Iterator for Indexed<'_> {
    type Item = Result<Stored, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(|error| flaw(&error)).transpose()
    }
}
