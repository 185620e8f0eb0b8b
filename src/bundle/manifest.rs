//! `manifest.json`: what a bundle says of itself. `models/README.md` explains every field to whoever makes one.
//!
//! Unknown fields are refused: a manifest that asks for something this version does not know would otherwise be half
//! honoured.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The newest manifest version that is read.
pub const SCHEMA: u32 = 1;

/// A bundle's description of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format; [`SCHEMA`] is read.
    pub schema: u32,
    /// Short name, as `deer_vla check` prints it.
    pub name: String,
    /// SPDX expression of the weights' licence.
    pub license: String,
    /// One sentence for people.
    pub description: String,
    /// The command that makes this bundle again.
    pub made_by: String,
    /// Every file of the bundle and its hash.
    pub files: BTreeMap<String, File>,
    /// The pictures the network sees, in the order of `vision.onnx`'s inputs.
    pub cameras: Vec<CameraSpec>,
    /// How the sentence becomes token ids.
    pub text: Text,
    /// `W`: width of the hidden state and of a feature.
    pub width: usize,
    /// What vision hands to the stages: `[1, tokens, width]`.
    pub media: Media,
    /// The 0-based layer that each exit stands at, strictly increasing.
    pub exits: Vec<usize>,
    /// The action head's recurrent state: `[layers, 1, hidden]` for each of `h` and `c`.
    pub lstm: Lstm,
    /// What the head's numbers mean.
    pub action: Action,
    /// The graphs.
    pub parts: Parts,
    /// Prompt length at which the parts' multiply-accumulates were counted.
    pub macs_tokens: usize,
}

/// One file of the bundle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Lower-case hexadecimal SHA-256 of its bytes.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// One camera and how its picture becomes a tensor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSpec {
    /// `static` or `gripper`: also the name of vision's input and of the image topic.
    pub role: String,
    /// `S`: the tensor is `[1, 3, S, S]`.
    pub size: u32,
    /// How the shorter side is brought to `size`.
    pub resize: Resize,
    /// What is cut from the resized picture.
    pub crop: Crop,
    /// Subtracted from each channel of the picture scaled to 0..1.
    pub mean: [f32; 3],
    /// Divides each channel afterwards; positive.
    pub std: [f32; 3],
}

/// Resize rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Pillow's antialiased bicubic filter (a = -0.5) on 8-bit channels.
    Bicubic,
}

/// Crop rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// The middle `size` x `size`, rounded as torchvision's CenterCrop does.
    Center,
}

/// How the sentence becomes token ids.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// File in Hugging Face tokenizers format.
    pub tokenizer: String,
    /// The prompt, `{instruction}` standing for the stripped sentence.
    pub template: String,
    /// Longer prompts are cut to this many ids.
    pub max_tokens: usize,
}

/// Shape of vision's output.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// `M`: latents of all cameras together.
    pub tokens: usize,
    /// `D`: width of a latent.
    pub width: usize,
}

/// Shape of the head's recurrent state.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    /// `L`: stacked LSTM layers.
    pub layers: usize,
    /// `H`: width of each.
    pub hidden: usize,
}

/// What the head's seven numbers mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Actions a second that the network was trained for.
    pub control_hz: f64,
    /// x, y, z, roll, pitch, yaw: six relative displacements an action.
    pub arm: Vec<Dimension>,
    /// The seventh number.
    pub gripper: GripperAction,
}

/// One of the six arm outputs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// `x`, `y`, `z`, `roll`, `pitch` or `yaw`.
    pub name: String,
    /// `m` for the first three, `rad` for the others.
    pub unit: String,
    /// Physical displacement of an output of 1.
    pub scale: f64,
    /// The frame it is given in; `base` is what this version drives.
    pub frame: String,
}

/// The gripper output.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripperAction {
    /// Its name.
    pub name: String,
    /// Probability of "open" above which the gripper opens.
    pub open_above: f64,
}

/// The graphs of a bundle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Pictures → media.
    pub vision: Part,
    /// Token ids → hidden state.
    pub embed: Part,
    /// One a exit, in order.
    pub stages: Vec<Part>,
    /// Feature and recurrent state → action and next state.
    pub head: Part,
    /// All stages as one graph over the stages' own weights, for `deer_vla bench` alone.
    pub whole: Option<Part>,
}

/// One graph.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its file.
    pub file: String,
    /// Weights in it.
    pub parameters: u64,
    /// Bytes read to load it.
    pub bytes: u64,
    /// Multiply-accumulates of one run at [`Manifest::macs_tokens`] (the head: of one row).
    pub macs: u64,
}

impl Parts {
    /// Every part with its name.
    pub fn named(&self) -> impl Iterator<Item = (String, &Part)> {
        [("vision".to_owned(), &self.vision), ("embed".to_owned(), &self.embed), ("head".to_owned(), &self.head)]
            .into_iter()
            .chain(self.stages.iter().enumerate().map(|(k, part)| (format!("stages[{k}]"), part)))
            .chain(self.whole.iter().map(|part| ("whole".to_owned(), part)))
    }
}

impl Manifest {
    /// Multiply-accumulates of the language model when a step ends at exit `exit`: its stages and their head calls
    /// (one row a stage and one for the probe).
    pub fn macs_to(&self, exit: usize) -> u64 {
        let stages: u64 = self.parts.stages.iter().take(exit + 1).map(|part| part.macs).sum();
        stages + self.parts.head.macs * (exit as u64 + 2)
    }

    /// Bytes of weights that are loaded when no stage beyond exit `cap` is.
    pub fn bytes_to(&self, cap: usize) -> u64 {
        let fixed = self.parts.vision.bytes + self.parts.embed.bytes + self.parts.head.bytes;
        fixed + self.parts.stages.iter().take(cap + 1).map(|part| part.bytes).sum::<u64>()
    }
}
