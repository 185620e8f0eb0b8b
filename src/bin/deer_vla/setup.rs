//! Arguments that several verbs share, and the bundle loaded as they say.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use deer_vla::bundle::Bundle;
use deer_vla::config::{Config, RawConfig};
use deer_vla::thresholds::Scope;

use crate::cost::{parse_gflop, parse_gigabytes, scope};

/// How the network is run.
#[derive(Args)]
pub(crate) struct EngineArgs {
    /// What computes; one that does not load is an error
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda", "tensorrt"])]
    provider: String,
    /// Which GPU
    #[arg(long, default_value_t = 0, value_name = "N")]
    device_id: i64,
    /// Threads that all parts share; 0 takes one a core
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=256))]
    threads: i64,
    /// The ONNX Runtime library; otherwise ORT_DYLIB_PATH, a wheel or the system is asked, in that order
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// Provider cuda: record what a part does once and play it back, where its shapes allow that
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    cuda_graphs: bool,
}

/// How deep the network is run.
#[derive(Args)]
pub(crate) struct GateArgs {
    /// Limits on delta, one an exit but the last, separated by commas; otherwise the bundle's thresholds.json
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true)]
    thresholds: Vec<f64>,
    /// What the thresholds limit; otherwise as the bundle's thresholds.json says
    #[arg(long, value_parser = ["rms", "mean", "max", "cosine", "feature", "time", "predicted"])]
    metric: Option<String>,
    /// Average cost of a step, such as 0.02GFLOP or 20MFLOP; needs the bundle's calibration.json
    #[arg(long, value_name = "COST", value_parser = parse_gflop)]
    average: Option<f64>,
    /// What the average is of: the language model, or the whole step (needs the bundle's plans.json)
    #[arg(long, default_value = "llm", value_name = "WHAT", value_parser = scope)]
    of: Scope,
    /// Most that one step may cost, such as 0.05GFLOP or 50MFLOP
    #[arg(long, value_name = "COST", value_parser = parse_gflop)]
    peak: Option<f64>,
    /// Most bytes of weights in memory, such as 2GB or 300MB
    #[arg(long, value_name = "BYTES", value_parser = parse_gigabytes)]
    memory: Option<f64>,
}

impl GateArgs {
    /// Who set the thresholds.
    pub(crate) fn origin(&self, bundle: &Bundle) -> &'static str {
        match self.thresholds.is_empty() {
            false => "command line",
            true if self.average.is_some() => "average budget",
            true if bundle.path("thresholds.json").exists() => "thresholds.json",
            true => "none given: full depth",
        }
    }
}

/// The configuration that the arguments make, everything else as the node has it by default.
pub(crate) fn raw(bundle: &Path, engine: &EngineArgs, gate: Option<&GateArgs>) -> RawConfig {
    let mut raw = RawConfig {
        bundle: bundle.display().to_string(),
        provider: engine.provider.clone(),
        device_id: engine.device_id,
        cuda_graphs: engine.cuda_graphs,
        threads: engine.threads,
        onnxruntime: engine.onnxruntime.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        ..RawConfig::default()
    };
    if let Some(gate) = gate {
        raw.gate.thresholds = gate.thresholds.clone();
        raw.gate.metric = gate.metric.clone().unwrap_or_default();
        raw.budget.average = gate.average.unwrap_or_default();
        raw.budget.of = gate.of.as_str().into();
        raw.budget.peak = gate.peak.unwrap_or_default();
        raw.budget.memory = gate.memory.unwrap_or_default();
    }
    raw
}

/// Opens the bundle and checks the configuration.
pub(crate) fn open(raw: &RawConfig) -> anyhow::Result<(Bundle, Config)> {
    let config = raw.check()?;
    let bundle = Bundle::open(&config.bundle)?;
    let config = config.on(&bundle.manifest.embodiment);
    Ok((bundle, config))
}
