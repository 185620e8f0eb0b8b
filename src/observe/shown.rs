//! A camera's pictures as small as the policy sees them, still in colours: for whoever trains it.

use super::pixels::resizer;
use super::resize::Resizer;
use crate::frame::Frame;

/// Makes pictures of one camera as small as the policy sees them.
pub struct Shown {
    size: u32,
    resizer: Option<Resizer>,
}

impl Shown {
    /// `size`: the side of what the policy sees, in pixels.
    pub fn new(size: u32) -> Self {
        Self { size, resizer: None }
    }

    /// Side of the pictures in pixels.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// `size` rows of `size` pixels, each red, green and blue: what [`Observer::images`](super::Observer::images) goes
    /// on from.
    pub fn rgb(&mut self, frame: &Frame) -> Vec<u8> {
        let from = (frame.width as usize, frame.height as usize);
        if self.resizer.as_ref().is_some_and(|resizer| resizer.from() != from) {
            self.resizer = None;
        }
        let resizer = self.resizer.get_or_insert_with(|| resizer(self.size, frame));
        let mut rgb = Vec::with_capacity((self.size * self.size * 3) as usize);
        for [red, green, blue] in resizer.run(&frame.rgb) {
            for ((&red, &green), &blue) in red.iter().zip(green).zip(blue) {
                rgb.extend([red, green, blue]);
            }
        }
        rgb
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Stamp;

    #[test]
    fn the_middle_of_a_wide_picture_is_shown_in_its_own_colours() {
        let mut rgb = [7, 8, 9].repeat(20 * 16);
        rgb[(5 * 20 + 2) * 3] = 255; // row 5, column 2: the first column of the crop
        let frame = Frame::new(Stamp(1), [20, 16], rgb, "rgb8");
        let shown = Shown::new(16).rgb(&frame);
        assert_eq!(shown.len(), 16 * 16 * 3);
        assert_eq!(shown[5 * 16 * 3..][..6], [255, 8, 9, 7, 8, 9]);
    }
}
