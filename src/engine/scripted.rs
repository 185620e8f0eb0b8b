//! An engine that plays back a script, for tests of what stands around the network.

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut4};

use super::{Action, Engine, EngineError, LstmState};

/// Plays the same row for the probe and for each exit at every step, and writes down what it was asked.
///
/// Features carry the row's number (0 the probe, `k + 1` exit `k`), and the state after a row counts: `h` becomes the
/// state before plus one, `c` the row's number. So a test sees whose state was adopted and how often the head ran.
#[derive(Debug, Clone)]
pub struct Scripted {
    /// Arm outputs and gripper probability: the probe's, then one an exit.
    pub rows: Vec<([f32; 6], f32)>,
    /// What was called, in order: `embed`, `look 1`, `recall`, `stage 0`, `head 2` (with its number of rows),
    /// `ahead`, `load 5`.
    pub calls: Vec<String>,
    /// What every step foresees.
    pub ahead: Vec<Action>,
    /// The ids of the prompt in use.
    pub ids: Vec<i64>,
    /// The state, and the one after the last action.
    states: [LstmState; 2],
    /// The rows that the last stage left.
    left: Vec<usize>,
}

impl Scripted {
    /// An engine whose probe and exits give `rows`.
    pub fn new(rows: Vec<([f32; 6], f32)>) -> Self {
        let states = [LstmState::zeros(1, 1), LstmState::zeros(1, 1)];
        Self { rows, calls: Vec::new(), ahead: Vec::new(), ids: Vec::new(), states, left: Vec::new() }
    }

    /// Rows whose six arm outputs are all the same number.
    pub fn level(levels: &[f32]) -> Self {
        Self::new(levels.iter().map(|&v| ([v; 6], 0.9)).collect())
    }
}

impl Engine for Scripted {
    fn embed(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        self.calls.push("embed".into());
        self.ids = ids.to_vec();
        Ok(())
    }

    fn draw(&mut self, _camera: usize, _paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {}

    fn look(&mut self, camera: usize) -> Result<(), EngineError> {
        self.calls.push(format!("look {camera}"));
        Ok(())
    }

    fn recall(&mut self) -> Result<(), EngineError> {
        self.calls.push("recall".into());
        Ok(())
    }

    fn stage(&mut self, k: usize) -> Result<(), EngineError> {
        self.calls.push(format!("stage {k}"));
        self.left = if k == 0 { vec![0, 1] } else { vec![k + 1] };
        Ok(())
    }

    fn act(&mut self) -> Result<Vec<Action>, EngineError> {
        let (features, state) = (self.features()?, self.states[0].clone());
        let (actions, after) = self.head(features.view(), &state)?;
        self.states[1] = after;
        Ok(actions)
    }

    fn ahead(&mut self) -> Result<Vec<Action>, EngineError> {
        self.calls.push("ahead".into());
        Ok(self.ahead.clone())
    }

    fn features(&self) -> Result<Array2<f32>, EngineError> {
        Ok(Array2::from_shape_fn((self.left.len(), 1), |(n, _)| self.left[n] as f32))
    }

    fn commit(&mut self) {
        self.states[0] = self.states[1].clone();
    }

    fn reset(&mut self) {
        self.states[0] = LstmState::zeros(1, 1);
    }

    fn state(&self) -> Result<LstmState, EngineError> {
        Ok(self.states[0].clone())
    }

    fn head(
        &mut self,
        features: ArrayView2<'_, f32>,
        state: &LstmState,
    ) -> Result<(Vec<Action>, LstmState), EngineError> {
        self.calls.push(format!("head {}", features.nrows()));
        let rows: Vec<usize> = features.column(0).iter().map(|&v| v as usize).collect();
        let action = |&row: &usize| Action { arm: self.rows[row].0, gripper: self.rows[row].1 };
        let last = rows.last().copied().unwrap_or_default() as f32;
        let after = LstmState { h: state.h.mapv(|h| h + 1.0), c: Array3::from_elem(state.c.dim(), last) };
        Ok((rows.iter().map(action).collect(), after))
    }

    fn load_to(&mut self, cap: usize) -> Result<(), EngineError> {
        self.calls.push(format!("load {cap}"));
        Ok(())
    }
}
