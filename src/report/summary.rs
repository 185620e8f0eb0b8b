//! What a run came to, in a few lines.

use std::collections::BTreeMap;
use std::fmt;

use super::Quantiles;
use crate::bundle::Manifest;
use crate::session::Answer;

/// Counts answers as they come.
#[derive(Debug, Clone)]
pub struct Summary {
    manifest: Manifest,
    verdicts: BTreeMap<&'static str, u64>,
    exits: Vec<u64>,
    skipped: u64,
    /// How often each camera was looked at.
    looks: Vec<u64>,
    step_ms: Vec<f64>,
}

impl Summary {
    /// Of a run of the bundle with this manifest.
    pub fn new(manifest: &Manifest) -> Self {
        let exits = vec![0; manifest.exits.len()];
        let looks = vec![0; manifest.cameras.len()];
        let (verdicts, step_ms) = (BTreeMap::new(), Vec::new());
        Self { manifest: manifest.clone(), verdicts, exits, skipped: 0, looks, step_ms }
    }

    /// Counts one answer.
    pub fn add(&mut self, answer: &Answer) {
        *self.verdicts.entry(answer.verdict.as_str()).or_default() += 1;
        if let Some(step) = &answer.decision {
            match step.ran_to() {
                Some(exit) => self.exits[exit] += 1,
                None => self.skipped += 1,
            }
            for (camera, looks) in self.looks.iter_mut().enumerate() {
                *looks += u64::from(step.plan.looks(camera));
            }
            self.step_ms.push(answer.total_ms);
        }
    }

    /// Answers so far.
    pub fn answers(&self) -> u64 {
        self.verdicts.values().sum()
    }

    /// Steps so far, skipped ones included: answers that are no holds.
    pub fn steps(&self) -> u64 {
        self.exits.iter().sum::<u64>() + self.skipped
    }

    /// Mean multiply-accumulates a step: the language model's (stages and head), and the whole model's, vision included.
    pub fn mean_macs(&self) -> Option<(f64, f64)> {
        let steps = self.steps();
        (steps > 0).then(|| mean_macs(&self.manifest, &self.exits, &self.looks, steps))
    }
}

/// Mean multiply-accumulates a step over `steps`, skipped ones included: the language model's (stages and head), and the
/// whole model's, vision included. `exits`: how many ran to each; `looks`: how often each camera was looked at.
pub fn mean_macs(manifest: &Manifest, exits: &[u64], looks: &[u64], steps: u64) -> (f64, f64) {
    let total: f64 = exits.iter().enumerate().map(|(exit, &n)| n as f64 * manifest.macs_to(exit) as f64).sum();
    let looked: f64 = if manifest.sees_jointly() {
        looks.first().map_or(0.0, |&n| n as f64) * manifest.parts.vision_macs() as f64
    } else {
        looks.iter().zip(&manifest.parts.vision).map(|(&n, part)| n as f64 * part.macs as f64).sum()
    };
    (total / steps as f64, (total + looked) / steps as f64)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdicts: Vec<_> = self.verdicts.iter().map(|(verdict, n)| format!("{verdict} {n}")).collect();
        writeln!(f, "{} answers: {}", self.answers(), verdicts.join(", "))?;
        let Some((llm, whole)) = self.mean_macs() else { return writeln!(f, "the network was not asked") };
        let steps = self.steps();
        for (exit, &taken) in self.exits.iter().enumerate() {
            let share = taken as f64 / steps as f64;
            let bar = format!(" {}", "#".repeat((share * 40.0).round() as usize));
            let layer = self.manifest.exits[exit];
            writeln!(f, "exit {exit} (layer {layer:>2}) {taken:>7} {:>5.1} %{}", share * 100.0, bar.trim_end())?;
        }
        if self.skipped > 0 {
            let share = 100.0 * self.skipped as f64 / steps as f64;
            writeln!(f, "skipped          {:>7} {share:>5.1} %", self.skipped)?;
        }
        if self.looks.iter().any(|&looks| looks < steps) {
            let cameras = self.manifest.cameras.iter().zip(&self.looks);
            let share = |looks: u64| 100.0 * looks as f64 / steps as f64;
            let looks: Vec<_> = cameras.map(|(c, &looks)| format!("{} {:.1} %", c.role, share(looks))).collect();
            writeln!(f, "looked at        {}", looks.join(", "))?;
        }
        let deepest = self.manifest.macs_to(self.exits.len() - 1) as f64;
        let vision = self.manifest.parts.vision_macs() as f64;
        let line = |found: f64, full: f64| {
            format!("{:.4} of {:.4} GMAC a step ({:.1} %)", found * 1e-9, full * 1e-9, 100.0 * found / full)
        };
        writeln!(f, "language model {}", line(llm, deepest))?;
        writeln!(f, "whole model    {}", line(whole, deepest + vision))?;
        if let Some(ms) = Quantiles::of(self.step_ms.iter().copied()) {
            writeln!(f, "{:.2} ms a step (p10 {:.2}, p90 {:.2})", ms.median, ms.p10, ms.p90)?;
        }
        Ok(())
    }
}
