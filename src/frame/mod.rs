//! Image message bytes → an RGB frame with a capture time.
//!
//! The first place that a robot's data reaches, so everything that a camera driver can get wrong is refused here, by
//! name: a picture that was half read is worse than none, because a policy acts on it.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

use crate::units::Stamp;

/// Shortest side that is still a picture, in pixels.
pub const MIN_SIDE: u32 = 16;
/// Most pixels in one picture: 4096 x 4096. Far beyond any robot camera, and still decoded without harm.
pub const MAX_PIXELS: u64 = 4096 * 4096;

/// A picture: rows from top to bottom, three bytes (red, green, blue) a pixel, no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When the camera took it (the message's `header.stamp`).
    pub stamp: Stamp,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
    /// What it came as: a raw encoding's name, or `jpeg` or `png`.
    pub encoding: &'static str,
}

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

/// Why bytes did not become a [`Frame`].
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The header carries no time.
    #[error(
        "the image has no capture time (header.stamp is 0); set it in the camera driver, an image without a time cannot be told from a stale one"
    )]
    NoStamp,
    /// Too small or too large to be a camera picture.
    #[error(
        "the image is {width}x{height} pixels; sides of at least {MIN_SIDE} and at most {MAX_PIXELS} pixels in all are read"
    )]
    Size {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A pixel format that is not read.
    #[error("image encoding {0:?} is not read; publish rgb8, bgr8, rgba8, bgra8 or mono8")]
    Encoding(String),
    /// Rows shorter than their pixels.
    #[error("the image's step is {found} bytes, but {width} pixels of {encoding} need {expected}")]
    Step {
        /// What the message says.
        found: u32,
        /// What its width and encoding need.
        expected: u64,
        /// Pixels in a row.
        width: u32,
        /// Its encoding.
        encoding: String,
    },
    /// Fewer or more bytes than rows.
    #[error("the image carries {found} bytes, but {height} rows of {step} bytes are {expected}")]
    Length {
        /// Bytes in the message.
        found: usize,
        /// Bytes that its size needs.
        expected: u64,
        /// Rows.
        height: u32,
        /// Bytes a row.
        step: u32,
    },
    /// The compressed picture cannot be decoded.
    #[error(
        "the compressed image cannot be decoded (JPEG and PNG are read; the message says format {format:?}): {source}"
    )]
    Decode {
        /// The message's `format`.
        format: String,
        /// What the decoder says.
        source: image::ImageError,
    },
}

impl Frame {
    /// Reads an uncompressed image.
    ///
    /// # Errors
    /// Every variant of [`FrameError`] but `Decode`.
    pub fn from_raw(image: RawImage<'_>) -> Result<Self, FrameError> {
        let RawImage { stamp, width, height, encoding, step, data } = image;
        check_stamp(stamp)?;
        check_size(width, height)?;
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

    /// Reads a `sensor_msgs/CompressedImage`: JPEG or PNG, told by the data itself (drivers disagree on `format`).
    ///
    /// # Errors
    /// `NoStamp`, `Size` (before anything is decoded) or `Decode`.
    pub fn from_compressed(stamp: Stamp, format: &str, data: &[u8]) -> Result<Self, FrameError> {
        check_stamp(stamp)?;
        let refuse = |source| FrameError::Decode { format: format.to_owned(), source };
        let open = || ImageReader::new(Cursor::new(data)).with_guessed_format();
        let (width, height) = open().map_err(|e| refuse(e.into()))?.into_dimensions().map_err(refuse)?;
        check_size(width, height)?;
        let mut reader = open().map_err(|e| refuse(e.into()))?;
        let encoding = if reader.format() == Some(ImageFormat::Png) { "png" } else { "jpeg" };
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_PIXELS * 8);
        reader.limits(limits);
        let rgb = reader.decode().map_err(refuse)?.into_rgb8().into_raw();
        Ok(Self { stamp, width, height, rgb, encoding })
    }

    /// A number that two pictures share when every byte of them is the same, and else by one chance in 2^64.
    pub fn fingerprint(&self) -> u64 {
        // Eight bytes at a time: what the standard hashers do by the byte would take longer than the gate.
        let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (words, rest) = self.rgb.as_chunks::<8>();
        let hash = words.iter().fold(u64::from(self.width), |hash, word| mix(hash, u64::from_le_bytes(*word)));
        rest.iter().fold(hash, |hash, &byte| mix(hash, u64::from(byte)))
    }

    /// Standard deviation of the green channel over some thousand pixels: 0 to 127.5, near 0 where there is nothing to
    /// see.
    pub fn contrast(&self) -> f64 {
        let stride = (self.rgb.len() / 3 / 4096).max(1) * 3;
        let greens = || self.rgb.iter().skip(1).step_by(stride).map(|&green| f64::from(green));
        let count = greens().count().max(1) as f64;
        let mean = greens().sum::<f64>() / count;
        (greens().map(|green| (green - mean).powi(2)).sum::<f64>() / count).sqrt()
    }
}

fn check_stamp(stamp: Stamp) -> Result<(), FrameError> {
    if stamp.0 <= 0 { Err(FrameError::NoStamp) } else { Ok(()) }
}

fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let readable = width.min(height) >= MIN_SIDE && u64::from(width) * u64::from(height) <= MAX_PIXELS;
    if readable { Ok(()) } else { Err(FrameError::Size { width, height }) }
}

/// An encoding's name, and where in a pixel's bytes red, green and blue stand: the slice's length is the number of
/// bytes a pixel.
fn channels(encoding: &str) -> Option<(&'static str, &'static [Channel])> {
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
enum Channel {
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

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    const STAMP: Stamp = Stamp(1_000_000_000);

    /// A 16x16 message whose first pixel is the given bytes, rows padded by `padding` bytes of 0xEE.
    fn message(encoding: &str, pixel: &[u8], padding: usize) -> (u32, Vec<u8>) {
        let mut row: Vec<u8> = pixel.iter().copied().cycle().take(pixel.len() * 16).collect();
        row.extend(std::iter::repeat_n(0xEE, padding));
        assert!(channels(encoding).is_none_or(|(_, c)| c.len() == pixel.len()));
        (row.len() as u32, row.repeat(16))
    }

    fn read(encoding: &str, pixel: &[u8], padding: usize) -> Result<Frame, FrameError> {
        let (step, data) = message(encoding, pixel, padding);
        Frame::from_raw(RawImage { stamp: STAMP, width: 16, height: 16, encoding, step, data: &data })
    }

    #[test]
    fn every_encoding_gives_the_same_red_green_blue() {
        let expected = [10, 20, 30].repeat(256);
        for (encoding, pixel) in [
            ("rgb8", &[10, 20, 30][..]),
            ("bgr8", &[30, 20, 10]),
            ("rgba8", &[10, 20, 30, 99]),
            ("bgra8", &[30, 20, 10, 99]),
        ] {
            assert_eq!(read(encoding, pixel, 0).unwrap().rgb, expected, "{encoding}");
        }
        assert_eq!(read("mono8", &[7], 0).unwrap().rgb, vec![7; 768]);
    }

    #[test]
    fn row_padding_is_left_out() {
        assert_eq!(read("bgr8", &[3, 2, 1], 5).unwrap().rgb, [1, 2, 3].repeat(256));
        assert_eq!(read("rgb8", &[1, 2, 3], 4).unwrap().rgb, [1, 2, 3].repeat(256));
    }

    #[test]
    fn an_unknown_encoding_is_named_in_the_refusal() {
        let error = read("yuv422", &[1, 2], 0).unwrap_err().to_string();
        assert!(error.contains("yuv422") && error.contains("rgb8"), "{error}");
    }

    #[test]
    fn a_truncated_buffer_is_refused_with_both_lengths() {
        let (step, data) = message("rgb8", &[1, 2, 3], 0);
        let image = RawImage { stamp: STAMP, width: 16, height: 16, encoding: "rgb8", step, data: &data[..700] };
        let error = Frame::from_raw(image).unwrap_err().to_string();
        assert!(error.contains("700") && error.contains("768"), "{error}");
    }

    #[test]
    fn a_step_shorter_than_a_row_is_refused() {
        let data = vec![0; 16 * 40];
        let image = RawImage { stamp: STAMP, width: 16, height: 16, encoding: "rgb8", step: 40, data: &data };
        assert!(matches!(Frame::from_raw(image), Err(FrameError::Step { found: 40, expected: 48, .. })));
    }

    #[test]
    fn one_pixel_and_a_hundred_megabytes_are_refused_by_size() {
        for (width, height) in [(1, 1), (6000, 6000), (u32::MAX, u32::MAX)] {
            let image = RawImage { stamp: STAMP, width, height, encoding: "rgb8", step: u32::MAX, data: &[0; 3] };
            assert!(matches!(Frame::from_raw(image), Err(FrameError::Size { .. })), "{width}x{height}");
        }
    }

    #[test]
    fn an_image_without_a_time_is_refused() {
        let image = RawImage { stamp: Stamp(0), width: 16, height: 16, encoding: "mono8", step: 16, data: &[0; 256] };
        assert!(matches!(Frame::from_raw(image), Err(FrameError::NoStamp)));
    }

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 50]));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn png_is_read_exactly_and_jpeg_nearly() {
        let png = Frame::from_compressed(STAMP, "png", &encoded(32, 20, ImageFormat::Png)).unwrap();
        assert_eq!((png.width, png.height, &png.rgb[..6]), (32, 20, &[0, 0, 50, 1, 0, 50][..]));
        let jpeg = Frame::from_compressed(STAMP, "jpeg", &encoded(32, 20, ImageFormat::Jpeg)).unwrap();
        assert_eq!((png.encoding, jpeg.encoding), ("png", "jpeg"));
        let worst = jpeg.rgb.iter().zip(&png.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst < 24, "{worst}");
    }

    #[test]
    fn a_truncated_png_and_noise_are_refused() {
        let png = encoded(32, 20, ImageFormat::Png);
        for bytes in [&png[..png.len() / 2], &[1, 2, 3, 4], &[]] {
            assert!(matches!(Frame::from_compressed(STAMP, "png", bytes), Err(FrameError::Decode { .. })));
        }
    }

    #[test]
    fn a_compressed_giant_is_refused_before_it_is_decoded() {
        let png = encoded(4200, 4200, ImageFormat::Png);
        assert!(matches!(Frame::from_compressed(STAMP, "png", &png), Err(FrameError::Size { .. })));
    }

    #[test]
    fn one_bit_anywhere_changes_the_fingerprint() {
        let frame = read("rgb8", &[10, 20, 30], 0).unwrap();
        assert_eq!(frame.fingerprint(), frame.clone().fingerprint());
        for byte in [0, 7, 383, 767] {
            let mut other = frame.clone();
            other.rgb[byte] ^= 1;
            assert_ne!(other.fingerprint(), frame.fingerprint(), "byte {byte}");
        }
    }

    #[test]
    fn a_covered_lens_has_no_contrast() {
        assert_eq!(read("rgb8", &[10, 20, 30], 0).unwrap().contrast(), 0.0);
        let striped = Frame { rgb: [[0; 3], [200; 3]].concat().repeat(128), ..read("mono8", &[0], 0).unwrap() };
        assert!((striped.contrast() - 100.0).abs() < 1e-9);
    }
}
