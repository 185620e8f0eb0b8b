//! The engine on ONNX Runtime: the only module that knows of it.
//!
//! Every part is a session of its own, so a stage beyond the cap is neither loaded nor read. All sessions share one
//! thread pool: with a pool each, seven sessions on two cores would spin against one another.
//!
//! What a part reads and writes is bound once, where it computes: a step makes no tensor, and only pictures and actions
//! cross between host and device.

mod actions;
mod head;
mod library;
mod mirror;
mod part;
mod spec;
mod stage;
mod telemetry;
mod vision;
mod whole;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ndarray::{Array2, ArrayView2, ArrayViewMut4};
use ort::value::Tensor;

use super::{Action, Engine, EngineError, LstmState};
use crate::bundle::Bundle;
use head::Head;
pub use library::{Library, Source};
use part::{Loader, Part};
use spec::{Spec, media_names};
use stage::{Ends, Stage};
pub use telemetry::without_telemetry;
use vision::Vision;
pub use whole::Whole;

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The processor; always there.
    #[default]
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda,
    /// An NVIDIA GPU through TensorRT. Engines are cached beside the bundle's files.
    TensorRt,
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        })
    }
}

/// How the network is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What computes.
    pub provider: Provider,
    /// Which GPU.
    pub device_id: i32,
    /// Threads of the one pool that all parts share; 0 takes one a core. The first engine of a process decides.
    pub threads: usize,
    /// Path of the ONNX Runtime library; `None` looks for it.
    pub library: Option<PathBuf>,
    /// On CUDA: record what a part does once and play it back, where its shapes allow that.
    pub cuda_graphs: bool,
}

impl Options {
    fn on_host(&self) -> bool {
        self.provider == Provider::Cpu
    }

    fn records_graphs(&self) -> bool {
        self.cuda_graphs && self.provider == Provider::Cuda
    }
}

/// Bytes that crossed between host and device since the network was loaded; none where they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Pictures.
    pub to_device: u64,
    /// Actions.
    pub to_host: u64,
    /// In so many copies, each of which waits for the device.
    pub copies_to_host: u64,
}

/// A bundle's network, loaded.
pub struct OrtEngine {
    loader: Loader,
    vision: Vision,
    embed: Part,
    head: Head,
    stages: Vec<Stage>,
    /// On the device, by their lengths: embedded prompts, `[1, T, W]`.
    prompts: BTreeMap<usize, Tensor<f32>>,
    /// The length of the prompt in use.
    tokens: Option<usize>,
    /// The stage that ran last.
    ran: usize,
}

impl OrtEngine {
    /// Loads vision, embed, head and the stages up to and including `cap`, and compares every graph with the manifest.
    ///
    /// # Errors
    /// [`EngineError`]: no library, a provider that is not there, a graph that does not load or disagrees.
    pub fn load(bundle: &Bundle, cap: usize, options: &Options) -> Result<Self, EngineError> {
        let library = library::load(options)?;
        let loader = Loader { bundle: bundle.clone(), options: options.clone(), library };
        let manifest = &bundle.manifest;
        let mut engine = Self {
            vision: Vision::load(&loader)?,
            embed: loader.free("embed", &manifest.parts.embed.file, &Spec::embed(manifest))?,
            head: Head::load(&loader)?,
            stages: Vec::new(),
            prompts: BTreeMap::new(),
            tokens: None,
            ran: 0,
            loader,
        };
        engine.load_to(cap)?;
        Ok(engine)
    }

    /// The ONNX Runtime in use.
    pub fn library(&self) -> &Library {
        &self.loader.library
    }

    /// Stages in memory: the cap plus one.
    pub fn loaded(&self) -> usize {
        self.stages.len()
    }

    /// What crossed between host and device so far.
    pub fn traffic(&self) -> Traffic {
        if self.loader.options.on_host() {
            return Traffic::default();
        }
        let fetched = self.head.fetched;
        Traffic { to_device: self.vision.sent, to_host: fetched.bytes, copies_to_host: fetched.copies }
    }

    /// The parts that are recorded as CUDA graphs.
    pub fn recorded(&self) -> Vec<&str> {
        let stages = self.stages.iter().map(Stage::part);
        let parts = self.vision.parts().iter().chain(stages).chain(self.head.parts());
        parts.filter(|part| part.graphs).map(Part::name).collect()
    }

    fn load_stage(&self, k: usize) -> Result<Stage, EngineError> {
        let bundle = &self.loader.bundle;
        let Some(part) = bundle.manifest.parts.stages.get(k) else {
            return Err(EngineError::Order(format!("cap {k} was asked for, the bundle has {k} exits")));
        };
        let name = format!("stages[{k}]");
        bundle.verify_stage(k).map_err(|error| EngineError::Load {
            part: name.clone(),
            reason: error.to_string(),
            file: bundle.path(&part.file).display().to_string(),
        })?;
        Ok(Stage::new(self.loader.fixed(&name, &part.file, &Spec::stage(&bundle.manifest, k))?))
    }

    /// Binds every stage to a prompt of the length in use.
    fn bind(&mut self) -> Result<(), EngineError> {
        let Some(mut before) = self.tokens.and_then(|tokens| self.prompts.get(&tokens)) else { return Ok(()) };
        let names = media_names(&self.loader.bundle.manifest);
        for (k, stage) in self.stages.iter_mut().enumerate() {
            let media = names.iter().map(String::as_str).zip(self.vision.media()).collect();
            let ends = Ends { media, rows: self.head.rows_of(k) };
            before = stage.bind(&self.loader.options, before, ends)?;
        }
        Ok(())
    }
}

fn no_prompt() -> EngineError {
    EngineError::Order("a stage was run before any instruction was embedded".into())
}

impl Engine for OrtEngine {
    fn embed(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        let (embed, width) = (&mut self.embed, self.loader.bundle.manifest.width);
        let tokens = ids.len();
        if !self.prompts.contains_key(&tokens) {
            self.prompts.insert(tokens, embed.device_tensor(&self.loader.options, &[1, tokens, width])?);
        }
        let Some(prompt) = self.prompts.get_mut(&tokens) else { return Err(no_prompt()) };
        embed.prompt(ids, prompt)?;
        self.tokens = Some(tokens);
        self.bind()
    }

    fn draw(&mut self, camera: usize, paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {
        self.vision.draw(camera, paint);
    }

    fn look(&mut self, camera: usize) -> Result<(), EngineError> {
        self.vision.look(camera)
    }

    fn recall(&mut self) -> Result<(), EngineError> {
        self.head.recall()
    }

    fn stage(&mut self, k: usize) -> Result<(), EngineError> {
        let (loaded, tokens) = (self.stages.len(), self.tokens.ok_or_else(no_prompt)?);
        let stage = self
            .stages
            .get_mut(k)
            .ok_or_else(|| EngineError::Order(format!("stage {k} was asked for, {loaded} are loaded")))?;
        self.ran = k;
        stage.run(tokens)
    }

    fn act(&mut self) -> Result<Vec<Action>, EngineError> {
        self.head.act(self.ran)
    }

    fn ahead(&mut self) -> Result<Vec<Action>, EngineError> {
        self.head.ahead(self.ran)
    }

    fn features(&self) -> Result<Array2<f32>, EngineError> {
        self.head.features(self.ran)
    }

    fn commit(&mut self) {
        self.head.commit();
    }

    fn reset(&mut self) {
        self.head.reset();
    }

    fn state(&self) -> Result<LstmState, EngineError> {
        self.head.state()
    }

    fn head(
        &mut self,
        features: ArrayView2<'_, f32>,
        state: &LstmState,
    ) -> Result<(Vec<Action>, LstmState), EngineError> {
        self.head.of(features, state)
    }

    fn load_to(&mut self, cap: usize) -> Result<(), EngineError> {
        let loaded = self.stages.len();
        for k in loaded..=cap {
            match self.load_stage(k) {
                Ok(stage) => self.stages.push(stage),
                Err(error) => {
                    self.stages.truncate(loaded);
                    return Err(error);
                }
            }
        }
        self.bind()?;
        self.stages.truncate(cap + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the acts of a full-depth step take to the host, and then what it foresees.
    fn fetched(bundle: &str) -> [(u64, u64); 2] {
        let bundle = Bundle::open(format!("{}/{bundle}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let exits = bundle.manifest.exits.len();
        let mut engine = OrtEngine::load(&bundle, exits - 1, &Options::default()).unwrap();
        engine.embed(&[1, 2]).unwrap();
        engine.recall().unwrap();
        for k in 0..exits {
            engine.stage(k).unwrap();
            engine.act().unwrap();
        }
        let acted = engine.head.fetched;
        assert_eq!(engine.ahead().unwrap().len(), bundle.manifest.ahead - 1);
        assert_eq!(engine.traffic(), Traffic::default(), "the host is where it computes");
        [acted, engine.head.fetched].map(|fetched| (fetched.copies, fetched.bytes))
    }

    #[test]
    fn an_exit_takes_one_copy_to_the_host_and_what_it_foresees_none() {
        let ahead = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap().manifest.ahead as u64;
        // Six exits, the first with the probe's row.
        assert_eq!(fetched("models/toy"), [(6, 7 * 7 * ahead * 4); 2]);
    }

    #[test]
    fn a_bundle_without_that_output_takes_two() {
        let [acted, foreseen] = fetched("tests/data/schema_1");
        // Two exits and the probe.
        assert_eq!((acted, foreseen), ((6, 3 * 7 * 4), acted));
    }
}
