//! All stages as the one graph that a bundle carries for comparison.

use ort::value::Tensor;

use super::part::{Call, Part};
use super::spec::{Spec, media_names};
use super::{OrtEngine, no_prompt};
use crate::engine::EngineError;

/// All stages as one graph, bound to an engine's prompt and media as they were when it was loaded.
pub struct Whole {
    part: Part,
    call: Call,
    features: Vec<Tensor<f32>>,
}

impl OrtEngine {
    /// Loads the graph of all stages.
    ///
    /// # Errors
    /// When the bundle has no such graph, it does not load, or nothing was embedded yet.
    pub fn load_whole(&self) -> Result<Whole, EngineError> {
        let manifest = &self.loader.bundle.manifest;
        let Some(part) = &manifest.parts.whole else {
            return Err(EngineError::Order("this bundle has no `whole` part; export it with one to compare".into()));
        };
        let spec = Spec::whole(manifest);
        let part = self.loader.free("whole", &part.file, &spec)?;
        let prompt = self.tokens.and_then(|tokens| self.prompts.get(&tokens)).ok_or_else(no_prompt)?;
        let names = media_names(manifest);
        let media = names.iter().map(String::as_str).zip(self.vision.media());
        let rows = |shape: &[i64]| part.device_tensor(&self.loader.options, &[shape[0] as usize, manifest.width]);
        let mut features = spec.outputs.iter().map(|(_, shape)| rows(shape)).collect::<Result<Vec<_>, _>>()?;
        let outputs = spec.outputs.iter().map(|(name, _)| name.as_str()).zip(&mut features);
        let call = part.call(0, media.chain([("hidden", prompt)]), outputs)?;
        Ok(Whole { part, call, features })
    }
}

impl Whole {
    /// One run; its features stay on the device, as the stages' do.
    ///
    /// # Errors
    /// When the graph fails.
    pub fn run(&mut self) -> Result<(), EngineError> {
        self.part.run(&self.call)
    }

    /// The last exit's feature, `[W]`, on the host.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn feature(&self) -> Result<Vec<f32>, EngineError> {
        let Some(last) = self.features.last() else { return Ok(Vec::new()) };
        let host = last.to(ort::memory::AllocationDevice::CPU, 0).map_err(|e| self.part.failed(e))?;
        Ok(host.extract_tensor().1.to_vec())
    }
}
