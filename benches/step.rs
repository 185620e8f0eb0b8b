//! What does a control step take, at full depth and when the first exit agrees?

#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use deer_vla::bundle::Bundle;
use deer_vla::engine::ort::{Options, OrtEngine};
use deer_vla::network::Metric;
use deer_vla::network::{PlanLimits, Policy, Settings};
use deer_vla::observe::Observer;
use deer_vla::thresholds::Thresholds;

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy");

fn step(criterion: &mut Criterion) {
    let bundle = Bundle::open(TOY).expect("models/toy");
    let exits = bundle.manifest.exits.len();
    let ids = Observer::new(&bundle).and_then(|observer| observer.ids("open the drawer")).expect("its tokenizer");
    let early = Thresholds::new(&vec![f64::from(f32::MAX); exits - 1], exits).expect("one an exit");
    let mut group = criterion.benchmark_group("step");
    for (name, thresholds) in [("full_depth", Thresholds::deepest(exits)), ("first_exit", early)] {
        let engine = OrtEngine::load(&bundle, exits - 1, &Options::default()).expect("ONNX Runtime");
        let settings = Settings {
            thresholds,
            gauge: Metric::Rms.into(),
            cap: exits - 1,
            deadline: None,
            plan: PlanLimits::default(),
        };
        let mut policy = Policy::new(engine, &bundle.manifest, settings);
        policy.start_epoch(&ids).expect("the prompt");
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(policy.step(&mut || Duration::ZERO)).expect("a step"));
        });
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
