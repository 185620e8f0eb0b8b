//! `deer_vla check`: is this bundle whole, and what would run it?

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use deer_vla::bundle::{Bundle, Manifest, Part};
use deer_vla::config::Config;
use deer_vla::engine::Engine;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::network::Settings;
use deer_vla::observe::Observer;

use crate::setup::{EngineArgs, GateArgs, open, raw};

/// Check a model bundle: hashes, every graph's shapes, what it costs and which ONNX Runtime runs it
#[derive(Args)]
pub(crate) struct Check {
    /// The bundle's folder
    bundle: PathBuf,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    gate: GateArgs,
}

impl Check {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (bundle, config) = open(&raw(&self.bundle, &self.engine, Some(&self.gate)))?;
        let settings = config.settings(&bundle)?;
        // Every part, whatever the cap: a bundle is whole or it is refused.
        let mut engine = OrtEngine::load(&bundle, bundle.manifest.exits.len() - 1, &config.engine)?;
        let ids = Observer::new(&bundle)?.ids("open the drawer")?;
        engine.embed(&ids)?;
        if bundle.manifest.parts.whole.is_some() {
            engine.load_whole()?;
        }
        let mut out = io::stdout().lock();
        heading(&mut out, &bundle, &config, &engine, &settings, self.gate.origin(&bundle))?;
        parts(&mut out, &bundle.manifest)?;
        exits(&mut out, &bundle.manifest, &settings)?;
        Ok(())
    }
}

fn heading(
    out: &mut impl Write,
    bundle: &Bundle,
    config: &Config,
    engine: &OrtEngine,
    settings: &Settings,
    origin: &str,
) -> io::Result<()> {
    let (manifest, library) = (&bundle.manifest, engine.library());
    let cameras: Vec<_> = manifest.cameras.iter().map(|c| format!("{} {} px", c.role, c.size)).collect();
    let threads = match config.engine.threads {
        0 => "one thread a core".to_owned(),
        threads => format!("{threads} threads"),
    };
    writeln!(out, "{}: {}", manifest.name, manifest.description)?;
    writeln!(out, "licence      {}", manifest.license)?;
    writeln!(out, "manifest     sha256 {}", bundle.hash)?;
    writeln!(out, "cameras      {}", cameras.join(", "))?;
    writeln!(out, "control      {} Hz", manifest.embodiment.control_hz)?;
    writeln!(out, "onnxruntime  {} at {} (named by: {})", library.version, library.path.display(), library.source)?;
    writeln!(out, "provider     {}, {threads}", config.engine.provider)?;
    writeln!(out, "thresholds   {} (metric {})", origin, settings.gauge.metric().as_str())
}

fn parts(out: &mut impl Write, manifest: &Manifest) -> io::Result<()> {
    writeln!(out, "\n{:<10} {:>14} {:>16} {:>12}", "part", "parameters", "bytes", "GMAC")?;
    for (name, Part { parameters, bytes, macs, .. }) in manifest.parts.named() {
        writeln!(out, "{name:<10} {parameters:>14} {bytes:>16} {:>12.6}", *macs as f64 * 1e-9)?;
    }
    writeln!(out, "(GMAC: 1e9 multiply-accumulates of one run, at {} prompt tokens)", manifest.macs_tokens)
}

fn exits(out: &mut impl Write, manifest: &Manifest, settings: &Settings) -> io::Result<()> {
    let columns = ["exit", "layer", "threshold", "LLM GMAC", "whole GMAC", "memory MB"];
    let [exit, layer, threshold, llm, whole, memory] = columns;
    writeln!(out, "\n{exit:<5}{layer:>6}{threshold:>16}{llm:>13}{whole:>13}{memory:>12}")?;
    let vision = manifest.parts.vision_macs() as f64 * 1e-9;
    for (k, layer) in manifest.exits.iter().enumerate() {
        let llm = manifest.macs_to(k) as f64 * 1e-9;
        let memory = manifest.bytes_to(k) as f64 * 1e-6;
        let threshold = match settings.thresholds.limit(k, settings.cap) {
            _ if k > settings.cap => "not loaded".to_owned(),
            f32::INFINITY => "none".to_owned(),
            limit if limit < 0.0 => "never".to_owned(),
            limit => limit.to_string(),
        };
        let cap = if k == settings.cap { " cap" } else { "" };
        writeln!(out, "{k:<5}{layer:>6}{threshold:>16}{llm:>13.6}{:>13.6}{memory:>12.2}{cap}", llm + vision)?;
    }
    writeln!(out, "(a step that ends at this exit; memory: weights loaded when this exit is the cap)")
}
