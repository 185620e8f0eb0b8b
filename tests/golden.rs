//! The toy bundle through ONNX Runtime against the numbers that PyTorch gave (`lab/deer_lab/toy.py` writes both).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, its helpers too")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use deer_vla::bundle::Bundle;
use deer_vla::config::RawConfig;
use deer_vla::engine::ort::{Options, OrtEngine};
use deer_vla::engine::{Engine, LstmState};
use deer_vla::frame::Frame;
use deer_vla::network::{Metric, PlanLimits, Policy, Settings};
use deer_vla::observe::Observer;
use deer_vla::thresholds::Thresholds;
use deer_vla::units::Stamp;
use ndarray::{Array, Array2, Array3, Array4, Dimension, Ix2, Ix3, Ix4};
use safetensors::tensor::{Dtype, SafeTensors};

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/toy_golden.safetensors");
const TOLERANCE: f32 = 1e-4;

struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        Self(std::fs::read(Path::new(GOLDEN)).unwrap())
    }

    fn array<D: Dimension>(&self, name: &str) -> Array<f32, D> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap_or_else(|_| panic!("no golden {name}"));
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Array::from_shape_vec(view.shape(), values).unwrap().into_dimensionality().unwrap()
    }

    fn ids(&self, name: &str) -> Vec<i64> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap();
        view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// The pictures `[N, H, W, 3]` (or one, `[H, W, 3]`) as frames.
    fn frames(&self, name: &str) -> Vec<Frame> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap();
        let [.., height, width, 3] = *view.shape() else { panic!("{name} is no picture") };
        let frame = |rgb: &[u8]| Frame::new(Stamp(1), [width as u32, height as u32], rgb.to_vec(), "rgb8");
        view.data().chunks_exact(height * width * 3).map(frame).collect()
    }

    fn instructions(&self) -> BTreeMap<usize, String> {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        let text = &metadata.metadata().as_ref().unwrap()["instructions"];
        let map: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        map.into_iter().map(|(step, text)| (step.parse().unwrap(), text)).collect()
    }
}

fn engine(bundle: &Bundle, cap: usize) -> OrtEngine {
    OrtEngine::load(bundle, cap, &Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Looks at the golden pictures.
fn show(engine: &mut OrtEngine, golden: &Golden) {
    for (camera, role) in ["static", "gripper"].into_iter().enumerate() {
        let picture = golden.array::<Ix4>(&format!("vision_{role}.in.image"));
        engine.draw(camera, &mut |mut image| image.assign(&picture));
        engine.look(camera).unwrap();
    }
}

fn assert_close<D: Dimension>(found: &Array<f32, D>, expected: &Array<f32, D>, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= TOLERANCE, "{what} is {worst} from PyTorch's");
}

#[test]
fn pictures_become_the_tensors_that_pillow_makes() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let observer = Observer::new(&bundle).unwrap();
    let picture = |name: &str| golden.frames(&format!("picture.{name}.rgb")).remove(0);
    let (wide, gripper) = (picture("static_200x200"), picture("gripper_84x84"));
    let tensors = observer.images([&wide, &gripper]);
    let uneven = observer.images([&picture("static_96x128"), &gripper]);
    for (found, name) in
        [(&tensors[0], "static_200x200"), (&tensors[1], "gripper_84x84"), (&uneven[0], "static_96x128")]
    {
        let expected: Array4<f32> = golden.array::<Ix4>(&format!("picture.{name}.tensor"));
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // One of 255 levels of a channel would be at least 0.014 after normalisation.
        assert!(worst <= 1e-5, "{name}: {worst}");
    }
}

#[test]
fn a_sentence_becomes_the_ids_that_the_tokenizers_library_makes() {
    let golden = Golden::read();
    let observer = Observer::new(&Bundle::open(TOY).unwrap()).unwrap();
    assert_eq!(observer.ids(&golden.instructions()[&0]).unwrap(), golden.ids("text.ids"));
}

#[test]
fn every_part_gives_what_pytorch_gives() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let mut engine = engine(&bundle, bundle.manifest.exits.len() - 1);
    engine.embed(&golden.ids("embed.in.ids")).unwrap();
    show(&mut engine, &golden);
    for k in 0..bundle.manifest.exits.len() {
        engine.stage(k).unwrap();
        let expected: Array2<f32> = golden.array::<Ix2>(&format!("stage_{k:02}.out.feature"));
        assert_close(&engine.features().unwrap(), &expected, &format!("rows of stage {k}"));
    }
    let state = LstmState { h: golden.array::<Ix3>("head_state.in.h"), c: golden.array::<Ix3>("head.in.c") };
    let (actions, after) = engine.head(golden.array::<Ix2>("head.in.feature").view(), &state).unwrap();
    let arm = Array2::from_shape_fn((2, 6), |(n, i)| actions[n].arm[i]);
    assert_close(&arm, &golden.array::<Ix2>("head.out.arm"), "arm");
    let gripper = Array2::from_shape_fn((2, 1), |(n, _)| actions[n].gripper);
    assert_close(&gripper, &golden.array::<Ix2>("head.out.gripper"), "gripper");
    let (h, c): (Array3<f32>, Array3<f32>) = (golden.array("head.out.h_next"), golden.array("head.out.c_next"));
    assert_close(&after.h, &h, "h_next");
    assert_close(&after.c, &c, "c_next");
    let ahead = golden.array::<Ix3>("head.out.ahead");
    assert_close(&foreseen(&mut engine), &ahead.index_axis(ndarray::Axis(0), 1).to_owned(), "ahead of the last row");
}

/// Six arm outputs and the probability of open of each period after.
fn foreseen(engine: &mut OrtEngine) -> Array2<f32> {
    let ahead = engine.ahead().unwrap();
    Array2::from_shape_fn((ahead.len(), 7), |(n, i)| *ahead[n].arm.get(i).unwrap_or(&ahead[n].gripper))
}

#[test]
fn what_an_exit_foresees_is_what_the_head_makes_of_its_own_feature() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let mut engine = engine(&bundle, 1);
    engine.embed(&golden.ids("embed.in.ids")).unwrap();
    show(&mut engine, &golden);
    engine.recall().unwrap();
    for k in 0..2 {
        engine.stage(k).unwrap();
        engine.act().unwrap();
        let at_exit = foreseen(&mut engine);
        assert_eq!(at_exit.dim(), (bundle.manifest.ahead - 1, 7));
        let (features, state) = (engine.features().unwrap(), engine.state().unwrap());
        engine.head(features.view(), &state).unwrap();
        assert_close(&at_exit, &foreseen(&mut engine), &format!("ahead at exit {k}"));
    }
}

#[test]
fn one_camera_can_look_anew_while_the_others_media_are_kept() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let mut engine = engine(&bundle, 0);
    engine.embed(&golden.ids("embed.in.ids")).unwrap();
    show(&mut engine, &golden);
    let feature = |engine: &mut OrtEngine| {
        engine.stage(0).unwrap();
        engine.features().unwrap()
    };
    let both = feature(&mut engine);
    // Drawn, but not looked at.
    engine.draw(1, &mut |mut image| image.fill(0.5));
    assert_eq!(feature(&mut engine), both);
    engine.look(1).unwrap();
    assert_ne!(feature(&mut engine), both);
    engine.draw(1, &mut |mut image| image.assign(&golden.array::<Ix4>("vision_gripper.in.image")));
    engine.look(1).unwrap();
    assert_eq!(feature(&mut engine), both);
}

#[test]
fn a_prompt_of_another_length_and_back_gives_the_same() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let mut engine = engine(&bundle, 1);
    let ids = golden.ids("embed.in.ids");
    let feature = |engine: &mut OrtEngine, ids: &[i64]| {
        engine.embed(ids).unwrap();
        engine.stage(0).unwrap();
        engine.stage(1).unwrap();
        engine.features().unwrap()
    };
    show(&mut engine, &golden);
    let wanted = feature(&mut engine, &ids);
    assert_ne!(feature(&mut engine, &ids[..2]), wanted);
    assert_eq!(feature(&mut engine, &ids), wanted);
}

#[test]
fn forty_gated_steps_take_pytorchs_exits_and_actions() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let raw = RawConfig { bundle: TOY.into(), ..RawConfig::default() };
    let settings = raw.check().unwrap().settings(&bundle).unwrap();
    let observer = Observer::new(&bundle).unwrap();
    let mut policy = Policy::new(engine(&bundle, settings.cap), &bundle.manifest, settings);
    let (static_frames, gripper_frames) = (golden.frames("rollout.static"), golden.frames("rollout.gripper"));
    let instructions = golden.instructions();
    let exits = golden.ids("rollout.exit");
    let (arm, open) = (golden.array::<Ix2>("rollout.arm"), golden.array::<Ix2>("rollout.gripper_open"));
    let deltas = golden.array::<Ix2>("rollout.deltas");
    for (t, frames) in static_frames.iter().zip(&gripper_frames).enumerate() {
        if let Some(text) = instructions.get(&t) {
            policy.start_epoch(&observer.ids(text).unwrap()).unwrap();
        }
        for (camera, frame) in [frames.0, frames.1].into_iter().enumerate() {
            policy.draw(camera, &mut |image| observer.draw(camera, frame, image));
        }
        let step = policy.step(&mut || Duration::ZERO).unwrap();
        assert_eq!(step.exit as i64, exits[t], "exit at step {t}");
        for (i, found) in step.arm.iter().enumerate() {
            assert!((found - arm[[t, i]]).abs() <= TOLERANCE, "arm {i} at step {t}: {found} {}", arm[[t, i]]);
        }
        assert!((step.gripper - open[[t, 0]]).abs() <= TOLERANCE, "gripper at step {t}");
        for (k, found) in step.deltas.iter().enumerate() {
            assert!((found - deltas[[t, k]]).abs() <= TOLERANCE, "delta {k} at step {t}");
        }
    }
    let state = policy.state().unwrap();
    assert_close(&state.h, &golden.array::<Ix3>("rollout.h"), "h after 40 steps");
    assert_close(&state.c, &golden.array::<Ix3>("rollout.c"), "c after 40 steps");
    let visited: std::collections::BTreeSet<_> = exits.into_iter().collect();
    assert!(visited.len() > 2, "a rollout that always takes the same exit proves little: {visited:?}");
}

#[test]
fn stages_beyond_the_cap_are_not_loaded_and_come_when_the_cap_is_raised() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let mut engine = engine(&bundle, 1);
    assert_eq!(engine.loaded(), 2);
    engine.embed(&golden.ids("embed.in.ids")).unwrap();
    show(&mut engine, &golden);
    let error = engine.stage(2).unwrap_err().to_string();
    assert!(error.contains("stage 2") && error.contains("2 are loaded"), "{error}");
    engine.load_to(2).unwrap();
    for k in 0..2 {
        engine.stage(k).unwrap();
    }
    engine.stage(2).unwrap();
    assert_close(&engine.features().unwrap(), &golden.array::<Ix2>("stage_02.out.feature"), "a stage loaded later");
    engine.load_to(0).unwrap();
    assert_eq!(engine.loaded(), 1);
}

/// A copy of the toy bundle whose manifest was changed by `change`.
fn changed(change: impl Fn(&mut serde_json::Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(TOY).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join("manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).unwrap();
    folder
}

fn rename(manifest: &mut serde_json::Value) {
    for place in ["/cameras/1/role", "/embodiment/cameras/1/role"] {
        *manifest.pointer_mut(place).unwrap() = "wrist".into();
    }
}

#[test]
fn a_shape_that_disagrees_with_the_graph_is_refused_with_both() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, [&str; 3]); 4] = [
        (|m| m["cameras"][0]["size"] = 32.into(), ["vision", "[1, 3, 32, 32]", "64"]),
        (rename, ["stages[0]", "media_wrist", "media_gripper"]),
        (|m| m["lstm"]["hidden"] = 31.into(), ["head", "[4, 124]", "128"]),
        (|m| m["media"]["tokens"] = 17.into(), ["vision", "17", "8"]),
    ];
    for (change, words) in cases {
        let folder = changed(change);
        let bundle = Bundle::open(folder.path()).unwrap();
        let Err(error) = OrtEngine::load(&bundle, 0, &Options::default()) else { panic!("{words:?} was accepted") };
        let error = error.to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    }
}

#[test]
fn thresholds_of_another_bundle_are_refused() {
    let folder = changed(|m| m["name"] = "another".into());
    let bundle = Bundle::open(folder.path()).unwrap();
    let raw = RawConfig { bundle: folder.path().display().to_string(), ..RawConfig::default() };
    let error = raw.check().unwrap().settings(&bundle).unwrap_err().to_string();
    assert!(error.contains(&bundle.hash) && error.contains("solve them again"), "{error}");
}

#[test]
fn the_whole_graph_gives_what_the_stages_in_turn_give() {
    let golden = Golden::read();
    let bundle = Bundle::open(TOY).unwrap();
    let mut engine = engine(&bundle, 5);
    engine.embed(&golden.ids("embed.in.ids")).unwrap();
    show(&mut engine, &golden);
    let mut whole = engine.load_whole().unwrap();
    whole.run().unwrap();
    let feature = whole.feature().unwrap();
    let expected = golden.array::<Ix2>("stage_05.out.feature");
    assert_close(&Array2::from_shape_vec((1, feature.len()), feature).unwrap(), &expected, "whole");
}

#[test]
fn a_provider_that_is_not_there_is_refused_with_the_mend() {
    let bundle = Bundle::open(TOY).unwrap();
    let options = Options { provider: deer_vla::engine::ort::Provider::Cuda, ..Options::default() };
    match OrtEngine::load(&bundle, 0, &options) {
        // A machine with a GPU has nothing to refuse.
        Ok(_) => (),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("cuda") && error.contains("onnxruntime-gpu"), "{error}");
        }
    }
}

/// Beside the bundle lies what its own deer_lab gave for three steps at full depth, on pictures whose columns rise.
#[test]
fn a_bundle_of_schema_1_acts_as_it_always_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema_1");
    let bundle = Bundle::open(&folder).unwrap();
    let rollout: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("rollout.json")).unwrap()).unwrap();
    let settings = Settings {
        thresholds: Thresholds::deepest(2),
        gauge: Metric::Rms.into(),
        cap: 1,
        deadline: None,
        plan: PlanLimits::default(),
    };
    let mut policy = Policy::new(engine(&bundle, 1), &bundle.manifest, settings);
    let ids: Vec<i64> = serde_json::from_value(rollout["ids"].clone()).unwrap();
    policy.start_epoch(&ids).unwrap();
    for (t, wanted) in rollout["steps"].as_array().unwrap().iter().enumerate() {
        for (camera, base) in [0.1, -0.4].into_iter().enumerate() {
            policy.draw(camera, &mut |mut image| {
                let side = image.dim().3 as f32;
                image.indexed_iter_mut().for_each(|((.., x), v)| *v = base + x as f32 / side * (t + 1) as f32);
            });
        }
        let step = policy.step(&mut || Duration::ZERO).unwrap();
        let arm: [f32; 6] = serde_json::from_value(wanted["arm"].clone()).unwrap();
        let deltas: Vec<f32> = serde_json::from_value(wanted["deltas"].clone()).unwrap();
        let found = step.arm.iter().chain(&step.deltas).zip(arm.iter().chain(&deltas));
        assert!(found.clone().all(|(a, b)| (a - b).abs() <= TOLERANCE), "step {t}: {:?}", found.collect::<Vec<_>>());
        assert_eq!(step.deltas.len(), 2);
    }
}
