//! Is a JPEG whole?
//!
//! Decoders show what they have: of a picture that was cut they make the rest grey, of bytes that were lost whatever the
//! bits after them happen to mean, and they say so in a log at most. A policy would act on it. So before a picture is
//! decoded its codes are walked here, without making pixels, which takes a small part of the decoder's time. A picture is
//! whole when each scan has the bits of all its blocks and no more, restart markers come in their order, and the end
//! marker stands where the last scan ends. What follows it is not looked at: webcams pad their buffers, phones append a
//! second picture.
//!
//! Not found is damage that leaves every code's length as it was, such as some single flipped bits.

mod bits;
mod layout;
mod scan;
mod tables;

use super::FrameError;
use bits::{Bits, Stop};
use layout::{Layout, Scan};
use scan::{Part, Walk};
use tables::Tables;

/// Bytes too many that are let pass before a marker: some webcams' encoders leave a few, and fill up to a whole word.
const SPARE_BYTES: usize = 16;

const RST0: u8 = 0xD0;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// What the decoder must be told about a whole JPEG.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// It has no Huffman tables and means the standard's, as MJPEG does.
    pub(super) bare: bool,
}

/// Walks through `data`, which begin as a JPEG does.
///
/// # Errors
/// `Size`, `Shape`, `CutShort` or `Damaged`. A kind of JPEG that is not walked here is whole: the decoder refuses those.
pub(super) fn check(data: &[u8]) -> Result<Whole, FrameError> {
    let file = File { data, at: 2, layout: None, tables: Tables::none(), restart_interval: 0, bare: false, scans: 0 };
    file.walk()
}

/// Whether `data` are a JPEG's and no rows of pixels: a chain of segments that leads from its first marker to a scan.
pub(super) fn begins(data: &[u8]) -> bool {
    let [0xFF, SOI, rest @ ..] = data else { return false };
    let (mut rest, mut sized) = (rest, false);
    while let [0xFF, code @ 0xC0..=0xFE, high, low, ..] = rest {
        match *code {
            SOS => return sized,
            0xC0..=0xC3 => sized = true,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    false
}

/// A JPEG while it is walked through.
struct File<'a> {
    data: &'a [u8],
    at: usize,
    layout: Option<Layout>,
    tables: Tables,
    /// Units of a scan from one restart marker to the next; 0 for none.
    restart_interval: usize,
    bare: bool,
    scans: usize,
}

impl<'a> File<'a> {
    fn walk(mut self) -> Result<Whole, FrameError> {
        loop {
            match self.marker(0)? {
                EOI => break,
                0x01 | RST0..=SOI => {}
                SOS if self.layout.is_none() => break,
                code => self.segment(code)?,
            }
        }
        if let Some(missing) = self.layout.as_ref().and_then(Layout::missing) {
            return Err(cut(missing.to_owned()));
        }
        Ok(Whole { bare: self.bare })
    }

    fn segment(&mut self, code: u8) -> Result<(), FrameError> {
        let body = self.body()?;
        match code {
            0xC0..=0xC2 => self.layout = Layout::read(body, code == 0xC2)?,
            0xDB => self.tables.read_steps(body).ok_or_else(|| damaged("its quantisation tables are incomplete"))?,
            0xC4 => self.tables.read_codes(body).ok_or_else(|| damaged("its Huffman tables make no codes"))?,
            0xDD => {
                let interval = body.first_chunk::<2>().ok_or_else(|| damaged("its restart interval is missing"))?;
                self.restart_interval = usize::from(u16::from_be_bytes(*interval));
            }
            SOS => return self.scan(body),
            _ => {}
        }
        Ok(())
    }

    /// The code of the next marker, which follows at once, or after `unused` bytes and a few more.
    fn marker(&mut self, unused: usize) -> Result<u8, FrameError> {
        let mut spare = unused;
        loop {
            match self.data.get(self.at..).unwrap_or_default() {
                [0xFF, code @ (0x01..=0xFE), ..] => {
                    self.at += 2;
                    let place = || format!("{spare} bytes more than its blocks need stand before marker {code:#04X}");
                    return if spare <= SPARE_BYTES { Ok(*code) } else { Err(damaged(&place())) };
                }
                [0xFF, 0xFF, ..] => self.at += 1,
                [_, _, ..] => (self.at, spare) = (self.at + 1, spare + 1),
                _ => return Err(cut("it has no end marker".into())),
            }
        }
    }

    /// The next segment's bytes.
    fn body(&mut self) -> Result<&'a [u8], FrameError> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let body = rest.first_chunk::<2>().and_then(|length| rest.get(2..usize::from(u16::from_be_bytes(*length))));
        let body = body.ok_or_else(|| cut("it ends in its header".into()))?;
        self.at += 2 + body.len();
        Ok(body)
    }

    fn scan(&mut self, header: &[u8]) -> Result<(), FrameError> {
        self.scans += 1;
        if self.tables.have_no_codes() {
            self.tables.take_standard_codes();
            self.bare = true;
        }
        let Some(mut layout) = self.layout.take() else { return Ok(()) };
        let scan = Scan::read(header, &layout).ok_or_else(|| damaged("the header of its scan makes no sense"))?;
        let mut known = layout.known(&scan);
        let walked = self.units(&layout, &scan, &mut known);
        layout.learn(&scan, known);
        self.layout = Some(layout);
        walked
    }

    fn units(&mut self, layout: &Layout, scan: &Scan, known: &mut [u64]) -> Result<(), FrameError> {
        let tables = std::mem::replace(&mut self.tables, Tables::none());
        let mut parts: Vec<Part<'_>> = scan.parts(layout, &tables);
        let total = layout.units(scan);
        let mut walk = Walk { bits: Bits::new(self.data, self.at), pass: scan.pass, idle: 0 };
        let mut none = 0;
        for unit in 0..total {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                self.restart(&mut walk, unit / self.restart_interval)?;
                parts.iter_mut().for_each(|part| part.last_mean = 0);
            }
            let known = known.get_mut(unit).unwrap_or(&mut none);
            walk.unit(&mut parts, known).map_err(|stop| self.stopped(stop, &walk, unit, total))?;
        }
        self.end(&walk)?;
        drop(parts);
        self.tables = tables;
        Ok(())
    }

    /// The marker after `nth` intervals.
    fn restart(&mut self, walk: &mut Walk<'a>, nth: usize) -> Result<(), FrameError> {
        self.end(walk)?;
        let expected = RST0 + ((nth - 1) % 8) as u8;
        match self.marker(0)? {
            code if code == expected => {}
            EOI => return Err(cut(format!("it ends after {nth} of its restart intervals"))),
            code => return Err(damaged(&format!("marker {code:#04X} stands where restart {expected:#04X} belongs"))),
        }
        walk.bits = Bits::new(self.data, self.at);
        walk.idle = 0;
        Ok(())
    }

    /// Goes to the marker that ends the blocks walked so far.
    fn end(&mut self, walk: &Walk<'_>) -> Result<(), FrameError> {
        if walk.idle > 0 {
            return Err(damaged("a scan speaks of more blocks than there are"));
        }
        self.at = walk.bits.at;
        self.marker(walk.bits.unused())?;
        self.at -= 2;
        Ok(())
    }

    fn stopped(&self, stop: Stop, walk: &Walk<'_>, unit: usize, total: usize) -> FrameError {
        let place = format!("{} % of scan {}", unit * 100 / total, self.scans);
        match (stop, self.data.get(walk.bits.at..)) {
            (Stop::Nonsense, _) => damaged(&format!("after {place} come bits that no encoder writes")),
            (Stop::Ended, None | Some([] | [0xFF] | [0xFF, EOI, ..])) => cut(format!("it ends after {place}")),
            (Stop::Ended, Some(_)) => damaged(&format!("a marker stands after {place}, amid its data")),
        }
    }
}

fn cut(place: String) -> FrameError {
    FrameError::CutShort { encoding: "jpeg", place }
}

fn damaged(flaw: &str) -> FrameError {
    FrameError::Damaged { encoding: "jpeg", flaw: flaw.to_owned() }
}
