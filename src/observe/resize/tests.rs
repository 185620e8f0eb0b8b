//! To the bit, whatever the sizes.

use super::*;

fn whole(count: usize) -> Kept {
    Kept { start: 0, count }
}

/// Pixel after pixel, as Pillow does it.
fn one_by_one(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let sum = |window: &Window, value: &dyn Fn(usize) -> u8| {
        let weighted = window.weights.iter().zip(window.start..).map(|(&weight, i)| weight * i32::from(value(i)));
        ((HALF + weighted.sum::<i32>()) >> PRECISION_BITS).clamp(0, 255) as u8
    };
    let columns = windows(from.0, to.0, 0..to.0);
    let pass = |y: usize, i: usize| sum(&columns[i / 3], &|x| rgb[(y * from.0 + x) * 3 + i % 3]);
    let narrow: Vec<Vec<u8>> = (0..from.1).map(|y| (0..to.0 * 3).map(|i| pass(y, i)).collect()).collect();
    let rows = windows(from.1, to.1, 0..to.1);
    rows.iter().flat_map(|window| (0..to.0 * 3).map(|i| sum(window, &|y| narrow[y][i])).collect::<Vec<_>>()).collect()
}

#[test]
fn whatever_the_sizes_and_the_crop_every_value_is_that_of_one_sum_at_a_time() {
    let sizes = [((20, 16), (20, 16)), ((17, 40), (16, 37)), ((131, 97), (43, 32)), ((18, 70), (48, 186))];
    for (from, to) in sizes {
        let rgb: Vec<u8> = (0..from.0 * from.1 * 3).map(|i| (i * i / 7 * 31 % 256) as u8).collect();
        let expected = one_by_one(&rgb, from, to);
        for (across, down) in [(whole(to.0), whole(to.1)), (Kept { start: 3, count: 9 }, Kept { start: 5, count: 7 })] {
            let mut resizer = Resizer::new(from, to, across, down);
            for (y, row) in resizer.run(&rgb).enumerate() {
                for (colour, row) in row.iter().enumerate() {
                    let place = |x: usize| ((down.start + y) * to.0 + across.start + x) * 3 + colour;
                    let expected: Vec<u8> = (0..across.count).map(|x| expected[place(x)]).collect();
                    assert_eq!(row, &expected, "{from:?} to {to:?}: row {y}");
                }
            }
        }
    }
}

#[test]
fn an_edge_overshoots_no_further_than_8_bits() {
    let edge: Vec<u8> = (0..40).flat_map(|_| [[0; 60], [255; 60]].concat()).collect();
    let mut resizer = Resizer::new((40, 40), (16, 16), whole(16), whole(16));
    let first = resizer.run(&edge).next().map(|row| (row[0][0], row[0][15]));
    assert_eq!(first, Some((0, 255)));
}
