//! Messages of a bag in the order of their log times, across all its files.

use std::collections::VecDeque;
use std::path::Path;

use super::storage::{Flaw, Reading, Stored};
use super::{BagError, BagFile};

/// The messages of some topics in the order of their log times. A file that breaks off is told of by an error, and what
/// came before it and the other files are read all the same.
pub struct Messages<'a> {
    topics: Vec<String>,
    /// Files that begin later, the earliest first.
    later: VecDeque<&'a BagFile>,
    open: Vec<OpenFile<'a>>,
    errors: VecDeque<BagError>,
}

struct OpenFile<'a> {
    path: &'a Path,
    messages: Reading<'a>,
    next: Stored,
    /// How many of its messages were read, on whatever topic.
    read: u64,
}

impl<'a> Messages<'a> {
    pub(super) fn new(files: &'a [BagFile], topics: Vec<String>) -> Self {
        // Files follow one another, but a recorder may put messages on the wrong side of a split.
        let mut later: Vec<&BagFile> = files.iter().filter(|file| file.storage.span().is_some()).collect();
        later.sort_by_key(|file| file.storage.span());
        Self { topics, later: later.into(), open: Vec::new(), errors: VecDeque::new() }
    }

    fn begin(&mut self, file: &'a BagFile) {
        match file.storage.messages(&self.topics) {
            Ok(mut messages) => {
                let mut read = 0;
                if let Some(next) = self.following(&mut messages, &file.path, &mut read, None) {
                    self.open.push(OpenFile { path: &file.path, messages, next, read });
                }
            }
            Err(source) => self.errors.push_back(BagError::Unreadable { source, path: file.path.clone() }),
        }
    }

    /// The next message of a file that is asked for.
    fn following(
        &mut self,
        messages: &mut Reading<'a>,
        path: &Path,
        read: &mut u64,
        before: Option<&Stored>,
    ) -> Option<Stored> {
        loop {
            match messages.next()? {
                Ok(message) => {
                    *read += 1;
                    if self.topics.contains(&message.topic) {
                        return Some(message.unpacked());
                    }
                }
                Err(Flaw(flaw)) => {
                    let last = before.map(|message| message.log_time);
                    let (messages, path) = (*read, path.to_path_buf());
                    self.errors.push_back(BagError::Damaged { messages, last, flaw, path });
                    return None;
                }
            }
        }
    }

    fn take(&mut self) -> Option<Stored> {
        let earliest = (0..self.open.len()).min_by_key(|&i| (self.open[i].next.log_time, i))?;
        let OpenFile { path, mut messages, next, mut read } = self.open.remove(earliest);
        if let Some(following) = self.following(&mut messages, path, &mut read, Some(&next)) {
            self.open.insert(earliest, OpenFile { path, messages, next: following, read });
        }
        Some(next)
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Stored, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(&file) = self.later.front() {
            let earliest = self.open.iter().map(|file| file.next.log_time).min();
            let start = file.storage.span().map(|(start, _)| start);
            if earliest.is_some_and(|earliest| start.is_some_and(|start| start > earliest)) {
                break;
            }
            self.later.pop_front();
            self.begin(file);
        }
        self.errors.pop_front().map(Err).or_else(|| self.take().map(Ok))
    }
}
