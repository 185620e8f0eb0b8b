//! A stage bound to its neighbours: its hidden state is the next stage's input and its feature the head's, on the
//! device, without a copy.

use std::collections::BTreeMap;

use ort::value::Tensor;

use super::part::{Call, Part};
use super::{Options, no_prompt};
use crate::engine::EngineError;

pub(super) struct Stage {
    part: Part,
    /// By the prompt's length.
    bound: BTreeMap<usize, Bound>,
}

struct Bound {
    call: Call,
    /// On the device: what the next stage reads.
    hidden: Tensor<f32>,
}

/// What a stage reads beside the hidden state, and where its rows go.
pub(super) struct Ends<'a> {
    pub(super) media: Vec<(&'a str, &'a Tensor<f32>)>,
    /// By the names of the stage's outputs.
    pub(super) rows: Vec<(&'a str, &'a mut Tensor<f32>)>,
}

impl Stage {
    pub(super) fn new(part: Part) -> Self {
        Self { part, bound: BTreeMap::new() }
    }

    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// Binds the stage to read `before`, `[1, T, W]`, unless it was for a prompt as long; gives the tensor that it writes.
    pub(super) fn bind(
        &mut self,
        options: &Options,
        before: &Tensor<f32>,
        ends: Ends<'_>,
    ) -> Result<&Tensor<f32>, EngineError> {
        let (tokens, width) = (before.shape()[1] as usize, before.shape()[2] as usize);
        if !self.bound.contains_key(&tokens) {
            let mut hidden = self.part.device_tensor(options, &[1, tokens, width])?;
            let inputs = ends.media.into_iter().chain([("hidden", before)]);
            let outputs = ends.rows.into_iter().chain([("hidden_next", &mut hidden)]);
            let call = self.part.call(tokens, inputs, outputs)?;
            self.bound.insert(tokens, Bound { call, hidden });
        }
        Ok(&self.bound[&tokens].hidden)
    }

    pub(super) fn run(&mut self, tokens: usize) -> Result<(), EngineError> {
        let bound = self.bound.get(&tokens).ok_or_else(no_prompt)?;
        self.part.run(&bound.call)
    }
}
