//! What is what in a recording, as the command line says it: a source file, and options that go before it.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use deer_vla::bag::Bag;
use deer_vla::bag::source::{CameraSource, Clock, InstructionSource, Resolved, Source};
use deer_vla::bundle::Embodiment;

/// Where a recording's inputs are.
#[derive(Args)]
pub(crate) struct SourceArgs {
    /// What is what in the recording (config/source.yaml shows every field); the options below go before it
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// The static camera's topic
    #[arg(long = "static", value_name = "TOPIC")]
    static_camera: Option<String>,
    /// The gripper camera's topic
    #[arg(long = "gripper", value_name = "TOPIC")]
    gripper_camera: Option<String>,
    /// Where another input is: a camera's role, `instruction`, `motion` or `gripper_command`, then its topic
    #[arg(long = "topic", value_name = "INPUT=TOPIC", value_parser = assignment)]
    topics: Vec<(String, String)>,
    /// The sentence, instead of the recording's
    #[arg(long, alias = "instruction", value_name = "TEXT")]
    sentence: Option<String>,
    /// Which time counts: when pictures were taken, or when they were recorded
    #[arg(long, value_parser = ["header", "log"])]
    clock: Option<String>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (input, topic) = text.split_once('=').ok_or("expected INPUT=TOPIC, such as static=/camera/image")?;
    Ok((input.to_owned(), topic.to_owned()))
}

impl SourceArgs {
    /// All that was said.
    ///
    /// # Errors
    /// A source file that does not read.
    pub(crate) fn source(&self) -> anyhow::Result<Source> {
        let mut source = self.source.as_deref().map(Source::read).transpose()?.unwrap_or_default();
        let named = |role: &str, topic: &Option<String>| Some((role.to_owned(), topic.clone()?));
        let cameras = [named("static", &self.static_camera), named("gripper", &self.gripper_camera)];
        for (input, topic) in cameras.into_iter().flatten().chain(self.topics.iter().cloned()) {
            match input.as_str() {
                "instruction" => source.instruction = InstructionSource { topic: Some(topic), ..Default::default() },
                "motion" => source.motion.topic = Some(topic),
                "gripper_command" => source.gripper.topic = Some(topic),
                _ => {
                    let known = source.cameras.remove(&input).unwrap_or_default();
                    source.cameras.insert(input, CameraSource { topic: Some(topic), ..known });
                }
            }
        }
        if let Some(sentence) = &self.sentence {
            source.instruction = InstructionSource { sentence: Some(sentence.clone()), ..Default::default() };
        }
        if let Some(clock) = &self.clock {
            source.clock = if clock == "log" { Clock::Log } else { Clock::Header };
        }
        source.check()?;
        Ok(source)
    }

    /// All that was said, for a policy of this embodiment; says where the source's rate is not the policy's, which alone
    /// counts where a network is run.
    ///
    /// # Errors
    /// As [`SourceArgs::source`].
    pub(crate) fn source_for(&self, embodiment: &Embodiment) -> anyhow::Result<Source> {
        let source = self.source()?.cut_as_learned(&embodiment.cameras);
        let control_hz = embodiment.control_hz;
        if let Some(rate) = source.rate.filter(|rate| (rate / control_hz - 1.0).abs() > 0.01) {
            eprintln!("note: the source's rate of {rate} is not used: the policy has {control_hz} steps a second");
        }
        Ok(source)
    }
}

/// Finds everything in a bag for cameras of these roles, and prints what was guessed.
pub(crate) fn resolved(source: &Source, bag: &Bag, roles: &[&str]) -> anyhow::Result<Resolved> {
    if let Some(role) = source.cameras.keys().find(|role| !roles.contains(&role.as_str())) {
        bail!("a camera {role} was named: this bundle's inputs are {}, instruction", roles.join(", "));
    }
    let resolved = source.resolve(bag, roles).inspect_err(|_| {
        // What is missing may be in a file that is.
        bag.notes().iter().for_each(|note| eprintln!("note: {note}"));
    })?;
    resolved.guessed.iter().for_each(|guess| eprintln!("guessed: {guess}"));
    Ok(resolved)
}
