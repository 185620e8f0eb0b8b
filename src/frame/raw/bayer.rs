//! A sensor's mosaic of one colour a pixel: the others are the mean of their neighbours, at the border those of the pixel
//! next to it, as OpenCV has it.

/// `red`: row and column, 0 or 1, of the first red pixel; blue stands diagonally to it.
pub(super) fn append(rgb: &mut Vec<u8>, rows: &[&[u8]], red: (usize, usize)) {
    let (last_row, last_column) = (rows.len() - 2, rows[0].len() - 2);
    for y in 0..rows.len() {
        let y = y.clamp(1, last_row);
        let near = [rows[y - 1], rows[y], rows[y + 1]];
        for x in 0..rows[0].len() {
            rgb.extend(pixel(near, x.clamp(1, last_column), y % 2 == red.0, red.1));
        }
    }
}

fn pixel([above, row, below]: [&[u8]; 3], x: usize, red_row: bool, red_column: usize) -> [u8; 3] {
    let mean = |values: &[u8]| {
        let sum: usize = values.iter().map(|&value| usize::from(value)).sum();
        ((sum + values.len() / 2) / values.len()) as u8
    };
    let beside = || mean(&[row[x - 1], row[x + 1]]);
    let over = || mean(&[above[x], below[x]]);
    let cross = || mean(&[row[x - 1], row[x + 1], above[x], below[x]]);
    let corners = || mean(&[above[x - 1], above[x + 1], below[x - 1], below[x + 1]]);
    match (red_row, x % 2 == red_column) {
        (true, true) => [row[x], cross(), corners()],
        (true, false) => [beside(), row[x], over()],
        (false, true) => [over(), row[x], beside()],
        (false, false) => [corners(), cross(), row[x]],
    }
}
