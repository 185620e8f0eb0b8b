//! An MCAP file without an index (a recorder that was killed, or the storage preset `fastwrite`), read from the front.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use mcap::io::MessageReader;
use mcap::sans_io::LinearReaderOptions;

use super::{Flaw, Stored};
use crate::units::Stamp;

/// Messages that are held back to be put in order. A recorder with several threads swaps neighbours, no more.
pub(super) const WINDOW: usize = 64;
/// No record is larger: a length beyond it is damage, not data.
const RECORD_LIMIT: usize = 1 << 30;

/// Reads from the front and puts a window of messages in order.
pub(super) struct Linear {
    reader: MessageReader<BufReader<File>>,
    window: BinaryHeap<Reverse<Stored>>,
    width: usize,
    read: u64,
    end: Option<Option<Flaw>>,
}

impl Linear {
    /// Its messages in the file's order.
    pub(super) fn reader(path: &Path) -> io::Result<MessageReader<BufReader<File>>> {
        let options =
            LinearReaderOptions::default().with_validate_chunk_crcs(true).with_record_length_limit(RECORD_LIMIT);
        Ok(MessageReader::new_with_options(BufReader::with_capacity(1 << 20, File::open(path)?), options))
    }

    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (reader, window) = (Self::reader(path)?, BinaryHeap::new());
        Ok(Self { reader, window, width: WINDOW, read: 0, end: None })
    }

    /// In the file's order, whatever the log times.
    pub(super) fn unordered(path: &Path) -> io::Result<Self> {
        Ok(Self { width: 1, ..Self::open(path)? })
    }
}

impl Iterator for Linear {
    type Item = Result<Stored, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.end.is_none() && self.window.len() < self.width {
            match self.reader.next() {
                Some(Ok(message)) => {
                    let (log_time, number) = (Stamp(message.log_time as i64), self.read);
                    let (topic, data) = (message.channel.topic.clone(), message.data.into_owned());
                    self.window.push(Reverse(Stored { log_time, number, topic, data }));
                    self.read += 1;
                }
                Some(Err(error)) => self.end = Some(Some(Flaw(error.to_string()))),
                None => self.end = Some(None),
            }
        }
        // What was read before the file broke off still comes.
        match self.window.pop() {
            Some(Reverse(message)) => Some(Ok(message)),
            None => self.end.as_mut().and_then(Option::take).map(Err),
        }
    }
}
