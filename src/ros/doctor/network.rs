//! Does the network load, and is it fast enough?

use std::time::Instant;

use crate::bundle::Bundle;
use crate::config::Config;
use crate::doctor::Finding;
use crate::engine::Engine;
use crate::engine::ort::OrtEngine;
use crate::frame::View;
use crate::network::{Network, Observed, Policy, Settings};
use crate::observe::Observer;
use crate::ros::inbox::Payload;
use crate::ros::worker::read;

/// Steps that are not counted: the runtime's arenas grow in the first few.
const WARM_UP: usize = 5;
const STEPS: usize = 30;

/// The bundle and its thresholds; the bundle, where it opens, and the settings, where they fit it.
pub(super) fn bundle(config: &Config) -> (Vec<Finding>, Option<Bundle>, Option<Settings>) {
    let bundle = match Bundle::open(&config.bundle) {
        Ok(bundle) => bundle,
        Err(error) => {
            let mend = "name the folder of a whole bundle in the parameter bundle; deer_vla check says more";
            return (vec![Finding::error("bundle", error.to_string(), mend)], None, None);
        }
    };
    let manifest = &bundle.manifest;
    let told = format!("{}, {} exits, {} Hz", manifest.name, manifest.exits.len(), manifest.embodiment.control_hz);
    let mut findings = vec![Finding::ok("bundle", told)];
    let settings = match config.settings(&bundle) {
        Ok(settings) => {
            findings.push(thresholds(config, &bundle, &settings));
            Some(settings)
        }
        Err(error) => {
            let mend = "change gate.thresholds or the budgets, or make them anew: deer_vla solve";
            findings.push(Finding::error("thresholds", error.to_string(), mend));
            None
        }
    };
    (findings, Some(bundle), settings)
}

fn thresholds(config: &Config, bundle: &Bundle, settings: &Settings) -> Finding {
    let origin = match (&config.gate.thresholds, config.budget.average_gmac) {
        (Some(_), _) => "the parameter gate.thresholds",
        (None, Some(_)) => "the budget",
        (None, None) if bundle.path("thresholds.json").exists() => "the bundle",
        (None, None) => {
            let mend = "make some: deer_vla calibrate, then deer_vla solve";
            return Finding::warning("thresholds", "there are none: every step runs at full depth", mend);
        }
    };
    Finding::ok("thresholds", format!("from {origin}, cap {}", settings.cap))
}

/// Whether the network loads, and how long a step takes on what the cameras send: `samples`, the newest picture of each
/// as it came and how it is read, where all have sent one.
pub(super) fn network(
    config: &Config,
    bundle: &Bundle,
    settings: Settings,
    samples: Option<&[(Payload, View)]>,
) -> Vec<Finding> {
    let engine = match OrtEngine::load(bundle, settings.cap, &config.engine) {
        Ok(engine) => engine,
        Err(error) => {
            let mend = "see the parameters provider and onnxruntime; deer_vla check tries it alone";
            return vec![Finding::error("network", error.to_string(), mend)];
        }
    };
    let library = engine.library();
    let provider = config.engine.provider;
    let told =
        format!("{provider}, ONNX Runtime {} at {} ({})", library.version, library.path.display(), library.source);
    let time = match steps_ms(bundle, engine, settings, samples) {
        Ok(ms) => {
            let deadline_ms = config.gate.deadline.map_or(f64::INFINITY, |deadline| deadline.as_secs_f64() * 1e3);
            let on = if samples.is_some() { "the cameras' pictures" } else { "made-up pictures, for want of others" };
            step_time(&ms, 1e3 / bundle.manifest.embodiment.control_hz, deadline_ms, on)
        }
        Err(error) => Finding::error("step time", format!("a step fails: {error:#}"), "deer_vla check says more"),
    };
    vec![Finding::ok("network", told), time]
}

/// Milliseconds of steps at the greatest depth that may be reached, in order: from messages to actions.
fn steps_ms(
    bundle: &Bundle,
    engine: impl Engine,
    settings: Settings,
    samples: Option<&[(Payload, View)]>,
) -> anyhow::Result<Vec<f64>> {
    let policy = Policy::new(engine, &bundle.manifest, settings);
    let mut network = Observed::new(Observer::new(bundle)?, policy);
    let mut ms = Vec::with_capacity(WARM_UP + STEPS);
    for _ in 0..WARM_UP + STEPS {
        let started = Instant::now();
        let frames: Vec<_> =
            samples.unwrap_or_default().iter().map(|(image, view)| read(image, view)).collect::<Result<_, _>>()?;
        network.rehearse(&frames.iter().collect::<Vec<_>>()).map_err(anyhow::Error::msg)?;
        ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    ms.drain(..WARM_UP);
    ms.sort_by(f64::total_cmp);
    Ok(ms)
}

/// A step must end before the next begins, or be cut short before that; one of ten need not. `ms` in order.
fn step_time(ms: &[f64], period_ms: f64, deadline_ms: f64, on: &str) -> Finding {
    let (median, p90) = (ms[ms.len() / 2], ms[ms.len() * 9 / 10]);
    let told = format!(
        "at full depth on {on} median {median:.1} ms, p90 {p90:.1} ms; the control period is {period_ms:.1} ms"
    );
    let mend = "let the cameras send smaller pictures, set gate.deadline below the period, lower budget.peak, or use a \
                faster provider";
    if median.min(deadline_ms) > period_ms {
        Finding::error("step time", told, mend)
    } else if p90.min(deadline_ms) > period_ms {
        Finding::warning("step time", told, mend)
    } else {
        Finding::ok("step time", told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_step_must_fit_its_period() {
        let level = |ms: &[f64]| step_time(ms, 30.0, f64::INFINITY, "pictures").level;
        assert_eq!(level(&[5.0, 6.0, 7.0]), Level::Ok);
        assert_eq!(level(&[5.0, 6.0, 31.0]), Level::Warning);
        assert_eq!(level(&[5.0, 31.0, 32.0]), Level::Error);
        assert_eq!(step_time(&[5.0, 31.0, 32.0], 30.0, 25.0, "pictures").level, Level::Ok, "it is cut short");
    }
}
