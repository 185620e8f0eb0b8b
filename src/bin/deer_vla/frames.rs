//! `deer_vla frames`: what would the policy have seen, and what was done?

mod npy;
mod read;
#[cfg(feature = "report")]
mod sheet;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use deer_vla::bag::Bag;
use deer_vla::bag::source::Source;
use deer_vla::bundle::{Bundle, Embodiment};

use crate::source::{SourceArgs, resolved};
use crate::write_whole;
use read::{Reading, read};

/// Write what the policy would have seen of a recording, and what was done: for training, or to look at
///
/// The pictures that belong together, at the policy's rate and size, paired as the robot pairs them; what is damaged is left
/// out and counted. OUT/ROLE.npy holds the pictures of each camera, OUT/frames.json everything else
/// (docs/your-own-data.md tells its fields).
#[derive(Args)]
pub(crate) struct Frames {
    /// A rosbag2 folder, or one of its files
    bag: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// A bundle, whose cameras and rate are taken
    #[arg(long, value_name = "FOLDER", conflicts_with = "cameras")]
    bundle: Option<PathBuf>,
    /// The policy's cameras and how many pixels wide and high it sees their pictures; a ROLE alone leaves them as they are
    #[arg(long, value_name = "ROLE=SIZE,...", value_delimiter = ',', value_parser = camera)]
    cameras: Vec<RoleAndSize>,
    /// Steps a second [default: the bundle's, the source file's]
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// A std_msgs/String topic whose text nearest to each step is kept; may be given several times
    #[arg(long = "text", value_name = "TOPIC")]
    texts: Vec<String>,
    /// Draw OUT/sheet.png: pictures from all over the recording with sentence and action
    #[arg(long)]
    sheet: bool,
    /// Folder for the results; made if it does not exist
    #[arg(long, value_name = "FOLDER", default_value = "out/frames")]
    out: PathBuf,
    /// Replace earlier results in OUT
    #[arg(long)]
    force: bool,
}

fn camera(text: &str) -> Result<RoleAndSize, String> {
    let Some((role, size)) = text.split_once('=') else { return Ok((text.to_owned(), None)) };
    let expected = || "expected ROLE=SIZE with 16 to 1024 pixels, such as static=200".to_owned();
    let size = size.parse().ok().filter(|size| (16..=1024).contains(size)).ok_or_else(expected)?;
    Ok((role.to_owned(), Some(size)))
}

/// A camera's role, and the side of its pictures where they are made square.
type RoleAndSize = (String, Option<u32>);

impl Frames {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let (source, cameras, rate_hz) = self.wanted()?;
        if !(0.1..=1000.0).contains(&rate_hz) {
            bail!("--rate is {rate_hz}, expected 0.1 to 1000 steps a second");
        }
        let index = self.out.join("frames.json");
        if index.exists() && !self.force {
            bail!("{} exists; give another --out, or --force to replace it", index.display());
        }
        let bag = Bag::open(&self.bag)?;
        let roles: Vec<&str> = cameras.iter().map(|(role, _)| role.as_str()).collect();
        let resolved = resolved(&source, &bag, &roles)?;
        fs::create_dir_all(&self.out).with_context(|| format!("{} cannot be made", self.out.display()))?;
        if index.exists() {
            // It would tell of pictures that are being replaced.
            fs::remove_file(&index).with_context(|| format!("{} cannot be replaced", index.display()))?;
        }
        let job = Reading { bag: &bag, source: &resolved, cameras: &cameras, rate_hz, texts: &self.texts };
        let found = read(&job, &self.bag, &self.out)?;
        write_whole(&index, &serde_json::to_vec(&found)?)?;
        if self.sheet {
            sheet(&found, &self.out)?;
        }
        found.notes.iter().for_each(|note| eprintln!("note: {note}"));
        eprint!("{}", found.left_out);
        eprintln!("{} steps under {} sentences: {}", found.steps.len(), found.sentences.len(), self.out.display());
        Ok(())
    }

    /// The source, the cameras, and the rate.
    fn wanted(&self) -> anyhow::Result<(Source, Vec<RoleAndSize>, f64)> {
        if let Some(folder) = &self.bundle {
            let manifest = Bundle::open(folder)?.manifest;
            let cameras = manifest.cameras.iter().map(|camera| (camera.role.clone(), Some(camera.size))).collect();
            let embodiment =
                Embodiment { control_hz: self.rate.unwrap_or(manifest.embodiment.control_hz), ..manifest.embodiment };
            return Ok((self.source.source_for(&embodiment)?, cameras, embodiment.control_hz));
        }
        let source = self.source.source()?;
        match (self.cameras.is_empty(), self.rate.or(source.rate)) {
            (false, Some(rate_hz)) => Ok((source, self.cameras.clone(), rate_hz)),
            _ => bail!(
                "what does the policy see? Give --bundle FOLDER, or --cameras static=200,gripper=84 and --rate 30"
            ),
        }
    }
}

#[cfg(feature = "report")]
fn sheet(found: &read::Found, out: &Path) -> anyhow::Result<()> {
    sheet::draw(found, out)
}

#[cfg(not(feature = "report"))]
fn sheet(_: &read::Found, _: &Path) -> anyhow::Result<()> {
    bail!("--sheet needs letters to draw: build with the feature report")
}
