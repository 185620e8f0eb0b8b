//! Runs the network a part at a time: vision, embed, stage *k*, head.
//!
//! The engine keeps everything where it was made: media, hidden states, features and the head's state stay on the device,
//! and only actions (seven numbers an exit) come back to the host. [`Engine`] is all that the policy knows
//! of it, so the policy is tested against [`Scripted`] and runs on [`ort::OrtEngine`].

#[cfg(feature = "faults")]
mod faulty;
pub mod ort;
mod scripted;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut4};

#[cfg(feature = "faults")]
pub use faulty::Faulty;
pub use scripted::Scripted;

/// The parts of the network, in the order in which a control step calls them.
pub trait Engine {
    /// Embeds a prompt; stage 0 starts from it until the next call.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn embed(&mut self, ids: &[i64]) -> Result<(), EngineError>;

    /// Lets `paint` write a camera's picture, `[1, 3, S, S]`, where its encoder reads it.
    fn draw(&mut self, camera: usize, paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>));

    /// Encodes the picture that was drawn last; every stage sees the result until the camera's next look. A bundle of
    /// schema 1 sees all cameras at once, when its last one is looked at.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn look(&mut self, camera: usize) -> Result<(), EngineError>;

    /// Makes what of the head is the same at every exit of the step that begins.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn recall(&mut self) -> Result<(), EngineError>;

    /// Runs stage `k` on what stage `k - 1` left (stage 0: on the embedded prompt).
    ///
    /// # Errors
    /// When the network cannot be run, or `k` is not loaded.
    fn stage(&mut self, k: usize) -> Result<(), EngineError>;

    /// The action at the exit of the stage that ran last; stage 0 gives the probe's before it.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn act(&mut self) -> Result<Vec<Action>, EngineError>;

    /// What the last row of the newest [`Engine::act`] or [`Engine::head`] foresees for the control periods after its own,
    /// `K - 1` actions; none where the head does not foresee. Brought to the host, so it is asked of the exit that is taken
    /// alone.
    ///
    /// # Errors
    /// When it cannot be copied.
    fn ahead(&mut self) -> Result<Vec<Action>, EngineError> {
        Ok(Vec::new())
    }

    /// What the stage that ran last left for the head, `[N, W]`: the probe and the feature for stage 0, the feature alone
    /// for every other. Brought to the host, which a step by itself does not need.
    ///
    /// # Errors
    /// When it cannot be copied.
    fn features(&self) -> Result<Array2<f32>, EngineError>;

    /// The recurrent state after the last action becomes the state.
    fn commit(&mut self);

    /// Clears the recurrent state.
    fn reset(&mut self);

    /// The recurrent state, on the host.
    ///
    /// # Errors
    /// When it cannot be copied.
    fn state(&self) -> Result<LstmState, EngineError>;

    /// Turns any `N` features into `N` actions from any one state, and gives the state after the last of them; the
    /// engine's own stays as it is.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn head(
        &mut self,
        features: ArrayView2<'_, f32>,
        state: &LstmState,
    ) -> Result<(Vec<Action>, LstmState), EngineError>;

    /// Loads the stages up to and including `cap` and drops the ones beyond.
    ///
    /// # Errors
    /// When a stage cannot be loaded; what was loaded before stays.
    fn load_to(&mut self, cap: usize) -> Result<(), EngineError>;
}

/// The head's recurrent state before a step: `h` and `c`, each `[L, 1, H]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LstmState {
    /// Hidden state.
    pub h: Array3<f32>,
    /// Cell state.
    pub c: Array3<f32>,
}

impl LstmState {
    /// The state at the start of an epoch: all zero.
    pub fn zeros(layers: usize, hidden: usize) -> Self {
        Self { h: Array3::zeros((layers, 1, hidden)), c: Array3::zeros((layers, 1, hidden)) }
    }
}

/// What the head makes of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Action {
    /// Six arm outputs, each in -1..1.
    pub arm: [f32; 6],
    /// Probability that the gripper is open.
    pub gripper: f32,
}

impl Action {
    /// Whether translation or rotation of the two point apart, where both are long enough to have a direction.
    pub(crate) fn turns_to(&self, next: &Self) -> bool {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        [0..3, 3..6].into_iter().any(|part| {
            let (now, next) = (&self.arm[part.clone()], &next.arm[part]);
            dot(now, next) < 0.0 && dot(now, now).min(dot(next, next)) > TREMBLE * TREMBLE
        })
    }

    /// From six numbers; what is missing is not a number.
    fn new(arm: &[f32], gripper: f32) -> Self {
        Self { arm: std::array::from_fn(|i| arm.get(i).copied().unwrap_or(f32::NAN)), gripper }
    }
}

/// A translation or rotation that is shorter, as a share of the action's scale, has no direction worth the name.
const TREMBLE: f32 = 0.2;

/// Why the network could not be loaded or run, or what it gave is no action.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No ONNX Runtime library was found, or it does not load.
    #[error(
        "ONNX Runtime could not be loaded: {reason}; looked in: {looked_in}. Mend: pip install onnxruntime (or onnxruntime-gpu) in 1.24 or newer, which Python 3.10 has not: unpack a release there; or name the library with the parameter `onnxruntime` or in ORT_DYLIB_PATH"
    )]
    Library {
        /// What went wrong.
        reason: String,
        /// The places, in the order in which they were tried.
        looked_in: String,
    },
    /// A provider that was asked for is not there.
    #[error("provider {provider} was asked for and did not load: {reason}. Mend: {mend}")]
    Provider {
        /// `cuda` or `tensorrt`.
        provider: String,
        /// What went wrong.
        reason: String,
        /// How to get it.
        mend: String,
    },
    /// A graph does not load.
    #[error("{part} does not load: {reason}\nfile: {file}")]
    Load {
        /// The part's name.
        part: String,
        /// What the runtime says.
        reason: String,
        /// Its file.
        file: String,
    },
    /// The manifest and a graph disagree.
    #[error(
        "{part}, {name}: the manifest says {expected}, the ONNX graph says {found}; export again so that both come from one model\nfile: {file}"
    )]
    Shape {
        /// The part's name.
        part: String,
        /// The input or output.
        name: String,
        /// From the manifest.
        expected: String,
        /// From the graph.
        found: String,
        /// Its file.
        file: String,
    },
    /// A run failed.
    #[error("{part} failed: {reason}")]
    Run {
        /// The part's name.
        part: String,
        /// What the runtime says.
        reason: String,
    },
    /// Something was asked for before what it needs.
    #[error("{0}")]
    Order(String),
    /// The network gave something that is not a number.
    #[error("the network's action at exit {exit} is not finite (arm {arm:?}, gripper {gripper})")]
    NotFinite {
        /// At which exit.
        exit: usize,
        /// The six arm outputs.
        arm: [f32; 6],
        /// The gripper's.
        gripper: f32,
    },
    /// The network gave something that no action is.
    #[error("the network's action at exit {exit} is out of all bounds (arm {arm:?}, each should be from -1 to 1)")]
    OutOfBounds {
        /// At which exit.
        exit: usize,
        /// The six arm outputs.
        arm: [f32; 6],
    },
}
