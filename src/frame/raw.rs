//! A `sensor_msgs/Image`: rows of pixels as the camera driver laid them out.

use super::{Frame, FrameError, check_size, check_stamp, jpeg, png};
use crate::units::Stamp;

/// The fields of a `sensor_msgs/Image` that a frame is made from.
#[derive(Debug, Clone, Copy)]
pub struct RawImage<'a> {
    /// `header.stamp`.
    pub stamp: Stamp,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `rgb8`, `bgr8`, `rgba8`, `bgra8` or `mono8`.
    pub encoding: &'a str,
    /// Bytes in a row, padding included.
    pub step: u32,
    /// The rows.
    pub data: &'a [u8],
}

impl Frame {
    /// Reads an uncompressed image.
    ///
    /// # Errors
    /// Every variant of [`FrameError`] but those of compressed pictures.
    pub fn from_raw(image: RawImage<'_>) -> Result<Self, FrameError> {
        let RawImage { stamp, width, height, encoding, step, data } = image;
        check_stamp(stamp)?;
        check_size(width, height)?;
        if let Some(holds) = file(data) {
            return Err(FrameError::NotPixels { encoding: encoding.to_owned(), holds });
        }
        let (encoding, channels) = channels(encoding).ok_or_else(|| FrameError::Encoding(encoding.to_owned()))?;
        let row_bytes = u64::from(width) * channels.len() as u64;
        if u64::from(step) < row_bytes {
            return Err(FrameError::Step { found: step, expected: row_bytes, width, encoding: encoding.to_owned() });
        }
        let expected = u64::from(step) * u64::from(height);
        if data.len() as u64 != expected {
            return Err(FrameError::Length { found: data.len(), expected, height, step });
        }
        let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
        for row in data.chunks_exact(step as usize) {
            append_rgb(&mut rgb, &row[..row_bytes as usize], channels);
        }
        Ok(Self { stamp, width, height, rgb, encoding })
    }
}

/// The kind of file that `data` begin as. Long enough a beginning is looked at that no rows of pixels can be taken for it.
fn file(data: &[u8]) -> Option<&'static str> {
    if jpeg::begins(data) {
        Some("JPEG")
    } else if png::begins(data) {
        Some("PNG")
    } else {
        None
    }
}

/// An encoding's name, and where in a pixel's bytes red, green and blue stand: the slice's length is the number of
/// bytes a pixel.
pub(super) fn channels(encoding: &str) -> Option<(&'static str, &'static [Channel])> {
    use Channel::{Blue, Green, Grey, Other, Red};
    const READ: [(&str, &[Channel]); 5] = [
        ("rgb8", &[Red, Green, Blue]),
        ("bgr8", &[Blue, Green, Red]),
        ("rgba8", &[Red, Green, Blue, Other]),
        ("bgra8", &[Blue, Green, Red, Other]),
        ("mono8", &[Grey]),
    ];
    READ.into_iter().find(|(name, _)| *name == encoding)
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Channel {
    Red,
    Green,
    Blue,
    Grey,
    Other,
}

fn append_rgb(rgb: &mut Vec<u8>, row: &[u8], channels: &[Channel]) {
    match channels {
        [Channel::Grey] => rgb.extend(row.iter().flat_map(|&grey| [grey; 3])),
        [Channel::Red, Channel::Green, Channel::Blue] => rgb.extend_from_slice(row),
        [Channel::Blue, ..] => rgb.extend(row.chunks_exact(channels.len()).flat_map(|p| [p[2], p[1], p[0]])),
        _ => rgb.extend(row.chunks_exact(channels.len()).flat_map(|p| [p[0], p[1], p[2]])),
    }
}
