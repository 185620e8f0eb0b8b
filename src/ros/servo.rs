//! MoveIt Servo's side: asks it to take twists, and listens to its status.
//!
//! The type of its status tells which Servo it is. Humble's speaks standard messages; Jazzy's and newer ones speak
//! moveit_msgs, of which r2r knows what was sourced when this program was built: a type that is missing is found out here
//! and said, while everything else works without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use r2r::std_msgs::msg::Int8;
use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{Client, ClientUntyped, Node, QosProfile};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::clock::Machine;
use super::inbox::{Inbox, Message};
use crate::config::ServoConfig;
use crate::safety::{Halt, Interface, Report};

const STATUS: &str = "moveit_msgs/msg/ServoStatus";
const COMMAND_TYPE: &str = "moveit_msgs/srv/ServoCommandType";
/// `TWIST` of that service.
const TWIST: i64 = 1;
/// How often the graph is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// For one service to appear, or to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Looks for Servo, greets it, and greets it again when it was started anew.
pub(super) struct ServoClient {
    name: String,
    inbox: Arc<Inbox>,
    machine: Machine,
    tasks: Handle,
    looked: Option<Instant>,
    listening: bool,
    /// The publishers of its status when they were looked at last, by their DDS identities.
    known: Vec<Vec<u8>>,
    /// Whether it was greeted, or is being.
    greeted: Arc<AtomicBool>,
}

impl ServoClient {
    pub(super) fn new(config: &ServoConfig, inbox: &Arc<Inbox>, machine: Machine, tasks: &Handle) -> Self {
        Self {
            name: config.node.clone(),
            inbox: Arc::clone(inbox),
            machine,
            tasks: tasks.clone(),
            looked: None,
            listening: false,
            known: Vec::new(),
            greeted: Arc::default(),
        }
    }

    /// Looks at the graph from time to time; to be called between two spins.
    ///
    /// # Errors
    /// When ROS refuses a subscription or a client.
    pub(super) fn look(&mut self, node: &mut Node) -> r2r::Result<()> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let publishers = node.get_publishers_info_by_topic(&self.topic("status"), false)?;
        // One that was killed stays in the graph for a while: the one that was started in its place is another publisher.
        let new = publishers.iter().find(|publisher| !self.known.iter().any(|gid| *gid == publisher.endpoint_gid));
        let newest = new.or(publishers.first()).map(|publisher| publisher.topic_type.clone());
        if (new.is_some() || newest.is_none()) && self.greeted.swap(false, Ordering::Relaxed) {
            let what = if newest.is_some() { "was started again" } else { "is gone; start it again" };
            self.report(Report::Away(format!("MoveIt Servo at {} {what}", self.name)));
        }
        self.known = publishers.into_iter().map(|publisher| publisher.endpoint_gid.to_vec()).collect();
        match newest {
            Some(status) if !self.greeted.swap(true, Ordering::Relaxed) => self.greet(node, &status),
            _ => Ok(()),
        }
    }

    fn greet(&mut self, node: &mut Node, status: &str) -> r2r::Result<()> {
        match status {
            "std_msgs/msg/Int8" => self.greet_humble(node),
            STATUS => self.greet_jazzy(node),
            other => {
                let known = format!("neither std_msgs/msg/Int8 (Humble) nor {STATUS} (Jazzy and newer)");
                self.report(Report::Away(format!("the status of {} is a {other}, {known}", self.name)));
                Ok(())
            }
        }
    }

    fn greet_humble(&mut self, node: &mut Node) -> r2r::Result<()> {
        self.listen_humble(node)?;
        let start = node.create_client(&self.topic("start_servo"), QosProfile::services_default())?;
        self.shake(start_humble(start));
        Ok(())
    }

    fn greet_jazzy(&mut self, node: &mut Node) -> r2r::Result<()> {
        let qos = QosProfile::services_default;
        match node.create_client_untyped(&self.topic("switch_command_type"), COMMAND_TYPE, qos()) {
            Ok(switch) => {
                self.listen_jazzy(node)?;
                let pause = node.create_client(&self.topic("pause_servo"), qos())?;
                self.shake(start_jazzy(switch, pause));
            }
            // It stays greeted: asking again would not help.
            Err(_unknown_type) => self.report(Report::Away(format!(
                "MoveIt Servo at {} speaks moveit_msgs, which was not there when this program was built: source it and \
                 build again, or set servo.handshake to false and prepare Servo by hand (~/switch_command_type, \
                 ~/pause_servo)",
                self.name
            ))),
        }
        Ok(())
    }

    fn listen_humble(&mut self, node: &mut Node) -> r2r::Result<()> {
        if !std::mem::replace(&mut self.listening, true) {
            let stream = node.subscribe::<Int8>(&self.topic("status"), QosProfile::default())?;
            self.listen(stream.map(|status| Some(i64::from(status.data))), Interface::Humble);
        }
        Ok(())
    }

    fn listen_jazzy(&mut self, node: &mut Node) -> r2r::Result<()> {
        if !std::mem::replace(&mut self.listening, true) {
            let stream = node.subscribe_untyped(&self.topic("status"), STATUS, QosProfile::default())?;
            self.listen(stream.map(|status| status.ok()?.get("code")?.as_i64()), Interface::Jazzy);
        }
        Ok(())
    }

    fn listen(&self, codes: impl StreamExt<Item = Option<i64>> + Unpin + Send + 'static, interface: Interface) {
        let (inbox, machine, mut codes) = (Arc::clone(&self.inbox), self.machine, codes);
        self.tasks.spawn(async move {
            while let Some(code) = codes.next().await {
                // A status without a code is one that cannot be read: as good as silence.
                if let Some(code) = code {
                    inbox.push(Message::Servo(Report::Status(Halt::of(interface, code)), machine.now()));
                }
            }
        });
    }

    fn shake(&self, hands: impl Future<Output = Result<(), String>> + Send + 'static) {
        let (inbox, machine) = (Arc::clone(&self.inbox), self.machine);
        let (greeted, name) = (Arc::clone(&self.greeted), self.name.clone());
        self.tasks.spawn(async move {
            let report = match hands.await {
                Ok(()) => Report::Ready,
                Err(reason) => {
                    greeted.store(false, Ordering::Relaxed);
                    Report::Away(format!("MoveIt Servo at {name} did not take up twists: {reason}; trying again"))
                }
            };
            inbox.push(Message::Servo(report, machine.now()));
        });
    }

    fn report(&self, report: Report) {
        self.inbox.push(Message::Servo(report, self.machine.now()));
    }

    fn topic(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}

async fn start_humble(start: Client<Trigger::Service>) -> Result<(), String> {
    within("~/start_servo to appear", Node::is_available(&start)).await?;
    let answer = within("~/start_servo", start.request(&Trigger::Request {})).await?;
    if answer.success { Ok(()) } else { Err(format!("~/start_servo says {:?}", answer.message)) }
}

async fn start_jazzy(switch: ClientUntyped, pause: Client<SetBool::Service>) -> Result<(), String> {
    within("~/switch_command_type to appear", Node::is_available(&switch)).await?;
    let answer = within("~/switch_command_type", switch.request(json!({ "command_type": TWIST }))).await?;
    let answer = answer.map_err(|e| format!("~/switch_command_type: {e}"))?;
    if answer.get("success").and_then(Value::as_bool) != Some(true) {
        return Err("~/switch_command_type refused TWIST".into());
    }
    let answer = within("~/pause_servo", pause.request(&SetBool::Request { data: false })).await?;
    if answer.success { Ok(()) } else { Err(format!("~/pause_servo says {:?}", answer.message)) }
}

async fn within<T>(what: &str, asked: r2r::Result<impl Future<Output = r2r::Result<T>>>) -> Result<T, String> {
    let answer = asked.map_err(|e| format!("{what}: {e}"))?;
    let answer = timeout(ANSWERS_WITHIN, answer).await.map_err(|e| format!("waiting for {what}: {e}"))?;
    answer.map_err(|e| format!("{what}: {e}"))
}
