//! A `sensor_msgs/CompressedImage`: JPEG or PNG, told by the data itself because drivers disagree on `format`.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::error::{ImageFormatHint, UnsupportedError};
use image::{DynamicImage, ImageDecoder, ImageError, Limits};

use super::{Frame, FrameError, MAX_PIXELS, check_size, check_stamp, jpeg, png};
use crate::units::Stamp;

impl Frame {
    /// Reads a compressed image. Only whole pictures are read.
    ///
    /// # Errors
    /// `NoStamp`, `Size`, `Shape`, `CutShort` or `Damaged` (all before anything is decoded), or `Decode`.
    pub fn from_compressed(stamp: Stamp, format: &str, data: &[u8]) -> Result<Self, FrameError> {
        check_stamp(stamp)?;
        let refuse = |source| FrameError::Decode { format: format.to_owned(), source };
        let (encoding, picture) = if data.starts_with(&[0xFF, 0xD8]) {
            let file = decodable(data, jpeg::check(data)?.bare);
            ("jpeg", JpegDecoder::new(Cursor::new(&file)).map_err(refuse).and_then(|decoder| decoded(decoder, refuse))?)
        } else if png::begins(data) {
            png::check(data)?;
            let refuse = |source| match source {
                ImageError::Decoding(error) => FrameError::Damaged { encoding: "png", flaw: error.to_string() },
                other => refuse(other),
            };
            ("png", PngDecoder::new(Cursor::new(data)).map_err(refuse).and_then(|decoder| decoded(decoder, refuse))?)
        } else {
            return Err(refuse(ImageError::Unsupported(UnsupportedError::from(ImageFormatHint::Unknown))));
        };
        let (width, height) = (picture.width(), picture.height());
        Ok(Self { stamp, width, height, rgb: picture.into_rgb8().into_raw(), encoding })
    }
}

fn decoded(
    mut decoder: impl ImageDecoder,
    refuse: impl Fn(ImageError) -> FrameError + Copy,
) -> Result<DynamicImage, FrameError> {
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    decoder.set_limits(limits).map_err(refuse)?;
    DynamicImage::from_decoder(decoder).map_err(refuse)
}

/// The JPEG as the decoder takes it: one without Huffman tables gets the mark by which the decoder knows that the
/// standard's are meant.
fn decodable(data: &[u8], bare: bool) -> Cow<'_, [u8]> {
    const MJPEG: &[u8] = &[0xFF, 0xE0, 0, 7, b'A', b'V', b'I', b'1', 0];
    if bare { Cow::Owned([&data[..2], MJPEG, &data[2..]].concat()) } else { Cow::Borrowed(data) }
}

#[cfg(test)]
mod tests;
