//! One evaluation of a search: the evaluator's results, and what is kept of them.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use deer_vla::thresholds::ThresholdsFile;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cost::Cost;
use crate::write_whole;

/// What an evaluator prints; it may hold more.
#[derive(Deserialize)]
pub(super) struct Results {
    chains: Vec<Chain>,
    compute: Compute,
}

#[derive(Deserialize)]
struct Chain {
    chain: u64,
    succeeded: u32,
}

#[derive(Deserialize)]
struct Compute {
    all_steps: Step,
}

#[derive(Deserialize)]
struct Step {
    llm_gmac: f64,
    llm_ms: f64,
}

impl Results {
    /// The mean cost of a step, in the unit of the budget.
    fn cost(&self, budget: Cost) -> anyhow::Result<f64> {
        let Step { llm_gmac, llm_ms } = self.compute.all_steps;
        let (name, cost) = match budget {
            Cost::Gflop(_) => ("llm_gmac", llm_gmac),
            Cost::Ms(_) => ("llm_ms", llm_ms),
        };
        if !(cost.is_finite() && cost > 0.0) {
            bail!("compute.all_steps.{name} is {cost}; it must be more than 0");
        }
        Ok(cost)
    }

    /// The average length over the chains that are tuned on, and over those that are held out: one of `hold_out`.
    fn lengths(&self, hold_out: u64) -> anyhow::Result<(f64, f64)> {
        let mean = |held: bool| {
            let chains = self.chains.iter().filter(|chain| (chain.chain % hold_out == hold_out - 1) == held);
            let lengths: Vec<f64> = chains.map(|chain| f64::from(chain.succeeded)).collect();
            lengths.iter().sum::<f64>() / lengths.len() as f64
        };
        let (tuned, held_out) = (mean(false), mean(true));
        if tuned.is_nan() || held_out.is_nan() {
            bail!("{} chains are too few to hold one of {hold_out} out; judge more chains", self.chains.len());
        }
        Ok((tuned, held_out))
    }
}

/// What is kept of an evaluation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Evaluation {
    number: usize,
    /// Of the steps that reach an exit, the share that was to end there.
    pub(super) stops: Vec<f64>,
    /// Average length over the chains that are tuned on.
    pub(super) length: f64,
    /// Average length over the other chains.
    held_out: f64,
    /// Mean cost of a step.
    pub(super) cost: f64,
}

impl Evaluation {
    /// Number `number`, of thresholds with these stops; one chain of `hold_out` is not tuned on.
    pub(super) fn of(
        number: usize,
        stops: Vec<f64>,
        results: &Results,
        budget: Cost,
        hold_out: u64,
    ) -> anyhow::Result<Self> {
        let (length, held_out) = results.lengths(hold_out)?;
        Ok(Self { number, stops, length, held_out, cost: results.cost(budget)? })
    }
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, held_out, cost, .. } = self;
        write!(f, "average length {length:.2}, held out {held_out:.2}, cost {cost:.6}")
    }
}

/// Runs the evaluator on `candidate` in a folder of its own. What it says on stderr is shown.
pub(super) fn judge(evaluator: &str, folder: &Path, candidate: &ThresholdsFile) -> anyhow::Result<Results> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join("thresholds.json");
    write_whole(&path, serde_json::to_string_pretty(candidate)?.as_bytes())?;
    let command = evaluator.replace("{thresholds}", &quoted(&path)).replace("{folder}", &quoted(folder));
    let output = Command::new("sh")
        .args(["-c", &command])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{command:?} does not start"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&printed).with_context(|| {
        let begin: String = printed.chars().take(200).collect();
        format!("{command:?} must print results as JSON (chains, compute.all_steps), and printed {begin:?}")
    })
}

/// A path as one word of a shell's line.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// `evaluations.jsonl`: what is searched and from where, then a line an evaluation.
pub(super) struct Log {
    file: File,
    pub(super) start: Vec<f64>,
    pub(super) finished: Vec<Evaluation>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    job: Value,
    start: Vec<f64>,
}

impl Log {
    /// Opens the log of `job`, or begins it with the point that `start` gives.
    pub(super) fn open(
        folder: &Path,
        job: &Value,
        start: impl Fn() -> anyhow::Result<Vec<f64>>,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let path = folder.join("evaluations.jsonl");
        if !path.exists() {
            let header = Header { job: job.clone(), start: start()? };
            write_whole(&path, (serde_json::to_string(&header)? + "\n").as_bytes())?;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        // A line that a stop cut off is judged again.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let unreadable = || format!("{} is no log of a search; name another --folder", path.display());
        let header: Header = serde_json::from_str(lines.next().unwrap_or_default()).with_context(unreadable)?;
        if header.job != *job {
            bail!(
                "{} is of another search ({}, not {job}); name another --folder, or remove it",
                path.display(),
                header.job
            );
        }
        let finished = lines.map(serde_json::from_str).collect::<Result<_, _>>().with_context(unreadable)?;
        let file = File::options().append(true).open(&path)?;
        file.set_len(whole as u64)?;
        Ok(Self { file, start: header.start, finished })
    }

    /// Writes an evaluation down at once.
    pub(super) fn push(&mut self, evaluation: Evaluation) -> anyhow::Result<()> {
        writeln!(self.file, "{}", serde_json::to_string(&evaluation)?)?;
        self.file.sync_data()?;
        self.finished.push(evaluation);
        Ok(())
    }
}
