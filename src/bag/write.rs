//! Writes a bag that ROS 2's own tools read: a folder with `metadata.yaml` and one MCAP file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use cdr::{CdrLe, Infinite};
use mcap::records::MessageHeader;
use mcap::{McapError, WriteOptions, Writer};

use super::metadata::Written;
use super::{BagError, Message};
use crate::units::Stamp;

/// A bag being written. Without [`BagWriter::finish`] its messages are there, its index and `metadata.yaml` are not.
pub struct BagWriter {
    folder: PathBuf,
    file: String,
    writer: Writer<BufWriter<File>>,
    topics: Vec<WrittenTopic>,
    span: Option<(Stamp, Stamp)>,
}

struct WrittenTopic {
    name: String,
    message_type: &'static str,
    hash: &'static str,
    channel: u16,
    messages: u32,
}

impl BagWriter {
    /// Starts a bag in a new folder.
    ///
    /// # Errors
    /// `Exists` or `Unwritable`.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self, BagError> {
        let folder = folder.as_ref().to_path_buf();
        if folder.exists() {
            return Err(BagError::Exists { path: folder });
        }
        let name = folder.file_name().map_or_else(|| "bag".into(), |name| name.to_string_lossy().into_owned());
        let file = format!("{name}_0.mcap");
        let start = || -> Result<_, McapError> {
            fs::create_dir_all(&folder)?;
            let target = BufWriter::new(File::create(folder.join(&file))?);
            WriteOptions::new().profile("ros2").library(concat!("deer_vla ", env!("CARGO_PKG_VERSION"))).create(target)
        };
        let writer = start().map_err(|source| BagError::Unwritable { source, path: folder.clone() })?;
        Ok(Self { folder, file, writer, topics: Vec::new(), span: None })
    }

    /// Writes one message, published and recorded at `stamp`. A topic is made by its first message and keeps its type.
    ///
    /// # Errors
    /// `Unwritable`.
    pub fn write<M: Message>(&mut self, topic: &str, stamp: Stamp, message: &M) -> Result<(), BagError> {
        self.put(topic, stamp, message).map_err(|source| BagError::Unwritable { source, path: self.folder.clone() })
    }

    fn put<M: Message>(&mut self, topic: &str, stamp: Stamp, message: &M) -> Result<(), McapError> {
        let index = match self.topics.iter().position(|known| known.name == topic) {
            Some(index) => index,
            None => self.add_topic::<M>(topic)?,
        };
        let data = cdr::serialize::<_, _, CdrLe>(message, Infinite).map_err(std::io::Error::other)?;
        let topic = &mut self.topics[index];
        let time = stamp.0.max(0) as u64;
        let header =
            MessageHeader { channel_id: topic.channel, sequence: topic.messages, log_time: time, publish_time: time };
        self.writer.write_to_known_channel(&header, &data)?;
        topic.messages += 1;
        let (first, last) = self.span.unwrap_or((stamp, stamp));
        self.span = Some((first.min(stamp), last.max(stamp)));
        Ok(())
    }

    fn add_topic<M: Message>(&mut self, topic: &str) -> Result<usize, McapError> {
        let schema = self.writer.add_schema(M::TYPE, "ros2msg", M::DEFINITION.as_bytes())?;
        let metadata = BTreeMap::from([
            ("offered_qos_profiles".to_owned(), "[]".to_owned()),
            ("topic_type_hash".to_owned(), M::HASH.to_owned()),
        ]);
        let channel = self.writer.add_channel(schema, topic, "cdr", &metadata)?;
        let name = topic.to_owned();
        self.topics.push(WrittenTopic { name, message_type: M::TYPE, hash: M::HASH, channel, messages: 0 });
        Ok(self.topics.len() - 1)
    }

    /// Ends the bag: index and `metadata.yaml`.
    ///
    /// # Errors
    /// `Unwritable`.
    pub fn finish(mut self) -> Result<(), BagError> {
        let unwritable = |source| BagError::Unwritable { source, path: self.folder.clone() };
        self.writer.finish().map_err(unwritable)?;
        let topics = self.topics.iter().map(|t| (t.name.as_str(), t.message_type, t.hash, u64::from(t.messages)));
        let span = self.span.map(|(first, last)| (first.0, last.0));
        let written = Written { file: &self.file, span, topics: topics.collect() };
        written.write(&self.folder).map_err(|source| unwritable(source.into()))
    }
}
