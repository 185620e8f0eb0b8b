//! Arguments that say what a step may cost, and what follows from them for a bundle.

use anyhow::Context;
use clap::Args;
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::thresholds::{
    Calibration, Method, PartCosts, SCHEMA, Scope, Shares, Solution, SolveError, ThresholdsFile,
};
use deer_vla::thresholds::{deepest, gigabytes, solve};
use serde_json::{Value, json};

use crate::bench::{Profile, profile};
use crate::cost::{Cost, parse_gigabytes, scope};

/// What the robot can afford.
#[derive(Args)]
pub(crate) struct BudgetArgs {
    /// Average cost of a step, such as 0.02GFLOP or 4ms
    #[arg(long, value_name = "COST")]
    pub(crate) average: Option<Cost>,
    /// What the average is of: the language model of the steps that ask it, or the whole step, vision included and skipped
    /// ones counted; then plan and thresholds are found together, from plans.json
    #[arg(long, default_value = "llm", value_name = "WHAT", value_parser = scope)]
    pub(crate) of: Scope,
    /// Most that one step may cost, such as 0.05GFLOP or 12ms
    #[arg(long, value_name = "COST")]
    peak: Option<Cost>,
    /// Most bytes of weights in memory, such as 2GB or 300MB
    #[arg(long, value_name = "BYTES", value_parser = parse_gigabytes)]
    memory: Option<f64>,
    /// How thresholds follow from the average: by shares of steps, or by the least action error
    #[arg(long, default_value = "shares", value_parser = ["shares", "direct"])]
    method: String,
    /// The family of shares
    #[arg(long, default_value = "exp", value_parser = shares)]
    pub(crate) shares: Shares,
}

fn shares(text: &str) -> Result<Shares, String> {
    Shares::ALL.into_iter().find(|family| family.as_str() == text).ok_or_else(|| "one of exp, gauss, gamma".into())
}

/// What the parts of a bundle cost in one unit.
pub(crate) struct Costs {
    pub(crate) unit: &'static str,
    pub(crate) parts: PartCosts,
}

impl Costs {
    fn in_gflop(bundle: &Bundle) -> Self {
        Self { unit: "GFLOP", parts: PartCosts::in_gflop(&bundle.manifest) }
    }

    /// Of a look at every camera.
    pub(crate) fn vision(&self) -> f64 {
        self.parts.vision.iter().sum()
    }
}

impl From<Profile> for Costs {
    fn from(Profile { llm_ms, vision_ms }: Profile) -> Self {
        Self { unit: "ms", parts: PartCosts { llm: llm_ms, vision: vision_ms } }
    }
}

/// Thresholds that meet the budget on a calibration, and what they were solved with.
pub(crate) struct Solved {
    pub(crate) solution: Solution,
    pub(crate) cap: usize,
    /// In the unit of the average.
    pub(crate) costs: Costs,
}

impl BudgetArgs {
    /// Solves the budget on `calibration`; a budget in ms measures the bundle first.
    pub(crate) fn solve(&self, bundle: &Bundle, config: &Config, calibration: &Calibration) -> anyhow::Result<Solved> {
        let (costs, cap) = self.costs(bundle, config)?;
        let solution = solve(calibration, &costs.parts.llm, cap, self.average.map(Cost::number), self.method())
            .with_context(|| format!("--average, in {}", costs.unit))?;
        Ok(Solved { solution, cap, costs })
    }

    /// Solves averages from full depth down to the first exit, in equal steps.
    pub(crate) fn path(
        &self,
        bundle: &Bundle,
        config: &Config,
        calibration: &Calibration,
    ) -> anyhow::Result<(Vec<Solution>, Costs, usize)> {
        const STEPS: u32 = 100;
        let (costs, cap) = self.costs(bundle, config)?;
        let (least, most) = (costs.parts.llm[0], costs.parts.llm[cap]);
        let average = |step: u32| most + (least - most) * f64::from(step) / f64::from(STEPS);
        // The paper's shares do not reach every average; those that they do reach are a path too.
        let solved =
            (0..=STEPS).map(|step| solve(calibration, &costs.parts.llm, cap, Some(average(step)), self.method()));
        let path = solved.filter(|solved| !matches!(solved, Err(SolveError::Infeasible { .. })));
        Ok((path.collect::<Result<_, _>>()?, costs, cap))
    }

    /// In the average's unit, and the cap.
    pub(crate) fn costs(&self, bundle: &Bundle, config: &Config) -> anyhow::Result<(Costs, usize)> {
        let timed = |cost: Option<Cost>| matches!(cost, Some(Cost::Ms(_)));
        let measured = timed(self.average) || timed(self.peak);
        let ms = measured.then(|| profile(bundle, &config.engine)).transpose()?.map(Costs::from);
        let gflop = Costs::in_gflop(bundle);
        let cap = self.cap(bundle, ms.as_ref().filter(|_| timed(self.peak)).unwrap_or(&gflop))?;
        Ok((ms.filter(|_| timed(self.average)).unwrap_or(gflop), cap))
    }

    pub(crate) fn method(&self) -> Method {
        if self.method == "direct" { Method::Direct } else { Method::Shares(self.shares) }
    }

    /// The deepest exit that peak and memory allow; `costs` are in the peak's unit.
    fn cap(&self, bundle: &Bundle, costs: &Costs) -> anyhow::Result<usize> {
        let cap = |name: &str, costs: &[f64], most: Option<f64>, unit: &str| {
            let most = most.unwrap_or(f64::INFINITY);
            deepest(costs, most).map_err(|first| {
                anyhow::anyhow!(
                    "--{name} is {most} {unit}; the first exit needs {first} {unit}, the nearest that can be met"
                )
            })
        };
        let peak = cap("peak", &costs.parts.llm, self.peak.map(Cost::number), costs.unit)?;
        Ok(peak.min(cap("memory", &gigabytes(&bundle.manifest), self.memory, "GB")?))
    }

    /// The budget as it was typed, for the thresholds file.
    pub(crate) fn typed(&self) -> Value {
        let typed = |cost: Option<Cost>| cost.map(|cost| quantity(cost.number(), cost.unit()));
        json!({
            "average": typed(self.average),
            "of": self.of.as_str(),
            "peak": typed(self.peak),
            "memory_gb": self.memory,
            "method": self.method().as_str(),
        })
    }

    /// What was solved for and what came out, for the thresholds file.
    pub(crate) fn told(&self, Solved { solution, cap, costs }: &Solved) -> Value {
        let mut told = self.typed();
        told["ratio"] = solution.ratio.into();
        told["cap"] = (*cap).into();
        told["exit_costs"] = json!({"value": costs.parts.llm, "unit": costs.unit});
        told["expected_average"] = quantity(solution.expected, costs.unit);
        told["expected_whole_model"] = quantity(solution.expected + costs.vision(), costs.unit);
        told["expected_error"] = solution.error.into();
        told["expected_shares"] = solution.shares.clone().into();
        told
    }
}

pub(crate) fn quantity(value: f64, unit: &str) -> Value {
    json!({"value": value, "unit": unit})
}

/// A thresholds file of `limits` that were found on `calibration`.
pub(crate) fn file(
    limits: &[f64],
    calibration: &Calibration,
    calibration_sha256: String,
    budget: Value,
) -> ThresholdsFile {
    ThresholdsFile {
        schema: SCHEMA,
        manifest_sha256: calibration.manifest_sha256.clone().unwrap_or_default(),
        metric: calibration.metric,
        thresholds: limits.iter().map(|&limit| limit.is_finite().then_some(limit)).collect(),
        budget: Some(budget),
        calibration_sha256: Some(calibration_sha256),
        seed: calibration.seed,
        plan: None,
        predictor_sha256: calibration.predictor_sha256.clone(),
    }
}
