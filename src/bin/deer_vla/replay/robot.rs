//! The policy that a recording is shown to, as the node would run it.

use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::network::{Observed, Policy};
use deer_vla::observe::Observer;
use deer_vla::safety::Arming;
use deer_vla::session::{Session, Start};

pub(super) type Robot = Session<Observed<OrtEngine>>;

/// The policy; where it is to be, armed as soon as it is ready.
pub(super) fn session(bundle: &Bundle, config: &Config, armed: bool) -> anyhow::Result<Robot> {
    let settings = config.settings(bundle)?;
    let engine = OrtEngine::load(bundle, settings.cap, &config.engine)?;
    let policy = Policy::new(engine, &bundle.manifest, settings);
    let start = Start {
        bundle,
        rules: config.rules(bundle.manifest.embodiment.control_hz, config.twist.lock_step),
        arming: Arming::new(armed, None),
        provider: config.engine.provider.to_string(),
        live: None,
        servo: None,
    };
    Ok(Session::new(Observed::new(Observer::new(bundle)?, policy), start))
}
