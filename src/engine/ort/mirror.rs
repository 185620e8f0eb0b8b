//! A tensor of the host's that a part reads or writes: where the part computes elsewhere, with a twin there.

use ort::value::Tensor;

use super::Options;
use super::part::Part;
use crate::engine::EngineError;

/// Written by the host and read by a part, or the other way round.
pub(super) struct Mirror {
    host: Tensor<f32>,
    twin: Option<Tensor<f32>>,
    bytes: u64,
}

impl Mirror {
    /// What a part reads.
    pub(super) fn input(part: &Part, options: &Options, shape: &[usize]) -> Result<Self, EngineError> {
        Self::new(part, options, shape, !options.on_host())
    }

    /// What a part writes. The runtime itself brings it to the host, but not from a recorded CUDA graph.
    pub(super) fn output(part: &Part, options: &Options, shape: &[usize]) -> Result<Self, EngineError> {
        Self::new(part, options, shape, part.graphs)
    }

    fn new(part: &Part, options: &Options, shape: &[usize], twin: bool) -> Result<Self, EngineError> {
        let bytes = 4 * shape.iter().product::<usize>() as u64;
        let twin = twin.then(|| part.device_tensor(options, shape)).transpose()?;
        Ok(Self { host: part.host_tensor(shape)?, twin, bytes })
    }

    /// What the host sees.
    pub(super) fn host(&self) -> &Tensor<f32> {
        &self.host
    }

    /// What the host writes.
    pub(super) fn host_mut(&mut self) -> &mut Tensor<f32> {
        &mut self.host
    }

    /// What the part is bound to.
    pub(super) fn bound(&mut self) -> &mut Tensor<f32> {
        self.twin.as_mut().unwrap_or(&mut self.host)
    }

    /// To where the part computes; gives the bytes that this takes where that is not the host.
    pub(super) fn send(&mut self) -> ort::Result<u64> {
        if let Some(twin) = &mut self.twin {
            self.host.copy_into(twin)?;
        }
        Ok(self.bytes)
    }

    /// To the host; gives the bytes that this takes where the part computes elsewhere.
    pub(super) fn fetch(&mut self) -> ort::Result<u64> {
        if let Some(twin) = &self.twin {
            twin.copy_into(&mut self.host)?;
        }
        Ok(self.bytes)
    }
}
