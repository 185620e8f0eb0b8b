//! `manifest.json`: what a bundle says of itself. `models/README.md` explains every field to whoever makes one.
//!
//! Unknown fields are refused: a manifest that asks for something this version does not know would otherwise be half
//! honoured.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::frame::View;

/// The newest manifest version; all before it are read, too.
pub const SCHEMA: u32 = 2;

/// A bundle's description of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format, 1 to [`SCHEMA`]. In a bundle of schema 1 all cameras share one vision part.
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
    /// The pictures the network sees, in the order of the vision parts.
    pub cameras: Vec<CameraSpec>,
    /// How the sentence becomes token ids.
    pub text: Text,
    /// `W`: width of the hidden state and of a feature.
    pub width: usize,
    /// What a vision part hands to the stages: `[1, tokens, width]`.
    pub media: Media,
    /// The 0-based layer that each exit stands at, strictly increasing.
    pub exits: Vec<usize>,
    /// The action head's recurrent state: `[layers, 1, hidden]` for each of `h` and `c`.
    pub lstm: Lstm,
    /// `K`: control periods that one step gives actions for, its own and those that it foresees.
    #[serde(default = "one")]
    pub ahead: usize,
    /// The robot that it was trained for.
    pub embodiment: Embodiment,
    /// The graphs.
    pub parts: Parts,
    /// Prompt length at which the parts' multiply-accumulates were counted.
    pub macs_tokens: usize,
}

fn one() -> usize {
    1
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
    /// `static` or `gripper`: also part of the image topic's name, and of the stages' inputs.
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

/// Shape of a vision part's output.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// `m`: latents of a camera; in schema 1 of all cameras together.
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

/// The robot that a network was trained for. Recordings, training, the node and `doctor` all take it from here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embodiment {
    /// Actions a second.
    pub control_hz: f64,
    /// x, y, z, roll, pitch, yaw: six relative displacements an action.
    pub arm: Vec<Dimension>,
    /// What the seventh number opens and closes.
    pub gripper: GripperSpec,
    /// What its cameras send, in the order of [`Manifest::cameras`].
    pub cameras: Vec<CameraSource>,
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

/// The gripper: where it stands when it is open, and when the network opens it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripperSpec {
    /// Its name.
    pub name: String,
    /// Of its positions: `m`, `rad`, or `1` where they have none.
    pub unit: String,
    /// Position of the open gripper.
    pub open: f64,
    /// Position of the closed one. A position on the open one's side of the middle is open.
    pub closed: f64,
    /// Probability of "open" above which the gripper opens.
    pub open_above: f64,
}

/// What a camera sends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSource {
    /// Its role in [`Manifest::cameras`].
    pub role: String,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Pictures a second.
    pub rate_hz: f64,
    /// What was cut out of them before the network saw them: left, top, width and height in pixels.
    #[serde(default)]
    pub crop: Option<[u32; 4]>,
}

impl CameraSource {
    /// How its pictures are read: as is said, and cut as the network learned them where nothing is said of that. Then
    /// pictures of another size are refused, for the cut would show another part of the scene.
    pub fn view(&self, said: View) -> View {
        match (said.crop, self.crop) {
            (None, Some(_)) => View { crop: self.crop, cut_of: Some([self.width, self.height]), ..said },
            _ => said,
        }
    }
}

/// The graphs of a bundle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Picture → media, one a camera; in schema 1 a single one for all cameras.
    pub vision: Vec<Part>,
    /// Token ids → hidden state.
    pub embed: Part,
    /// One a exit, in order.
    pub stages: Vec<Part>,
    /// What of the head is the same at every exit of a step: the recurrent products. None in schema 1, where `head`
    /// makes them each time.
    pub head_state: Option<Part>,
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

fn numbered<'a>(name: &'static str, parts: &'a [Part]) -> impl Iterator<Item = (String, &'a Part)> {
    parts.iter().enumerate().map(move |(i, part)| (format!("{name}[{i}]"), part))
}

impl Parts {
    /// Every part with its name.
    pub fn named(&self) -> impl Iterator<Item = (String, &Part)> {
        let one = |name: &str| name.to_owned();
        numbered("vision", &self.vision)
            .chain([(one("embed"), &self.embed)])
            .chain(numbered("stages", &self.stages))
            .chain(self.head_state.iter().map(move |part| (one("head_state"), part)))
            .chain([(one("head"), &self.head)])
            .chain(self.whole.iter().map(move |part| (one("whole"), part)))
    }

    /// Multiply-accumulates of looking at every camera.
    pub fn vision_macs(&self) -> u64 {
        self.vision.iter().map(|part| part.macs).sum()
    }
}

impl Manifest {
    /// Whether one vision part sees all cameras at once, so that none can be looked at alone.
    pub fn sees_jointly(&self) -> bool {
        self.schema == 1
    }

    /// Multiply-accumulates of the language model when a step ends at exit `exit`: its stages and their head calls
    /// (one row a stage and one for the probe).
    pub fn macs_to(&self, exit: usize) -> u64 {
        let stages: u64 = self.parts.stages.iter().take(exit + 1).map(|part| part.macs).sum();
        let once = self.parts.head_state.as_ref().map_or(0, |part| part.macs);
        stages + once + self.parts.head.macs * (exit as u64 + 2)
    }

    /// Bytes of weights that are loaded when no stage beyond exit `cap` is.
    pub fn bytes_to(&self, cap: usize) -> u64 {
        let Parts { vision, embed, head_state, head, .. } = &self.parts;
        // Cameras may look through the same file.
        let fixed = vision.iter().chain([embed, head]).chain(head_state).map(|part| (part.file.as_str(), part.bytes));
        let fixed: u64 = fixed.collect::<BTreeMap<_, _>>().into_values().sum();
        fixed + self.parts.stages.iter().take(cap + 1).map(|part| part.bytes).sum::<u64>()
    }
}
