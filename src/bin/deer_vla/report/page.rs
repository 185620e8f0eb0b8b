//! The page of a run, from recordings.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bag::Bag;
use deer_vla::bundle::Bundle;
use deer_vla::report::page::{self, Run, Thinned};

#[derive(Args)]
#[command(next_help_heading = "The page of a run")]
pub(super) struct PageArgs {
    /// The bundle that decided, for its costs in multiply-accumulates and its control period
    #[arg(long, value_name = "FOLDER")]
    bundle: Option<PathBuf>,
    /// Where a camera's pictures are: its role, then its topic [default: guessed by names and types]
    #[arg(long = "topic", value_name = "ROLE=TOPIC", value_parser = assignment)]
    topics: Vec<(String, String)>,
    /// Most pictures of a camera on the page, spread over the run
    #[arg(long, value_name = "N", default_value_t = Thinned::default().pictures as u64,
          value_parser = clap::value_parser!(u64).range(1..))]
    pictures: u64,
    /// Longest side of a picture on the page, in pixels
    #[arg(long, value_name = "PX", default_value_t = Thinned::default().side,
          value_parser = clap::value_parser!(u32).range(16..=4096))]
    side: u32,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (role, topic) = text.split_once('=').ok_or("expected ROLE=TOPIC, such as static=/camera/image")?;
    Ok((role.to_owned(), topic.to_owned()))
}

/// Whether it is a recording rather than results or decisions.
pub(super) fn is_recording(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|extension| extension == "mcap" || extension == "db3")
}

impl PageArgs {
    pub(super) fn write(&self, recordings: &[String], path: &Path) -> anyhow::Result<()> {
        if let Some(other) = recordings.iter().find(|file| !is_recording(Path::new(file))) {
            bail!("{other} is no recording; give recordings alone, or results alone");
        }
        let bags: Vec<Bag> = recordings.iter().map(Bag::open).collect::<Result<_, _>>()?;
        let bundle = self.bundle.as_ref().map(Bundle::open).transpose().context("--bundle")?;
        let run = Run {
            title: recordings.join(" with "),
            bags: &bags,
            topics: self.topics.iter().cloned().collect(),
            thinned: Thinned { pictures: self.pictures as usize, side: self.side, ..Thinned::default() },
            manifest: bundle.as_ref().map(|bundle| &bundle.manifest),
        };
        let (decisions, pictures) = page::write(&run, path)?;
        eprintln!("{decisions} decisions, {pictures} pictures: {}", path.display());
        Ok(())
    }
}
