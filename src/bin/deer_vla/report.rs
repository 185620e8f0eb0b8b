//! `deer_vla report`: plots of what was decided.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use deer_vla::report;

/// Plot the exits taken over time, as exits.svg and exits.png
#[derive(Args)]
pub(crate) struct Report {
    /// Decisions as JSON lines, as `deer_vla replay` writes them
    decisions: PathBuf,
    /// Folder for the plots; made if it does not exist
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Report {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let decisions = report::read(&self.decisions)?;
        fs::create_dir_all(&self.out).with_context(|| format!("{} cannot be made", self.out.display()))?;
        report::plot(&decisions, &self.out)?;
        eprintln!("{} decisions plotted: {}", decisions.len(), self.out.join("exits.png").display());
        Ok(())
    }
}
