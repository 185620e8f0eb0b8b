//! Subscriptions and services: everything that reaches the node goes to the inbox, nothing is decided here. But what
//! stops the arm stops it at once: the control loop may be busy with the network.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use r2r::sensor_msgs::msg::{CompressedImage, Image};
use r2r::std_msgs::msg::{Bool, String as Text};
use r2r::std_srvs::srv::{SetBool, Trigger};
use r2r::{Node, QosProfile};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::clock::Machine;
use super::inbox::{Arrival, Content, Inbox, Message, Payload, Reply};
use super::mailbox::Mailbox;
use super::vitals::Vitals;
use super::worker::timed;
use crate::config::{Images, Qos};
use crate::frame::View;

/// Where what arrives goes.
#[derive(Clone)]
pub(super) struct Receivers {
    pub(super) inbox: Arc<Inbox>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) machine: Machine,
    pub(super) logger: String,
}

impl Receivers {
    fn raw(&self, camera: usize, image: Image) {
        let image = Payload::Raw(Box::new(image));
        let (stamp, received) = (image.stamp(), self.hear(camera));
        self.inbox.picture(Arrival { camera, stamp, content: Content::Unread(image), received, messages: 1, reads: 0 });
    }

    /// Decodes files as they come, beside the control thread and each camera's beside the other's: only the newest, none
    /// that comes too soon for the next step, and none while one that was decoded waits.
    async fn files(
        self,
        camera: usize,
        role: String,
        view: View,
        mut stream: impl Stream<Item = CompressedImage> + Unpin,
    ) {
        let mut doubted = false;
        while let Some(mut file) = stream.next().await {
            let mut messages = 1;
            while let Some(Some(newer)) = stream.next().now_or_never() {
                (file, messages) = (newer, messages + 1);
            }
            let received = self.hear(camera);
            if !doubted && let Some(doubt) = view.doubt(&file.format, &file.data) {
                r2r::log_warn!(&self.logger, "{role}/image: {doubt}");
                doubted = true;
            }
            let image = Payload::Compressed(Box::new(file));
            let stamp = image.stamp();
            let content = if self.inbox.wants(camera, stamp) {
                let view = view.clone();
                let Ok((frame, took)) = spawn_blocking(move || timed(image, &view)).await else { continue };
                Content::Read(frame, took)
            } else {
                Content::Unread(image)
            };
            self.inbox.picture(Arrival { camera, stamp, content, received, messages, reads: 0 });
        }
    }

    fn hear(&self, camera: usize) -> Duration {
        let received = self.machine.now();
        self.vitals.hear(camera, received);
        received
    }

    /// What stops the arm is in the inbox before the arm is halted: whoever sees the halt also sees its reason.
    fn stop(&self, message: Message) {
        self.inbox.push(message);
        self.mailbox.halt();
    }
}

/// Subscribes to every camera's `ROLE/image`, to `instruction` and `estop`, and offers the three services.
pub(super) fn connect(
    node: &mut Node,
    tasks: &Handle,
    to: &Receivers,
    roles: &[String],
    views: &[View],
    images: &Images,
) -> r2r::Result<()> {
    for (camera, (role, view)) in roles.iter().zip(views).enumerate() {
        let (topic, to) = (format!("{role}/image"), to.clone());
        if images.compressed {
            let stream = node.subscribe::<CompressedImage>(&topic, qos(images))?;
            tasks.spawn(to.files(camera, role.clone(), view.clone(), stream));
        } else {
            let stream = node.subscribe::<Image>(&topic, qos(images))?;
            tasks.spawn(drain(stream, move |image| to.raw(camera, image)));
        }
    }
    // Volatile, so that publishers of either durability match; `ros2 topic pub` is volatile.
    let reliable = || QosProfile::default().keep_last(10).reliable().volatile();
    let stream = node.subscribe::<Text>("instruction", reliable())?;
    let inbox = Arc::clone(&to.inbox);
    tasks.spawn(drain(stream, move |text| inbox.push(Message::Instruction(text.data))));
    let stream = node.subscribe::<Bool>("estop", reliable())?;
    let receivers = to.clone();
    let hear = move |pressed: Bool| match pressed.data {
        true => receivers.stop(Message::Estop(true, receivers.machine.now())),
        false => receivers.inbox.push(Message::Estop(false, receivers.machine.now())),
    };
    tasks.spawn(drain(stream, hear));
    services(node, tasks, to)
}

fn qos(images: &Images) -> QosProfile {
    let base = match images.qos {
        Qos::SensorData => QosProfile::sensor_data(),
        Qos::Default => QosProfile::default(),
        Qos::SystemDefault => QosProfile::system_default(),
    };
    base.keep_last(images.qos_depth)
}

async fn drain<T>(mut stream: impl StreamExt<Item = T> + Unpin, mut take: impl FnMut(T)) {
    while let Some(message) = stream.next().await {
        take(message);
    }
}

fn services(node: &mut Node, tasks: &Handle, to: &Receivers) -> r2r::Result<()> {
    let mut enable = node.create_service::<SetBool::Service>("~/enable", QosProfile::services_default())?;
    let (inbox, receivers) = (Arc::clone(&to.inbox), to.clone());
    tasks.spawn(async move {
        while let Some(request) = enable.next().await {
            let on = request.message.data;
            let (reply, answer) = asked();
            match on {
                true => inbox.push(Message::Enable(on, reply)),
                false => receivers.stop(Message::Enable(on, reply)),
            }
            // Answered elsewhere: a `false` must not wait for the answer to the `true` before it.
            tokio::spawn(async move {
                let (success, message) = answer.await;
                // A caller that has gone away needs no answer.
                drop(request.respond(SetBool::Response { success, message }));
            });
        }
    });
    tasks.spawn(trigger(node, "~/reset", &to.inbox, Message::Reset)?);
    tasks.spawn(trigger(node, "~/clear_fault", &to.inbox, Message::ClearFault)?);
    Ok(())
}

fn trigger(
    node: &mut Node,
    name: &str,
    inbox: &Arc<Inbox>,
    message: fn(Reply) -> Message,
) -> r2r::Result<impl Future<Output = ()> + Send + use<>> {
    let mut requests = node.create_service::<Trigger::Service>(name, QosProfile::services_default())?;
    let inbox = Arc::clone(inbox);
    Ok(async move {
        while let Some(request) = requests.next().await {
            let (reply, answer) = asked();
            inbox.push(message(reply));
            let (success, message) = answer.await;
            drop(request.respond(Trigger::Response { success, message }));
        }
    })
}

/// What a request gives to the control loop, and what comes of it.
fn asked() -> (Reply, impl Future<Output = (bool, String)>) {
    let (reply, answer) = oneshot::channel();
    let answer = async {
        match answer.await {
            Ok(Ok(message)) => (true, message),
            Ok(Err(reason)) => (false, reason),
            Err(_) => (false, "the node is shutting down".into()),
        }
    };
    (Box::new(move |result| drop(reply.send(result))), answer)
}
