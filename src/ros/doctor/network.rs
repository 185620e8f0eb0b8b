//! Does the network load, and is it fast enough?

use std::time::Instant;

use crate::bundle::Bundle;
use crate::config::Config;
use crate::doctor::Finding;
use crate::engine::Engine;
use crate::engine::ort::OrtEngine;
use crate::network::{Policy, Settings};
use crate::observe::Observer;

/// Steps that are not counted: the runtime's arenas grow in the first few.
const WARM_UP: usize = 5;
const STEPS: usize = 30;

/// Everything between the bundle's folder and a step's duration; the bundle, where it opens.
pub(super) fn check(config: &Config) -> (Vec<Finding>, Option<Bundle>) {
    let bundle = match Bundle::open(&config.bundle) {
        Ok(bundle) => bundle,
        Err(error) => {
            let mend = "name the folder of a whole bundle in the parameter bundle; deer_vla check says more";
            return (vec![Finding::error("bundle", error.to_string(), mend)], None);
        }
    };
    let manifest = &bundle.manifest;
    let told = format!("{}, {} exits, {} Hz", manifest.name, manifest.exits.len(), manifest.action.control_hz);
    let mut findings = vec![Finding::ok("bundle", told)];
    match config.settings(&bundle) {
        Ok(settings) => {
            findings.push(thresholds(config, &bundle, &settings));
            findings.extend(network(config, &bundle, settings));
        }
        Err(error) => findings.push(Finding::error(
            "thresholds",
            error.to_string(),
            "change gate.thresholds or the budgets, or make them anew: deer_vla solve",
        )),
    }
    (findings, Some(bundle))
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

fn network(config: &Config, bundle: &Bundle, settings: Settings) -> Vec<Finding> {
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
    let time = match steps_ms(bundle, engine, settings) {
        Ok(ms) => {
            let deadline_ms = config.gate.deadline.map_or(f64::INFINITY, |deadline| deadline.as_secs_f64() * 1e3);
            step_time(&ms, 1e3 / bundle.manifest.action.control_hz, deadline_ms)
        }
        Err(error) => Finding::error("step time", format!("a step fails: {error:#}"), "deer_vla check says more"),
    };
    vec![Finding::ok("network", told), time]
}

/// Milliseconds of steps at the greatest depth that may be reached, in order.
fn steps_ms(bundle: &Bundle, engine: impl Engine, settings: Settings) -> anyhow::Result<Vec<f64>> {
    let observer = Observer::new(bundle)?;
    let mut policy = Policy::new(engine, &bundle.manifest, settings);
    policy.embed(&observer.longest())?;
    let mut ms = Vec::with_capacity(WARM_UP + STEPS);
    for _ in 0..WARM_UP + STEPS {
        let started = Instant::now();
        policy.rehearse(observer.made_up())?;
        ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    ms.drain(..WARM_UP);
    ms.sort_by(f64::total_cmp);
    Ok(ms)
}

/// A step must end before the next begins, or be cut short before that; one of ten need not. `ms` in order.
fn step_time(ms: &[f64], period_ms: f64, deadline_ms: f64) -> Finding {
    let (median, p90) = (ms[ms.len() / 2], ms[ms.len() * 9 / 10]);
    let told = format!("at full depth median {median:.1} ms, p90 {p90:.1} ms; the control period is {period_ms:.1} ms");
    let mend = "set gate.deadline below the period, lower budget.peak, or use a faster provider";
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
        let level = |ms: &[f64]| step_time(ms, 30.0, f64::INFINITY).level;
        assert_eq!(level(&[5.0, 6.0, 7.0]), Level::Ok);
        assert_eq!(level(&[5.0, 6.0, 31.0]), Level::Warning);
        assert_eq!(level(&[5.0, 31.0, 32.0]), Level::Error);
        assert_eq!(step_time(&[5.0, 31.0, 32.0], 30.0, 25.0).level, Level::Ok, "it is cut short");
    }
}
