//! What would have been decided otherwise: arguments, and where the decisions before are from.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bag::{Bag, DECISIONS};
use deer_vla::bundle::Manifest;
use deer_vla::config::RawConfig;

use super::live::Recorded;
use super::plan::Plan;
use super::told::Told;
use crate::cost::parse_secs;

#[derive(Args)]
pub(super) struct OtherwiseArgs {
    /// What every step does and spares: exit=2 in the place of thresholds, and limits of the parameters plan.*, such as
    /// skip_delta=2,skip_change=1,max_skips=3
    #[arg(long, value_name = "PLAN")]
    plan: Option<Plan>,
    /// Time after which a step takes the newest finished exit, such as 20ms, by this machine's speed
    #[arg(long, value_name = "TIME", value_parser = parse_secs)]
    deadline: Option<f64>,
    /// Decisions to compare with: the bag of a live run, or the OUT/commands of an earlier replay [default: those in BAG,
    /// where it holds any]
    #[arg(long, value_name = "BAG")]
    against: Option<PathBuf>,
    /// End with 3 where a decision differs or is missing, 0 where none does
    #[arg(long)]
    pub(super) exit_code: bool,
}

impl OtherwiseArgs {
    /// Puts plan and deadline into the configuration.
    pub(super) fn ask(&self, raw: &mut RawConfig, manifest: &Manifest) -> anyhow::Result<()> {
        if let Some(plan) = &self.plan {
            plan.ask(raw, manifest.exits.len())?;
        }
        raw.gate.deadline = self.deadline.unwrap_or(raw.gate.deadline);
        Ok(())
    }

    /// Where nothing was decided before, nothing can be the same.
    ///
    /// # Errors
    /// When the exit code shall tell it all the same.
    pub(super) fn check(&self, before: bool) -> anyhow::Result<()> {
        if self.exit_code && !before {
            bail!("--exit-code: the recording holds no {DECISIONS} to compare with; say which by --against BAG");
        }
        Ok(())
    }

    /// Where decisions before are from, and what they are; `None` where there are none.
    ///
    /// # Errors
    /// When the bag that was named holds none, or one cannot be read.
    pub(super) fn before(&self, path: &Path, bag: &Bag, roles: &[String]) -> anyhow::Result<Option<super::Before>> {
        let told = |bag: &Bag| -> anyhow::Result<Vec<Told>> {
            let recorded = Recorded::all(bag, bag.decisions())?;
            Ok(recorded.iter().map(|decision| Told::recorded(decision, roles)).collect())
        };
        let Some(against) = &self.against else {
            let told = told(bag)?;
            return Ok((!told.is_empty()).then(|| (format!("the decisions in {}", path.display()), told)));
        };
        let before = told(&Bag::open(against).context("--against")?)?;
        if before.is_empty() {
            bail!(
                "--against {}: it holds no {DECISIONS}; record it beside the node, or give a replay's OUT/commands",
                against.display()
            );
        }
        Ok(Some((format!("the decisions in {}", against.display()), before)))
    }
}
