//! One graph of the bundle as a session, and its calls: what it reads and writes, bound once.

use ort::ep::{self, ExecutionProviderDispatch};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::Tensor;

use super::spec::{Spec, compare};
use super::{Library, Options, Provider};
use crate::bundle::Bundle;
use crate::engine::EngineError;

/// A loaded graph.
pub(super) struct Part {
    name: String,
    pub(super) session: Session,
    /// Its calls are recorded as CUDA graphs.
    pub(super) graphs: bool,
}

/// Tensors that a part reads and writes, bound to it.
pub(super) struct Call {
    io: IoBinding,
    /// Names the CUDA graph that was recorded of it.
    run: Option<RunOptions>,
}

/// What loads parts: the same for all of a bundle.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) bundle: Bundle,
    pub(super) options: Options,
    pub(super) library: Library,
}

impl Loader {
    /// A part whose calls' tensors never move, so that they may be recorded as CUDA graphs.
    pub(super) fn fixed(&self, name: &str, file: &str, spec: &Spec) -> Result<Part, EngineError> {
        if self.options.records_graphs() {
            // Where shapes forbid it, the graph runs as any other.
            if let Ok(part) = self.load(name, file, spec, true) {
                return Ok(part);
            }
        }
        self.load(name, file, spec, false)
    }

    pub(super) fn free(&self, name: &str, file: &str, spec: &Spec) -> Result<Part, EngineError> {
        self.load(name, file, spec, false)
    }

    fn load(&self, name: &str, file: &str, spec: &Spec, graphs: bool) -> Result<Part, EngineError> {
        let path = self.bundle.path(file);
        let refuse = |reason: String| EngineError::Load { part: name.into(), reason, file: path.display().to_string() };
        let builder = Session::builder(&self.library.environment).map_err(|e| refuse(e.to_string()))?;
        let mut builder = builder
            .with_execution_providers(providers(&self.options, &self.bundle, graphs))
            .map_err(|e| missing_provider(self.options.provider, &e.to_string()))?;
        let session = builder.commit_from_file(&path).map_err(|e| refuse(e.to_string()))?;
        let offered = |(name, _): &&(String, Vec<i64>)| session.outputs().iter().any(|outlet| outlet.name() == name);
        let outputs: Vec<_> = spec.outputs.iter().chain(spec.offered.iter().filter(offered)).cloned().collect();
        for (direction, expected, found) in
            [("input", &spec.inputs, session.inputs()), ("output", &outputs, session.outputs())]
        {
            compare(direction, expected, found).map_err(|(tensor, expected, found)| EngineError::Shape {
                part: name.into(),
                name: format!("{direction} {tensor:?}"),
                expected,
                found,
                file: path.display().to_string(),
            })?;
        }
        Ok(Part { name: name.into(), session, graphs })
    }
}

impl Part {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the graph has an output of this name.
    pub(super) fn gives(&self, name: &str) -> bool {
        self.session.outputs().iter().any(|outlet| outlet.name() == name)
    }

    pub(super) fn failed(&self, error: impl std::fmt::Display) -> EngineError {
        EngineError::Run { part: self.name.clone(), reason: error.to_string() }
    }

    /// Binds a call; `graph` tells this part's calls apart.
    pub(super) fn call<'a>(
        &self,
        graph: usize,
        inputs: impl IntoIterator<Item = (&'a str, &'a Tensor<f32>)>,
        outputs: impl IntoIterator<Item = (&'a str, &'a mut Tensor<f32>)>,
    ) -> Result<Call, EngineError> {
        let failed = |e: ort::Error| self.failed(e);
        let mut io = self.session.create_binding().map_err(failed)?;
        for (name, tensor) in inputs {
            io.bind_input(name, tensor).map_err(failed)?;
        }
        for (name, tensor) in outputs {
            io.bind_output(name, tensor).map_err(failed)?;
        }
        let record = || {
            let mut run = RunOptions::new()?;
            run.set("gpu_graph_id", graph.to_string()).map(|()| run)
        };
        Ok(Call { io, run: self.graphs.then(record).transpose().map_err(failed)? })
    }

    /// Embeds `ids`, once an instruction.
    pub(super) fn prompt(&mut self, ids: &[i64], hidden: &mut Tensor<f32>) -> Result<(), EngineError> {
        let ids = Tensor::from_array(([1, ids.len()], ids.to_vec())).map_err(|e| self.failed(e))?;
        let mut io = self.session.create_binding().map_err(|e| self.failed(e))?;
        io.bind_input("ids", &ids).map_err(|e| self.failed(e))?;
        io.bind_output("hidden", hidden).map_err(|e| self.failed(e))?;
        self.run(&Call { io, run: None })
    }

    pub(super) fn run(&mut self, call: &Call) -> Result<(), EngineError> {
        let ran = match &call.run {
            Some(run) => self.session.run_binding_with_options(&call.io, run),
            None => self.session.run_binding(&call.io),
        };
        // What it gives lies in the tensors that are bound.
        match ran {
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

    /// A tensor of zeros that the host can read and write.
    pub(super) fn host_tensor(&self, shape: &[usize]) -> Result<Tensor<f32>, EngineError> {
        Tensor::new(&Allocator::default(), shape.to_vec()).map_err(|e| self.failed(e))
    }
}

fn providers(options: &Options, bundle: &Bundle, graphs: bool) -> Vec<ExecutionProviderDispatch> {
    let cuda = || {
        // The default strategy doubles the arena at each growth: with a session a stage that wastes gigabytes.
        ep::CUDA::default()
            .with_device_id(options.device_id)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            // Ten bits of mantissa move the 3B network's action by 1.4e-3. Who wants speed makes a bundle of fp16.
            .with_tf32(false)
            .with_cuda_graph(graphs)
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
