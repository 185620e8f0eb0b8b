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
    /// `NoStamp`, `Size`, `Shape`, `CutShort`, `Damaged`, `Depth` or `Video` (all before anything is decoded), or `Decode`.
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
        } else if format.contains("compressedDepth") {
            return Err(FrameError::Depth { what: format.to_owned() });
        } else if is_video(format, data) {
            return Err(FrameError::Video { format: format.to_owned() });
        } else {
            return Err(refuse(ImageError::Unsupported(UnsupportedError::from(ImageFormatHint::Unknown))));
        };
        let (width, height) = (picture.width(), picture.height());
        Ok(Self::new(stamp, [width, height], picture.into_rgb8().into_raw(), encoding))
    }
}

/// H.264 and its like: by the message's word, or by the mark between two units of a stream.
fn is_video(format: &str, data: &[u8]) -> bool {
    let format = format.to_lowercase();
    ["h264", "h265", "hevc", "avc", "av1", "vp9"].iter().any(|word| format.contains(word))
        || data.starts_with(&[0, 0, 0, 1, 0x67])
}

/// What speaks against reading a compressed picture by its data alone, where its `format` contradicts them.
pub(super) fn doubt(format: &str, data: &[u8]) -> Option<String> {
    let words = format.to_lowercase();
    let (is, other) = match data {
        [0xFF, 0xD8, ..] => ("JPEG", words.contains("png") && !words.contains("jp")),
        _ if png::begins(data) => ("PNG", words.contains("jp") && !words.contains("png")),
        _ => return None,
    };
    if other {
        return Some(format!("the format says {format:?}, the data are a {is}: read as that"));
    }
    // image_transport's words: what it was; what it was when it was compressed. Encoders take it for bgr8.
    let (before, after) = words.split_once(';')?;
    let coloured = ["rgb", "bgr", "bayer", "yuv"].iter().any(|word| before.contains(word));
    (coloured && after.contains("compressed rgb")).then(|| {
        format!(
            "the format {format:?} says that red and blue may stand in one another's place: read as an ordinary {is}; if the colours are wrong, say encoding: bgr8 for this camera in a source file"
        )
    })
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
