//! Who publishes what.

use r2r::Node;
use r2r::qos::ReliabilityPolicy;

use crate::doctor::{self, Finding, Offer, Wish};
use crate::ros::names::Names;

const TEXT: &str = "std_msgs/msg/String";
const BOOL: &str = "std_msgs/msg/Bool";
const OURS: &str = "the node takes no other: publish it so";

/// The live graph, by the node's own names.
pub(super) struct Graph<'a> {
    pub(super) node: &'a Node,
    pub(super) names: Names,
}

impl Graph<'_> {
    /// The publishers on a topic, by its full name.
    pub(super) fn offers(&self, topic: &str) -> r2r::Result<Vec<Offer>> {
        let publishers = self.node.get_publishers_info_by_topic(topic, false)?;
        let offers = publishers.into_iter().map(|info| Offer {
            node: format!("{}/{}", info.node_namespace.trim_end_matches('/'), info.node_name),
            message_type: info.topic_type,
            reliable: info.qos_profile.reliability != ReliabilityPolicy::BestEffort,
        });
        Ok(offers.collect())
    }

    /// Whether the node would hear what is published.
    pub(super) fn heard(&self, wish: &Wish<'_>) -> r2r::Result<Vec<Finding>> {
        let topic = self.names.topic(wish.name);
        let offers = self.offers(&topic)?;
        Ok(doctor::offers(wish, &topic, &offers))
    }

    /// A sentence may be said once, by a publisher that comes and goes.
    pub(super) fn instruction(&self) -> r2r::Result<Vec<Finding>> {
        let topic = self.names.topic("instruction");
        if self.offers(&topic)?.is_empty() {
            let told = format!("nobody publishes {topic} yet; one message is enough, whenever it comes");
            return Ok(vec![Finding::ok("instruction", told)]);
        }
        self.heard(&wish("instruction", TEXT))
    }

    /// With a heartbeat a silent emergency stop is a pressed one.
    pub(super) fn estop(&self, heartbeat_secs: Option<f64>) -> r2r::Result<Vec<Finding>> {
        let topic = self.names.topic("estop");
        if heartbeat_secs.is_none() && self.offers(&topic)?.is_empty() {
            return Ok(vec![Finding::warning(
                "estop",
                format!("nobody publishes {topic}, and its silence does not stop the arm"),
                "connect an emergency stop and set estop.heartbeat; keep the robot's own in any case",
            )]);
        }
        self.heard(&wish("estop", BOOL))
    }
}

fn wish<'a>(name: &'a str, message_type: &'a str) -> Wish<'a> {
    Wish { name, message_type, reliable: true, if_unreliable: OURS, if_other_type: OURS }
}
