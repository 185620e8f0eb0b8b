//! A contact sheet: pictures from all over a recording, with the sentence and what was done.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Context;
use deer_vla::report::{Tile, contact_sheet};

use super::read::{Found, Step};

/// As many steps as a look takes in.
const TILES: usize = 48;
/// Bytes of an .npy file before the first picture.
const START: u64 = 128;

/// Writes OUT/sheet.png.
pub(super) fn draw(found: &Found, out: &Path) -> anyhow::Result<()> {
    let stride = found.steps.len().div_ceil(TILES).max(1);
    let mut tiles = Vec::new();
    for step in found.steps.iter().step_by(stride) {
        let pictures = found.cameras.iter().map(|camera| {
            let bytes = (camera.width * camera.height * 3) as usize;
            Ok(((camera.width, camera.height), picture(&out.join(&camera.file), bytes, step.set)?))
        });
        let pictures = pictures.collect::<anyhow::Result<_>>()?;
        let sentence = found.sentences.get(step.sentence).cloned().unwrap_or_default();
        let move_mm_deg = step.motion.map(in_mm_and_deg);
        tiles.push(Tile { pictures, lines: vec![format!("{}: {sentence}", step.set), told(step)], move_mm_deg });
    }
    let path = out.join("sheet.png");
    contact_sheet(&tiles, &path).with_context(|| format!("{} cannot be drawn", path.display()))?;
    Ok(())
}

fn picture(path: &Path, bytes: usize, set: usize) -> anyhow::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(START + (bytes * set) as u64))?;
    let mut picture = vec![0; bytes];
    file.read_exact(&mut picture)?;
    Ok(picture)
}

fn in_mm_and_deg(motion: [f64; 6]) -> [f64; 6] {
    let [x, y, z, roll, pitch, yaw] = motion;
    [x * 1e3, y * 1e3, z * 1e3, roll.to_degrees(), pitch.to_degrees(), yaw.to_degrees()]
}

fn told(step: &Step) -> String {
    let gripper = step.gripper.map_or_else(|| "no gripper".to_owned(), |position| format!("gripper {position:.3}"));
    let Some(motion) = step.motion.map(in_mm_and_deg) else { return format!("no motion, {gripper}") };
    let [x, y, z, roll, pitch, yaw] = motion;
    format!("{x:.1} {y:.1} {z:.1} mm, {roll:.1} {pitch:.1} {yaw:.1} deg, {gripper}")
}
