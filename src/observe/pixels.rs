//! One camera's pictures → tensors.

use std::sync::{Mutex, PoisonError};

use ndarray::{Array4, ArrayViewMut4, s};

use super::resize::{Kept, Resizer};
use crate::bundle::{CameraSpec, Crop, Resize};
use crate::frame::Frame;

/// What a camera's pictures go through.
pub(super) struct Pixels {
    /// Side of the network's input.
    size: u32,
    /// For each colour, what each of its 256 levels is to the network.
    levels: [[f32; 256]; 3],
    /// Made for the size of the last picture; weights and room are kept from one to the next.
    resizer: Mutex<Option<Resizer>>,
}

impl Pixels {
    pub(super) fn new(camera: &CameraSpec) -> Self {
        let (Resize::Bicubic, Crop::Center) = (camera.resize, camera.crop);
        let level = |colour: usize, level: usize| (level as f32 / 255.0 - camera.mean[colour]) / camera.std[colour];
        let levels = [0, 1, 2].map(|colour| std::array::from_fn(|i| level(colour, i)));
        Self { size: camera.size, levels, resizer: Mutex::new(None) }
    }

    pub(super) fn tensor(&self, frame: &Frame) -> Array4<f32> {
        let side = self.size as usize;
        let mut tensor = Array4::zeros((1, 3, side, side));
        self.draw(frame, tensor.view_mut());
        tensor
    }

    /// The middle of a picture whose shorter side became the network's, each colour brought to the network's scale.
    pub(super) fn draw(&self, frame: &Frame, mut tensor: ArrayViewMut4<'_, f32>) {
        let from = (frame.width as usize, frame.height as usize);
        let mut kept = self.resizer.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|resizer| resizer.from() != from) {
            *kept = None;
        }
        let resizer = kept.get_or_insert_with(|| resizer(self.size, frame));
        for (y, row) in resizer.run(&frame.rgb).enumerate() {
            for (colour, (row, levels)) in row.into_iter().zip(&self.levels).enumerate() {
                for (value, &level) in tensor.slice_mut(s![0, colour, y, ..]).iter_mut().zip(row) {
                    *value = levels[usize::from(level)];
                }
            }
        }
    }
}

/// What makes of pictures as large as `frame` the square of `size` pixels that the policy sees.
pub(super) fn resizer(size: u32, frame: &Frame) -> Resizer {
    let (width, height) = resized(size, frame.width, frame.height);
    let count = size as usize;
    let (across, down) = (centred(width, size), centred(height, size));
    Resizer::new(
        (frame.width as usize, frame.height as usize),
        (width as usize, height as usize),
        Kept { start: across, count },
        Kept { start: down, count },
    )
}

/// Width and height once the shorter side is `size`, the longer cut to whole pixels as torchvision's Resize does.
fn resized(size: u32, width: u32, height: u32) -> (u32, u32) {
    let long = |long: u32, short: u32| (u64::from(size) * u64::from(long) / u64::from(short)) as u32;
    if width <= height { (size, long(height, width)) } else { (long(width, height), size) }
}

/// torchvision's CenterCrop: half of what is left over, rounded to the nearest, ties to even.
fn centred(side: u32, size: u32) -> usize {
    (f64::from(side - size) / 2.0).round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Stamp;

    fn camera(size: u32) -> Pixels {
        Pixels::new(&CameraSpec {
            role: "static".into(),
            size,
            resize: Resize::Bicubic,
            crop: Crop::Center,
            mean: [0.5, 0.25, 0.0],
            std: [0.5, 1.0, 2.0],
        })
    }

    fn frame(width: u32, height: u32, rgb: Vec<u8>) -> Frame {
        Frame::new(Stamp(1), [width, height], rgb, "rgb8")
    }

    #[test]
    fn the_shorter_side_becomes_the_size() {
        assert_eq!(resized(64, 200, 200), (64, 64));
        assert_eq!(resized(48, 128, 96), (64, 48));
        assert_eq!(resized(48, 96, 128), (48, 64));
        assert_eq!(resized(224, 641, 480), (299, 224));
    }

    #[test]
    fn the_crop_is_centred_with_ties_to_even() {
        assert_eq!((centred(64, 64), centred(65, 64), centred(66, 64), centred(67, 64)), (0, 0, 1, 2));
    }

    #[test]
    fn channels_are_scaled_shifted_and_planar() {
        let tensor = camera(16).tensor(&frame(16, 16, vec![255; 16 * 16 * 3]));
        assert_eq!(tensor.shape(), &[1, 3, 16, 16]);
        assert_eq!((tensor[[0, 0, 1, 1]], tensor[[0, 1, 0, 0]], tensor[[0, 2, 0, 15]]), (1.0, 0.75, 0.5));
    }

    #[test]
    fn a_wide_picture_loses_its_sides_only() {
        let mut rgb = vec![0; 20 * 16 * 3];
        rgb[(5 * 20 + 2) * 3] = 255; // row 5, column 2: the first column of the crop
        let tensor = camera(16).tensor(&frame(20, 16, rgb));
        assert_eq!(tensor[[0, 0, 5, 0]], 1.0);
        assert_eq!(tensor.iter().filter(|&&v| v == 1.0).count(), 1);
    }

    #[test]
    fn a_larger_frame_of_one_colour_stays_that_colour() {
        let camera = camera(16);
        for (width, height) in [(50, 40), (40, 50), (50, 40)] {
            let tensor = camera.tensor(&frame(width, height, [255, 0, 255].repeat(2000)));
            assert_eq!(tensor.shape(), &[1, 3, 16, 16]);
            for (channel, value) in [1.0, -0.25, 0.5].into_iter().enumerate() {
                assert!(tensor.slice(s![0, channel, .., ..]).iter().all(|&v| v == value), "channel {channel}");
            }
        }
    }
}
