//! Bicubic resizing of 8-bit pictures, to the bit as Pillow does it.
//!
//! The network was trained on pictures that Pillow resized. Other libraries use the same filter with other rounding, and
//! then one pixel in ten is a level off: little for a person, but enough to take another exit than the network did
//! where it was trained and judged. So the arithmetic here is that of Pillow's 8-bit resampling: coefficients of 22
//! fractional bits, the rows first, rounded to 8 bits between the two passes.
//!
//! Only what the crop keeps is computed, and never one sum alone: strips of rows are turned on their side, so that a
//! column of one colour lies together, and whole columns are added up, weighted; then whole rows. Written so, the compiler
//! makes vector instructions of it, and `multiversion` takes the widest that the processor has.

use std::ops::Range;

use multiversion::multiversion;

use super::weights::{HALF, PRECISION_BITS, Window, windows};

/// Rows that are turned on their side together.
const BLOCK: usize = 16;
/// Most rows that one strip holds: few enough that the columns under a window stay in the processor's first cache.
const MAX_STRIP: usize = 64;

/// Resizes pictures of one size, keeps the middle and separates the colours.
pub(super) struct Resizer {
    columns: Vec<Window>,
    rows: Vec<Window>,
    /// A source picture's pixels, across and down.
    from: (usize, usize),
    /// The source rows and columns that the crop depends on.
    used_rows: Range<usize>,
    used_columns: Range<usize>,
    /// A strip of source rows on their side, one column of one colour after another.
    strip: Vec<u8>,
    /// What becomes of it.
    narrow_strip: Vec<u8>,
    /// Rows in a strip.
    height: usize,
    sums: Vec<i32>,
    /// Source rows as narrow as the result.
    narrow: Vec<u8>,
    planes: Vec<u8>,
}

/// A crop: from which pixel on, and how many.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) start: usize,
    pub(super) count: usize,
}

impl Resizer {
    /// From pictures of `from` pixels to `to` pixels, of which `across` and `down` are kept.
    pub(super) fn new(from: (usize, usize), to: (usize, usize), across: Kept, down: Kept) -> Self {
        let columns = windows(from.0, to.0, across.start..across.start + across.count);
        let rows = windows(from.1, to.1, down.start..down.start + down.count);
        let (used_columns, used_rows) = (used(&columns), used(&rows));
        let strips = used_rows.len().div_ceil(MAX_STRIP);
        let height = used_rows.len().div_ceil(strips).next_multiple_of(BLOCK);
        let row = 3 * across.count.next_multiple_of(BLOCK);
        Self {
            from,
            strip: vec![0; used_columns.len() * 3 * height],
            narrow_strip: vec![0; row * height],
            height,
            sums: vec![0; row.max(height)],
            narrow: vec![0; row * strips * height],
            planes: vec![0; row * down.count],
            columns,
            rows,
            used_rows,
            used_columns,
        }
    }

    /// The size of the pictures that it is made for.
    pub(super) fn from(&self) -> (usize, usize) {
        self.from
    }

    /// The rows of the result: red, green and blue.
    pub(super) fn run(&mut self, rgb: &[u8]) -> impl Iterator<Item = [&[u8]; 3]> {
        passes(self, rgb);
        let kept = self.columns.len();
        let plane = kept.next_multiple_of(BLOCK);
        self.planes.chunks_exact(3 * plane).map(move |row| [0, 1, 2].map(|colour| &row[colour * plane..][..kept]))
    }

    /// The pass over rows.
    #[inline(always)]
    fn narrow(&mut self, rgb: &[u8]) {
        for strip in 0..self.narrow.len() / self.narrow_strip.len() {
            for block in (0..self.height).step_by(BLOCK) {
                self.turn_rows(rgb, strip * self.height + block, block);
            }
            let plane = self.narrow_strip.len() / 3;
            for (colour, plane) in self.narrow_strip.chunks_exact_mut(plane).enumerate() {
                for (window, out) in self.columns.iter().zip(plane.chunks_exact_mut(self.height)) {
                    let start = (window.start - self.used_columns.start) * 3 + colour;
                    let sums = &mut self.sums[..self.height];
                    weigh(sums, &window.weights, &self.strip[start * self.height..], 3 * self.height);
                    to_bytes(out, sums);
                }
            }
            self.turn_back(strip);
        }
    }

    /// Lays source rows on their side, the first of them the `first` that is used, into a block of the strip.
    #[inline(always)]
    fn turn_rows(&mut self, rgb: &[u8], first: usize, block: usize) {
        // Blocks reach beyond the last row; what is made of the copies is not used.
        let row = |lane: usize| {
            let y = (self.used_rows.start + first + lane).min(self.used_rows.end - 1);
            &rgb[(y * self.from.0 + self.used_columns.start) * 3..(y * self.from.0 + self.used_columns.end) * 3]
        };
        let rows: [&[u8]; BLOCK] = std::array::from_fn(row);
        // The last block ends where the rows end, whatever of it the one before has done.
        let end = rows[0].len() - BLOCK;
        for at in (0..end).step_by(BLOCK).chain([end]) {
            let mut columns = [[0; BLOCK]; BLOCK];
            for (bytes, row) in columns.iter_mut().zip(&rows) {
                bytes.copy_from_slice(&row[at..at + BLOCK]);
            }
            for (i, column) in turned(columns).iter().enumerate() {
                self.strip[(at + i) * self.height + block..][..BLOCK].copy_from_slice(column);
            }
        }
    }

    /// Puts the narrow strip on its feet again.
    #[inline(always)]
    fn turn_back(&mut self, strip: usize) {
        let row = self.narrow_strip.len() / self.height;
        let rows = &mut self.narrow[strip * self.narrow_strip.len()..];
        for at in (0..row).step_by(BLOCK) {
            for block in (0..self.height).step_by(BLOCK) {
                let mut columns = [[0; BLOCK]; BLOCK];
                for (i, column) in columns.iter_mut().enumerate() {
                    column.copy_from_slice(&self.narrow_strip[(at + i) * self.height + block..][..BLOCK]);
                }
                for (lane, values) in turned(columns).iter().enumerate() {
                    rows[(block + lane) * row + at..][..BLOCK].copy_from_slice(values);
                }
            }
        }
    }

    /// The pass over columns.
    #[inline(always)]
    fn shorten(&mut self) {
        let row = self.narrow_strip.len() / self.height;
        let sums = &mut self.sums[..row];
        for (window, out) in self.rows.iter().zip(self.planes.chunks_exact_mut(row)) {
            weigh(sums, &window.weights, &self.narrow[(window.start - self.used_rows.start) * row..], row);
            to_bytes(out, sums);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn passes(resizer: &mut Resizer, rgb: &[u8]) {
    resizer.narrow(rgb);
    resizer.shorten();
}

/// The source pixels that `windows` look at.
fn used(windows: &[Window]) -> Range<usize> {
    let start = windows.iter().map(|window| window.start).min().unwrap_or(0);
    start..windows.iter().map(Window::end).max().unwrap_or(0)
}

/// The weighted sums of runs of values, one run each `stride`.
#[inline(always)]
fn weigh(sums: &mut [i32], weights: &[i32], values: &[u8], stride: usize) {
    let length = sums.len();
    let run = |tap: usize| &values[tap * stride..][..length];
    sums.fill(HALF);
    // Four at a time, so that sums are loaded and stored once for four weights.
    let (fours, rest) = weights.as_chunks::<4>();
    for (tap, &[k, l, m, n]) in (0..).step_by(4).zip(fours) {
        let runs = run(tap).iter().zip(run(tap + 1)).zip(run(tap + 2)).zip(run(tap + 3));
        for (sum, (((&a, &b), &c), &d)) in sums.iter_mut().zip(runs) {
            *sum += k * i32::from(a) + l * i32::from(b) + m * i32::from(c) + n * i32::from(d);
        }
    }
    for (tap, &weight) in (fours.len() * 4..).zip(rest) {
        for (sum, &value) in sums.iter_mut().zip(run(tap)) {
            *sum += weight * i32::from(value);
        }
    }
}

#[inline(always)]
fn to_bytes(bytes: &mut [u8], sums: &[i32]) {
    for (byte, &sum) in bytes.iter_mut().zip(sums) {
        *byte = (sum >> PRECISION_BITS).clamp(0, 255) as u8;
    }
}

/// Sixteen rows on their side. Dealing the two halves into one another moves each byte's place by one bit; after four
/// times row and column have changed places.
#[inline(always)]
fn turned(rows: [[u8; BLOCK]; BLOCK]) -> [[u8; BLOCK]; BLOCK] {
    let mut bytes = [0; BLOCK * BLOCK];
    bytes.copy_from_slice(rows.as_flattened());
    for _ in 0..4 {
        let mut dealt = [0; BLOCK * BLOCK];
        for i in 0..BLOCK * BLOCK / 2 {
            dealt[2 * i] = bytes[i];
            dealt[2 * i + 1] = bytes[BLOCK * BLOCK / 2 + i];
        }
        bytes = dealt;
    }
    let mut columns = [[0; BLOCK]; BLOCK];
    columns.as_flattened_mut().copy_from_slice(&bytes);
    columns
}

#[cfg(test)]
mod tests;
