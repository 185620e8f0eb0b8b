//! One scan of a JPEG, walked code by code.

use super::bits::{Bits, Codes, Stop};

/// What a scan tells of its blocks.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    /// Sequential: whole blocks.
    Whole,
    /// Progressive: the mean of each block, to some bit.
    Mean,
    /// One more bit of the mean.
    MeanBit,
    /// Coefficients `first` to `last`, to some bit.
    Detail { first: u8, last: u8 },
    /// One more bit of coefficients `first` to `last`.
    DetailBit { first: u8, last: u8 },
}

/// One component's part in a scan.
pub(super) struct Part<'a> {
    /// Blocks in each unit of the scan.
    pub(super) blocks: usize,
    /// Codes of the mean.
    pub(super) mean: Option<&'a Codes>,
    /// Codes of the other coefficients.
    pub(super) detail: Option<&'a Codes>,
    /// How far from zero coefficients can be.
    pub(super) reach: Reach,
    /// The last block's mean.
    pub(super) last_mean: i32,
}

/// How far from zero a block's coefficients can be where pixels have 8 bits.
pub(super) struct Reach {
    /// The mean.
    mean: i32,
    /// Of each coefficient, the bits of its number.
    sizes: [u8; 64],
}

impl Reach {
    /// By the steps that coefficients are counted in and the bits that a scan leaves out of them.
    pub(super) fn new(steps: &[u16; 64], missing: u8) -> Self {
        // No sum of 64 pixels is further from zero; an encoder may round to the next step or the one after.
        let most = |step: u16| (1024 / i32::from(step.max(1)) + 2) >> missing;
        let sizes = steps.map(|step| (32 - most(step).leading_zeros()) as u8);
        Self { mean: most(steps[0]) + 1, sizes }
    }
}

/// Walks blocks.
pub(super) struct Walk<'a> {
    pub(super) bits: Bits<'a>,
    pub(super) pass: Pass,
    /// Blocks to come that have nothing more to tell (progressive).
    pub(super) idle: u32,
}

impl Walk<'_> {
    /// Walks the next unit. `known` has a bit for each coefficient of its block that is not zero so far; only passes
    /// over details, which have one block a unit, look at it.
    pub(super) fn unit(&mut self, parts: &mut [Part<'_>], known: &mut u64) -> Result<(), Stop> {
        for part in parts {
            for _ in 0..part.blocks {
                match self.pass {
                    Pass::Whole => self.whole(part)?,
                    Pass::Mean => self.mean(part)?,
                    Pass::MeanBit => self.bits.pass(1)?,
                    Pass::Detail { first, last } => self.detail(part, first, last, known)?,
                    Pass::DetailBit { first, last } => self.detail_bit(codes(part.detail)?, first, last, known)?,
                }
            }
        }
        Ok(())
    }

    fn mean(&mut self, part: &mut Part<'_>) -> Result<(), Stop> {
        let (size, number) = self.bits.length_and_number(codes(part.mean)?)?;
        let number = number as i32;
        // Numbers whose first bit is 0 are negative.
        let negative = size > 0 && number >> (size - 1) == 0;
        part.last_mean += if negative { number + 1 - (1 << size) } else { number };
        if part.last_mean.abs() > part.reach.mean { Err(Stop::Nonsense) } else { Ok(()) }
    }

    fn whole(&mut self, part: &mut Part<'_>) -> Result<(), Stop> {
        self.mean(part)?;
        let (detail, sizes) = (codes(part.detail)?, &part.reach.sizes);
        let mut k = 1;
        while k < 64 {
            let symbol = self.bits.symbol(detail)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => k += 16,
                (_, 0) => return Ok(()),
                _ => {
                    k += zeros;
                    possible(k, 63, size, sizes)?;
                    k += 1;
                }
            }
        }
        if k == 64 { Ok(()) } else { Err(Stop::Nonsense) }
    }

    fn detail(&mut self, part: &Part<'_>, first: u8, last: u8, known: &mut u64) -> Result<(), Stop> {
        if self.idle > 0 {
            self.idle -= 1;
            return Ok(());
        }
        let codes = codes(part.detail)?;
        let mut k = first;
        while k <= last {
            let symbol = self.bits.symbol(codes)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => k += 16,
                (_, 0) => {
                    self.idle = (1 << zeros) - 1 + self.bits.number(zeros)?;
                    return Ok(());
                }
                _ => {
                    k += zeros;
                    possible(k, last, size, &part.reach.sizes)?;
                    *known |= 1 << k;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    fn detail_bit(&mut self, codes: &Codes, first: u8, last: u8, known: &mut u64) -> Result<(), Stop> {
        let mut k = first;
        while self.idle == 0 && k <= last {
            let symbol = self.bits.symbol(codes)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => k = self.correct(k, last, 15, *known)? + 1,
                (_, 0) => self.idle = (1 << zeros) + self.bits.number(zeros)?,
                (_, 1) => {
                    k = self.correct(k, last, zeros, *known)?;
                    if k > last {
                        return Err(Stop::Nonsense);
                    }
                    *known |= 1 << k;
                    k += 1;
                }
                _ => return Err(Stop::Nonsense),
            }
        }
        if self.idle > 0 {
            self.correct(k, last, u8::MAX, *known)?;
            self.idle -= 1;
        }
        Ok(())
    }

    /// Passes over one bit for each known coefficient from `k` on, up to the one after `zeros` that are still zero.
    fn correct(&mut self, mut k: u8, last: u8, mut zeros: u8, known: u64) -> Result<u8, Stop> {
        while k <= last {
            if known >> k & 1 == 1 {
                self.bits.pass(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            k += 1;
        }
        Ok(k)
    }
}

/// Can coefficient `k` be a number of `size` bits?
#[inline(always)]
fn possible(k: u8, last: u8, size: u8, sizes: &[u8; 64]) -> Result<(), Stop> {
    if k <= last && size <= sizes[usize::from(k)] { Ok(()) } else { Err(Stop::Nonsense) }
}

fn codes(codes: Option<&Codes>) -> Result<&Codes, Stop> {
    codes.ok_or(Stop::Nonsense)
}
