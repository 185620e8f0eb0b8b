//! An engine that plays back a script, for tests of what stands around the network.

use ndarray::{Array2, Array3, Array4, ArrayView2};

use super::{Actions, Engine, EngineError, LstmState};

/// Plays the same row for the probe and for each exit at every step, and writes down what it was asked.
///
/// Features carry the row's number (0 the probe, `k + 1` exit `k`), and the state after a row counts: `h` becomes the
/// state before plus one, `c` the row's number. So a test sees whose state was adopted and how often the head ran.
#[derive(Debug, Clone)]
pub struct Scripted {
    /// Arm outputs and gripper probability: the probe's, then one an exit.
    pub rows: Vec<([f32; 6], f32)>,
    /// What was called, in order: `embed`, `vision`, `stage 0`, `head 2` (with its number of rows), `load 5`.
    pub calls: Vec<String>,
    /// The ids of the prompt in use.
    pub ids: Vec<i64>,
}

impl Scripted {
    /// An engine whose probe and exits give `rows`.
    pub fn new(rows: Vec<([f32; 6], f32)>) -> Self {
        Self { rows, calls: Vec::new(), ids: Vec::new() }
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

    fn vision(&mut self, _images: Vec<Array4<f32>>) -> Result<(), EngineError> {
        self.calls.push("vision".into());
        Ok(())
    }

    fn stage(&mut self, k: usize) -> Result<Array2<f32>, EngineError> {
        self.calls.push(format!("stage {k}"));
        let first = if k == 0 { 0 } else { k + 1 };
        let rows: Vec<f32> = (first..=k + 1).map(|row| row as f32).collect();
        Ok(Array2::from_shape_fn((rows.len(), 1), |(n, _)| rows[n]))
    }

    fn head(&mut self, features: ArrayView2<'_, f32>, state: &LstmState) -> Result<Actions, EngineError> {
        let n = features.nrows();
        self.calls.push(format!("head {n}"));
        let rows: Vec<usize> = features.column(0).iter().map(|&v| v as usize).collect();
        let (layers, _, hidden) = state.h.dim();
        Ok(Actions {
            arm: Array2::from_shape_fn((n, 6), |(i, j)| self.rows[rows[i]].0[j]),
            gripper: rows.iter().map(|&row| self.rows[row].1).collect(),
            h: Array3::from_shape_fn((layers, n, hidden), |(l, _, j)| state.h[[l, 0, j]] + 1.0),
            c: Array3::from_shape_fn((layers, n, hidden), |(_, i, _)| rows[i] as f32),
        })
    }

    fn load_to(&mut self, cap: usize) -> Result<(), EngineError> {
        self.calls.push(format!("load {cap}"));
        Ok(())
    }
}
