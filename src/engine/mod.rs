//! Runs the network a part at a time: vision, embed, stage *k*, head.
//!
//! The engine keeps what is large where it was made: the media and every stage's hidden state stay on the device, and
//! only features (one row of `W` numbers) and actions come back to the host. [`Engine`] is all that the policy knows
//! of it, so the policy is tested against [`Scripted`] and runs on [`ort::OrtEngine`].

#[cfg(feature = "faults")]
mod faulty;
pub mod ort;
mod scripted;

use ndarray::{Array2, Array3, Array4, ArrayView2, Axis, s};

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

    /// Encodes one set of pictures, `[1, 3, S, S]` each; every stage sees the result until the next call.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn vision(&mut self, images: Vec<Array4<f32>>) -> Result<(), EngineError>;

    /// Runs stage `k` on what stage `k - 1` left (stage 0: on the embedded prompt). Gives the rows to be fed to the
    /// head, `[N, W]`: the probe and the feature for stage 0, the feature alone for every other.
    ///
    /// # Errors
    /// When the network cannot be run, or `k` is not loaded.
    fn stage(&mut self, k: usize) -> Result<Array2<f32>, EngineError>;

    /// Turns `N` features into `N` actions, each from the same recurrent state.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn head(&mut self, features: ArrayView2<'_, f32>, state: &LstmState) -> Result<Actions, EngineError>;

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

/// What the head makes of `N` features.
#[derive(Debug, Clone)]
pub struct Actions {
    /// `[N, 6]`, each in -1..1.
    pub arm: Array2<f32>,
    /// `[N]`: probability that the gripper is open.
    pub gripper: Vec<f32>,
    /// `[L, N, H]`: the states after each row.
    pub h: Array3<f32>,
    /// `[L, N, H]`.
    pub c: Array3<f32>,
}

impl Actions {
    /// The six arm outputs of row `n`.
    pub fn arm(&self, n: usize) -> [f32; 6] {
        std::array::from_fn(|i| self.arm[[n, i]])
    }

    /// The recurrent state after row `n`.
    pub fn state(&self, n: usize) -> LstmState {
        let row = |a: &Array3<f32>| a.slice(s![.., n, ..]).to_owned().insert_axis(Axis(1));
        LstmState { h: row(&self.h), c: row(&self.c) }
    }
}

/// Why the network could not be loaded or run, or what it gave is no action.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No ONNX Runtime library was found, or it does not load.
    #[error(
        "ONNX Runtime could not be loaded: {reason}; looked in: {looked_in}. Mend: pip install onnxruntime (or onnxruntime-gpu), or name the library with the parameter `onnxruntime` or in ORT_DYLIB_PATH"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_after_a_row_is_that_rows_column_of_every_layer() {
        let states = Array3::from_shape_fn((2, 3, 2), |(l, n, i)| (100 * l + 10 * n + i) as f32);
        let actions =
            Actions { arm: Array2::zeros((3, 6)), gripper: vec![0.0; 3], h: states.clone(), c: states.mapv(|v| -v) };
        let state = actions.state(1);
        assert_eq!(state.h.shape(), &[2, 1, 2]);
        assert_eq!(state.h.iter().copied().collect::<Vec<_>>(), [10.0, 11.0, 110.0, 111.0]);
        assert_eq!(state.c[[1, 0, 1]], -111.0);
    }
}
