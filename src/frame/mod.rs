//! Image message bytes → an RGB frame with a capture time.
//!
//! The first place that a robot's data reaches, so everything that a camera driver can get wrong is refused here, by
//! name: a picture that was half read is worse than none, because a policy acts on it.

mod compressed;
mod jpeg;
mod png;
mod raw;
mod refusal;
mod view;

pub use raw::{ENCODINGS, RawImage};
pub use refusal::FrameError;
pub use view::View;

use crate::units::Stamp;

/// Shortest side that is still a picture, in pixels.
pub const MIN_SIDE: u32 = 16;
/// Longest side, in pixels: twice what robot cameras have.
pub const MAX_SIDE: u32 = 8192;
/// How many times the shorter side the longer may be. The network looks at a square from the middle, so of a longer
/// picture it would see less than an eighth, and making the shorter side fit may enlarge a narrow picture beyond memory:
/// 16x65536 took 700 MB. Four wide cameras side by side are 7.1.
pub const MAX_RATIO: u32 = 8;
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
    /// Width and height of what the camera sent, of which this may be a part.
    pub sent: [u32; 2],
}

impl Frame {
    /// A picture as it was sent: `height * width * 3` bytes.
    pub fn new(stamp: Stamp, [width, height]: [u32; 2], rgb: Vec<u8>, encoding: &'static str) -> Self {
        Self { stamp, width, height, rgb, encoding, sent: [width, height] }
    }

    /// What lies within `[left, top, width, height]`, in pixels.
    ///
    /// # Errors
    /// `Crop`, or `Size` and `Shape` for what is left.
    pub fn cropped(self, crop: [u32; 4]) -> Result<Self, FrameError> {
        let [left, top, width, height] = crop;
        let beyond = |start: u32, length: u32, side: u32| start.checked_add(length).is_none_or(|end| end > side);
        if beyond(left, width, self.width) || beyond(top, height, self.height) {
            return Err(FrameError::Crop { crop, width: self.width, height: self.height });
        }
        check_size(width, height)?;
        let rows = self.rgb.chunks_exact(self.width as usize * 3).skip(top as usize).take(height as usize);
        let rgb = rows.flat_map(|row| &row[left as usize * 3..][..width as usize * 3]).copied().collect();
        Ok(Self { width, height, rgb, ..self })
    }

    /// A number that two pictures share when every byte of them is the same, and else by one chance in 2^64.
    pub fn fingerprint(&self) -> u64 {
        // Eight bytes at a time in four chains, which the processor multiplies side by side: what the standard hashers do
        // by the byte would take longer than the gate, and one chain as long as the resizing.
        let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (blocks, rest) = self.rgb.as_chunks::<32>();
        let mut chains = [u64::from(self.width), 1, 2, 3];
        for block in blocks {
            for (chain, word) in chains.iter_mut().zip(block.as_chunks::<8>().0) {
                *chain = mix(*chain, u64::from_le_bytes(*word));
            }
        }
        let rest = rest.iter().map(|&byte| u64::from(byte));
        chains.into_iter().chain(rest).fold(0, mix)
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

/// Is this a picture's size? Asked before memory is taken for it.
fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let (short, long) = (width.min(height), width.max(height));
    if short < MIN_SIDE || long > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        Err(FrameError::Size { width, height })
    } else if long > short * MAX_RATIO {
        Err(FrameError::Shape { width, height })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
