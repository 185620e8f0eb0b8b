//! Pictures in rows, each with lines of text and an arrow of what was done on it.

use std::path::Path;

use plotters::prelude::*;

use super::ReportError;
use super::canvas::{COLOURS, Drawn, letters};

/// Pixels of a tile's picture on the sheet.
const SIDE: u32 = 160;
const LINE: u32 = 14;
/// Tiles in a row.
const ACROSS: usize = 6;
/// Pixels of the arrow for a displacement of one millimetre.
const PIXELS_A_MM: f64 = 4.0;

/// One moment on a contact sheet.
pub struct Tile {
    /// Width and height, and the pixels, red, green and blue, of each picture that stands beside the others.
    pub pictures: Vec<((u32, u32), Vec<u8>)>,
    /// What is written below.
    pub lines: Vec<String>,
    /// What was done: mm along x, y, z and degrees about them. x and y are drawn as an arrow, to the right and up.
    pub move_mm_deg: Option<[f64; 6]>,
}

/// Draws tiles in rows and writes them as PNG.
///
/// # Errors
/// `Plot`.
pub fn contact_sheet(tiles: &[Tile], path: &Path) -> Result<(), ReportError> {
    let refuse = |reason: String| ReportError::Plot { reason, path: path.to_path_buf() };
    letters().map_err(refuse)?;
    let pictures = tiles.iter().map(|tile| tile.pictures.len()).max().unwrap_or(1).max(1) as u32;
    let lines = tiles.iter().map(|tile| tile.lines.len()).max().unwrap_or(0) as u32;
    let (wide, high) = (SIDE * pictures + 8, SIDE + LINE * lines + 8);
    let across = tiles.len().clamp(1, ACROSS);
    let size = (wide * across as u32, high * tiles.len().div_ceil(across).max(1) as u32);
    let mut rgb = vec![255; (size.0 * size.1 * 3) as usize];
    for (i, tile) in tiles.iter().enumerate() {
        let corner = (wide * (i % across) as u32, high * (i / across) as u32);
        for (n, (shape, picture)) in tile.pictures.iter().enumerate() {
            paste(&mut rgb, size.0, (corner.0 + SIDE * n as u32, corner.1), *shape, picture);
        }
        draw(&mut rgb, size, corner, tile).map_err(|error| refuse(error.to_string()))?;
    }
    image::save_buffer(path, &rgb, size.0, size.1, image::ColorType::Rgb8).map_err(|error| refuse(error.to_string()))
}

/// A picture, its nearest pixels taken: its longer side fills the tile.
fn paste(rgb: &mut [u8], width: u32, corner: (u32, u32), (wide, high): (u32, u32), picture: &[u8]) {
    let longer = wide.max(high);
    for y in 0..SIDE * high / longer.max(1) {
        for x in 0..SIDE * wide / longer.max(1) {
            let from = ((y * longer / SIDE * wide + x * longer / SIDE) * 3) as usize;
            let to = (((corner.1 + y) * width + corner.0 + x) * 3) as usize;
            rgb[to..to + 3].copy_from_slice(&picture[from..from + 3]);
        }
    }
}

fn draw(rgb: &mut [u8], size: (u32, u32), corner: (u32, u32), tile: &Tile) -> Drawn {
    let area = BitMapBackend::with_buffer(rgb, size).into_drawing_area();
    let (left, top) = (corner.0 as i32, corner.1 as i32);
    for (n, line) in tile.lines.iter().enumerate() {
        let text = line.chars().take(30 * tile.pictures.len()).collect::<String>();
        let at = (left + 2, top + SIDE as i32 + 1 + (LINE * n as u32) as i32);
        area.draw(&Text::new(text, at, ("sans-serif", 12).into_font()))?;
    }
    if let Some([x, y, ..]) = tile.move_mm_deg {
        let middle = (left + SIDE as i32 / 2, top + SIDE as i32 / 2);
        let most = f64::from(SIDE) / 2.0 - 2.0;
        let reach = |mm: f64| (mm * PIXELS_A_MM).clamp(-most, most) as i32;
        let end = (middle.0 + reach(x), middle.1 - reach(y));
        area.draw(&PathElement::new(vec![middle, end], COLOURS[1].stroke_width(2)))?;
        area.draw(&Circle::new(end, 3, COLOURS[1].filled()))?;
    }
    area.present()?;
    Ok(())
}
