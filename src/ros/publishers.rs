//! Who publishes the cameras' topics, and whether as the type that the node hears: a camera of another type is
//! otherwise silent without a word.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::Node;

use super::inbox::{Inbox, Message};
use super::names::Names;
use crate::config::Images;

/// How often the graph is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the cameras' publishers from time to time.
pub(super) struct Publishers {
    topics: Vec<String>,
    expected: &'static str,
    inbox: Arc<Inbox>,
    looked: Option<Instant>,
    /// What was told of each camera.
    told: Vec<Option<String>>,
}

impl Publishers {
    pub(super) fn new(node: &Node, inbox: &Arc<Inbox>, roles: &[String], images: &Images) -> r2r::Result<Self> {
        let names = Names::new(&node.name()?, &node.namespace()?, std::env::args());
        Ok(Self {
            topics: roles.iter().map(|role| names.topic(&format!("{role}/image"))).collect(),
            expected: if images.compressed { "sensor_msgs/msg/CompressedImage" } else { "sensor_msgs/msg/Image" },
            inbox: Arc::clone(inbox),
            looked: None,
            told: vec![None; roles.len()],
        })
    }

    /// To be called between two spins.
    ///
    /// # Errors
    /// When ROS does not tell.
    pub(super) fn look(&mut self, node: &Node) -> r2r::Result<()> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        for (camera, topic) in self.topics.iter().enumerate() {
            let offers = node.get_publishers_info_by_topic(topic, false)?;
            let types: Vec<_> = offers.into_iter().map(|offer| offer.topic_type).collect();
            let trouble = trouble(topic, self.expected, &types);
            if trouble == self.told[camera] {
                continue;
            }
            if let Some(trouble) = &trouble {
                r2r::log_warn!(node.logger(), "{trouble}");
            }
            self.inbox.push(Message::Trouble(camera, trouble.clone()));
            self.told[camera] = trouble;
        }
        Ok(())
    }
}

/// What is wrong where everybody publishes something else than is expected.
fn trouble(topic: &str, expected: &str, types: &[String]) -> Option<String> {
    let other = types.first().filter(|_| !types.iter().any(|offered| offered == expected))?;
    let mend = match other.as_str() {
        "sensor_msgs/msg/Image" => "set images.transport to raw, or remap to a compressed topic",
        "sensor_msgs/msg/CompressedImage" => "set images.transport to compressed, or remap to a raw topic",
        _ => "remap to the camera's topic (ros2 topic list -t)",
    };
    Some(format!("{topic} carries {other}, and the node hears {expected}; {mend}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_another_type_is_told_with_both_types_and_a_mend() {
        let types = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (raw, compressed) = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage");
        let told = trouble("/camera", compressed, &types(&[raw])).unwrap();
        assert!(told.contains(raw) && told.contains(compressed) && told.contains("images.transport to raw"), "{told}");
        assert_eq!(trouble("/camera", raw, &types(&[compressed, raw])), None, "one of them is right");
        assert_eq!(trouble("/camera", raw, &[]), None, "nobody is there yet");
    }
}
