//! A look at a picture that costs nothing beside its encoder: has anything moved since?

use crate::frame::Frame;

/// Samples across and down, and how many of them make a patch's side.
const SIDE: usize = 64;
const PATCH: usize = 8;

/// 64 x 64 pixels of a picture, evenly spread, in 8 x 8 patches.
///
/// `lab/deer_lab/glance.py` is its twin; `tests/contracts/plan.json` holds both to the same numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    size: (u32, u32),
    rgb: Vec<u8>,
}

impl Glance {
    /// Of a frame.
    pub fn of(frame: &Frame) -> Self {
        let (width, height) = (frame.width as usize, frame.height as usize);
        let middle = |i: usize, side: usize| (2 * i + 1) * side / (2 * SIDE);
        let columns: [usize; SIDE] = std::array::from_fn(|i| 3 * middle(i, width));
        let mut rgb = Vec::with_capacity(3 * SIDE * SIDE);
        for row in (0..SIDE).map(|i| 3 * width * middle(i, height)) {
            for column in columns {
                let at = row + column;
                rgb.extend_from_slice(frame.rgb.get(at..at + 3).unwrap_or(&[0; 3]));
            }
        }
        Self { size: (frame.width, frame.height), rgb }
    }

    /// How much the patch that changed most did: the mean absolute difference of its bytes, 0 to 1. A patch, not the
    /// picture, so that a hand that moves in a corner is not averaged away. Pictures of two sizes are two cameras': 1.
    pub fn change(&self, before: &Self) -> f32 {
        if self.size != before.size {
            return 1.0;
        }
        let per_side = SIDE / PATCH;
        let mut sums = vec![0_u32; per_side * per_side];
        // A row of a patch at a time.
        let (now, before) = (self.rgb.as_chunks::<{ 3 * PATCH }>().0, before.rgb.as_chunks::<{ 3 * PATCH }>().0);
        for (i, (a, b)) in now.iter().zip(before).enumerate() {
            let (y, x) = (i / per_side, i % per_side);
            sums[y / PATCH * per_side + x] += a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        }
        let most = sums.into_iter().max().unwrap_or_default();
        most as f32 / (255 * 3 * PATCH * PATCH) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Stamp;

    fn frame(width: u32, height: u32, rgb: Vec<u8>) -> Frame {
        Frame::new(Stamp(1), [width, height], rgb, "rgb8")
    }

    #[test]
    fn a_change_in_one_corner_counts_as_much_as_one_everywhere() {
        let dark = vec![0; 128 * 128 * 3];
        let mut corner = dark.clone();
        for y in 0..16 {
            corner[y * 128 * 3..(y * 128 + 16) * 3].fill(51);
        }
        let [dark, corner, light] =
            [dark, corner, vec![51; 128 * 128 * 3]].map(|rgb| Glance::of(&frame(128, 128, rgb)));
        assert_eq!((corner.change(&dark), light.change(&dark), dark.change(&dark)), (0.2, 0.2, 0.0));
    }

    #[test]
    fn a_picture_of_another_size_is_all_new() {
        let [wide, high] = [(20, 16), (16, 20)].map(|(w, h)| Glance::of(&frame(w, h, vec![9; 960])));
        assert_eq!(wide.change(&high), 1.0);
    }
}
