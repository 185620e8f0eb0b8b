//! What is said of a recording, and what is in it → which topic is what.

use super::{CameraSource, Clock, GripperSource, InstructionSource, MotionSource, Source, guess};
use crate::bag::{Bag, BagError};
use crate::frame::View;

/// A recording's source with nothing left open.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Resolved {
    /// One a role, in the order in which they were asked for.
    pub cameras: Vec<CameraTopic>,
    /// Where the sentence is.
    pub spoken: Spoken,
    /// The arm's motion, with its topic; `None` where the recording has none.
    pub motion: Option<MotionSource>,
    /// The gripper's commands, with their topic; `None` where the recording has none.
    pub gripper: Option<GripperSource>,
    /// Which time counts.
    pub clock: Clock,
    /// The emergency stop's topic, where it is in the recording.
    pub estop: Option<String>,
    /// What was guessed, for people.
    pub guessed: Vec<String>,
}

/// A camera's topic and how it is read.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[allow(missing_docs, reason = "as in CameraSource")]
pub struct CameraTopic {
    pub role: String,
    pub topic: String,
    #[serde(flatten)]
    pub view: View,
}

/// Where the sentence is.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    /// On a topic.
    Topic(String),
    /// One for the whole recording.
    Sentence(String),
}

impl Source {
    /// Finds everything in `bag` for a policy whose cameras are `roles`.
    ///
    /// # Errors
    /// `NoTopic`, `MissingTopic`, `NoKey` or `TwoRoles`.
    pub fn resolve(&self, bag: &Bag, roles: &[&str]) -> Result<Resolved, BagError> {
        let mut guessed = Vec::new();
        let cameras = self.resolve_cameras(bag, roles, &mut guessed)?;
        let spoken = self.resolve_instruction(bag, &mut guessed)?;
        let motion = topic_or_guess(bag, "motion", &self.motion.topic, guess::motion, "/twist", &mut guessed)?
            .map(|topic| MotionSource { topic: Some(topic), ..self.motion.clone() });
        let gripper = topic_or_guess(bag, "gripper", &self.gripper.topic, guess::gripper, "/gripper", &mut guessed)?
            .map(|topic| GripperSource { topic: Some(topic), ..self.gripper.clone() });
        let estop = Some("/estop".to_owned()).filter(|topic| bag.topics().contains_key(topic));
        Ok(Resolved { cameras, spoken, motion, gripper, clock: self.clock, estop, guessed })
    }

    fn resolve_cameras(
        &self,
        bag: &Bag,
        roles: &[&str],
        guessed: &mut Vec<String>,
    ) -> Result<Vec<CameraTopic>, BagError> {
        let of = |role: &str| self.cameras.get(role).cloned().unwrap_or_default();
        if let Some(role) = self.cameras.keys().find(|role| !roles.contains(&role.as_str())) {
            return Err(BagError::NoRole { role: role.clone(), roles: roles.join(", ") });
        }
        let said: Vec<CameraSource> = roles.iter().map(|role| of(role)).collect();
        let named: Vec<Option<&str>> = said.iter().map(|camera| camera.topic.as_deref()).collect();
        named.iter().flatten().try_for_each(|topic| bag.topic(topic).map(|_| ()))?;
        let found = guess::cameras(bag.topics(), roles, &named);
        let mut cameras: Vec<CameraTopic> = Vec::new();
        for (&role, (camera, topic)) in roles.iter().zip(said.into_iter().zip(found)) {
            let Some(topic) = topic else {
                let (what, field) = (format!("the {role} camera"), format!("cameras: {{{role}: TOPIC}}"));
                let option = match role {
                    "static" | "gripper" => format!("--{role} TOPIC"),
                    _ => format!("--topic {role}=TOPIC"),
                };
                return Err(BagError::NoTopic { what, field, option, there: bag.there() });
            };
            if let Some(other) = cameras.iter().find(|other| other.topic == topic) {
                return Err(BagError::TwoRoles { topic, roles: format!("{} and {role}", other.role) });
            }
            if camera.topic.is_none() && topic != format!("/{role}/image") {
                guessed.push(format!("the {role} camera is {topic}"));
            }
            cameras.push(CameraTopic { role: role.to_owned(), topic, view: camera.view });
        }
        Ok(cameras)
    }

    fn resolve_instruction(&self, bag: &Bag, guessed: &mut Vec<String>) -> Result<Spoken, BagError> {
        let InstructionSource { topic, sentence, key } = &self.instruction;
        if let Some(sentence) = sentence {
            return Ok(Spoken::Sentence(sentence.trim().to_owned()));
        }
        if let Some(topic) = topic {
            return bag.topic(topic).map(|_| Spoken::Topic(topic.clone()));
        }
        if let Some(key) = key {
            let there = || bag.custom_data().keys().cloned().collect::<Vec<_>>().join(", ");
            let sentence = bag.custom_data().get(key);
            let sentence = sentence.ok_or_else(|| BagError::NoKey { key: key.clone(), there: there() })?;
            return Ok(Spoken::Sentence(sentence.trim().to_owned()));
        }
        if let Some(topic) = guess::instruction(bag.topics()) {
            if topic != "/instruction" {
                guessed.push(format!("the instruction is on {topic}"));
            }
            return Ok(Spoken::Topic(topic.to_owned()));
        }
        let key = guess::key(bag.custom_data());
        if let Some((key, sentence)) = key.and_then(|key| Some((key, bag.custom_data().get(key)?))) {
            guessed.push(format!("the instruction is metadata.yaml's {key}: {sentence:?}"));
            return Ok(Spoken::Sentence(sentence.trim().to_owned()));
        }
        let (what, field) = ("the instruction".to_owned(), "instruction: {sentence: TEXT}".to_owned());
        Err(BagError::NoTopic { what, field, option: "--sentence TEXT".into(), there: bag.there() })
    }
}

/// The topic that was said, which must be there; else the one that is guessed, if any.
fn topic_or_guess(
    bag: &Bag,
    what: &str,
    said: &Option<String>,
    guess: impl Fn(&guess::Topics) -> Option<&str>,
    usual: &str,
    guessed: &mut Vec<String>,
) -> Result<Option<String>, BagError> {
    if let Some(topic) = said {
        return bag.topic(topic).map(|_| Some(topic.clone()));
    }
    let found = guess(bag.topics()).map(str::to_owned);
    if let Some(topic) = found.as_ref().filter(|topic| *topic != usual) {
        guessed.push(format!("the {what} is {topic}"));
    }
    Ok(found)
}
