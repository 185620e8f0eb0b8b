//! `deer_vla report`: tables and plots of what was decided and what it came to.

mod page;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::report::{self, Evaluated};

/// Compare results of evaluations, plot the exits of a replay over time, or make the page of a run
///
/// Results (results.json files) become report.html and report.md with plots of success against GFLOP and ms and of the
/// exits taken. Files with the same METHOD make one curve; without one, a file's folder names it. Decisions (a JSON Lines
/// file, as `deer_vla replay` writes it) become exits.svg and exits.png. Recordings with the node's decisions (or one with
/// the pictures and the OUT/commands of its replay) become run.html: the film beside the exits, costs, and holds with their
/// reasons, in one file that needs nothing else.
#[derive(Args)]
pub(crate) struct Report {
    /// Results files; or one file of decisions (.jsonl); or recordings, folders or .mcap files
    #[arg(required = true, value_name = "[METHOD=]FILE")]
    files: Vec<String>,
    /// Folder for the report; made if it does not exist
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    page: page::PageArgs,
}

impl Report {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.files.iter().any(|file| page::is_recording(Path::new(file))) {
            self.make_folder()?;
            return self.page.write(&self.files, &self.out.join("run.html"));
        }
        let decisions: Vec<&String> = self.files.iter().filter(|file| file.ends_with(".jsonl")).collect();
        match (&decisions[..], &self.files[..]) {
            ([], files) => self.compare(files),
            ([file], [_]) => self.plot(Path::new(file)),
            _ => bail!("give results files, or one file of decisions alone: {}", self.files.join(", ")),
        }
    }

    fn plot(&self, file: &Path) -> anyhow::Result<()> {
        let decisions = report::read(file)?;
        self.make_folder()?;
        report::plot(&decisions, &self.out)?;
        eprintln!("{} decisions plotted: {}", decisions.len(), self.out.join("exits.png").display());
        Ok(())
    }

    fn compare(&self, files: &[String]) -> anyhow::Result<()> {
        let evaluated: Vec<Evaluated> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
        self.make_folder()?;
        report::compare(&evaluated, &self.out)?;
        eprintln!("{} results compared: {}", evaluated.len(), self.out.join("report.html").display());
        Ok(())
    }

    fn make_folder(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.out).with_context(|| format!("{} cannot be made", self.out.display()))
    }
}

/// `METHOD=FILE`, or a file whose folder (for results.json) or stem names the method.
fn read(file: &str) -> Result<Evaluated, report::ReportError> {
    if let Some((method, path)) = file.split_once('=') {
        return Evaluated::read(method.to_owned(), Path::new(path));
    }
    let path = Path::new(file);
    let named = if path.ends_with("results.json") { path.parent().and_then(Path::file_name) } else { path.file_stem() };
    Evaluated::read(named.unwrap_or_default().to_string_lossy().into_owned(), path)
}
