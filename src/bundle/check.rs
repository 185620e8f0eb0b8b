//! What must hold in a manifest before anything trusts it.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::{BundleError, CameraSource, Embodiment, GripperSpec, Manifest};

type Checked = Result<(), BundleError>;

pub(super) fn manifest(manifest: &Manifest) -> Checked {
    paths(manifest)?;
    cameras(manifest)?;
    exits(manifest)?;
    parts(manifest)?;
    text(manifest)?;
    sizes(manifest)?;
    embodiment(manifest)?;
    gripper(&manifest.embodiment.gripper)
}

fn refuse(field: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> BundleError {
    BundleError::Value { field: field.into(), found: found.to_string(), expected: expected.into() }
}

fn paths(manifest: &Manifest) -> Checked {
    for name in manifest.files.keys() {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.is_empty() {
            return Err(refuse("files", format!("{name:?}"), "a path inside the bundle's folder"));
        }
    }
    let tokenizer = ("text.tokenizer".to_owned(), manifest.text.tokenizer.clone());
    let parts = manifest.parts.named().map(|(name, part)| (format!("parts.{name}.file"), part.file.clone()));
    for (field, file) in parts.chain([tokenizer]) {
        if !manifest.files.contains_key(&file) {
            return Err(refuse(field, format!("{file:?}"), "a file that `files` lists with its hash"));
        }
    }
    Ok(())
}

fn cameras(manifest: &Manifest) -> Checked {
    if manifest.cameras.is_empty() {
        return Err(refuse("cameras", "empty", "at least one camera"));
    }
    let mut roles = BTreeSet::new();
    for (i, camera) in manifest.cameras.iter().enumerate() {
        let role = &camera.role;
        let is_name = role.starts_with(|c: char| c.is_ascii_lowercase())
            && role.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            return Err(refuse(format!("cameras[{i}].role"), format!("{role:?}"), "a lower-case topic name"));
        }
        if !roles.insert(role) {
            return Err(refuse(format!("cameras[{i}].role"), format!("{role:?} a second time"), "each role once"));
        }
        if !(1..=4096).contains(&camera.size) {
            return Err(refuse(format!("cameras[{i}].size"), camera.size, "1 to 4096 pixels"));
        }
        if !camera.mean.iter().chain(&camera.std).all(|v| v.is_finite()) || camera.std.iter().any(|&v| v <= 0.0) {
            let found = format!("mean {:?}, std {:?}", camera.mean, camera.std);
            return Err(refuse(format!("cameras[{i}]"), found, "finite means and positive standard deviations"));
        }
    }
    Ok(())
}

fn exits(manifest: &Manifest) -> Checked {
    let exits = &manifest.exits;
    if exits.is_empty() || !exits.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(refuse("exits", format!("{exits:?}"), "layers in strictly increasing order"));
    }
    // The probe is the output of the layer before the first exit, so there must be one.
    if exits[0] == 0 {
        return Err(refuse("exits[0]", 0, "layer 1 or deeper: the first exit is compared with the layer before it"));
    }
    if manifest.parts.stages.len() != exits.len() {
        let expected = format!("{}, one an exit", exits.len());
        return Err(refuse("parts.stages", format!("{} long", manifest.parts.stages.len()), expected));
    }
    Ok(())
}

/// Schema 1 has one vision part and makes the head's recurrent products at every exit.
fn parts(manifest: &Manifest) -> Checked {
    let (eyes, parts) = (manifest.cameras.len(), &manifest.parts);
    let wanted = if manifest.sees_jointly() { 1 } else { eyes };
    if parts.vision.len() != wanted {
        return Err(refuse("parts.vision", format!("{} long", parts.vision.len()), format!("{wanted}, one a camera")));
    }
    if parts.head_state.is_some() == manifest.sees_jointly() {
        let found = if parts.head_state.is_some() { "there" } else { "missing" };
        return Err(refuse("parts.head_state", found, "a part in schema 2, none in schema 1"));
    }
    Ok(())
}

fn text(manifest: &Manifest) -> Checked {
    let text = &manifest.text;
    if text.template.matches("{instruction}").count() != 1 {
        return Err(refuse("text.template", format!("{:?}", text.template), "{instruction} in it, once"));
    }
    if !(1..=4096).contains(&text.max_tokens) {
        return Err(refuse("text.max_tokens", text.max_tokens, "1 to 4096"));
    }
    Ok(())
}

fn sizes(manifest: &Manifest) -> Checked {
    let sizes = [
        ("width", manifest.width),
        ("media.tokens", manifest.media.tokens),
        ("media.width", manifest.media.width),
        ("lstm.layers", manifest.lstm.layers),
        ("lstm.hidden", manifest.lstm.hidden),
    ];
    if let Some((field, size)) = sizes.iter().find(|(_, size)| !(1..=1 << 20).contains(size)) {
        return Err(refuse(*field, size, "1 to 1048576"));
    }
    let most = if manifest.sees_jointly() { 1 } else { 64 };
    if !(1..=most).contains(&manifest.ahead) {
        return Err(refuse("ahead", manifest.ahead, "1 to 64 control periods; 1 in schema 1"));
    }
    Ok(())
}

/// Of control and cameras, in Hz.
const RATES: std::ops::RangeInclusive<f64> = 0.1..=1000.0;

/// The six dimensions that a `TwistStamped` can carry, with their units.
const ARM: [(&str, &str); 6] = [("x", "m"), ("y", "m"), ("z", "m"), ("roll", "rad"), ("pitch", "rad"), ("yaw", "rad")];

fn embodiment(manifest: &Manifest) -> Checked {
    let Embodiment { control_hz, arm, cameras, .. } = &manifest.embodiment;
    if !RATES.contains(control_hz) {
        return Err(refuse("embodiment.control_hz", control_hz, "0.1 to 1000"));
    }
    let found: Vec<_> = arm.iter().map(|d| (d.name.as_str(), d.unit.as_str())).collect();
    if found != ARM {
        return Err(refuse("embodiment.arm", format!("{found:?}"), format!("{ARM:?}")));
    }
    for (i, dimension) in arm.iter().enumerate() {
        if !(dimension.scale.is_finite() && dimension.scale > 0.0) {
            return Err(refuse(format!("embodiment.arm[{i}].scale"), dimension.scale, "a positive number"));
        }
        if dimension.frame.is_empty() || dimension.frame != arm[0].frame {
            let expected = format!("a frame, the same for every axis: {:?} as arm[0]'s", arm[0].frame);
            return Err(refuse(format!("embodiment.arm[{i}].frame"), format!("{:?}", dimension.frame), expected));
        }
    }
    let (found, wanted): (Vec<&str>, Vec<&str>) =
        (cameras.iter().map(|c| c.role.as_str()).collect(), manifest.cameras.iter().map(|c| c.role.as_str()).collect());
    if found != wanted {
        return Err(refuse("embodiment.cameras", format!("{found:?}"), format!("{wanted:?}, the roles of `cameras`")));
    }
    for (i, CameraSource { width, height, rate_hz, crop, .. }) in cameras.iter().enumerate() {
        if *width == 0 || *height == 0 || !RATES.contains(rate_hz) {
            let found = format!("{width} x {height} at {rate_hz} Hz");
            return Err(refuse(format!("embodiment.cameras[{i}]"), found, "a size, and 0.1 to 1000 pictures a second"));
        }
        let within = |start: u32, length, side| length > 0 && start.checked_add(length).is_some_and(|end| end <= side);
        if let Some(crop) = crop.filter(|&[x, y, w, h]| !(within(x, w, *width) && within(y, h, *height))) {
            let expected = format!("left, top, width and height within {width} x {height} pixels");
            return Err(refuse(format!("embodiment.cameras[{i}].crop"), format!("{crop:?}"), expected));
        }
    }
    Ok(())
}

fn gripper(gripper: &GripperSpec) -> Checked {
    let GripperSpec { unit, open, closed, open_above, .. } = gripper;
    if !["m", "rad", "1"].contains(&unit.as_str()) {
        return Err(refuse(
            "embodiment.gripper.unit",
            format!("{unit:?}"),
            "m, rad, or 1 where positions have no unit",
        ));
    }
    if !(open.is_finite() && closed.is_finite() && open != closed) {
        let found = format!("open at {open}, closed at {closed}");
        return Err(refuse("embodiment.gripper", found, "two positions"));
    }
    if !(*open_above > 0.0 && *open_above < 1.0) {
        return Err(refuse("embodiment.gripper.open_above", open_above, "a probability between 0 and 1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Bundle, BundleError};
    use serde_json::{Value, json};
    use sha2::{Digest, Sha256};
    use std::fs;
    use tempfile::TempDir;

    const FILES: [&str; 7] = ["vision_static", "vision_gripper", "embed", "head_state", "head", "stage_00", "stage_01"];

    /// A bundle of empty files: enough for everything but the graphs' own shapes.
    fn valid() -> Value {
        let part = |file: &str| json!({"file": file, "parameters": 1, "bytes": 1, "macs": 1});
        let camera = |role: &str| json!({"role": role, "size": 8, "resize": "bicubic", "crop": "center", "mean": [0, 0, 0], "std": [1, 1, 1]});
        let source = |role: &str| json!({"role": role, "width": 640, "height": 480, "rate_hz": 30, "crop": null});
        let arm: Vec<_> = super::ARM
            .iter()
            .map(|(name, unit)| json!({"name": name, "unit": unit, "scale": 0.02, "frame": "base"}))
            .collect();
        let names = FILES.map(|name| format!("{name}.onnx")).into_iter().chain(["tokenizer.json".to_owned()]);
        let empty = format!("{:x}", Sha256::digest(b""));
        let files: serde_json::Map<_, _> = names.map(|n| (n, json!({"sha256": empty, "bytes": 0}))).collect();
        json!({
            "schema": 2, "name": "n", "license": "Apache-2.0", "description": "d", "made_by": "m", "files": files,
            "cameras": [camera("static"), camera("gripper")],
            "text": {"tokenizer": "tokenizer.json", "template": "<image>{instruction}", "max_tokens": 32},
            "width": 4, "media": {"tokens": 2, "width": 4}, "exits": [1, 3], "lstm": {"layers": 1, "hidden": 4},
            "ahead": 4,
            "embodiment": {"control_hz": 10, "arm": arm, "cameras": [source("static"), source("gripper")],
                           "gripper": {"name": "gripper", "unit": "rad", "open": 0, "closed": 0.8, "open_above": 0.5}},
            "parts": {"vision": [part("vision_static.onnx"), part("vision_gripper.onnx")], "embed": part("embed.onnx"),
                      "head_state": part("head_state.onnx"), "head": part("head.onnx"),
                      "stages": [part("stage_00.onnx"), part("stage_01.onnx")], "whole": null},
            "macs_tokens": 13,
        })
    }

    fn folder(manifest: &Value) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(format!("{name}.onnx")), "").unwrap();
        }
        fs::write(folder.path().join("tokenizer.json"), "").unwrap();
        fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
        folder
    }

    /// The sentence with which the bundle is refused after `pointer` was set to `value`.
    fn refusal(pointer: &str, value: Value) -> String {
        let mut manifest = valid();
        *manifest.pointer_mut(pointer).expect(pointer) = value;
        Bundle::open(folder(&manifest).path()).expect_err(pointer).to_string()
    }

    #[test]
    fn a_whole_bundle_opens() {
        let bundle = Bundle::open(folder(&valid()).path()).unwrap();
        assert_eq!((bundle.manifest.exits.len(), bundle.hash.len()), (2, 64));
    }

    #[test]
    fn every_refusal_says_what_was_found_and_what_was_expected() {
        for (pointer, value, words) in [
            ("/schema", json!(7), ["schema 7", "schema 1 to 2"]),
            ("/exits", json!([3, 1]), ["[3, 1]", "strictly increasing"]),
            ("/exits", json!([1, 1]), ["[1, 1]", "strictly increasing"]),
            ("/exits", json!([0, 1]), ["exits[0] is 0", "layer 1 or deeper"]),
            ("/exits", json!([1]), ["2 long", "expected 1"]),
            ("/cameras/1/role", json!("static"), ["\"static\" a second time", "each role once"]),
            ("/cameras/1/role", json!("../x"), ["../x", "topic name"]),
            ("/cameras/0/std", json!([1, 0, 1]), ["[1.0, 0.0, 1.0]", "positive"]),
            ("/text/template", json!("no slot"), ["no slot", "{instruction}"]),
            ("/parts/head/file", json!("other.onnx"), ["other.onnx", "`files` lists"]),
            ("/embodiment/arm/3/unit", json!("deg"), ["deg", "rad"]),
            ("/embodiment/arm/0/scale", json!(-1), ["-1", "positive"]),
            ("/embodiment/arm/0/frame", json!("tool"), ["tool", "base"]),
            ("/embodiment/control_hz", json!(0), ["is 0", "0.1 to 1000"]),
            ("/embodiment/cameras/1/role", json!("wrist"), ["wrist", "the roles of `cameras`"]),
            ("/embodiment/cameras/0/rate_hz", json!(0), ["640 x 480 at 0 Hz", "0.1 to 1000 pictures"]),
            ("/embodiment/cameras/0/crop", json!([100, 0, 541, 480]), ["[100, 0, 541, 480]", "within 640 x 480"]),
            ("/embodiment/gripper/unit", json!("inch"), ["inch", "m, rad"]),
            ("/embodiment/gripper/open", json!(0.8), ["open at 0.8, closed at 0.8", "two positions"]),
            ("/parts/vision", json!([]), ["0 long", "2, one a camera"]),
            ("/parts/head_state", json!(null), ["missing", "a part in schema 2"]),
            ("/embodiment/gripper/open_above", json!(1.5), ["1.5", "probability"]),
            ("/width", json!(0), ["is 0", "1 to 1048576"]),
            ("/ahead", json!(0), ["is 0", "1 to 64 control periods"]),
        ] {
            let sentence = refusal(pointer, value);
            assert!(words.iter().all(|word| sentence.contains(word)), "{pointer}: {sentence}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused_before_it_is_read() {
        for path in ["../secret", "/etc/passwd", "a/../../b", ""] {
            let mut manifest = valid();
            manifest["files"][path] = json!({"sha256": "", "bytes": 0});
            let error = Bundle::open(folder(&manifest).path()).unwrap_err().to_string();
            assert!(error.contains("inside the bundle's folder"), "{path}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = folder(&valid());
        fs::remove_file(folder.path().join("head.onnx")).unwrap();
        let error = Bundle::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("head.onnx") && error.contains("copy it whole"), "{error}");
    }

    #[test]
    fn a_changed_file_is_refused_with_both_hashes() {
        let folder = folder(&valid());
        fs::write(folder.path().join("head.onnx"), "changed").unwrap();
        let error = Bundle::open(folder.path()).unwrap_err();
        assert!(
            matches!(&error, BundleError::Hash { file, found, expected } if file == "head.onnx" && found != expected)
        );
    }

    #[test]
    fn a_stage_is_compared_by_its_size_when_the_bundle_is_opened_and_by_its_hash_when_it_is_loaded() {
        let mut manifest = valid();
        manifest["files"]["stage_01.onnx"]["sha256"] = json!("0".repeat(64));
        let folder = folder(&manifest);
        let bundle = Bundle::open(folder.path()).unwrap();
        bundle.verify_stage(0).unwrap();
        let error = bundle.verify_stage(1).unwrap_err();
        assert!(matches!(&error, BundleError::Hash { file, .. } if file == "stage_01.onnx"), "{error}");
        fs::write(folder.path().join("stage_01.onnx"), "short").unwrap();
        let error = Bundle::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("stage_01.onnx has 5 bytes") && error.contains("copy the bundle again"), "{error}");
    }

    #[test]
    fn an_unknown_field_and_a_missing_manifest_are_refused() {
        let mut manifest = valid();
        manifest["surprise"] = json!(1);
        let error = Bundle::open(folder(&manifest).path()).unwrap_err().to_string();
        assert!(error.contains("surprise"), "{error}");
        let error = Bundle::open(tempfile::tempdir().unwrap().path()).unwrap_err().to_string();
        assert!(error.contains("no manifest.json"), "{error}");
    }
}
