//! A stage bound to its neighbours: its hidden state is the next stage's input, on the device, without a copy.

use ndarray::Array2;
use ort::session::IoBinding;
use ort::value::Tensor;

use super::part::Part;
use super::{Options, no_prompt};
use crate::engine::EngineError;

pub(super) struct Stage {
    part: Part,
    /// Stage 0 also gives the probe.
    has_probe: bool,
    io: Option<Io>,
}

struct Io {
    binding: IoBinding,
    /// On the device: what the next stage reads.
    hidden: Tensor<f32>,
    /// On the host: the probe (stage 0) and the feature, each `[1, W]`.
    rows: Vec<Tensor<f32>>,
}

impl Stage {
    pub(super) fn new(part: Part, has_probe: bool) -> Self {
        Self { part, has_probe, io: None }
    }

    /// Where this stage leaves its hidden state, once it is bound.
    pub(super) fn hidden(&self) -> Option<&Tensor<f32>> {
        self.io.as_ref().map(|io| &io.hidden)
    }

    /// Binds the stage to read `before` and `media`; gives the tensor that it will write.
    pub(super) fn bind(
        &mut self,
        options: &Options,
        before: &Tensor<f32>,
        media: &Tensor<f32>,
        width: usize,
    ) -> Result<&Tensor<f32>, EngineError> {
        let tokens = before.shape()[1] as usize;
        let mut hidden = self.part.device_tensor(options, &[1, tokens, width])?;
        let mut binding = self.part.binding()?;
        binding.bind_input("hidden", before).map_err(|e| self.part.failed(e))?;
        binding.bind_input("media", media).map_err(|e| self.part.failed(e))?;
        binding.bind_output("hidden_next", &mut hidden).map_err(|e| self.part.failed(e))?;
        let names: &[&str] = if self.has_probe { &["probe", "feature"] } else { &["feature"] };
        let mut rows = Vec::with_capacity(names.len());
        for name in names {
            let mut row = self.part.host_tensor(&[1, width])?;
            binding.bind_output(*name, &mut row).map_err(|e| self.part.failed(e))?;
            rows.push(row);
        }
        Ok(&self.io.insert(Io { binding, hidden, rows }).hidden)
    }

    /// Runs the stage; gives its rows for the head.
    pub(super) fn run(&mut self) -> Result<Array2<f32>, EngineError> {
        let io = self.io.as_ref().ok_or_else(no_prompt)?;
        self.part.run_bound(&io.binding)?;
        let rows: Vec<&[f32]> = io.rows.iter().map(|row| row.extract_tensor().1).collect();
        let width = rows.first().map_or(0, |row| row.len());
        Array2::from_shape_vec((rows.len(), width), rows.concat()).map_err(|e| self.part.failed(e))
    }
}
