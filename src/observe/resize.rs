//! Bicubic resizing of 8-bit pictures, to the bit as Pillow does it.
//!
//! The network was trained on pictures that Pillow resized. Other libraries use the same filter with other rounding, and
//! then one pixel in ten is a level off: little for a person, but enough to take another exit than the network did
//! where it was trained and judged. So the arithmetic here is that of Pillow's 8-bit resampling: coefficients of 22
//! fractional bits, the rows first, rounded to 8 bits between the two passes.

/// Fractional bits of a coefficient: an accumulator of 32 bits less 8 for the pixel and 2 for overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Half a level, so that cutting the fraction off rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// The cubic filter reaches two pixels to either side.
const SUPPORT: f64 = 2.0;

/// Resizes `rgb` (rows of `width` pixels of three bytes) to `to` = (width, height).
pub(super) fn bicubic(rgb: &[u8], (width, height): (u32, u32), to: (u32, u32)) -> Vec<u8> {
    let stride = to.0 as usize * 3;
    let columns = windows(width as usize, to.0 as usize);
    let mut narrow = Vec::with_capacity(stride * height as usize);
    for row in rgb.chunks_exact(width as usize * 3) {
        narrow.extend(columns.iter().flat_map(|window| window.weigh_pixels(row)));
    }
    let rows = windows(height as usize, to.1 as usize);
    rows.iter().flat_map(|window| window.weigh_rows(&narrow, stride)).collect()
}

/// The source pixels that make one target pixel, and their weights.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

impl Window {
    /// The weighted sum of a row's pixels.
    fn weigh_pixels(&self, row: &[u8]) -> [u8; 3] {
        let mut sums = [HALF; 3];
        for (&weight, pixel) in self.weights.iter().zip(row[self.start * 3..].chunks_exact(3)) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += weight * i32::from(value);
            }
        }
        sums.map(to_byte)
    }

    /// The weighted sum of rows of `stride` bytes.
    fn weigh_rows(&self, rows: &[u8], stride: usize) -> impl Iterator<Item = u8> + use<> {
        let mut sums = vec![HALF; stride];
        for (&weight, row) in self.weights.iter().zip(rows[self.start * stride..].chunks_exact(stride)) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += weight * i32::from(value);
            }
        }
        sums.into_iter().map(to_byte)
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// One window a target pixel. Where the picture shrinks, the filter is stretched, which is what makes it antialiased.
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let reach = SUPPORT * stretch;
    let window = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weights: Vec<f64> = (start..end).map(|x| cubic((x as f64 - centre + 0.5) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1 << PRECISION_BITS)).round() as i32;
        Window { start, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..to).map(window).collect()
}

/// Keys' cubic convolution kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_of_every_window_add_up_to_one() {
        for (from, to) in [(200, 64), (84, 48), (48, 224), (17, 16)] {
            for window in windows(from, to) {
                let sum: i32 = window.weights.iter().sum();
                assert!((sum - (1 << PRECISION_BITS)).abs() <= window.weights.len() as i32, "{from} to {to}: {sum}");
                assert!(window.start + window.weights.len() <= from);
            }
        }
    }

    #[test]
    fn one_colour_stays_that_colour_and_an_edge_overshoots_no_further_than_8_bits() {
        assert_eq!(bicubic(&[7, 200, 255].repeat(50 * 40), (50, 40), (20, 16)), [7, 200, 255].repeat(20 * 16));
        let edge: Vec<u8> = (0..40).flat_map(|_| [[0; 60], [255; 60]].concat()).collect();
        let small = bicubic(&edge, (40, 40), (16, 16));
        assert_eq!((small[0], small[15 * 3]), (0, 255));
    }
}
