//! Listens to a node for `deer_vla watch`: its decisions and diagnostics, nothing else, and says nothing.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{Stream, StreamExt};
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use r2r::{Node, QosProfile};
use tokio::runtime::Runtime;

use crate::watch::{Heard, Status};

/// A node of its own that hears another.
pub struct Listener {
    node: Node,
    heard: Receiver<Heard>,
    // After the node, which its tasks read from.
    _runtime: Runtime,
}

impl Listener {
    /// Begins to listen to the node of this full name.
    ///
    /// # Errors
    /// Where there is no ROS 2, or the name is none.
    pub fn new(to: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let context = r2r::Context::create().context("ROS 2 could not be initialised")?;
        let mut node = Node::create(context, "deer_vla_watch", "").context("the node could not be made")?;
        let reliable = || QosProfile::default().keep_last(50).reliable().volatile();
        let topic = format!("{to}/decision");
        let decisions = node
            .subscribe::<DiagnosticStatus>(&topic, reliable())
            .with_context(|| format!("{topic} is no topic's name"))?;
        let diagnostics = node.subscribe::<DiagnosticArray>("/diagnostics", reliable())?;
        let (send, heard) = channel();
        forward(&runtime, decisions, send.clone(), |decision| Heard::Decision(status(decision)));
        forward(&runtime, diagnostics, send, |array| {
            Heard::Diagnostics(array.status.into_iter().map(status).collect())
        });
        Ok(Self { node, heard, _runtime: runtime })
    }

    /// What was said, after waiting for so long that something is.
    pub fn listen(&mut self, wait: Duration) -> Vec<Heard> {
        self.node.spin_once(wait);
        self.heard.try_iter().collect()
    }
}

fn forward<M: Send + 'static>(
    runtime: &Runtime,
    mut messages: impl Stream<Item = M> + Unpin + Send + 'static,
    to: Sender<Heard>,
    read: fn(M) -> Heard,
) {
    runtime.spawn(async move {
        while let Some(message) = messages.next().await {
            // Whoever listened has gone.
            if to.send(read(message)).is_err() {
                return;
            }
        }
    });
}

fn status(message: DiagnosticStatus) -> Status {
    let DiagnosticStatus { level, name, message, hardware_id, values } = message;
    let values = values.into_iter().map(|pair| (pair.key, pair.value)).collect();
    Status { level, name, message, hardware_id, values }
}
