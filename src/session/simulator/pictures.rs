//! What the cameras of a schedule send.

use super::schedule::Fault;
use crate::frame::Frame;
use crate::units::Stamp;

/// A small picture with stripes, or without.
pub(super) fn frame(stamp: Stamp, shows: u64, fault: Option<Fault>) -> Frame {
    let side = if fault == Some(Fault::Resized) { 20 } else { 16 };
    let shade = if fault == Some(Fault::Blank) { 90 } else { 200 };
    let mut rgb = Vec::with_capacity(side * side * 3);
    for _ in 0..side * side / 2 {
        rgb.extend_from_slice(&[90, 90, 90, shade, shade, shade]);
    }
    // In blue, which counts for no contrast.
    for (blue, byte) in rgb.iter_mut().skip(2).step_by(3).zip(shows.to_le_bytes()) {
        *blue = byte;
    }
    let side = side as u32;
    Frame::new(stamp, [side, side], rgb, "rgb8")
}
