//! One graph of the bundle as a session, compared with what the manifest says of it.

use ort::ep::{self, ExecutionProviderDispatch};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::{Library, Options, Provider};
use crate::bundle::{Bundle, Manifest};
use crate::engine::EngineError;

/// A dimension in a [`Spec`]: a fixed size, or free.
const FREE: i64 = -1;

/// Names and shapes that the manifest prescribes for a graph; `FREE` where any size may come.
pub(super) struct Spec {
    pub(super) inputs: Vec<(String, Vec<i64>)>,
    pub(super) outputs: Vec<(String, Vec<i64>)>,
}

fn tensors<const N: usize>(list: [(&str, &[i64]); N]) -> Vec<(String, Vec<i64>)> {
    list.into_iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect()
}

impl Spec {
    fn media(manifest: &Manifest) -> [i64; 3] {
        [1, manifest.media.tokens as i64, manifest.media.width as i64]
    }

    pub(super) fn vision(manifest: &Manifest) -> Self {
        let image = |size: u32| vec![1, 3, i64::from(size), i64::from(size)];
        let inputs = manifest.cameras.iter().map(|c| (c.role.clone(), image(c.size))).collect();
        Self { inputs, outputs: tensors([("media", &Self::media(manifest))]) }
    }

    pub(super) fn embed(manifest: &Manifest) -> Self {
        let width = manifest.width as i64;
        Self { inputs: tensors([("ids", &[1, FREE])]), outputs: tensors([("hidden", &[1, FREE, width])]) }
    }

    pub(super) fn stage(manifest: &Manifest, k: usize) -> Self {
        let hidden = [1, FREE, manifest.width as i64];
        let feature = [1, manifest.width as i64];
        let mut outputs = tensors([("hidden_next", &hidden), ("feature", &feature)]);
        if k == 0 {
            outputs.extend(tensors([("probe", &feature)]));
        }
        Self { inputs: tensors([("hidden", &hidden), ("media", &Self::media(manifest))]), outputs }
    }

    pub(super) fn whole(manifest: &Manifest) -> Self {
        let feature = vec![1, manifest.width as i64];
        let exits = (0..manifest.exits.len()).map(|k| format!("feature_{k:02}"));
        let outputs = std::iter::once("probe".to_owned()).chain(exits).map(|name| (name, feature.clone())).collect();
        Self { inputs: Self::stage(manifest, 0).inputs, outputs }
    }

    pub(super) fn head(manifest: &Manifest) -> Self {
        let (layers, hidden) = (manifest.lstm.layers as i64, manifest.lstm.hidden as i64);
        let (before, after) = ([layers, 1, hidden], [layers, FREE, hidden]);
        Self {
            inputs: tensors([("feature", &[FREE, manifest.width as i64]), ("h", &before), ("c", &before)]),
            outputs: tensors([("arm", &[FREE, 6]), ("gripper", &[FREE, 1]), ("h_next", &after), ("c_next", &after)]),
        }
    }
}

/// A loaded graph.
pub(super) struct Part {
    name: String,
    pub(super) session: Session,
}

impl Part {
    pub(super) fn load(
        library: &Library,
        options: &Options,
        bundle: &Bundle,
        name: &str,
        file: &str,
        spec: &Spec,
    ) -> Result<Self, EngineError> {
        let path = bundle.path(file);
        let refuse = |reason: String| EngineError::Load { part: name.into(), reason, file: path.display().to_string() };
        let builder = Session::builder(&library.environment).map_err(|e| refuse(e.to_string()))?;
        let mut builder = builder
            .with_execution_providers(providers(options, bundle))
            .map_err(|e| missing_provider(options.provider, &e.to_string()))?;
        let session = builder.commit_from_file(&path).map_err(|e| refuse(e.to_string()))?;
        for (direction, expected, found) in
            [("input", &spec.inputs, session.inputs()), ("output", &spec.outputs, session.outputs())]
        {
            compare(direction, expected, found).map_err(|(tensor, expected, found)| EngineError::Shape {
                part: name.into(),
                name: format!("{direction} {tensor:?}"),
                expected,
                found,
                file: path.display().to_string(),
            })?;
        }
        Ok(Self { name: name.into(), session })
    }

    pub(super) fn failed(&self, error: impl std::fmt::Display) -> EngineError {
        EngineError::Run { part: self.name.clone(), reason: error.to_string() }
    }

    pub(super) fn binding(&self) -> Result<IoBinding, EngineError> {
        self.session.create_binding().map_err(|e| self.failed(e))
    }

    pub(super) fn run_bound(&mut self, io: &IoBinding) -> Result<(), EngineError> {
        match self.session.run_binding(io) {
            Ok(_) => Ok(()),
            Err(e) => Err(EngineError::Run { part: self.name.clone(), reason: e.to_string() }),
        }
    }

    /// A tensor where the provider computes.
    pub(super) fn device_tensor(&self, options: &Options, shape: &[usize]) -> Result<Tensor<f32>, EngineError> {
        if options.provider == Provider::Cpu {
            return self.host_tensor(shape);
        }
        let place =
            MemoryInfo::new(AllocationDevice::CUDA, options.device_id, AllocatorType::Device, MemoryType::Default);
        let allocator = place.and_then(|place| Allocator::new(&self.session, place)).map_err(|e| self.failed(e))?;
        Tensor::new(&allocator, shape.to_vec()).map_err(|e| self.failed(e))
    }

    /// A tensor that the host can read.
    pub(super) fn host_tensor(&self, shape: &[usize]) -> Result<Tensor<f32>, EngineError> {
        Tensor::new(&Allocator::default(), shape.to_vec()).map_err(|e| self.failed(e))
    }
}

type Disagreement = (String, String, String);

fn compare(direction: &str, expected: &[(String, Vec<i64>)], found: &[Outlet]) -> Result<(), Disagreement> {
    for (name, shape) in expected {
        let Some(outlet) = found.iter().find(|outlet| outlet.name() == name) else {
            let names: Vec<_> = found.iter().map(Outlet::name).collect();
            return Err((name.clone(), format!("{direction} {name:?}"), format!("only {names:?}")));
        };
        let element = if name == "ids" { TensorElementType::Int64 } else { TensorElementType::Float32 };
        let agrees = matches!(outlet.dtype(), ValueType::Tensor { ty, shape: found, .. }
            if *ty == element && found.len() == shape.len()
                && found.iter().zip(shape).all(|(&found, &wanted)| wanted == FREE || found == wanted || found == FREE));
        if !agrees {
            return Err((name.clone(), format!("{element} {}", dims(shape)), outlet.dtype().to_string()));
        }
    }
    match found.iter().find(|outlet| expected.iter().all(|(name, _)| name != outlet.name())) {
        Some(extra) if direction == "input" => {
            Err((extra.name().to_owned(), "no such input".into(), extra.dtype().to_string()))
        }
        _ => Ok(()),
    }
}

fn dims(shape: &[i64]) -> String {
    let dims: Vec<_> = shape.iter().map(|&d| if d == FREE { "any".to_owned() } else { d.to_string() }).collect();
    format!("[{}]", dims.join(", "))
}

fn providers(options: &Options, bundle: &Bundle) -> Vec<ExecutionProviderDispatch> {
    let cuda = || {
        // The default strategy doubles the arena at each growth: with a session a stage that wastes gigabytes.
        ep::CUDA::default()
            .with_device_id(options.device_id)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .build()
            .error_on_failure()
    };
    match options.provider {
        Provider::Cpu => vec![ep::CPU::default().build().error_on_failure()],
        Provider::Cuda => vec![cuda()],
        Provider::TensorRt => {
            let cache = bundle.folder.join("tensorrt").display().to_string();
            let tensorrt = ep::TensorRT::default()
                .with_device_id(options.device_id)
                .with_engine_cache(true)
                .with_engine_cache_path(&cache)
                .with_timing_cache(true)
                .with_timing_cache_path(&cache);
            vec![tensorrt.build().error_on_failure(), cuda()]
        }
    }
}

fn missing_provider(provider: Provider, reason: &str) -> EngineError {
    let mend = match provider {
        Provider::Cpu => "reinstall ONNX Runtime",
        Provider::Cuda => {
            "pip install onnxruntime-gpu with the CUDA and cuDNN it names, and see that nvidia-smi lists the GPU; or set provider to cpu"
        }
        Provider::TensorRt => {
            "pip install onnxruntime-gpu and TensorRT in the version it names, its lib folder in LD_LIBRARY_PATH; or set provider to cuda or cpu"
        }
    };
    EngineError::Provider { provider: provider.to_string(), reason: reason.to_owned(), mend: mend.into() }
}
