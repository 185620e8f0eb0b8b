//! The topics that the node hears and speaks on.

use std::pin::Pin;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use r2r::geometry_msgs::msg::TwistStamped;
use r2r::sensor_msgs::msg::{CompressedImage, Image};
use r2r::std_msgs::msg::Float64MultiArray;
use r2r::trajectory_msgs::msg::JointTrajectory;
use r2r::{Node, Publisher, QosProfile};

use super::graph::Graph;
use crate::bundle::Manifest;
use crate::config::{Config, GripperInterface, Images, Qos};
use crate::doctor::{self, CameraLimits, Finding, Level, Seen, Wish};
use crate::frame::View;
use crate::ros::inbox::Payload;
use crate::ros::worker::read;
use crate::units::Stamp;

const IMAGE: &str = "sensor_msgs/msg/Image";
const COMPRESSED: &str = "sensor_msgs/msg/CompressedImage";

type Pictures = Pin<Box<dyn Stream<Item = Payload>>>;

/// What was heard, and publishers that know who would hear.
pub(super) struct Topics {
    cameras: Vec<Listened>,
    max_skew_secs: f64,
    twist: Publisher<TwistStamped>,
    gripper: GripperProbe,
}

struct Listened {
    name: String,
    view: View,
    limits: CameraLimits,
    pictures: Pictures,
    seen: Vec<Seen>,
    /// The newest picture that can be read, as it came.
    sample: Option<Payload>,
}

enum GripperProbe {
    Trajectory(Publisher<JointTrajectory>),
    Positions(Publisher<Float64MultiArray>),
    Action,
}

impl Topics {
    /// Subscribes as the node would, but best effort, which hears everybody.
    pub(super) fn new(
        node: &mut Node,
        config: &Config,
        manifest: Option<&Manifest>,
        views: &[View],
    ) -> r2r::Result<Self> {
        let control_hz = manifest.map_or(1.0, |manifest| manifest.embodiment.control_hz);
        let guard = config.guard(control_hz);
        let mut cameras = Vec::new();
        for (camera, view) in manifest.map_or(&[][..], |manifest| &manifest.cameras).iter().zip(views) {
            let name = format!("{}/image", camera.role);
            let limits = CameraLimits {
                max_age_secs: guard.max_frame_age_secs,
                min_rate_hz: guard.min_rate_hz,
                control_hz,
                size: camera.size,
            };
            let pictures = subscribe(node, &name, config.images.compressed)?;
            cameras.push(Listened { name, view: view.clone(), limits, pictures, seen: Vec::new(), sample: None });
        }
        let command = || QosProfile::default().keep_last(1).reliable().volatile();
        let gripper = match config.gripper.interface {
            GripperInterface::JointTrajectory(_) => {
                GripperProbe::Trajectory(node.create_publisher("~/gripper", command())?)
            }
            GripperInterface::Float64MultiArray(_) => {
                GripperProbe::Positions(node.create_publisher("~/gripper", command())?)
            }
            GripperInterface::GripperCommand | GripperInterface::ParallelGripperCommand(_) => GripperProbe::Action,
        };
        let max_skew_secs = guard.max_frame_skew_secs;
        Ok(Self { cameras, max_skew_secs, twist: node.create_publisher("~/twist", command())?, gripper })
    }

    /// Takes what has come since the last call; `now` on the node's clock.
    pub(super) fn take(&mut self, now: Stamp) {
        for camera in &mut self.cameras {
            while let Some(Some(picture)) = camera.pictures.next().now_or_never() {
                let bytes = match &picture {
                    Payload::Raw(image) => image.data.len(),
                    Payload::Compressed(file) => file.data.len(),
                };
                camera.seen.push(match read(&picture, &camera.view) {
                    Ok(frame) => {
                        camera.sample = Some(picture);
                        Seen { stamp: frame.stamp, received: now, picture: Ok((frame.width, frame.height)), bytes }
                    }
                    Err(error) => Seen { stamp: Stamp(0), received: now, picture: Err(error.to_string()), bytes },
                });
            }
        }
    }

    /// The newest picture of every camera, once each has sent one that can be read, and how it is. They are given away.
    pub(super) fn samples(&mut self) -> Option<Vec<(Payload, View)>> {
        self.cameras.iter_mut().map(|camera| Some((camera.sample.take()?, camera.view.clone()))).collect()
    }

    /// Whether every camera was heard.
    pub(super) fn complete(&self) -> bool {
        self.cameras.iter().all(|camera| !camera.seen.is_empty())
    }

    /// Forgets the pictures that came while others were still looked for.
    pub(super) fn forget(&mut self) {
        self.cameras.iter_mut().for_each(|camera| camera.seen.clear());
    }

    /// What the graph and the pictures of `listened` come to.
    pub(super) fn findings(
        &self,
        graph: &Graph<'_>,
        config: &Config,
        simulated: bool,
        listened: Duration,
    ) -> r2r::Result<Vec<Finding>> {
        let clocks: Vec<_> = graph.offers("/clock")?.into_iter().map(|offer| offer.node).collect();
        let clock = doctor::clock(simulated, &clocks);
        // By a clock that stands still every age would be wrong.
        let timed = clock.level != Level::Error;
        let mut findings = vec![clock];
        for camera in &self.cameras {
            let heard = graph.heard(&image_wish(camera, &config.images))?;
            let pictures_come = heard.iter().all(|finding| finding.level != Level::Error);
            findings.extend(heard);
            if timed && pictures_come {
                findings.extend(doctor::pictures(&camera.name, &camera.seen, camera.limits, listened.as_secs_f64()));
            }
        }
        if let ([one, other], true) = (&self.cameras[..], timed) {
            let names = [one.name.as_str(), other.name.as_str()];
            findings.extend(doctor::skew(names, [&one.seen, &other.seen], self.max_skew_secs));
        }
        findings.extend(graph.instruction()?);
        findings.extend(graph.estop(config.estop_heartbeat_secs)?);
        let twist = self.twist.get_inter_process_subscription_count()?;
        findings.push(doctor::listeners("~/twist", &graph.names.topic("~/twist"), twist, !config.dry_run));
        let topic = graph.names.topic("~/gripper");
        let gripper = match &self.gripper {
            GripperProbe::Trajectory(publisher) => publisher.get_inter_process_subscription_count()?,
            GripperProbe::Positions(publisher) => publisher.get_inter_process_subscription_count()?,
            GripperProbe::Action => graph.offers(&format!("{topic}/_action/status"))?.len(), // its servers' own topic
        };
        findings.push(doctor::listeners("~/gripper", &topic, gripper, false));
        Ok(findings)
    }
}

fn subscribe(node: &mut Node, topic: &str, compressed: bool) -> r2r::Result<Pictures> {
    let qos = QosProfile::sensor_data().keep_last(10);
    Ok(if compressed {
        Box::pin(node.subscribe::<CompressedImage>(topic, qos)?.map(|image| Payload::Compressed(Box::new(image))))
    } else {
        Box::pin(node.subscribe::<Image>(topic, qos)?.map(|image| Payload::Raw(Box::new(image))))
    })
}

fn image_wish<'a>(camera: &'a Listened, images: &Images) -> Wish<'a> {
    let (message_type, transport) = if images.compressed { (COMPRESSED, "raw") } else { (IMAGE, "compressed") };
    Wish {
        name: &camera.name,
        message_type,
        reliable: images.qos == Qos::Default,
        if_unreliable: "set images.qos to sensor_data",
        if_other_type: match transport {
            "raw" => "set images.transport to raw, or remap to a compressed topic",
            _ => "set images.transport to compressed, or remap to a raw topic",
        },
    }
}
