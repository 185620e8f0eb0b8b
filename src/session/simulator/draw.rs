//! Numbers drawn from a seed: which one depends on what it is for and on its count there alone, so that a schedule with
//! one incident less draws everything else as before.

use std::time::Duration;

/// A stream of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Numbers of their own for something.
    pub(super) fn of(self, what: u64) -> Self {
        Self(mix(self.0 ^ mix(what.wrapping_add(0x51_7C_C1_B7_27_22_0A_95))))
    }

    /// In 0..1.
    pub(super) fn share(self) -> f64 {
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub(super) fn ms(self, low: f64, high: f64) -> Duration {
        Duration::from_secs_f64(self.between(low, high) * 1e-3)
    }

    pub(super) fn below(self, count: usize) -> usize {
        (self.share() * count as f64) as usize
    }

    pub(super) fn one_in(self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
