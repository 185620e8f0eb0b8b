//! A picture as SVG and PNG, drawn alike on machines with and without fonts.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

use super::ReportError;

/// Okabe and Ito's colours, which stay apart for colour-blind readers.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(240, 228, 66),
];

pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// What can be drawn on any kind of canvas.
pub(super) trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws all of it.
    fn draw<DB: DrawingBackend>(&self, area: DrawingArea<DB, Shift>) -> Drawn
    where
        DB::ErrorType: 'static;
}

/// Writes `name`.svg and `name`.png into a folder that exists.
///
/// # Errors
/// `Plot`.
pub(super) fn save<P: Picture>(picture: &P, folder: &Path, name: &str) -> Result<(), ReportError> {
    let refuse = |path: &Path, reason: String| ReportError::Plot { reason, path: path.to_path_buf() };
    let (svg, png) = (folder.join(format!("{name}.svg")), folder.join(format!("{name}.png")));
    letters().map_err(|reason| refuse(&png, reason))?;
    picture.draw(SVGBackend::new(&svg, picture.size()).into_drawing_area()).map_err(|e| refuse(&svg, e.to_string()))?;
    draw_png(picture, &png).map_err(|e| refuse(&png, e.to_string()))
}

/// A robot's computer need not have a single font, so the letters come along.
pub(super) fn letters() -> Result<(), String> {
    let font = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    font.map_err(|_invalid| "the built-in font does not load".to_owned())
}

fn draw_png<P: Picture>(picture: &P, path: &Path) -> Drawn {
    let (width, height) = picture.size();
    let mut rgb = vec![0; (width * height * 3) as usize];
    picture.draw(BitMapBackend::with_buffer(&mut rgb, (width, height)).into_drawing_area())?;
    image::save_buffer(path, &rgb, width, height, image::ColorType::Rgb8)?;
    Ok(())
}
