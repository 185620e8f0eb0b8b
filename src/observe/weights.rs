//! Which source pixels make a target pixel, and how much each counts: Pillow's bicubic filter.

use std::ops::Range;

/// Fractional bits of a weight: an accumulator of 32 bits less 8 for the pixel and 2 for overshoot.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Half a level, so that cutting the fraction off rounds.
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// The cubic filter reaches two pixels to either side.
const SUPPORT: f64 = 2.0;

/// The source pixels that make one target pixel, and their weights.
pub(super) struct Window {
    pub(super) start: usize,
    pub(super) weights: Vec<i32>,
}

impl Window {
    /// The source pixel after its last.
    pub(super) fn end(&self) -> usize {
        self.start + self.weights.len()
    }

    /// Without pixels at its ends that do not count: where the size stays, one pixel is left.
    fn trimmed(mut self) -> Self {
        let first = self.weights.iter().position(|&weight| weight != 0).unwrap_or(0);
        let last = self.weights.iter().rposition(|&weight| weight != 0).unwrap_or(0);
        self.weights = self.weights[first..=last].to_vec();
        self.start += first;
        self
    }
}

/// The windows of the `kept` pixels of `to` that `from` become. Where the picture shrinks, the filter is stretched, which
/// is what makes it antialiased.
pub(super) fn windows(from: usize, to: usize, kept: Range<usize>) -> Vec<Window> {
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
        Window { start, weights: weights.into_iter().map(fixed).collect() }.trimmed()
    };
    kept.map(window).collect()
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
            for window in windows(from, to, 0..to) {
                let sum: i32 = window.weights.iter().sum();
                assert!((sum - (1 << PRECISION_BITS)).abs() <= window.weights.len() as i32, "{from} to {to}: {sum}");
                assert!(window.end() <= from);
            }
        }
    }

    #[test]
    fn a_picture_of_the_right_size_keeps_its_pixels() {
        for (i, window) in windows(48, 48, 0..48).into_iter().enumerate() {
            assert_eq!((window.start, window.weights), (i, vec![1 << PRECISION_BITS]));
        }
    }
}
