//! `deer_vla frames`: what the policy would have seen, and what was done.

use std::collections::BTreeMap;

use deer_vla::bag::{CompressedImage, Header, JointTrajectory, JointTrajectoryPoint, TwistStamped};
use serde::Deserialize;

use super::*;

/// Frames of a bag for the toy, in a folder of their own.
fn framed(folder: &TempDir, name: &str, bag: &Path, more: &[&str]) -> (PathBuf, Value, String) {
    let out = folder.path().join(name);
    let arguments = [&["frames", text(bag), "--bundle", TOY, "--out", text(&out)], more].concat();
    let output = deer_vla(&arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let index = serde_json::from_slice(&fs::read(out.join("frames.json")).unwrap()).unwrap();
    (out, index, told)
}

fn header(at: Stamp) -> Header {
    Header { stamp: at.into(), frame_id: "base".into() }
}

#[test]
fn the_steps_of_the_rollout_are_those_that_a_replay_acts_on() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let bag = rollout.bag(folder.path());
    let (out, frames, _) = framed(&folder, "frames", &bag, &[]);
    let replayed = decisions(&replayed(&folder, "replay", &bag, &[]));
    let steps = frames["steps"].as_array().unwrap();
    assert_eq!(steps.len(), replayed.len());
    for (step, decision) in steps.iter().zip(&replayed) {
        assert_eq!(step["stamp_ns"], decision["stamp"]);
        assert_eq!(frames["sentences"][step["sentence"].as_u64().unwrap() as usize], decision["instruction"]);
        assert_eq!(step["epoch"], decision["epoch"]);
        assert!(step["motion"].is_null() && step["gripper"].is_null());
    }
    // Pictures that have the policy's size already are left as they are.
    for (role, side) in [("static", 64), ("gripper", 48)] {
        let npy = fs::read(out.join(format!("{role}.npy"))).unwrap();
        let shown: Vec<u8> = rollout.pictures(role).into_iter().flat_map(|(_, rgb)| rgb).collect();
        assert!(npy[128..] == shown, "{role}");
        let shape = format!("({}, {side}, {side}, 3)", steps.len());
        assert!(String::from_utf8_lossy(&npy[..128]).contains(&shape), "{role}");
    }
}

/// A recording under somebody else's names: pictures, velocities and a gripper, and the sentence nowhere.
fn somebody_elses(path: &Path, stamped: bool) {
    let mut bag = BagWriter::create(path).unwrap();
    let jpeg = include_bytes!("../data/pictures/baseline.jpg");
    for step in 0..20 {
        let taken = if stamped { stamp(step) } else { Stamp(0) };
        let logged = |ms: i64| Stamp(stamp(step).0 + ms * 1_000_000);
        let mut data = jpeg.to_vec();
        if step == 7 {
            data.truncate(400);
        }
        let format = "rgb8; jpeg compressed bgr8".to_owned();
        let picture = CompressedImage { header: header(taken), format, data: data.into() };
        bag.write("/camera/color/image_raw/compressed", logged(2), &picture).unwrap();
        bag.write("/wrist_camera/image_raw", logged(3), &image(taken, (48, vec![step as u8; 48 * 48 * 3]))).unwrap();
        let twist = TwistStamped { header: header(taken), linear: [0.03, 0.0, -0.3], angular: [0.0, 0.0, 0.6] };
        bag.write("/servo_node/delta_twist_cmds", logged(4), &twist).unwrap();
        let points = vec![JointTrajectoryPoint { positions: vec![0.8, 0.1], ..Default::default() }];
        let joint_names = vec!["left".into(), "right".into()];
        let grip = JointTrajectory { header: Header::default(), joint_names, points };
        bag.write("/my_gripper/joint_trajectory", logged(5), &grip).unwrap();
    }
    bag.finish().unwrap();
}

#[test]
fn a_recording_under_other_names_is_guessed_told_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs");
    somebody_elses(&path, true);
    let error = refused(1, &["frames", text(&path), "--bundle", TOY, "--out", text(&folder.path().join("none"))]);
    assert_says(
        &error,
        &["which topic is the instruction?", "--sentence TEXT", "/wrist_camera/image_raw (sensor_msgs"],
    );
    let (out, frames, told) = framed(&folder, "out", &path, &["--sentence", "pull the drawer", "--sheet"]);
    let guesses = [
        "the static camera is /camera/color",
        "the gripper camera is /wrist_camera",
        "the motion is /servo_node",
        "the gripper is /my_gripper",
    ];
    assert_says(&told, &guesses);
    assert_says(&told, &["left out 1 messages of /camera/color/image_raw/compressed:", "cut short"]);
    let steps = frames["steps"].as_array().unwrap();
    assert_eq!((steps.len(), frames["sentences"][0].as_str()), (19, Some("pull the drawer")));
    let moved: Vec<f64> = serde_json::from_value(steps[3]["motion"].clone()).unwrap();
    let expected = [0.001, 0.0, -0.01, 0.0, 0.0, 0.02];
    assert!(moved.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{moved:?}");
    assert_eq!(steps[3]["gripper"], 0.8);
    assert!(fs::read(out.join("sheet.png")).unwrap().len() > 5000);
}

#[test]
fn a_source_file_says_what_cannot_be_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, source) = (folder.path().join("theirs"), folder.path().join("source.yaml"));
    somebody_elses(&path, true);
    fs::write(
        &source,
        "cameras: {static: {topic: /camera/color/image_raw/compressed, crop: [0, 0, 32, 48], encoding: bgr8}}\n\
         instruction: {sentence: go}\ngripper: {topic: /my_gripper/joint_trajectory, joint: right}\nrate: 10\n",
    )
    .unwrap();
    let (out, frames, told) = framed(&folder, "out", &path, &["--source", text(&source), "--rate", "10"]);
    assert!(!told.contains("rate"), "it is what the source says: {told}");
    let steps = frames["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["gripper"], &frames["rate_hz"]), (7, &0.1.into(), &10.0.into()));
    let (plain, _, _) = framed(
        &folder,
        "plain",
        &path,
        &["--sentence", "go", "--topic", "gripper_command=/my_gripper/joint_trajectory"],
    );
    assert_ne!(
        fs::read(out.join("static.npy")).unwrap()[128..500],
        fs::read(plain.join("static.npy")).unwrap()[128..500]
    );
    let results = folder.path().join("replay");
    let replay = ["replay", TOY, text(&path), "--source", text(&source), "--out", text(&results)];
    let stderr = String::from_utf8(deer_vla(&replay).stderr).unwrap();
    assert_says(&stderr, &["note: the source's rate of 10 is not used: the policy has 30 steps a second"]);
    done(&[
        "calibrate",
        TOY,
        text(&path),
        "--source",
        text(&source),
        "--window",
        "3",
        "--out",
        text(&folder.path().join("c.json")),
    ]);
    fs::write(&source, "cameras: {wrist: /wrist_camera/image_raw}").unwrap();
    assert_says(&refused(1, &replay), &["wrist", "static, gripper"]);
}

#[test]
fn pictures_without_stamps_are_used_by_the_log_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs");
    somebody_elses(&path, false);
    let (_, frames, told) = framed(&folder, "header", &path, &["--sentence", "go"]);
    assert_eq!(frames["steps"].as_array().unwrap().len(), 0);
    assert_says(&told, &["no capture time", "--clock log"]);
    let (_, frames, _) = framed(&folder, "log", &path, &["--sentence", "go", "--clock", "log"]);
    assert_eq!(frames["steps"].as_array().unwrap().len(), 19);
    done(&[
        "replay",
        TOY,
        text(&path),
        "--sentence",
        "go",
        "--clock",
        "log",
        "--out",
        text(&folder.path().join("replay")),
    ]);
}

/// One recording of tests/contracts/pairing.json: camera, stamp and log time of each picture in milliseconds, and the sets.
#[derive(Deserialize)]
struct Contract {
    rate_hz: f64,
    #[serde(default)]
    log: bool,
    /// When each was logged; where there is none, one is said for all.
    #[serde(default)]
    sentences: Vec<(i64, String)>,
    pictures: Vec<(usize, i64, i64)>,
    /// The stamps, or log times where those count, of the pictures of each set.
    sets: Vec<[i64; 2]>,
}

#[test]
fn which_pictures_belong_together_is_as_the_contract_says() {
    let contracts = include_str!("../contracts/pairing.json");
    let contracts: BTreeMap<String, Contract> = serde_json::from_str(contracts).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, Contract { rate_hz, log, sentences, pictures, sets }) in contracts {
        let path = folder.path().join(&name);
        let mut bag = BagWriter::create(&path).unwrap();
        for (logged, data) in &sentences {
            bag.write("/instruction", Stamp(logged * 1_000_000), &Text { data: data.clone() }).unwrap();
        }
        for (camera, taken, logged) in pictures {
            let picture = image(Stamp(taken * 1_000_000), (48, vec![7; 48 * 48 * 3]));
            bag.write(["/static/image", "/gripper/image"][camera], Stamp(logged * 1_000_000), &picture).unwrap();
        }
        bag.finish().unwrap();
        let rate = rate_hz.to_string();
        let clock = if log { "log" } else { "header" };
        let mut more = vec!["--rate", &rate, "--clock", clock];
        more.extend(if sentences.is_empty() { vec!["--sentence", "go"] } else { Vec::new() });
        let (_, frames, _) = framed(&folder, &format!("{name}-frames"), &path, &more);
        let found: Vec<[i64; 2]> = (frames["steps"].as_array().unwrap().iter())
            .map(|step| serde_json::from_value::<[i64; 2]>(step["stamps_ns"].clone()).unwrap().map(|ns| ns / 1_000_000))
            .collect();
        assert_eq!(found, sets, "{name}");
    }
}
