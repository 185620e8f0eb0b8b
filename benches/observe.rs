//! What do two cameras' pictures take from message bytes to tensors, by their size and kind?
//!
//! `raw` and `jpeg` are whole ways of a set of pictures; the others are steps of it, one picture each.

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;
use std::io::Cursor;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use deer_vla::bundle::Bundle;
use deer_vla::frame::{Frame, RawImage};
use deer_vla::observe::Observer;
use deer_vla::units::Stamp;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy");
/// By name: the static and the gripper camera's picture, in pixels across and down.
const SETS: [(&str, [(u32, u32); 2]); 4] = [
    ("200_84", [(200, 200), (84, 84)]),
    ("480p", [(640, 480), (640, 480)]),
    ("720p", [(1280, 720), (1280, 720)]),
    ("1080p", [(1920, 1080), (1920, 1080)]),
];

/// Edges, ramps and some noise, so that a JPEG of it is neither empty nor full.
fn picture((width, height): (u32, u32)) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = (x * 7919 + y * 104_729) % 5;
        image::Rgb([(x / 8 + noise) as u8, (y / 8) as u8, ((x / 64) ^ (y / 64)) as u8 * 20])
    })
}

fn raw<'a>((width, height): (u32, u32), encoding: &'a str, data: &'a [u8]) -> Frame {
    let step = data.len() as u32 / height;
    Frame::from_raw(RawImage { stamp: Stamp(1), width, height, encoding, big_endian: false, step, data })
        .expect("a picture")
}

fn compressed(bytes: &[u8]) -> Frame {
    Frame::from_compressed(Stamp(1), "", bytes).expect("a picture")
}

fn jpeg(size: (u32, u32)) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture(size).write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85)).expect("a JPEG");
    bytes
}

/// Message bytes → tensors, both cameras.
fn sets(criterion: &mut Criterion) {
    let observer = Observer::new(&Bundle::open(TOY).expect("models/toy")).expect("its tokenizer");
    let mut group = criterion.benchmark_group("observe");
    for (name, sizes) in SETS {
        let pixels = sizes.map(|size| picture(size).into_raw());
        group.bench_function(BenchmarkId::new("raw", name), |bencher| {
            bencher.iter(|| {
                let frames = [0, 1].map(|camera| raw(sizes[camera], "rgb8", &pixels[camera]));
                black_box(observer.images(&frames))
            });
        });
        let frames = [0, 1].map(|camera| raw(sizes[camera], "rgb8", &pixels[camera]));
        group.bench_function(BenchmarkId::new("tensors", name), |bencher| {
            bencher.iter(|| black_box(observer.images(&frames)));
        });
        let files = sizes.map(jpeg);
        group.bench_function(BenchmarkId::new("jpeg", name), |bencher| {
            bencher.iter(|| black_box(observer.images(&files.each_ref().map(|bytes| compressed(bytes)))));
        });
    }
}

/// What one picture takes to be read and looked over.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for (name, [size, _]) in SETS {
        let picture = picture(size);
        group.bench_function(BenchmarkId::new("rgb8", name), |bencher| {
            bencher.iter(|| black_box(raw(size, "rgb8", &picture)));
        });
        group.bench_function(BenchmarkId::new("bgr8", name), |bencher| {
            bencher.iter(|| black_box(raw(size, "bgr8", &picture)));
        });
        let file = jpeg(size);
        group.bench_function(BenchmarkId::new("jpeg", name), |bencher| bencher.iter(|| black_box(compressed(&file))));
        group.bench_function(BenchmarkId::new("jpeg_decoder_alone", name), |bencher| {
            let decode = || image::load_from_memory_with_format(&file, ImageFormat::Jpeg).expect("a JPEG").into_rgb8();
            bencher.iter(|| black_box(decode()));
        });
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).expect("a PNG");
        group.bench_function(BenchmarkId::new("png", name), |bencher| {
            bencher.iter(|| black_box(compressed(png.get_ref())));
        });
        let frame = raw(size, "rgb8", &picture);
        group.bench_function(BenchmarkId::new("fingerprint", name), |bencher| {
            bencher.iter(|| black_box(frame.fingerprint()));
        });
        group
            .bench_function(BenchmarkId::new("contrast", name), |bencher| bencher.iter(|| black_box(frame.contrast())));
    }
}

criterion_group!(benches, sets, steps);
criterion_main!(benches);
