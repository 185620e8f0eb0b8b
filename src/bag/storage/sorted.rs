//! Messages in no order at all, sorted through a temporary file: memory holds where they lie, not what they are.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use super::{Flaw, Stored};
use crate::units::Stamp;

/// Messages sorted by their log times.
pub(super) struct Sorted {
    file: File,
    places: std::vec::IntoIter<Place>,
    flaw: Option<Flaw>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    log_time: Stamp,
    number: u64,
    topic: String,
    start: u64,
    length: usize,
}

impl Sorted {
    /// Reads `messages` to their end and keeps those on `topics`.
    pub(super) fn new(messages: impl Iterator<Item = Result<Stored, Flaw>>, topics: &[String]) -> io::Result<Self> {
        let mut file = BufWriter::new(tempfile::tempfile()?);
        let (mut places, mut start, mut flaw) = (Vec::new(), 0, None);
        for message in messages {
            match message {
                Ok(Stored { log_time, number, topic, data }) if topics.contains(&topic) => {
                    file.write_all(&data)?;
                    places.push(Place { log_time, number, topic, start, length: data.len() });
                    start += data.len() as u64;
                }
                Ok(_) => (),
                Err(found) => flaw = Some(found),
            }
        }
        places.sort();
        Ok(Self { file: file.into_inner()?, places: places.into_iter(), flaw })
    }

    fn read(&mut self, place: Place) -> io::Result<Stored> {
        let Place { log_time, number, topic, start, length } = place;
        let mut data = vec![0; length];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut data)?;
        Ok(Stored { log_time, number, topic, data })
    }
}

impl Iterator for Sorted {
    type Item = Result<Stored, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.places.next() {
            Some(place) => Some(self.read(place).map_err(|error| Flaw(error.to_string()))),
            None => self.flaw.take().map(Err),
        }
    }
}
