//! Brightness and two colours in video's range (ITU-R BT.601), as webcams send them: in OpenCV's arithmetic.

const SHIFT: i32 = 20;
const HALF: i32 = 1 << (SHIFT - 1);

/// What a pair of colours adds to red, green and blue.
fn tint(u: u8, v: u8) -> [i32; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    [HALF + 1_673_527 * v, HALF - 852_492 * v - 409_993 * u, HALF + 2_116_026 * u]
}

fn pixel(brightness: u8, tint: [i32; 3]) -> [u8; 3] {
    let level = (i32::from(brightness) - 16).max(0) * 1_220_542;
    tint.map(|tint| ((level + tint) >> SHIFT).clamp(0, 255) as u8)
}

/// A row of two pixels in four bytes.
pub(super) fn append_422(rgb: &mut Vec<u8>, row: &[u8], brightness: usize) {
    let colour = 1 - brightness;
    for pair in row.chunks_exact(4) {
        let tint = tint(pair[colour], pair[colour + 2]);
        rgb.extend(pixel(pair[brightness], tint));
        rgb.extend(pixel(pair[brightness + 2], tint));
    }
}

/// A row of brightness, and the row of colours that it shares with its neighbour; U stands at `u` in each pair.
pub(super) fn append_420(rgb: &mut Vec<u8>, brightness: &[u8], colours: &[u8], u: usize) {
    for (pair, colours) in brightness.chunks_exact(2).zip(colours.chunks_exact(2)) {
        let tint = tint(colours[u], colours[1 - u]);
        rgb.extend(pixel(pair[0], tint));
        rgb.extend(pixel(pair[1], tint));
    }
}
