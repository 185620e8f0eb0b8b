//! `metadata.yaml`, version 9, as rosbag2 of ROS 2 Jazzy writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use super::BagError;

/// The version that is written. Older ones are read: the two fields that are used have not changed.
const VERSION: u32 = 9;

/// What is read of it.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    rosbag2_bagfile_information: Information,
}

#[derive(Debug, Deserialize)]
struct Information {
    storage_identifier: String,
    relative_file_paths: Vec<PathBuf>,
    #[serde(default)]
    compression_mode: String,
    #[serde(default)]
    custom_data: Option<BTreeMap<String, String>>,
}

impl Metadata {
    pub(super) fn read(folder: &Path) -> Result<Self, BagError> {
        let path = folder.join("metadata.yaml");
        let text = fs::read_to_string(&path).map_err(|source| BagError::Unreadable { source, path: path.clone() })?;
        serde_norway::from_str(&text).map_err(|source| BagError::Metadata { source, path })
    }

    /// What the recorder was told to keep.
    pub(super) fn custom_data(self) -> BTreeMap<String, String> {
        self.rosbag2_bagfile_information.custom_data.unwrap_or_default()
    }

    /// The MCAP files, in order.
    pub(super) fn files(&self, folder: &Path) -> Result<Vec<PathBuf>, BagError> {
        let Information { storage_identifier, relative_file_paths, compression_mode, .. } =
            &self.rosbag2_bagfile_information;
        if storage_identifier != "mcap" {
            return Err(BagError::Storage { found: storage_identifier.clone(), path: folder.to_path_buf() });
        }
        if !["", "none"].contains(&compression_mode.to_lowercase().as_str()) {
            return Err(BagError::Compressed { found: compression_mode.clone(), path: folder.to_path_buf() });
        }
        Ok(relative_file_paths.iter().map(|file| folder.join(file)).collect())
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
