//! Whole pictures are read, and no others.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use super::*;

const STAMP: Stamp = Stamp(1_000_000_000);

const BASELINE: &[u8] = include_bytes!("../../../tests/data/pictures/baseline.jpg");
const RESTARTS: &[u8] = include_bytes!("../../../tests/data/pictures/restarts.jpg");
const MJPEG: &[u8] = include_bytes!("../../../tests/data/pictures/mjpeg.jpg");
const MJPEG_WITH_TABLES: &[u8] = include_bytes!("../../../tests/data/pictures/mjpeg_with_tables.jpg");
/// 64x48 pixels, written by Pillow with the options that their names say.
const JPEGS: [(&str, &[u8]); 8] = [
    ("baseline", BASELINE),
    ("restarts", RESTARTS),
    ("grey", include_bytes!("../../../tests/data/pictures/grey.jpg")),
    ("optimised", include_bytes!("../../../tests/data/pictures/optimised.jpg")),
    ("progressive", include_bytes!("../../../tests/data/pictures/progressive.jpg")),
    ("progressive, restarts", include_bytes!("../../../tests/data/pictures/progressive_restarts.jpg")),
    ("mjpeg", MJPEG),
    ("mjpeg with tables", MJPEG_WITH_TABLES),
];

fn read(bytes: &[u8]) -> Result<Frame, FrameError> {
    Frame::from_compressed(STAMP, "x", bytes)
}

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 50]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn png_is_read_exactly_and_jpeg_nearly() {
    let png = Frame::from_compressed(STAMP, "png", &encoded(32, 20, ImageFormat::Png)).unwrap();
    assert_eq!((png.width, png.height, &png.rgb[..6]), (32, 20, &[0, 0, 50, 1, 0, 50][..]));
    let jpeg = Frame::from_compressed(STAMP, "jpeg", &encoded(32, 20, ImageFormat::Jpeg)).unwrap();
    assert_eq!((png.encoding, jpeg.encoding), ("png", "jpeg"));
    let worst = jpeg.rgb.iter().zip(&png.rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst < 24, "{worst}");
}

#[test]
fn noise_and_nothing_are_refused() {
    for bytes in [&[1, 2, 3, 4][..], &[], &[0xFF, 0xD8, 0xFF]] {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
    assert!(matches!(read(b"\0\0\0\x02\x67"), Err(FrameError::Decode { format, .. }) if format == "x"));
}

#[test]
fn films_and_depths_are_refused_with_the_node_that_decodes_them() {
    let film = read(b"\0\0\0\x01\x67\x42").unwrap_err().to_string();
    assert!(film.contains("let the camera send JPEG") && film.contains("isaac_ros_h264_decoder.launch.py"), "{film}");
    assert!(matches!(Frame::from_compressed(STAMP, "H264", &[7; 9]), Err(FrameError::Video { .. })));
    let depth = Frame::from_compressed(STAMP, "16UC1; compressedDepth png", &[0; 40]).unwrap_err().to_string();
    assert!(depth.contains("depth picture") && depth.contains("colour topic"), "{depth}");
}

#[test]
fn words_that_contradict_the_data_are_told_and_others_are_not() {
    let png = encoded(32, 20, ImageFormat::Png);
    assert!(doubt("png", BASELINE).unwrap().contains("JPEG"));
    assert!(doubt("rgb8; jpeg compressed bgr8", &png).unwrap().contains("PNG"));
    assert!(doubt("rgb8; jpeg compressed rgb8", BASELINE).unwrap().contains("red and blue"));
    for format in
        ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", "mono8; jpeg compressed mono8", "", "bgr8; jpeg compressed bgr8"]
    {
        assert_eq!(doubt(format, BASELINE), None, "{format}");
    }
    assert_eq!(doubt("16UC1; png compressed 16UC1", &png), None);
}

#[test]
fn every_kind_of_whole_jpeg_is_read() {
    for (name, jpeg) in JPEGS {
        let frame = read(jpeg).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((frame.width, frame.height, frame.rgb.len()), (64, 48, 64 * 48 * 3), "{name}");
    }
}

#[test]
fn what_cameras_put_around_a_whole_jpeg_is_let_pass() {
    let (body, end) = BASELINE.split_at(BASELINE.len() - 2);
    let thumbnail = [&[0xFF, 0xE1, 0x04, 0x72], BASELINE].concat();
    let cases = [
        ("zeros after its end", [BASELINE, &[0; 5000]].concat()),
        ("a second picture after its end", [BASELINE, BASELINE].concat()),
        ("a word filled up with zeros", [body, &[0; 3], end].concat()),
        ("fill bytes", [body, &[0xFF; 9], end].concat()),
        ("a thumbnail", [&BASELINE[..2], &thumbnail, &BASELINE[2..]].concat()),
    ];
    for (what, jpeg) in cases {
        assert_eq!(read(&jpeg).map(|frame| frame.rgb).ok(), read(BASELINE).map(|frame| frame.rgb).ok(), "{what}");
    }
}

#[test]
fn a_jpeg_that_is_cut_anywhere_is_refused_as_cut_short() {
    for (name, jpeg) in JPEGS {
        for sixteenth in 1..16 {
            let cut = &jpeg[..jpeg.len() * sixteenth / 16];
            let error = read(cut).unwrap_err();
            assert!(matches!(error, FrameError::CutShort { .. }), "{name}, {sixteenth}/16: {error}");
            assert!(read(&[cut, &[0; 3000]].concat()).is_err(), "{name}, {sixteenth}/16 and zeros");
        }
        for cut in 1..8 {
            assert!(read(&jpeg[..jpeg.len() - cut]).is_err(), "{name} less {cut} bytes");
        }
    }
}

#[test]
fn an_end_marker_does_not_make_a_cut_jpeg_whole() {
    for (name, jpeg) in JPEGS {
        for cut in 2..jpeg.len() - 3 {
            let ended = [&jpeg[..cut], &[0xFF, 0xD9]].concat();
            assert!(read(&ended).is_err(), "{name} cut after {cut} of {} bytes", jpeg.len());
        }
    }
}

#[test]
fn a_jpeg_whose_second_half_is_zero_is_refused_whatever_its_end() {
    for (name, jpeg) in JPEGS {
        let mut half = jpeg.to_vec();
        half[jpeg.len() / 2..].fill(0);
        assert!(read(&half).is_err(), "{name}");
        half[jpeg.len() - 2..].copy_from_slice(&[0xFF, 0xD9]);
        assert!(read(&half).is_err(), "{name}, ended");
    }
}

#[test]
fn a_jpeg_that_lost_a_piece_is_refused() {
    for (name, jpeg) in JPEGS {
        let (from, to) = (jpeg.len() * 7 / 10, jpeg.len() * 8 / 10);
        assert!(read(&[&jpeg[..from], &jpeg[to..]].concat()).is_err(), "{name}");
    }
}

#[test]
fn restart_markers_out_of_order_are_refused_by_name() {
    let mut jpeg = RESTARTS.to_vec();
    let third = jpeg.windows(2).position(|pair| pair == [0xFF, 0xD2]).unwrap();
    jpeg[third + 1] = 0xD3;
    let error = read(&jpeg).unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("0xD3") && error.contains("restart 0xD2"), "{error}");
}

#[test]
fn the_bare_jpegs_of_a_webcam_are_read_with_the_standards_tables() {
    assert_eq!(read(MJPEG).unwrap().rgb, read(MJPEG_WITH_TABLES).unwrap().rgb);
}

#[test]
fn a_png_that_is_cut_anywhere_or_whose_pixels_were_changed_is_refused_by_name() {
    let png = encoded(32, 20, ImageFormat::Png);
    for cut in 17..png.len() - 1 {
        let error = read(&png[..cut]).unwrap_err();
        assert!(matches!(error, FrameError::CutShort { .. }), "{cut} of {}: {error}", png.len());
    }
    for byte in 41..png.len() - 16 {
        let mut changed = png.clone();
        changed[byte] ^= 0x10;
        let error = read(&changed).unwrap_err();
        assert!(matches!(error, FrameError::Damaged { .. } | FrameError::CutShort { .. }), "byte {byte}: {error}");
    }
}

#[test]
fn a_compressed_giant_is_refused_before_it_is_decoded() {
    let png = encoded(4200, 4200, ImageFormat::Png);
    assert!(matches!(Frame::from_compressed(STAMP, "png", &png), Err(FrameError::Size { .. })));
    let mut jpeg = BASELINE.to_vec();
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0, 16]);
    assert!(matches!(read(&jpeg), Err(FrameError::Size { width: 16, height: 65535 })));
}
