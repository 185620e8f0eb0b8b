//! What do a static (200x200) and a gripper picture (84x84) take from message bytes to tensors?

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, criterion_group, criterion_main};
use deer_vla::bundle::Bundle;
use deer_vla::frame::{Frame, RawImage};
use deer_vla::observe::Observer;
use deer_vla::units::Stamp;
use image::{ImageFormat, RgbImage};

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy");
const SIDES: [u32; 2] = [200, 84];

fn picture(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]))
}

fn observe(criterion: &mut Criterion) {
    let observer = Observer::new(&Bundle::open(TOY).expect("models/toy")).expect("its tokenizer");
    let mut group = criterion.benchmark_group("observe");

    let raw = SIDES.map(|side| (side, picture(side).into_raw()));
    group.bench_function("raw", |bencher| {
        bencher.iter(|| {
            let frames = raw.each_ref().map(|(side, data)| {
                let (width, height, step) = (*side, *side, side * 3);
                let image = RawImage { stamp: Stamp(1), width, height, encoding: "rgb8", step, data };
                Frame::from_raw(image).expect("a picture")
            });
            black_box(observer.images(&frames))
        });
    });

    let jpeg = SIDES.map(|side| {
        let mut bytes = Cursor::new(Vec::new());
        picture(side).write_to(&mut bytes, ImageFormat::Jpeg).expect("a JPEG");
        bytes.into_inner()
    });
    group.bench_function("jpeg", |bencher| {
        bencher.iter(|| {
            let frames =
                jpeg.each_ref().map(|bytes| Frame::from_compressed(Stamp(1), "jpeg", bytes).expect("a picture"));
            black_box(observer.images(&frames))
        });
    });
}

criterion_group!(benches, observe);
criterion_main!(benches);
