//! The bits of a JPEG's scan and the Huffman codes that they are made of.

/// Codes of up to this many bits are found in one look.
const LOOK: u32 = 9;

/// Why a scan's blocks cannot be walked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is a marker or nothing where bits are needed.
    Ended,
    /// Bits that no encoder writes.
    Nonsense,
}

/// A scan's bytes as bits, up to the next marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte that was not taken up.
    pub(super) at: usize,
    /// Bits taken up and not used, from the top.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, held: 0, count: 0 }
    }

    /// Whole bytes that were taken up and not used.
    pub(super) fn unused(&self) -> usize {
        self.count as usize / 8
    }

    /// Takes bytes up until more than 32 bits are held or a marker comes.
    fn fill(&mut self) {
        let ahead = self.data.get(self.at..).and_then(<[u8]>::first_chunk::<4>);
        if let Some(word) = ahead.map(|bytes| u32::from_be_bytes(*bytes)).filter(|&word| !has_ff(word)) {
            self.hold(u64::from(word) << 32, 32);
            self.at += 4;
            return;
        }
        while self.count <= 32 {
            match self.data.get(self.at..) {
                // A zero after 0xFF says that the 0xFF is data.
                Some([0xFF, 0, ..]) => {
                    self.hold(0xFF << 56, 8);
                    self.at += 2;
                }
                Some([byte, ..]) if *byte != 0xFF => {
                    self.hold(u64::from(*byte) << 56, 8);
                    self.at += 1;
                }
                _ => return,
            }
        }
    }

    #[inline(always)]
    fn hold(&mut self, bits: u64, count: u32) {
        self.held |= bits >> self.count;
        self.count += count;
    }

    /// Passes over `n` bits, at most 31.
    #[inline(always)]
    pub(super) fn pass(&mut self, n: u8) -> Result<(), Stop> {
        let n = u32::from(n);
        if self.count < n {
            self.fill();
            if self.count < n {
                return Err(Stop::Ended);
            }
        }
        self.held <<= n;
        self.count -= n;
        Ok(())
    }

    /// The number that the next `n` bits are, at most 15 of them.
    #[inline(always)]
    pub(super) fn number(&mut self, n: u8) -> Result<u32, Stop> {
        if self.count < u32::from(n) {
            self.fill();
        }
        let number = (self.held >> 32 >> (32 - u32::from(n))) as u32;
        self.pass(n).map(|()| number)
    }

    /// The symbol that the next code stands for, code and number passed over. Its low four bits are the number's length,
    /// its high four tell what the number is for.
    #[inline(always)]
    pub(super) fn symbol(&mut self, codes: &Codes) -> Result<u8, Stop> {
        let (length, symbol) = self.code(codes)?;
        self.pass(length + (symbol & 15)).map(|()| symbol)
    }

    /// The number after the next code, which is its length.
    #[inline(always)]
    pub(super) fn length_and_number(&mut self, codes: &Codes) -> Result<(u8, u32), Stop> {
        let (length, size) = self.code(codes)?;
        if size > 15 {
            return Err(Stop::Nonsense);
        }
        self.pass(length)?;
        Ok((size, self.number(size)?))
    }

    /// How long the next code is, and its symbol.
    #[inline(always)]
    fn code(&mut self, codes: &Codes) -> Result<(u8, u8), Stop> {
        if self.count < 32 {
            self.fill();
        }
        codes.find((self.held >> 48) as u32).ok_or(if self.count < 16 { Stop::Ended } else { Stop::Nonsense })
    }
}

#[inline(always)]
fn has_ff(word: u32) -> bool {
    let inverse = !word;
    inverse.wrapping_sub(0x0101_0101) & word & 0x8080_8080 != 0
}

/// A Huffman table.
pub(super) struct Codes {
    /// By the next [`LOOK`] bits: a code's length and its symbol. Length 0: a longer code.
    short: [[u8; 2]; 1 << LOOK],
    /// By length: from which 16 bits on codes are longer.
    ends: [u32; 17],
    /// By length: what is added to a code to find its symbol.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// From how many codes there are of each length from 1 to 16, and their symbols in order. `None`: too many codes.
    pub(super) fn new(lengths: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Self { short: [[0; 2]; 1 << LOOK], ends: [0; 17], offsets: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut first) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(lengths[length as usize - 1]);
            codes.offsets[length as usize] = first as i32 - code as i32;
            for &symbol in symbols.get(first..first + count)? {
                codes.list(code, length, symbol)?;
                code += 1;
            }
            first += count;
            codes.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(codes)
    }

    fn list(&mut self, code: u32, length: u32, symbol: u8) -> Option<()> {
        if code >> length != 0 {
            return None;
        }
        if length <= LOOK {
            let spare = LOOK - length;
            self.short[(code << spare) as usize..((code + 1) << spare) as usize].fill([length as u8, symbol]);
        }
        Some(())
    }

    /// The code that 16 bits begin with: its length and its symbol.
    #[inline(always)]
    fn find(&self, ahead: u32) -> Option<(u8, u8)> {
        let [length, symbol] = self.short[(ahead >> (16 - LOOK)) as usize];
        if length != 0 {
            return Some((length, symbol));
        }
        let length = (LOOK as usize + 1..17).find(|&length| ahead < self.ends[length])?;
        let place = (ahead >> (16 - length)) as i32 + self.offsets[length];
        Some((length as u8, *self.symbols.get(usize::try_from(place).ok()?)?))
    }
}
