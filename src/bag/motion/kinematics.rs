//! Joint positions → where the tool is, by the robot's description (URDF).

use std::fs;
use std::path::Path;

use glam::{DAffine3, DQuat, DVec3, EulerRot};
use roxmltree::{Document, Node};

use crate::bag::BagError;
use crate::bag::source::MotionSource;

/// The joints from the base to the tip.
#[derive(Debug)]
pub(super) struct Chain(Vec<Link>);

/// A joint and the link that it moves.
#[derive(Debug, Clone)]
struct Link {
    name: String,
    parent: String,
    child: String,
    origin: DAffine3,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Fixed,
    Turns(DVec3),
    Slides(DVec3),
}

impl Chain {
    /// The chain that `source` describes.
    ///
    /// # Errors
    /// `Kinematics`.
    pub(super) fn read(source: &MotionSource) -> Result<Self, BagError> {
        let topic = source.topic.clone().unwrap_or_default();
        let refuse = |what: String| BagError::Kinematics { topic: topic.clone(), what };
        let path = source.urdf.as_deref().ok_or_else(|| refuse("no URDF is named".into()))?;
        let text = fs::read_to_string(path).map_err(|e| refuse(format!("{} cannot be read: {e}", path.display())))?;
        let links = links(&text, path).map_err(refuse)?;
        let chain = chain(&links, source.base.as_deref(), source.tip.as_deref());
        chain.map(Self).map_err(|what| refuse(format!("{}: {what}", path.display())))
    }

    /// The tip in the base, where joints stand so. A joint of the chain that has no position is an error.
    pub(super) fn pose(&self, names: &[String], positions: &[f64]) -> Result<DAffine3, String> {
        let mut pose = DAffine3::IDENTITY;
        for link in &self.0 {
            pose *= link.origin;
            let place = names.iter().position(|name| *name == link.name);
            let position = || {
                let position = place.and_then(|place| positions.get(place)).filter(|position| position.is_finite());
                position.copied().ok_or_else(|| format!("the message has no position of joint {}", link.name))
            };
            match link.kind {
                Kind::Fixed => (),
                Kind::Turns(axis) => pose *= DAffine3::from_quat(DQuat::from_axis_angle(axis, position()?)),
                Kind::Slides(axis) => pose *= DAffine3::from_translation(axis * position()?),
            }
        }
        Ok(pose)
    }
}

fn links(text: &str, path: &Path) -> Result<Vec<Link>, String> {
    let document = Document::parse(text).map_err(|e| format!("{} is no URDF: {e}", path.display()))?;
    let joints = document.root_element().children().filter(|node| node.has_tag_name("joint"));
    let links: Vec<Link> = joints.map(link).collect::<Result<_, _>>()?;
    if links.is_empty() {
        return Err(format!("{} has no joints; give the finished URDF, not a xacro", path.display()));
    }
    Ok(links)
}

fn link(joint: Node<'_, '_>) -> Result<Link, String> {
    let name = joint.attribute("name").unwrap_or_default().to_owned();
    let child = |tag: &str| joint.children().find(|node| node.has_tag_name(tag));
    let end = |tag: &str| child(tag).and_then(|node| node.attribute("link")).unwrap_or_default().to_owned();
    let vector = |tag: &str, attribute: &str, default: DVec3| {
        let text = child(tag).and_then(|node| node.attribute(attribute));
        text.map_or(Ok(default), numbers).map_err(|e| format!("joint {name}: {tag} {attribute}: {e}"))
    };
    let turned = vector("origin", "rpy", DVec3::ZERO)?;
    let rotation = DQuat::from_euler(EulerRot::ZYX, turned.z, turned.y, turned.x);
    let origin = DAffine3::from_rotation_translation(rotation, vector("origin", "xyz", DVec3::ZERO)?);
    let axis = vector("axis", "xyz", DVec3::X)?.normalize_or(DVec3::X);
    let kind = match joint.attribute("type").unwrap_or_default() {
        "fixed" => Kind::Fixed,
        "revolute" | "continuous" => Kind::Turns(axis),
        "prismatic" => Kind::Slides(axis),
        other => return Err(format!("joint {name} is {other}; fixed, revolute, continuous and prismatic are read")),
    };
    Ok(Link { parent: end("parent"), child: end("child"), name, origin, kind })
}

fn numbers(text: &str) -> Result<DVec3, String> {
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
    <[f64; 3]>::try_from(numbers).map(DVec3::from_array).map_err(|_other| format!("{text:?} are not three numbers"))
}

/// The links from `base` to `tip`; the root and the only end where they are not named.
fn chain(links: &[Link], base: Option<&str>, tip: Option<&str>) -> Result<Vec<Link>, String> {
    let mut at = match tip {
        Some(tip) => tip.to_owned(),
        None => {
            let ends = links.iter().filter(|link| !links.iter().any(|other| other.parent == link.child));
            match ends.map(|link| link.child.as_str()).collect::<Vec<_>>().as_slice() {
                [end] => (*end).to_owned(),
                ends => return Err(format!("say which link is the tip: {}", ends.join(", "))),
            }
        }
    };
    let mut chain = Vec::new();
    while Some(at.as_str()) != base {
        match links.iter().find(|link| link.child == at) {
            Some(link) if chain.len() < links.len() => {
                at.clone_from(&link.parent);
                chain.push(link.clone());
            }
            _ if base.is_none() && !chain.is_empty() => break,
            _ => return Err(format!("no joint leads from {} to {at}", base.unwrap_or("the root"))),
        }
    }
    chain.reverse();
    Ok(chain)
}
