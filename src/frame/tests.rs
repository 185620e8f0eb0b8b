//! What a camera driver may send, and what is refused.

use super::*;

const STAMP: Stamp = Stamp(1_000_000_000);

/// A 16x16 message whose first pixel is the given bytes, rows padded by `padding` bytes of 0xEE.
fn message(pixel: &[u8], padding: usize) -> (u32, Vec<u8>) {
    let mut row: Vec<u8> = pixel.iter().copied().cycle().take(pixel.len() * 16).collect();
    row.extend(std::iter::repeat_n(0xEE, padding));
    (row.len() as u32, row.repeat(16))
}

fn read(encoding: &str, pixel: &[u8], padding: usize) -> Result<Frame, FrameError> {
    let (step, data) = message(pixel, padding);
    Frame::from_raw(RawImage { stamp: STAMP, width: 16, height: 16, encoding, big_endian: false, step, data: &data })
}

#[test]
fn every_encoding_gives_the_same_red_green_blue() {
    let expected = [10, 20, 30].repeat(256);
    for (encoding, pixel) in [
        ("rgb8", &[10, 20, 30][..]),
        ("bgr8", &[30, 20, 10]),
        ("rgba8", &[10, 20, 30, 99]),
        ("bgra8", &[30, 20, 10, 99]),
    ] {
        assert_eq!(read(encoding, pixel, 0).unwrap().rgb, expected, "{encoding}");
    }
    assert_eq!(read("mono8", &[7], 0).unwrap().rgb, vec![7; 768]);
}

#[test]
fn row_padding_is_left_out() {
    assert_eq!(read("bgr8", &[3, 2, 1], 5).unwrap().rgb, [1, 2, 3].repeat(256));
    assert_eq!(read("rgb8", &[1, 2, 3], 4).unwrap().rgb, [1, 2, 3].repeat(256));
}

#[test]
fn an_unknown_encoding_is_named_in_the_refusal() {
    let error = read("yuv444", &[1, 2, 3], 0).unwrap_err().to_string();
    assert!(error.contains("yuv444") && error.contains("rgb8") && error.contains("nv12"), "{error}");
}

/// A line of `encodings.bin`, which tests/data/make_encodings.py makes with OpenCV.
#[derive(serde::Deserialize)]
struct Golden {
    encoding: String,
    width: u32,
    height: u32,
    step: u32,
    big_endian: bool,
    bytes: usize,
}

#[test]
fn every_encoding_has_the_colours_that_opencv_gives_it() {
    let mut rest = &include_bytes!("../../tests/data/encodings.bin")[..];
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
        let Golden { encoding, width, height, step, big_endian, bytes } = serde_json::from_slice(&rest[..end]).unwrap();
        let (data, after) = rest[end + 1..].split_at(bytes);
        let (expected, after) = after.split_at((width * height * 3) as usize);
        let frame =
            Frame::from_raw(RawImage { stamp: STAMP, width, height, encoding: &encoding, big_endian, step, data });
        let rgb = frame.unwrap_or_else(|error| panic!("{encoding}: {error}")).rgb;
        let worst = rgb.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 2, "{encoding}, big-endian {big_endian}: {worst} levels");
        seen.push(encoding);
        rest = after;
    }
    for encoding in &ENCODINGS[5..] {
        assert!(seen.iter().any(|seen| seen == encoding), "{encoding}");
    }
}

#[test]
fn what_does_not_say_its_colours_is_refused_with_the_way_on() {
    for (encoding, bytes, word) in
        [("8UC3", 3, "encoding: bgr8"), ("8UC1", 1, "encoding: bgr8"), ("16UC1", 2, "depth"), ("32FC1", 4, "depth")]
    {
        let error = read(encoding, &vec![1; bytes], 0).unwrap_err().to_string();
        assert!(error.contains(encoding) && error.contains(word), "{error}");
    }
    let image = RawImage {
        stamp: STAMP,
        width: 17,
        height: 16,
        encoding: "yuyv",
        big_endian: false,
        step: 34,
        data: &[0; 544],
    };
    assert!(matches!(Frame::from_raw(image), Err(FrameError::Odd { .. })));
}

#[test]
fn a_truncated_buffer_is_refused_with_both_lengths() {
    let (step, data) = message(&[1, 2, 3], 0);
    let image =
        RawImage { stamp: STAMP, width: 16, height: 16, encoding: "rgb8", big_endian: false, step, data: &data[..700] };
    let error = Frame::from_raw(image).unwrap_err().to_string();
    assert!(error.contains("700") && error.contains("768"), "{error}");
}

#[test]
fn a_step_shorter_than_a_row_is_refused() {
    let data = vec![0; 16 * 40];
    let image =
        RawImage { stamp: STAMP, width: 16, height: 16, encoding: "rgb8", big_endian: false, step: 40, data: &data };
    assert!(matches!(Frame::from_raw(image), Err(FrameError::Step { found: 40, expected: 48, .. })));
}

#[test]
fn one_pixel_and_a_hundred_megabytes_are_refused_by_size() {
    for (width, height) in [(1, 1), (6000, 6000), (u32::MAX, u32::MAX)] {
        let image = RawImage {
            stamp: STAMP,
            width,
            height,
            encoding: "rgb8",
            big_endian: false,
            step: u32::MAX,
            data: &[0; 3],
        };
        assert!(matches!(Frame::from_raw(image), Err(FrameError::Size { .. })), "{width}x{height}");
    }
}

#[test]
fn a_picture_too_long_for_its_height_is_refused_before_memory_is_taken_for_it() {
    for (width, height, read) in
        [(16, 65536, false), (16, 8192, false), (16, 129, false), (128, 16, true), (720, 2560, true)]
    {
        let data = vec![7; (width * height) as usize];
        let image =
            RawImage { stamp: STAMP, width, height, encoding: "mono8", big_endian: false, step: width, data: &data };
        assert_eq!(Frame::from_raw(image).is_ok(), read, "{width}x{height}");
    }
    let image =
        RawImage { stamp: STAMP, width: 16, height: 129, encoding: "mono8", big_endian: false, step: 16, data: &[] };
    let error = Frame::from_raw(image).unwrap_err().to_string();
    assert!(error.contains("16x129") && error.contains("8 times the shorter"), "{error}");
}

#[test]
fn the_bytes_of_a_file_are_no_pixels() {
    let jpeg = include_bytes!("../../tests/data/pictures/baseline.jpg");
    let bare = include_bytes!("../../tests/data/pictures/mjpeg.jpg");
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    for (bytes, holds) in [(&jpeg[..], "JPEG"), (bare, "JPEG"), (png, "PNG")] {
        let mut data = vec![0; 64 * 48 * 3];
        data[..bytes.len()].copy_from_slice(bytes);
        let image = RawImage {
            stamp: STAMP,
            width: 64,
            height: 48,
            encoding: "rgb8",
            big_endian: false,
            step: 192,
            data: &data,
        };
        let error = Frame::from_raw(image).unwrap_err().to_string();
        assert!(error.contains("rgb8") && error.contains(holds), "{error}");
        data[2] = 0;
        let image = RawImage {
            stamp: STAMP,
            width: 64,
            height: 48,
            encoding: "rgb8",
            big_endian: false,
            step: 192,
            data: &data,
        };
        assert!(Frame::from_raw(image).is_ok(), "a first pixel of the same colour is no {holds}");
    }
}

#[test]
fn an_image_without_a_time_is_refused() {
    let image = RawImage {
        stamp: Stamp(0),
        width: 16,
        height: 16,
        encoding: "mono8",
        big_endian: false,
        step: 16,
        data: &[0; 256],
    };
    assert!(matches!(Frame::from_raw(image), Err(FrameError::NoStamp)));
}

#[test]
fn one_bit_anywhere_changes_the_fingerprint() {
    let frame = read("rgb8", &[10, 20, 30], 0).unwrap();
    assert_eq!(frame.fingerprint(), frame.clone().fingerprint());
    for byte in [0, 7, 383, 767] {
        let mut other = frame.clone();
        other.rgb[byte] ^= 1;
        assert_ne!(other.fingerprint(), frame.fingerprint(), "byte {byte}");
    }
}

#[test]
fn a_covered_lens_has_no_contrast() {
    assert_eq!(read("rgb8", &[10, 20, 30], 0).unwrap().contrast(), 0.0);
    let striped = Frame { rgb: [[0; 3], [200; 3]].concat().repeat(128), ..read("mono8", &[0], 0).unwrap() };
    assert!((striped.contrast() - 100.0).abs() < 1e-9);
}

#[test]
fn rows_that_are_given_away_are_read_as_those_that_are_lent() {
    for (encoding, pixel, padding) in [("rgb8", &[10, 20, 30][..], 0), ("rgb8", &[10, 20, 30], 4), ("mono8", &[7], 0)] {
        let (step, data) = message(pixel, padding);
        let image = RawImage { stamp: STAMP, width: 16, height: 16, encoding, big_endian: false, step, data: &[] };
        let lent = Frame::from_raw(RawImage { data: &data, ..image }).unwrap();
        let pixels = data.as_ptr();
        let given = Frame::from_given_raw(image, data).unwrap();
        assert_eq!(given, lent);
        assert_eq!(given.rgb.as_ptr() == pixels, encoding == "rgb8" && padding == 0, "{encoding}");
    }
}
