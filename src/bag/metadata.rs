//! `metadata.yaml`, version 9, as rosbag2 of ROS 2 Jazzy writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

/// The version that is written. Older ones are read: the fields that are used have not changed.
const VERSION: u32 = 9;

/// What is read of it.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    rosbag2_bagfile_information: Information,
}

#[derive(Debug, Deserialize)]
struct Information {
    // Storage and compression are not asked for: what a file is, its first bytes say.
    relative_file_paths: Vec<PathBuf>,
    #[serde(default)]
    custom_data: Option<BTreeMap<String, String>>,
}

impl Metadata {
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(folder.join("metadata.yaml")).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "there is no metadata.yaml (the recorder was killed)".to_owned(),
            _ => format!("metadata.yaml cannot be read ({error})"),
        })?;
        if text.trim().is_empty() {
            return Err("metadata.yaml is empty (the recorder was killed)".into());
        }
        serde_norway::from_str(&text).map_err(|error| format!("metadata.yaml does not read ({error})"))
    }

    /// What the recorder was told to keep.
    pub(super) fn custom_data(self) -> BTreeMap<String, String> {
        self.rosbag2_bagfile_information.custom_data.unwrap_or_default()
    }

    /// The recorded files, in order, relative to the folder.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.rosbag2_bagfile_information.relative_file_paths
    }
}

/// What is written of a bag of one file.
pub(super) struct Written<'a> {
    /// The file's name.
    pub(super) file: &'a str,
    /// First and last log time, in nanoseconds.
    pub(super) span: Option<(i64, i64)>,
    /// Name, type, hash and number of messages of each topic.
    pub(super) topics: Vec<(&'a str, &'static str, &'static str, u64)>,
}

impl Written<'_> {
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_norway::to_string(&self.document()).map_err(io::Error::other)?;
        fs::write(folder.join("metadata.yaml"), text)
    }

    fn document(&self) -> serde_json::Value {
        let (first, last) = self.span.unwrap_or_default();
        let duration = serde_json::json!({"nanoseconds": last - first});
        let starting_time = serde_json::json!({"nanoseconds_since_epoch": first});
        let message_count: u64 = self.topics.iter().map(|(.., messages)| messages).sum();
        let topic = |(name, message_type, hash, messages): &(&str, &str, &str, u64)| {
            serde_json::json!({
                "topic_metadata": {
                    "name": name, "type": message_type, "serialization_format": "cdr",
                    "offered_qos_profiles": [], "type_description_hash": hash,
                },
                "message_count": messages,
            })
        };
        serde_json::json!({"rosbag2_bagfile_information": {
            "version": VERSION,
            "storage_identifier": "mcap",
            "duration": duration,
            "starting_time": starting_time,
            "message_count": message_count,
            "topics_with_message_count": self.topics.iter().map(topic).collect::<Vec<_>>(),
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self.file],
            "files": [{
                "path": self.file, "starting_time": starting_time, "duration": duration,
                "message_count": message_count,
            }],
            "custom_data": null,
            "ros_distro": "jazzy",
        }})
    }
}
