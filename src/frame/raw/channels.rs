//! Pixels whose channels stand beside one another.

/// Where in a pixel red, green and blue stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Channels {
    /// Of red, green and blue.
    places: [usize; 3],
    /// How many there are, those included that are no colour.
    count: usize,
    /// Bytes a channel: 1 or 2.
    width: usize,
}

impl Channels {
    pub(super) fn of(encoding: &str) -> Option<Self> {
        let (places, count) = match encoding.trim_end_matches(['1', '6', '8']) {
            "rgb" => ([0, 1, 2], 3),
            "bgr" => ([2, 1, 0], 3),
            "rgba" => ([0, 1, 2], 4),
            "bgra" => ([2, 1, 0], 4),
            "mono" => ([0, 0, 0], 1),
            _ => return None,
        };
        let width = match (encoding.trim_start_matches(['r', 'g', 'b', 'a', 'm', 'o', 'n']), count) {
            ("8", _) => 1,
            ("16", 1 | 3) => 2,
            _ => return None,
        };
        Some(Self { places, count, width })
    }

    /// Bytes a pixel.
    pub(super) fn bytes(self) -> usize {
        self.count * self.width
    }

    pub(super) fn append(self, rgb: &mut Vec<u8>, row: &[u8], big_endian: bool) {
        match (self.places, self.bytes()) {
            ([0, 1, 2], 3) => rgb.extend_from_slice(row),
            ([0, 0, 0], 1) => rgb.extend(row.iter().flat_map(|&grey| [grey; 3])),
            // Loops of their own, because a place that the compiler knows is twice as fast as one that it does not.
            ([2, 1, 0], 3) => rgb.extend(row.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]])),
            ([2, 1, 0], 4) => rgb.extend(row.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]])),
            ([0, 1, 2], 4) => rgb.extend(row.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]])),
            _ => {
                let narrow = |p: &[u8]| self.places.map(|place| narrow([p[2 * place], p[2 * place + 1]], big_endian));
                rgb.extend(row.chunks_exact(self.bytes()).flat_map(narrow));
            }
        }
    }
}

/// 0 to 65535 → 0 to 255, rounded.
fn narrow(bytes: [u8; 2], big_endian: bool) -> u8 {
    let wide = if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    ((u32::from(wide) + 128) / 257) as u8
}
