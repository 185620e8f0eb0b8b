//! How a JPEG's picture is divided into blocks, and which of them a scan tells of.

use super::scan::{Part, Pass, Reach};
use super::tables::Tables;
use crate::frame::{FrameError, check_size};

/// What the frame header says, and what the scans have told so far.
pub(super) struct Layout {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    /// Which table of steps its coefficients are counted in.
    steps: usize,
    /// Blocks a unit in an interleaved scan, across and down.
    across: usize,
    down: usize,
    /// How many low bits of each coefficient are not told yet.
    missing: [u8; 64],
    /// Of each block, which coefficients are not zero so far (progressive).
    known: Vec<u64>,
}

/// What a scan header says.
pub(super) struct Scan {
    pub(super) pass: Pass,
    components: Vec<Told>,
    first: usize,
    last: usize,
    missing: u8,
}

/// A component that a scan tells of.
struct Told {
    place: usize,
    mean: usize,
    detail: usize,
}

const UNTOLD: u8 = u8::MAX;

impl Layout {
    /// From a frame header. `None`: of a kind that no decoder here reads.
    ///
    /// # Errors
    /// `Size` or `Shape`, before memory is taken for it.
    pub(super) fn read(body: &[u8], progressive: bool) -> Result<Option<Self>, FrameError> {
        let [8, h1, h0, w1, w0, count, components @ ..] = body else { return Ok(None) };
        let (width, height) = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
        check_size(u32::from(width), u32::from(height))?;
        let component = |bytes: &[u8; 3]| Component {
            id: bytes[0],
            across: usize::from(bytes[1] >> 4),
            down: usize::from(bytes[1] & 15),
            steps: usize::from(bytes[2]),
            missing: [UNTOLD; 64],
            known: Vec::new(),
        };
        let components: Vec<Component> = components.as_chunks::<3>().0.iter().map(component).collect();
        let sound = |component: &Component| (1..=4).contains(&component.across) && (1..=4).contains(&component.down);
        let readable =
            components.len() == usize::from(*count) && !components.is_empty() && components.iter().all(sound);
        let (width, height) = (usize::from(width), usize::from(height));
        Ok(readable.then_some(Self { width, height, progressive, components }))
    }

    /// Units in a scan: of blocks side by side when it tells of one component, else of groups of blocks.
    pub(super) fn units(&self, scan: &Scan) -> usize {
        let across = self.components.iter().map(|c| c.across).max().unwrap_or(1);
        let down = self.components.iter().map(|c| c.down).max().unwrap_or(1);
        match scan.components.as_slice() {
            [one] => {
                let component = &self.components[one.place];
                let blocks = |side: usize, own: usize, most: usize| (side * own).div_ceil(most).div_ceil(8);
                blocks(self.width, component.across, across) * blocks(self.height, component.down, down)
            }
            _ => self.width.div_ceil(8 * across) * self.height.div_ceil(8 * down),
        }
    }

    /// What is known of the blocks that a scan gives details of, to be handed back to [`Layout::learn`].
    pub(super) fn known(&mut self, scan: &Scan) -> Vec<u64> {
        let (Pass::Detail { .. } | Pass::DetailBit { .. }) = scan.pass else { return Vec::new() };
        let units = self.units(scan);
        let mut known = std::mem::take(&mut self.components[scan.components[0].place].known);
        known.resize(units, 0);
        known
    }

    /// Keeps in mind what a scan has told.
    pub(super) fn learn(&mut self, scan: &Scan, known: Vec<u64>) {
        for told in &scan.components {
            self.components[told.place].missing[scan.first..=scan.last].fill(scan.missing);
        }
        if !known.is_empty() {
            self.components[scan.components[0].place].known = known;
        }
    }

    /// What no scan told, of a picture that has ended.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let missing = || self.components.iter().flat_map(|component| component.missing);
        if missing().any(|bits| bits == UNTOLD) {
            Some("it ends before all of its scans")
        } else if missing().any(|bits| bits > 0) {
            Some("it ends before the last refinement of its scans")
        } else {
            None
        }
    }
}

impl Scan {
    /// From a scan header. `None`: it does not fit the frame.
    pub(super) fn read(header: &[u8], layout: &Layout) -> Option<Self> {
        let (count, rest) = header.split_first()?;
        let (components, rest) = rest.split_at_checked(usize::from(*count) * 2)?;
        let told = |bytes: &[u8; 2]| {
            let place = layout.components.iter().position(|component| component.id == bytes[0])?;
            Some(Told { place, mean: usize::from(bytes[1] >> 4), detail: usize::from(bytes[1] & 15) })
        };
        let components: Vec<Told> = components.as_chunks::<2>().0.iter().map(told).collect::<Option<_>>()?;
        let &[first, last, bits, ..] = rest else { return None };
        if components.is_empty() {
            return None;
        }
        if !layout.progressive {
            return Some(Self { pass: Pass::Whole, components, first: 0, last: 63, missing: 0 });
        }
        let pass = match (first, last, bits >> 4) {
            (0, 0, 0) => Pass::Mean,
            (0, 0, _) => Pass::MeanBit,
            (1.., ..=63, 0) if first <= last && components.len() == 1 => Pass::Detail { first, last },
            (1.., ..=63, _) if first <= last && components.len() == 1 => Pass::DetailBit { first, last },
            _ => return None,
        };
        Some(Self { pass, components, first: first.into(), last: last.into(), missing: bits & 15 })
    }

    /// The components' parts in each unit, with their codes.
    pub(super) fn parts<'a>(&self, layout: &Layout, tables: &'a Tables) -> Vec<Part<'a>> {
        let alone = self.components.len() == 1;
        let part = |told: &Told| {
            let component = &layout.components[told.place];
            let steps = tables.steps.get(component.steps).unwrap_or(&[1; 64]);
            Part {
                blocks: if alone { 1 } else { component.across * component.down },
                mean: tables.mean.get(told.mean).and_then(Option::as_ref),
                detail: tables.detail.get(told.detail).and_then(Option::as_ref),
                reach: Reach::new(steps, self.missing),
                last_mean: 0,
            }
        };
        self.components.iter().map(part).collect()
    }
}
