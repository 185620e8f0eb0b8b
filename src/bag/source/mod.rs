//! What is what in somebody's recordings: one file, or a few options, that name the topics of cameras, sentence, motion
//! and gripper. `config/source.yaml` shows every field.

mod guess;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use resolve::{CameraTopic, Resolved, Spoken};

use crate::frame::View;

/// What is said of a recording. What is not said is guessed from the topics' types and names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// By the policy's role: where its pictures are.
    pub cameras: BTreeMap<String, CameraSource>,
    /// Where the sentence is.
    pub instruction: InstructionSource,
    /// Where the arm's motion is. Only training data need it.
    pub motion: MotionSource,
    /// Where the gripper's commands are. Only training data need it.
    pub gripper: GripperSource,
    /// Which time counts.
    pub clock: Clock,
    /// Steps a second for `frames`, where nothing else says it. What runs or trains a policy takes the policy's. Positive.
    pub rate: Option<f64>,
}

/// One camera: its topic alone, or more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "TopicOrMore")]
pub struct CameraSource {
    /// Its `Image` or `CompressedImage` topic.
    pub topic: Option<String>,
    /// How its pictures are read.
    #[serde(flatten)]
    pub view: View,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TopicOrMore {
    Topic(String),
    More(More),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    topic: Option<String>,
    encoding: Option<String>,
    crop: Option<[u32; 4]>,
}

impl From<TopicOrMore> for CameraSource {
    fn from(found: TopicOrMore) -> Self {
        match found {
            TopicOrMore::Topic(topic) => Self { topic: Some(topic), ..Self::default() },
            TopicOrMore::More(More { topic, encoding, crop }) => {
                Self { topic, view: View { encoding, crop, cut_of: None } }
            }
        }
    }
}

/// Where the sentence is: one of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstructionSource {
    /// A `std_msgs/String` topic.
    pub topic: Option<String>,
    /// The sentence itself, for the whole recording.
    pub sentence: Option<String>,
    /// A key of `metadata.yaml`'s `custom_data`.
    pub key: Option<String>,
}

/// Where the arm's motion is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MotionSource {
    /// `TwistStamped` or `Twist`: velocities. `PoseStamped`: poses, whose differences are the actions. `JointTrajectory`,
    /// `JointState` or `Float64MultiArray`: joint positions, whose poses follow from `urdf`.
    pub topic: Option<String>,
    /// The robot's description, for joint positions: an `.urdf` file, relative to the source file.
    pub urdf: Option<PathBuf>,
    /// The link that poses are given in; the URDF's root where nothing is said.
    pub base: Option<String>,
    /// The link that moves; where nothing is said, the last of the chain that has no other end.
    pub tip: Option<String>,
    /// The joints' names in the order of the numbers, for `Float64MultiArray`, which has none.
    pub joints: Vec<String>,
}

/// Where the gripper's commands are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GripperSource {
    /// `JointTrajectory`, `Float64MultiArray`, `JointState` or `GripperCommand`.
    pub topic: Option<String>,
    /// Which of its positions: a joint's name, or its place from 0. The first where nothing is said.
    pub joint: Option<Joint>,
}

/// One of several positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Joint {
    /// Its place from 0.
    Place(usize),
    /// Its name.
    Name(String),
}

/// Which time counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// When it was taken: `header.stamp`, where a message has one.
    #[default]
    Header,
    /// When it was recorded.
    Log,
}

/// Why a source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("the source file cannot be read: {source}\nfile: {path}")]
    Unreadable {
        /// What the system says.
        source: std::io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The file is not one.
    #[error("the source file does not read: {source}; config/source.yaml shows every field\nfile: {path}")]
    Syntax {
        /// What the parser says.
        source: serde_norway::Error,
        /// Where.
        path: PathBuf,
    },
    /// Two things that exclude one another, or a value that cannot be.
    #[error("the source's {field} is {found}, expected {expected}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What is there.
        found: String,
        /// What may be.
        expected: &'static str,
    },
}

impl Source {
    /// Reads a YAML or JSON file. Paths in it are relative to it.
    ///
    /// # Errors
    /// Any [`SourceError`].
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let text =
            fs::read_to_string(path).map_err(|source| SourceError::Unreadable { source, path: path.to_path_buf() })?;
        // JSON is YAML.
        let mut source: Self =
            serde_norway::from_str(&text).map_err(|source| SourceError::Syntax { source, path: path.to_path_buf() })?;
        if let (Some(urdf), Some(folder)) = (&mut source.motion.urdf, path.parent()) {
            *urdf = folder.join(&urdf);
        }
        source.check()?;
        Ok(source)
    }

    /// With each camera's pictures cut as the policy learned them, where nothing is said of that.
    #[must_use]
    pub fn cut_as_learned(mut self, cameras: &[crate::bundle::CameraSource]) -> Self {
        for camera in cameras.iter().filter(|camera| camera.crop.is_some()) {
            let said = self.cameras.entry(camera.role.clone()).or_default();
            said.view = camera.view(std::mem::take(&mut said.view));
        }
        self
    }

    /// What cannot be, whatever the recording.
    ///
    /// # Errors
    /// `Value`.
    pub fn check(&self) -> Result<(), SourceError> {
        let InstructionSource { topic, sentence, key } = &self.instruction;
        let said: Vec<_> = [topic, sentence, key].into_iter().flatten().collect();
        let refuse = |field, found, expected| Err(SourceError::Value { field, found, expected });
        if said.len() > 1 {
            return refuse("instruction", format!("{said:?}"), "one of topic, sentence and key");
        }
        if let Some(rate) = self.rate.filter(|rate| !(0.1..=1000.0).contains(rate)) {
            return refuse("rate", rate.to_string(), "steps a second, from 0.1 to 1000");
        }
        let known = |encoding: &&String| crate::frame::ENCODINGS.contains(&encoding.as_str());
        if let Some(encoding) = self.cameras.values().filter_map(|c| c.view.encoding.as_ref()).find(|e| !known(e)) {
            return refuse("encoding", encoding.clone(), "rgb8, bgr8 or another of the encodings that are read");
        }
        if let Some(crop) = self.cameras.values().filter_map(|camera| camera.view.crop).find(|[_, _, w, h]| w * h == 0)
        {
            return refuse("crop", format!("{crop:?}"), "left, top, width and height in pixels");
        }
        Ok(())
    }
}
