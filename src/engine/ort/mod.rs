//! The engine on ONNX Runtime: the only module that knows of it.
//!
//! Every part is a session of its own, so a stage beyond the cap is neither loaded nor read. All sessions share one
//! thread pool: with a pool each, seven sessions on two cores would spin against one another.

mod library;
mod part;
mod stage;

use std::path::PathBuf;

use ndarray::{Array2, Array3, Array4, ArrayView2, Ix2, Ix3};
use ort::session::IoBinding;
use ort::value::{Tensor, TensorRef};

use super::{Actions, Engine, EngineError, LstmState};
use crate::bundle::Bundle;
pub use library::{Library, Source};
use part::{Part, Spec};
use stage::Stage;

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
}

/// A bundle's network, loaded.
pub struct OrtEngine {
    bundle: Bundle,
    options: Options,
    library: Library,
    vision: Part,
    vision_io: IoBinding,
    embed: Part,
    head: Part,
    stages: Vec<Stage>,
    /// On the device, rewritten by every call of `vision`.
    media: Tensor<f32>,
    /// On the device: the embedded prompt, `[1, T, W]`.
    prompt: Option<Tensor<f32>>,
}

impl OrtEngine {
    /// Loads vision, embed, head and the stages up to and including `cap`, and compares every graph with the manifest.
    ///
    /// # Errors
    /// [`EngineError`]: no library, a provider that is not there, a graph that does not load or disagrees.
    pub fn load(bundle: &Bundle, cap: usize, options: &Options) -> Result<Self, EngineError> {
        let library = library::load(options)?;
        let manifest = &bundle.manifest;
        let load = |name: &str, file: &str, spec: Spec| Part::load(&library, options, bundle, name, file, &spec);
        let vision = load("vision", &manifest.parts.vision[0].file, Spec::vision(manifest))?;
        let embed = load("embed", &manifest.parts.embed.file, Spec::embed(manifest))?;
        let head = load("head", &manifest.parts.head.file, Spec::head(manifest))?;
        let media_shape = [1, manifest.media.tokens, manifest.media.width];
        let mut media = vision.device_tensor(options, &media_shape)?;
        let mut vision_io = vision.binding()?;
        vision_io.bind_output("media", &mut media).map_err(|e| vision.failed(e))?;
        let mut engine = Self {
            bundle: bundle.clone(),
            options: options.clone(),
            library: library.clone(),
            vision,
            vision_io,
            embed,
            head,
            stages: Vec::new(),
            media,
            prompt: None,
        };
        engine.load_to(cap)?;
        Ok(engine)
    }

    /// The ONNX Runtime in use.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Stages in memory: the cap plus one.
    pub fn loaded(&self) -> usize {
        self.stages.len()
    }

    /// Runs all stages as the one graph that the bundle carries for comparison. Gives the last exit's feature.
    ///
    /// # Errors
    /// When the bundle has no such graph, or it does not load.
    pub fn load_whole(&self) -> Result<Whole, EngineError> {
        let manifest = &self.bundle.manifest;
        let Some(part) = &manifest.parts.whole else {
            return Err(EngineError::Order("this bundle has no `whole` part; export it with one to compare".into()));
        };
        let spec = Spec::whole(manifest);
        let part = Part::load(&self.library, &self.options, &self.bundle, "whole", &part.file, &spec)?;
        let prompt = self.prompt.as_ref().ok_or_else(no_prompt)?;
        let mut io = part.binding()?;
        io.bind_input("hidden", prompt).map_err(|e| part.failed(e))?;
        io.bind_input("media", &self.media).map_err(|e| part.failed(e))?;
        let names: Vec<String> = spec.outputs.iter().map(|(name, _)| name.clone()).collect();
        let mut features = Vec::new();
        for name in names {
            let mut feature = part.host_tensor(&[1, manifest.width])?;
            io.bind_output(name, &mut feature).map_err(|e| part.failed(e))?;
            features.push(feature);
        }
        Ok(Whole { part, io, features })
    }
}

/// All stages as one graph, bound to an engine's prompt and media as they were when it was loaded.
pub struct Whole {
    part: Part,
    io: IoBinding,
    features: Vec<Tensor<f32>>,
}

impl Whole {
    /// One run; gives the last exit's feature, `[W]`.
    ///
    /// # Errors
    /// When the graph fails.
    pub fn run(&mut self) -> Result<Vec<f32>, EngineError> {
        self.part.run_bound(&self.io)?;
        Ok(self.features.last().map(|feature| feature.extract_tensor().1.to_vec()).unwrap_or_default())
    }
}

fn no_prompt() -> EngineError {
    EngineError::Order("a stage was run before any instruction was embedded".into())
}

impl Engine for OrtEngine {
    fn embed(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        let width = self.bundle.manifest.width;
        let mut prompt = self.embed.device_tensor(&self.options, &[1, ids.len(), width])?;
        let ids = Tensor::from_array(([1, ids.len()], ids.to_vec())).map_err(|e| self.embed.failed(e))?;
        let mut io = self.embed.binding()?;
        io.bind_input("ids", &ids).map_err(|e| self.embed.failed(e))?;
        io.bind_output("hidden", &mut prompt).map_err(|e| self.embed.failed(e))?;
        self.embed.run_bound(&io)?;
        // The prompt's length decides the shape of every hidden state after it.
        let mut before = &prompt;
        for stage in &mut self.stages {
            before = stage.bind(&self.options, before, &self.media, width)?;
        }
        self.prompt = Some(prompt);
        Ok(())
    }

    fn vision(&mut self, images: Vec<Array4<f32>>) -> Result<(), EngineError> {
        for (camera, image) in self.bundle.manifest.cameras.iter().zip(images) {
            let image = Tensor::from_array(image).map_err(|e| self.vision.failed(e))?;
            self.vision_io.bind_input(&camera.role, &image).map_err(|e| self.vision.failed(e))?;
        }
        self.vision.run_bound(&self.vision_io)
    }

    fn stage(&mut self, k: usize) -> Result<Array2<f32>, EngineError> {
        let loaded = self.stages.len();
        let stage = self
            .stages
            .get_mut(k)
            .ok_or_else(|| EngineError::Order(format!("stage {k} was asked for, {loaded} are loaded")))?;
        stage.run()
    }

    fn head(&mut self, features: ArrayView2<'_, f32>, state: &LstmState) -> Result<Actions, EngineError> {
        let failed = |e: ort::Error| EngineError::Run { part: "head".into(), reason: e.to_string() };
        let inputs = ort::inputs![
            "feature" => TensorRef::from_array_view(features).map_err(failed)?,
            "h" => TensorRef::from_array_view(&state.h).map_err(failed)?,
            "c" => TensorRef::from_array_view(&state.c).map_err(failed)?,
        ];
        let outputs = self.head.session.run(inputs).map_err(failed)?;
        let array = |name: &str| outputs[name].try_extract_array::<f32>().map_err(failed);
        let dims = |e: ndarray::ShapeError| EngineError::Run { part: "head".into(), reason: e.to_string() };
        let cube = |name: &str| -> Result<Array3<f32>, EngineError> {
            Ok(array(name)?.into_dimensionality::<Ix3>().map_err(dims)?.to_owned())
        };
        Ok(Actions {
            arm: array("arm")?.into_dimensionality::<Ix2>().map_err(dims)?.to_owned(),
            gripper: array("gripper")?.iter().copied().collect(),
            h: cube("h_next")?,
            c: cube("c_next")?,
        })
    }

    fn load_to(&mut self, cap: usize) -> Result<(), EngineError> {
        let manifest = &self.bundle.manifest;
        let mut fresh = Vec::new();
        for k in self.stages.len()..=cap {
            let Some(part) = manifest.parts.stages.get(k) else {
                return Err(EngineError::Order(format!("cap {cap} was asked for, the bundle has {} exits", k)));
            };
            self.bundle.verify_stage(k).map_err(|error| EngineError::Load {
                part: format!("stages[{k}]"),
                reason: error.to_string(),
                file: self.bundle.path(&part.file).display().to_string(),
            })?;
            let spec = Spec::stage(manifest, k);
            let part =
                Part::load(&self.library, &self.options, &self.bundle, &format!("stages[{k}]"), &part.file, &spec)?;
            fresh.push(Stage::new(part, k == 0));
        }
        if let Some(prompt) = &self.prompt {
            let mut before = self.stages.last().and_then(Stage::hidden).unwrap_or(prompt);
            for stage in &mut fresh {
                before = stage.bind(&self.options, before, &self.media, manifest.width)?;
            }
        }
        self.stages.append(&mut fresh);
        self.stages.truncate(cap + 1);
        Ok(())
    }
}
