//! A `sensor_msgs/Image`: rows of pixels as the camera driver laid them out.

mod bayer;
mod channels;
mod yuv;

use super::{Frame, FrameError, check_size, check_stamp, jpeg, png};
use crate::units::Stamp;
use channels::Channels;

/// The fields of a `sensor_msgs/Image` that a frame is made from.
#[derive(Debug, Clone, Copy)]
pub struct RawImage<'a> {
    /// `header.stamp`.
    pub stamp: Stamp,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// One of [`ENCODINGS`].
    pub encoding: &'a str,
    /// Bytes of 16-bit values stand with the higher first.
    pub big_endian: bool,
    /// Bytes in a row, padding included.
    pub step: u32,
    /// The rows.
    pub data: &'a [u8],
}

/// The encodings that are read.
pub const ENCODINGS: [&str; 18] = [
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "mono8",
    "rgb16",
    "bgr16",
    "mono16",
    "yuv422",
    "uyvy",
    "yuv422_yuy2",
    "yuyv",
    "nv12",
    "nv21",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
];

/// How the bytes of a picture are laid out.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Channels(Channels),
    /// Two pixels in four bytes: brightness at this place and the second after it, colours at the others.
    Yuv422 {
        brightness: usize,
    },
    /// A plane of brightness, then rows of both colours for two by two pixels; the place of the first colour, U.
    Yuv420 {
        u: usize,
    },
    /// One colour a pixel; row and column of the first red one.
    Bayer {
        red: (usize, usize),
    },
}

impl Layout {
    fn of(encoding: &str) -> Option<Self> {
        Some(match encoding {
            "yuv422" | "uyvy" => Self::Yuv422 { brightness: 1 },
            "yuv422_yuy2" | "yuyv" => Self::Yuv422 { brightness: 0 },
            "nv12" => Self::Yuv420 { u: 0 },
            "nv21" => Self::Yuv420 { u: 1 },
            "bayer_rggb8" => Self::Bayer { red: (0, 0) },
            "bayer_bggr8" => Self::Bayer { red: (1, 1) },
            "bayer_gbrg8" => Self::Bayer { red: (1, 0) },
            "bayer_grbg8" => Self::Bayer { red: (0, 1) },
            other => Self::Channels(Channels::of(other)?),
        })
    }

    /// Bytes that `width` pixels of a row take.
    fn row_bytes(self, width: u32) -> u64 {
        let bytes = match self {
            Self::Channels(channels) => channels.bytes(),
            Self::Yuv422 { .. } => 2,
            Self::Yuv420 { .. } | Self::Bayer { .. } => 1,
        };
        u64::from(width) * bytes as u64
    }

    /// Rows of bytes that a picture of `height` rows takes.
    fn rows(self, height: u32) -> u64 {
        u64::from(height) + if matches!(self, Self::Yuv420 { .. }) { u64::from(height) / 2 } else { 0 }
    }

    /// Whether pixels go in pairs across and down.
    fn pairs(self) -> (bool, bool) {
        match self {
            Self::Channels(_) | Self::Bayer { .. } => (false, false),
            Self::Yuv422 { .. } => (true, false),
            Self::Yuv420 { .. } => (true, true),
        }
    }
}

impl Frame {
    /// Reads an uncompressed image.
    ///
    /// # Errors
    /// Every variant of [`FrameError`] but those of compressed pictures.
    pub fn from_raw(image: RawImage<'_>) -> Result<Self, FrameError> {
        let (layout, encoding) = image.check()?;
        let RawImage { stamp, width, height, .. } = image;
        Ok(Self::new(stamp, [width, height], image.rgb(layout), encoding))
    }

    /// Reads an uncompressed image whose rows, `data`, are given away: packed `rgb8` is taken without a copy. The rows of
    /// `image` itself are not looked at.
    ///
    /// # Errors
    /// As [`Frame::from_raw`].
    pub fn from_given_raw(image: RawImage<'_>, data: Vec<u8>) -> Result<Self, FrameError> {
        let image = RawImage { data: &data, ..image };
        let (layout, encoding) = image.check()?;
        let RawImage { stamp, width, height, step, .. } = image;
        let packed = encoding == "rgb8" && u64::from(step) == layout.row_bytes(width);
        let rgb = if packed { data } else { image.rgb(layout) };
        Ok(Self::new(stamp, [width, height], rgb, encoding))
    }
}

impl RawImage<'_> {
    /// How the rows are laid out and the encoding's name, where all fits together.
    fn check(&self) -> Result<(Layout, &'static str), FrameError> {
        let RawImage { stamp, width, height, encoding, step, data, .. } = *self;
        check_stamp(stamp)?;
        check_size(width, height)?;
        if let Some(holds) = file(data) {
            return Err(FrameError::NotPixels { encoding: encoding.to_owned(), holds });
        }
        let layout = Layout::of(encoding).ok_or_else(|| refusal(encoding))?;
        let known = ENCODINGS.into_iter().find(|known| *known == encoding).unwrap_or_default();
        let (across, down) = layout.pairs();
        if (across && width % 2 != 0) || (down && height % 2 != 0) {
            return Err(FrameError::Odd { encoding: known, width, height });
        }
        let row_bytes = layout.row_bytes(width);
        if u64::from(step) < row_bytes {
            return Err(FrameError::Step { found: step, expected: row_bytes, width, encoding: encoding.to_owned() });
        }
        let rows = layout.rows(height);
        let expected = u64::from(step) * rows;
        if data.len() as u64 != expected {
            return Err(FrameError::Length { found: data.len(), expected, rows, step });
        }
        Ok((layout, known))
    }

    fn rgb(&self, layout: Layout) -> Vec<u8> {
        let row_bytes = layout.row_bytes(self.width) as usize;
        rgb(layout, self.data.chunks_exact(self.step as usize).map(|row| &row[..row_bytes]), self)
    }
}

fn rgb<'a>(layout: Layout, rows: impl Iterator<Item = &'a [u8]>, image: &RawImage<'a>) -> Vec<u8> {
    let (width, height) = (image.width as usize, image.height as usize);
    let mut rgb = Vec::with_capacity(width * height * 3);
    match layout {
        Layout::Channels(channels) => rows.for_each(|row| channels.append(&mut rgb, row, image.big_endian)),
        Layout::Yuv422 { brightness } => rows.for_each(|row| yuv::append_422(&mut rgb, row, brightness)),
        Layout::Yuv420 { u } => {
            let rows: Vec<&[u8]> = rows.collect();
            for y in 0..height {
                yuv::append_420(&mut rgb, rows[y], rows[height + y / 2], u);
            }
        }
        Layout::Bayer { red } => bayer::append(&mut rgb, &rows.collect::<Vec<_>>(), red),
    }
    rgb
}

/// Why an encoding is not read.
fn refusal(encoding: &str) -> FrameError {
    match encoding {
        "8UC1" | "8UC2" | "8UC3" => FrameError::NoOrder(encoding.to_owned()),
        "16UC1" | "32FC1" => FrameError::Depth { what: encoding.to_owned() },
        _ => FrameError::Encoding(encoding.to_owned()),
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
