//! `deer_vla solve --of whole`: one budget for looks, steps and exits.

use std::path::Path;

use anyhow::{Context, bail};
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::thresholds::{Planned, Plans, SCHEMA, ThresholdsFile, Whole, solve_whole};
use serde_json::{Value, json};

use super::{Solve, tell_exits};
use crate::budget::{Costs, quantity};
use crate::cost::Cost;
use crate::write_whole;

impl Solve {
    pub(super) fn whole(&self, bundle: &Bundle, config: &Config) -> anyhow::Result<()> {
        let Some(average) = self.budget.average.map(Cost::number) else {
            bail!("--of whole needs --average: what may a step cost on average?")
        };
        if self.promise.risk.is_some() {
            bail!("--risk promises the exits' part alone; leave --of whole away");
        }
        let (plans, hash) =
            Plans::read(&self.calibration.clone().unwrap_or_else(|| bundle.path("plans.json")), bundle)?;
        let (costs, cap) = self.budget.costs(bundle, config)?;
        let whole = solve_whole(&plans, &costs.parts, cap, average, self.budget.method())
            .with_context(|| format!("--average, in {}", costs.unit))?;
        let out = self.out.clone().unwrap_or_else(|| bundle.path("thresholds.json"));
        let budget = self.told_whole(&whole, cap, &costs);
        let write = |planned: &Planned, path: &Path| -> anyhow::Result<()> {
            let file = ThresholdsFile {
                schema: SCHEMA,
                manifest_sha256: plans.manifest_sha256.clone(),
                metric: plans.metric,
                thresholds: planned.limits.iter().map(|&limit| limit.is_finite().then_some(limit)).collect(),
                budget: Some(budget.clone()),
                calibration_sha256: Some(hash.clone()),
                predictor_sha256: None,
                seed: Some(plans.seed),
                plan: Some(planned.plan),
            };
            write_whole(path, (serde_json::to_string_pretty(&file)? + "\n").as_bytes())
        };
        tell(bundle, &whole, average, &costs);
        if let Some(path) = &self.held_out {
            tell_held_out(path, bundle, &whole, &costs)?;
        }
        if let Some(path) = &self.fixed_out {
            write(whole.fixed.as_ref().context("--fixed-out: no fixed plan costs so little")?, path)?;
        }
        write(&whole.best, &out)?;
        eprintln!("written: {}", out.display());
        Ok(())
    }

    /// What was solved for and what came out, for the thresholds file.
    fn told_whole(&self, Whole { best, fixed }: &Whole, cap: usize, costs: &Costs) -> Value {
        let expected = |planned: &Planned| {
            json!({
                "plan": planned.fixed,
                "average": quantity(planned.cost, costs.unit),
                "error": planned.error,
                "asked": planned.asked,
                "looked": planned.looked,
                "shares": planned.shares,
            })
        };
        let mut told = self.budget.typed();
        told["cap"] = cap.into();
        told["exit_costs"] = json!({"value": costs.parts.llm, "unit": costs.unit});
        told["look_costs"] = json!({"value": costs.parts.vision, "unit": costs.unit});
        told["expected"] = expected(best);
        told["fixed"] = fixed.as_ref().map(expected).into();
        told
    }
}

fn tell(bundle: &Bundle, Whole { best, fixed }: &Whole, average: f64, costs: &Costs) {
    let limits = best.plan;
    match &best.fixed {
        Some(name) => eprintln!("plan: {name}; no adaptive plan within the average is closer to full depth"),
        None => {
            let keep = match limits.keep_change {
                0.0 => "every picture".into(),
                change => format!("a picture is kept while its change ≤ {change}, up to age {}", limits.max_age),
            };
            let skip = match limits.skip_delta {
                0.0 => "every step".into(),
                delta => format!("a step is skipped while delta ≤ {delta}, up to {} in a row", limits.max_skips),
            };
            eprintln!("plan: {keep}; {skip}");
        }
    }
    tell_exits(&best.shares, &best.limits);
    let full = costs.parts.step(costs.parts.llm.len() - 1, |_| true);
    eprintln!(
        "{:<30}{:>12}{:>8}{:>10}{:>8}  looked at",
        "a step, all included", costs.unit, "of full", "error", "asked"
    );
    let row = |name: &str, planned: &Planned| {
        let roles = bundle.manifest.cameras.iter().map(|camera| camera.role.as_str());
        let looks = roles.zip(&planned.looked).map(|(role, share)| format!("{role} {:.0} %", 100.0 * share));
        let looks = looks.collect::<Vec<_>>().join(", ");
        let Planned { cost, error, asked, .. } = planned;
        let (of_full, asked) = (100.0 * cost / full, 100.0 * asked);
        eprintln!("{name:<30}{cost:>12.6}{of_full:>6.0} %{error:>10.5}{asked:>6.0} %  {looks}");
    };
    row("this plan", best);
    match fixed {
        Some(fixed) => row(fixed.fixed.as_deref().unwrap_or("fixed"), fixed),
        None => eprintln!("no fixed plan costs so little"),
    }
    eprintln!("asked for: {average:.6} {}. Errors are open loop: on a robot they add up, and are larger", costs.unit);
}

/// The same limits on other recordings.
fn tell_held_out(path: &Path, bundle: &Bundle, whole: &Whole, costs: &Costs) -> anyhow::Result<()> {
    let (plans, _) = Plans::read(path, bundle).context("--held-out")?;
    let beside = whole.fixed.as_ref().filter(|_| whole.best.fixed.is_none());
    for planned in [Some(&whole.best), beside].into_iter().flatten() {
        let name = planned.fixed.as_deref().unwrap_or("this plan");
        let there = planned.on(&plans, &costs.parts).context("--held-out holds no cell with this plan's limits")?;
        eprintln!("held out, {name}: {:.6} {}, error {:.5}", there.cost, costs.unit, there.error);
    }
    Ok(())
}
