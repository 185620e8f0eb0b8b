//! The built `deer_vla`, from its arguments to its exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use deer_vla::bag::{Bag, BagWriter, Header, Image, Stored, Text};
use deer_vla::units::Stamp;
use safetensors::SafeTensors;
use serde_bytes::ByteBuf;
use serde_json::Value;
use tempfile::TempDir;

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy");
const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/foreign_bag");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/toy_golden.safetensors");
const PERIOD_NS: i64 = 33_333_333;

fn deer_vla(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deer_vla")).args(arguments).output().unwrap()
}

/// Standard output of a call that must succeed.
fn done(arguments: &[&str]) -> String {
    let output = deer_vla(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a call that must fail with this exit code.
fn refused(code: i32, arguments: &[&str]) -> String {
    let output = deer_vla(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

fn assert_says(sentence: &str, words: &[&str]) {
    assert!(words.iter().all(|word| sentence.contains(word)), "{words:?} in: {sentence}");
}

/// The rollout that PyTorch was asked for, and what it answered.
struct Rollout {
    bytes: Vec<u8>,
}

impl Rollout {
    fn read() -> Self {
        Self { bytes: fs::read(GOLDEN).unwrap() }
    }

    /// The pictures of a camera, each with its side.
    fn pictures(&self, role: &str) -> Vec<(u32, Vec<u8>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(&format!("rollout.{role}")).unwrap();
        let [_, side, _, _] = *view.shape() else { panic!("[steps, side, side, 3]") };
        view.data().chunks_exact(side * side * 3).map(|rgb| (side as u32, rgb.to_vec())).collect()
    }

    fn exits(&self) -> Vec<i64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let exits = tensors.tensor("rollout.exit").unwrap();
        exits.data().chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    fn arm(&self) -> Vec<Vec<f64>> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let arm = tensors.tensor("rollout.arm").unwrap();
        let values = arm.data().chunks_exact(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())));
        values.collect::<Vec<_>>().chunks_exact(6).map(<[f64]>::to_vec).collect()
    }

    fn instructions(&self) -> BTreeMap<usize, String> {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).unwrap();
        let text = &metadata.metadata().as_ref().unwrap()["instructions"];
        let map: BTreeMap<String, String> = serde_json::from_str(text).unwrap();
        map.into_iter().map(|(step, text)| (step.parse().unwrap(), text)).collect()
    }

    /// The rollout as a recorder would have stored it.
    fn bag(&self, folder: &Path) -> PathBuf {
        let path = folder.join("rollout");
        let mut bag = BagWriter::create(&path).unwrap();
        let instructions = self.instructions();
        for (step, (scene, hand)) in self.pictures("static").into_iter().zip(self.pictures("gripper")).enumerate() {
            let stamp = stamp(step);
            if let Some(text) = instructions.get(&step) {
                bag.write("/instruction", Stamp(stamp.0 - 1), &Text { data: text.clone() }).unwrap();
            }
            bag.write("/static/image", stamp, &image(stamp, scene)).unwrap();
            bag.write("/gripper/image", stamp, &image(stamp, hand)).unwrap();
        }
        bag.finish().unwrap();
        path
    }
}

fn stamp(step: usize) -> Stamp {
    Stamp(1_700_000_000_000_000_000 + step as i64 * PERIOD_NS)
}

fn image(stamp: Stamp, (side, rgb): (u32, Vec<u8>)) -> Image {
    let header = Header { stamp: stamp.into(), frame_id: "camera".into() };
    let data = ByteBuf::from(rgb);
    Image { header, height: side, width: side, encoding: "rgb8".into(), is_bigendian: 0, step: side * 3, data }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn decisions(out: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(out.join("decisions.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Decisions less what depends on how fast the machine is.
fn untimed(out: &Path) -> Vec<Value> {
    let mut decisions = decisions(out);
    for decision in &mut decisions {
        decision.as_object_mut().unwrap().remove("total_ms").unwrap();
        if let Some(step) = decision["decision"].as_object_mut() {
            step.remove("timing").unwrap();
        }
    }
    decisions
}

/// Replays a bag into a folder of its own; gives that folder.
fn replayed(folder: &TempDir, name: &str, bag: &Path, more: &[&str]) -> PathBuf {
    let out = folder.path().join(name);
    done(&[&["replay", TOY, text(bag), "--out", text(&out)], more].concat());
    out
}

#[cfg(not(feature = "ros"))]
#[test]
fn doctor_says_how_to_get_it_where_it_was_built_without_ros() {
    assert_says(&refused(2, &["doctor", "--ros-args", "-r", "a:=b"]), &["without ROS 2", "--features ros"]);
    assert_says(&refused(2, &["doctor", "--seconds", "0"]), &["--seconds", "0.1 to 600"]);
}

#[test]
fn a_replay_of_the_rollout_takes_pytorchs_exits_and_actions() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let out = replayed(&folder, "out", &rollout.bag(folder.path()), &[]);
    let decisions = decisions(&out);
    let exits: Vec<_> = decisions.iter().map(|d| d["decision"]["exit"].as_i64().unwrap()).collect();
    assert_eq!(exits, rollout.exits());
    for (step, (decision, expected)) in decisions.iter().zip(rollout.arm()).enumerate() {
        let arm = decision["decision"]["arm"].as_array().unwrap();
        for (found, expected) in arm.iter().zip(expected) {
            assert!((found.as_f64().unwrap() - expected).abs() <= 1e-4, "step {step}: {found} {expected}");
        }
        assert_eq!(decision["stamp"], stamp(step).0, "the clock stands at the newest picture");
        assert_eq!(decision["epoch"], if step < 20 { 1 } else { 2 });
    }
}

#[test]
fn the_commands_are_a_bag_with_a_twist_and_a_decision_a_step() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let out = replayed(&folder, "out", &rollout.bag(folder.path()), &[]);
    let bag = Bag::open(out.join("commands")).unwrap();
    let topic = |name: &str| (bag.topics()[name].message_type.as_str(), bag.topics()[name].messages);
    assert_eq!(topic("/deer_vla/twist"), ("geometry_msgs/msg/TwistStamped", 40));
    assert_eq!(topic("/deer_vla/decision"), ("diagnostic_msgs/msg/DiagnosticStatus", 40));
    let (gripper_type, gripper_messages) = topic("/deer_vla/gripper");
    assert_eq!(gripper_type, "trajectory_msgs/msg/JointTrajectory");
    assert!((2..40).contains(&gripper_messages), "once an epoch and on change, not at every step");
    let twists: Vec<Stored> = bag.messages(&["/deer_vla/twist"]).map(Result::unwrap).collect();
    let first: deer_vla::bag::TwistStamped = cdr::deserialize(&twists[0].data).unwrap();
    let expected: Vec<f64> = serde_json::from_value(decisions(&out)[0]["twist"]["linear"].clone()).unwrap();
    assert_eq!((first.linear.to_vec(), first.header.frame_id.as_str()), (expected, "base"));
}

#[test]
fn a_replay_repeats_to_the_bit() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let bag = rollout.bag(folder.path());
    let (first, second) = (replayed(&folder, "a", &bag, &[]), replayed(&folder, "b", &bag, &[]));
    assert_eq!(untimed(&first), untimed(&second));
}

#[test]
fn gate_and_budget_decide_how_deep_a_replay_goes() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let bag = rollout.bag(folder.path());
    let exits = |name: &str, more: &[&str]| -> Vec<i64> {
        let out = replayed(&folder, name, &bag, more);
        decisions(&out).iter().map(|d| d["decision"]["exit"].as_i64().unwrap()).collect()
    };
    assert_eq!(exits("never", &["--thresholds=-1,-1,-1,-1,-1"]), [5; 40]);
    assert_eq!(exits("always", &["--thresholds", "9,9,9,9,9", "--metric", "max"]), [0; 40]);
    assert_eq!(exits("peak", &["--thresholds=-1,-1,-1,-1,-1", "--peak", "0.0016"]), [1; 40]);
}

#[test]
fn a_bag_of_another_writer_with_jpeg_padding_and_zstd_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let topic = ["--topic", "static=/static/image/compressed"];
    let out = replayed(&folder, "out", Path::new(FOREIGN), &topic);
    let verdicts: Vec<_> = decisions(&out).iter().map(|d| d["verdict"].as_str().unwrap().to_owned()).collect();
    assert_eq!(verdicts[..2], ["hold_no_instruction"; 2]);
    assert_eq!(verdicts[2..], ["act"; 10]);
    let said = replayed(&folder, "said", Path::new(FOREIGN), &[&topic[..], &["--instruction", "push"]].concat());
    assert!(decisions(&said).iter().all(|d| d["instruction"] == "push" && d["verdict"] == "act"));
}

#[test]
fn pictures_that_cannot_be_read_are_counted_and_the_rest_is_replayed() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let path = folder.path().join("spoiled");
    let mut bag = BagWriter::create(&path).unwrap();
    bag.write("/instruction", Stamp(1), &Text { data: "lift".into() }).unwrap();
    for (step, scene) in rollout.pictures("static").into_iter().enumerate().take(4) {
        let mut picture = image(stamp(step), scene);
        bag.write("/gripper/image", stamp(step), &picture).unwrap();
        if step == 2 {
            picture.encoding = "yuv422".into();
        }
        bag.write("/static/image", stamp(step), &picture).unwrap();
    }
    bag.finish().unwrap();
    let out = folder.path().join("out");
    let output = deer_vla(&["replay", TOY, text(&path), "--out", text(&out)]);
    let summary = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), decisions(&out).len()), (Some(0), 3), "{summary}");
    assert_says(
        &summary,
        &["not read 1 times: /static/image", "yuv422", "3 answers: act 3", "GMAC a step", "ms a step"],
    );
}

#[test]
fn what_was_read_before_a_bag_breaks_off_is_replayed_and_the_end_is_an_error() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let whole = fs::read(rollout.bag(folder.path()).join("rollout_0.mcap")).unwrap();
    let (cut, out) = (folder.path().join("cut.mcap"), folder.path().join("out"));
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let error = refused(1, &["replay", TOY, text(&cut), "--out", text(&out)]);
    assert_says(&error, &["cut short or damaged after message", "cut.mcap"]);
    let exits: Vec<_> = decisions(&out).iter().map(|d| d["decision"]["exit"].as_i64().unwrap()).collect();
    assert!(!exits.is_empty() && rollout.exits().starts_with(&exits), "{exits:?}");
    assert_eq!(Bag::open(out.join("commands")).unwrap().topics()["/deer_vla/twist"].messages, exits.len() as u64);
}

#[test]
fn an_interrupted_replay_leaves_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("long"), folder.path().join("out"));
    let mut bag = BagWriter::create(&path).unwrap();
    for step in 0..5000 {
        let picture = image(stamp(step), (16, vec![step as u8; 16 * 16 * 3]));
        bag.write("/static/image", stamp(step), &picture).unwrap();
        bag.write("/gripper/image", stamp(step), &picture).unwrap();
    }
    bag.finish().unwrap();
    let arguments = ["replay", TOY, text(&path), "--instruction", "lift", "--out", text(&out)];
    let mut command = Command::new(env!("CARGO_BIN_EXE_deer_vla"));
    let replay = command.args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    while !out.join("commands").exists() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &replay.id().to_string()]).status().unwrap().success());
    let output = replay.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_says(&error, &["interrupted", "written"]);
    let twists = Bag::open(out.join("commands")).unwrap().topics().get("/deer_vla/twist").map_or(0, |t| t.messages);
    assert_eq!((decisions(&out).len() as u64, twists < 5000), (twists, true));
}

#[test]
fn a_replay_that_cannot_start_says_why_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let refusal = |code: i32, bag: &str, more: &[&str]| {
        let error = refused(code, &[&["replay", TOY, bag, "--out", text(&out)], more].concat());
        assert!(!out.exists(), "{error}");
        error
    };
    let there = ["no topic /static/image;", "/static/image/compressed (sensor_msgs/msg/CompressedImage)", "--topic"];
    assert_says(&refusal(1, FOREIGN, &[]), &there);
    let wrong = refusal(1, FOREIGN, &["--topic", "static=/joint_states"]);
    assert_says(&wrong, &["/joint_states carries sensor_msgs/msg/JointState", "expected sensor_msgs/msg/Image"]);
    assert_says(&refusal(1, FOREIGN, &["--topic", "wrist=/x"]), &["wrist", "static, gripper, instruction"]);
    assert_says(&refusal(1, FOREIGN, &["--topic", "static=/gripper/image"]), &["/gripper/image", "two inputs"]);
    assert_says(&refusal(2, FOREIGN, &["--topic", "static"]), &["INPUT=TOPIC"]);
    assert_says(&refusal(2, FOREIGN, &["--metric", "l2"]), &["rms", "cosine"]);
    assert_says(&refusal(1, "/nowhere", &[]), &["/nowhere", "cannot be read"]);
    assert_says(&refusal(1, TOY, &[]), &["not a bag"]);
    let sqlite = folder.path().join("old.db3");
    fs::write(&sqlite, "SQLite format 3\0").unwrap();
    assert_says(&refusal(1, text(&sqlite), &[]), &["sqlite3", "rosbags-convert --src", "--dst-storage mcap"]);
    let few = ["--topic", "static=/static/image/compressed", "--thresholds", "0.1"];
    assert_says(&refusal(1, FOREIGN, &few), &["1 thresholds for 6 exits"]);
    let small = ["--topic", "static=/static/image/compressed", "--peak", "0.0001"];
    assert_says(&refusal(1, FOREIGN, &small), &["budget.peak", "first exit"]);
}

#[test]
fn earlier_results_are_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let topic = ["--topic", "static=/static/image/compressed"];
    let out = replayed(&folder, "out", Path::new(FOREIGN), &topic);
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let again = [&["replay", TOY, FOREIGN, "--out", text(&out)], &topic[..]].concat();
    assert_says(&refused(1, &again), &["decisions.jsonl exists", "--force"]);
    done(&[&again[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(out.join("notes.txt")).unwrap(), "mine", "only its own results are replaced");
}

#[test]
fn check_prints_the_bundle_its_costs_and_the_library_that_runs_it() {
    let table = done(&["check", TOY]);
    let words = ["toy:", "Apache-2.0", "static 64 px, gripper 48 px", "onnxruntime", "libonnxruntime", "cpu", "rms"];
    assert_says(&table, &words);
    assert_says(&table, &["thresholds.json", "stages[5]", "whole", "LLM GMAC", "memory MB"]);
    let exits: Vec<_> = table.lines().skip_while(|line| !line.starts_with("exit ")).skip(1).take(6).collect();
    assert!(exits[5].ends_with("cap") && exits[5].contains("none"), "{table}");
    let capped = done(&["check", TOY, "--peak", "0.0016", "--thresholds", "0.5,-1,0.5,0.5,0.5"]);
    let exits: Vec<_> = capped.lines().skip_while(|line| !line.starts_with("exit ")).skip(1).take(6).collect();
    assert!(exits[0].contains("0.5") && exits[1].ends_with("cap") && exits[2].contains("not loaded"), "{capped}");
    assert_says(&capped, &["command line"]);
}

#[test]
fn check_refuses_what_is_no_bundle_a_changed_one_and_a_library_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&refused(1, &["check", text(folder.path())]), &["deer_vla: no manifest.json"]);
    for entry in fs::read_dir(TOY).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::write(folder.path().join("head.data"), "changed").unwrap();
    assert_says(&refused(1, &["check", text(folder.path())]), &["head.data has sha256"]);
    let error = refused(1, &["check", TOY, "--onnxruntime", "/nowhere/libonnxruntime.so"]);
    assert_says(&error, &["/nowhere/libonnxruntime.so", "does not exist", "ORT_DYLIB_PATH"]);
    assert_eq!(error.matches("does not exist").count(), 1, "a cause is told once: {error}");
    refused(2, &["check"]);
    refused(2, &["check", TOY, "--provider", "gpu"]);
    refused(2, &[]);
}

#[test]
fn bench_measures_every_part_and_the_whole() {
    let json: Value = serde_json::from_str(&done(&["bench", TOY, "--steps", "3", "--json"])).unwrap();
    let parts: Vec<_> = json["parts_ms"].as_array().unwrap().iter().map(|part| part[0].as_str().unwrap()).collect();
    assert_eq!(parts[..3], ["pictures", "embed", "vision"]);
    assert_eq!(parts.len(), 3 + 6 + 1);
    assert!(json["staged_against_whole"]["paired_ratio"]["median"].as_f64().unwrap() > 0.0);
    let share = json["overhead_share"]["median"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&share), "{share}");
    assert_eq!(json["caps"].as_array().unwrap().len(), 6);
    assert_says(&done(&["bench", TOY, "--steps", "1"]), &["staged / whole", "overhead", "resident MB"]);
    refused(2, &["bench", TOY, "--steps", "0"]);
}

#[test]
fn report_draws_a_replays_exits_and_refuses_what_is_no_decision() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let out = replayed(&folder, "out", &rollout.bag(folder.path()), &[]);
    let plots = folder.path().join("plots");
    done(&["report", text(&out.join("decisions.jsonl")), "--out", text(&plots)]);
    let svg = fs::read_to_string(plots.join("exits.svg")).unwrap();
    assert_says(&svg, &["mean exit", "40 steps", "seconds since the first decision", &rollout.instructions()[&20]]);
    let picture = image::open(plots.join("exits.png")).unwrap().into_rgb8();
    let dark = picture.pixels().filter(|pixel| pixel.0.iter().all(|&v| v < 90)).count();
    assert!(dark > 2000, "axes and letters are drawn where no font is installed, too: {dark}");
    let empty = folder.path().join("empty.jsonl");
    fs::write(&empty, "\n").unwrap();
    assert_says(&refused(1, &["report", text(&empty), "--out", text(&plots)]), &["no decisions", "empty.jsonl"]);
    fs::write(&empty, "{\"stamp\": 1}\n").unwrap();
    assert_says(&refused(1, &["report", text(&empty), "--out", text(&plots)]), &["line 1", "verdict"]);
}

#[test]
fn report_compares_results_in_tables_and_curves() {
    let folder = TempDir::new().unwrap();
    let results = |name: &str, length: f64, gmac: f64| {
        let cost = serde_json::json!({"exits": [3, 1], "llm_gmac": gmac, "whole_gmac": gmac + 0.02, "llm_ms": 1.0, "step_ms": 2.0});
        let summary =
            serde_json::json!({"chains": 9, "average_length": length, "interval": [length - 0.2, length + 0.2]});
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let taken = [0, 0, 1, 0].map(|exit| serde_json::json!({"exit": exit}));
        let chains = serde_json::json!([{"outcomes": [{"task": "open_drawer", "taken": taken}]}]);
        let results = serde_json::json!({"summary": summary, "compute": {"all_steps": cost}, "chains": chains});
        fs::write(&path, results.to_string()).unwrap();
        path
    };
    let (small, large) = (results("small.json", 1.5, 0.01), results("large.json", 2.25, 0.03));
    let full = results("full & whole/results.json", 2.5, 0.04);
    let out = folder.path().join("report");
    let gated = [small, large].map(|path| format!("gated={}", text(&path)));
    done(&["report", &gated[0], &gated[1], text(&full), "--out", text(&out)]);
    let table = fs::read_to_string(out.join("report.md")).unwrap();
    assert_says(&table, &["| gated |", "1.50 [1.30, 1.70]", "| full & whole |", "0.0600", "success_by_gflop.svg"]);
    assert_eq!(table.lines().filter(|line| line.starts_with("| gated")).count(), 2);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert_says(&page, &["<td>full &amp; whole</td>", "2.25 [2.05, 2.45]", "success_by_ms.svg", "exits.svg"]);
    let curve = fs::read_to_string(out.join("success_by_gflop.svg")).unwrap();
    assert_says(&curve, &["gated", "average length of five", "GFLOP of the language model"]);
    let course = fs::read_to_string(out.join("course_1.svg")).unwrap();
    assert_says(&course, &["gated: mean exit, 0 (white) to 1 (blue)", "open_drawer", "course of the task"]);
    assert!(image::open(out.join("success_by_ms.png")).is_ok() && image::open(out.join("exits.png")).is_ok());

    let broken = folder.path().join("broken.json");
    fs::write(&broken, r#"{"summary": {"chains": 1, "average_length": 1.0, "interval": [1.0, 1.0]}, "compute": null}"#)
        .unwrap();
    assert_says(&refused(1, &["report", text(&broken), "--out", text(&out)]), &["broken.json has no compute"]);
    fs::write(&broken, "[]").unwrap();
    assert_says(&refused(1, &["report", text(&broken), "--out", text(&out)]), &["broken.json is no results file"]);
    assert_says(&refused(1, &["report", "a.jsonl", "b.json", "--out", text(&out)]), &["decisions alone"]);
}

/// The toy's calibration on the rollout, in a folder.
fn calibrated(folder: &TempDir) -> PathBuf {
    let bag = Rollout::read().bag(folder.path());
    let out = folder.path().join("calibration.json");
    done(&["calibrate", TOY, text(&bag), "--seed", "3", "--out", text(&out)]);
    out
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_calibration_holds_six_samples_a_window_and_repeats_to_the_byte() {
    let folder = TempDir::new().unwrap();
    let out = calibrated(&folder);
    let calibration = json(&out);
    assert_eq!(calibration["exits"], serde_json::json!([1, 3, 5, 7, 9, 11]));
    let samples = calibration["deltas"][0].as_array().unwrap().len();
    assert!(samples >= 12 && samples.is_multiple_of(6), "{samples}");
    assert!(calibration["errors"][5].as_array().unwrap().iter().all(|error| error == 0.0));
    let again = TempDir::new().unwrap();
    assert_eq!(fs::read(calibrated(&again)).unwrap(), fs::read(&out).unwrap());
}

#[test]
fn a_calibration_that_was_stopped_goes_on_from_the_last_finished_recording() {
    let folder = TempDir::new().unwrap();
    let (many, rollout) = (folder.path().join("many"), Rollout::read());
    for place in 0..4 {
        rollout.bag(&many.join(place.to_string()));
        fs::rename(many.join(format!("{place}/rollout")), many.join(format!("rollout_{place}"))).unwrap();
    }
    let (whole, out) = (folder.path().join("whole.json"), folder.path().join("stopped.json"));
    done(&["calibrate", TOY, text(&many), "--seed", "3", "--out", text(&whole)]);

    let stopped = ["calibrate", TOY, text(&many), "--seed", "3", "--out", text(&out)];
    let unfinished = folder.path().join("stopped.unfinished.jsonl");
    let lines = || fs::read_to_string(&unfinished).map_or(0, |text| text.lines().count());
    let mut command = Command::new(env!("CARGO_BIN_EXE_deer_vla"));
    let mut calibrate = command.args(stopped).stderr(Stdio::piped()).spawn().unwrap();
    while lines() < 2 && calibrate.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &calibrate.id().to_string()]).status().unwrap().success());
    let output = calibrate.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&output.stderr), &["interrupted", "goes on"]);
    assert!((2..5).contains(&lines()) && !out.exists(), "the job and what was finished: {}", lines());

    let other = ["calibrate", TOY, text(&many), "--seed", "4", "--out", text(&out)];
    assert_says(&refused(1, &other), &["other settings", "stopped.unfinished.jsonl"]);
    let cut_off = fs::read_to_string(&unfinished).unwrap() + "{\"sha256\": \"12";
    fs::write(&unfinished, cut_off).unwrap();
    done(&stopped);
    assert!(!unfinished.exists());
    assert_eq!(fs::read(&out).unwrap(), fs::read(&whole).unwrap());
}

#[test]
fn a_calibration_needs_recordings_with_instructions_of_a_windows_length() {
    let folder = TempDir::new().unwrap();
    let bag = Rollout::read().bag(folder.path());
    let out = folder.path().join("never.json");
    let calibrate =
        |bag: &Path, more: &[&str]| refused(1, &[&["calibrate", TOY, text(bag), "--out", text(&out)], more].concat());
    assert_says(&calibrate(&bag, &["--window", "100"]), &["1 recordings gave no sample", "100 frames", "no samples"]);
    fs::remove_file(folder.path().join("never.unfinished.jsonl")).unwrap();
    let nothing = folder.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    assert_says(&calibrate(&nothing, &[]), &["nothing is no recording and holds none", "metadata.yaml"]);
    assert_says(&calibrate(&folder.path().join("nowhere"), &[]), &["nowhere cannot be read"]);
    assert!(!out.exists());
    refused(2, &["calibrate", TOY]);
    refused(2, &["calibrate", TOY, text(&bag), "--window", "2"]);
}

#[test]
fn a_budget_becomes_thresholds_that_the_bundle_takes() {
    let folder = TempDir::new().unwrap();
    let (calibration, out) = (calibrated(&folder), folder.path().join("thresholds.json"));
    let full: f64 = 2.3e6; // multiply-accumulates of the toy's stages and heads, roughly
    for method in ["shares", "direct"] {
        let solve = ["solve", TOY, "--calibration", text(&calibration), "--out", text(&out), "--method", method];
        let output = deer_vla(&[&solve[..], &["--average", "1.4MFLOP", "--held-out", text(&calibration)]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_says(&String::from_utf8_lossy(&output.stderr), &["cap: exit 5", "whole model", "held out"]);
        let thresholds = json(&out);
        assert_eq!(thresholds["thresholds"].as_array().unwrap().len(), 6);
        assert_eq!(thresholds["thresholds"][5], Value::Null);
        let expected = thresholds["budget"]["expected_average"]["value"].as_f64().unwrap() * 1e9;
        assert!((0.3 * full..0.9 * full).contains(&expected), "{expected}");
    }
}

#[test]
fn a_budget_that_cannot_be_met_names_the_nearest_that_can() {
    let folder = TempDir::new().unwrap();
    let calibration = calibrated(&folder);
    let solve = |more: &[&str]| {
        let out = folder.path().join("never.json");
        let error =
            refused(1, &[&["solve", TOY, "--calibration", text(&calibration), "--out", text(&out)], more].concat());
        assert!(!out.exists());
        error
    };
    for (budget, told, before) in [
        ("--average", "cannot be met", "nearest that can is "),
        ("--peak", "--peak", "first exit needs "),
        ("--memory", "--memory", "first exit needs "),
    ] {
        let unit = if budget == "--memory" { "MB" } else { "MFLOP" };
        let error = solve(&[budget, &format!("0.001{unit}")]);
        assert_says(&error, &[told, before]);
        // What it names can be met.
        let nearest = error.split(before).nth(1).unwrap().split_whitespace().next().unwrap();
        let nearest = format!("{nearest}{}", if budget == "--memory" { "GB" } else { "GFLOP" });
        let out = folder.path().join("nearest.json");
        done(&["solve", TOY, "--calibration", text(&calibration), "--out", text(&out), budget, &nearest]);
        let first = json(&out)["budget"]["expected_shares"][0].as_f64().unwrap();
        assert!(first > 0.9, "{budget} {nearest}: all or nearly all end at the first exit: {first}");
    }
    assert_says(&refused(1, &["solve", TOY, "--average", "1MFLOP"]), &["calibration", "deer_vla calibrate"]);
    assert_says(&refused(2, &["solve", TOY, "--average", "1"]), &["with its unit"]);
    assert_says(&refused(2, &["solve", TOY, "--memory", "1"]), &["with their unit"]);
    refused(2, &["solve"]);
}

#[test]
fn a_budget_in_milliseconds_is_measured_on_this_machine() {
    let folder = TempDir::new().unwrap();
    let (calibration, out) = (calibrated(&folder), folder.path().join("thresholds.json"));
    let solve = ["solve", TOY, "--calibration", text(&calibration), "--out", text(&out)];
    done(&[&solve[..], &["--peak", "10000ms", "--average", "9999ms"]].concat());
    let budget = &json(&out)["budget"];
    assert_eq!((&budget["exit_costs"]["unit"], &budget["average"]["unit"]), (&Value::from("ms"), &Value::from("ms")));
    let costs: Vec<f64> = serde_json::from_value(budget["exit_costs"]["value"].clone()).unwrap();
    assert!(costs[0] > 0.0 && costs.windows(2).all(|pair| pair[0] < pair[1]), "{costs:?}");
    assert_eq!(budget["expected_average"]["value"], costs[5], "more than full depth is full depth");
    assert!(budget["expected_whole_model"]["value"].as_f64().unwrap() > costs[5]);
}

#[test]
fn shares_without_a_bundle_print_a_thresholds_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("table.json");
    fs::write(
        &path,
        r#"{"schema": 1, "exits": [1, 3, 5], "deltas": [[0.1, 0.2, 0.3, 0.4], [4, 3, 2, 1], [0, 0, 0, 0]]}"#,
    )
    .unwrap();
    let solve = ["solve", "--calibration", text(&path), "--shares", "exp", "--ratio"];
    let printed: Value = serde_json::from_str(&done(&[&solve[..], &["1.0"]].concat())).unwrap();
    // A third of four is one sample: delta 0.1 at exit 0, then the smallest of the three that are left.
    assert_eq!(printed["thresholds"], serde_json::json!([0.1, 1.0, null]));
    let printed: Value = serde_json::from_str(&done(&[&solve[..], &["0.001"]].concat())).unwrap();
    assert!(printed["thresholds"][1].as_f64().unwrap() < 0.0, "the second exit is never taken");
    assert_says(&refused(1, &[&solve[..], &["0"]].concat()), &["--ratio is 0"]);
    fs::write(&path, r#"{"schema": 1, "exits": [1, 3], "deltas": [[0.1, NaN], [1, 2]]}"#).unwrap();
    assert_says(&refused(1, &[&solve[..], &["1"]].concat()), &["does not read", "table.json"]);
    refused(2, &["solve", "--shares", "exp", "--ratio", "1"]);
    assert_says(&refused(2, &[&solve[..], &["1", "--average", "1MFLOP"]].concat()), &["cannot be used with"]);
}

/// An evaluator in shell: five chains whose lengths and cost follow from the first two limits alone.
const EVALUATOR: &str = r#"awk -v RS= '{
    match($0, /"thresholds": *\[[^]]*/); split(substr($0, RSTART, RLENGTH), limits, /[\[,]/);
    first = limits[2] + 0; second = limits[3] + 0;
    length_ = 3 - 100 * (first - 0.01) ^ 2; cost = 0.0015 - first / 100 - second / 200;
    printf "{\"chains\": [";
    for (k = 0; k < 5; k++) printf "%s{\"chain\": %d, \"succeeded\": %d}", (k ? "," : ""), k, length_ + k % 2;
    printf "], \"compute\": {\"all_steps\": {\"llm_gmac\": %.9f, \"llm_ms\": 1}}}", (cost > 0.0002 ? cost : 0.0002)
}' {thresholds}"#;

#[test]
fn a_search_that_was_killed_goes_on_and_ends_like_an_uninterrupted_one() {
    let folder = TempDir::new().unwrap();
    let calibration = calibrated(&folder);
    let tune = |name: &str, evaluator: &str, evaluations: &str| {
        let (search, out) = (folder.path().join(name), folder.path().join(format!("{name}.json")));
        let arguments = ["tune", TOY, "--calibration", text(&calibration), "--average", "1.2MFLOP", "--evaluator"];
        let places = ["--folder", text(&search), "--out", text(&out), "--evaluations", evaluations, "--seed", "5"];
        (deer_vla(&[&arguments[..], &[evaluator], &places].concat()), search.join("evaluations.jsonl"), out)
    };
    // The same command, dead in its fourth call until a file says otherwise.
    let well = folder.path().join("well");
    let evaluator = format!("case {{folder}} in *003*) test -e {} || kill -9 $$;; esac; {EVALUATOR}", text(&well));
    let (output, log, out) = tune("stopped", &evaluator, "9");
    assert_eq!(output.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&output.stderr), &["evaluation 3", "the same command goes on", "signal: 9"]);
    assert_eq!(
        (fs::read_to_string(&log).unwrap().lines().count(), out.exists()),
        (4, false),
        "what is searched, and three"
    );
    fs::write(&log, fs::read_to_string(&log).unwrap() + "{\"number\": 3, \"sto").unwrap();
    fs::write(&well, "").unwrap();
    let (output, log, out) = tune("stopped", &evaluator, "9");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_says(&String::from_utf8_lossy(&output.stderr), &["4 of 9", "offline:", "best:", "held out"]);
    let (whole, whole_log, whole_out) = tune("whole", &evaluator, "9");
    assert_eq!(whole.status.code(), Some(0));
    assert_eq!(fs::read(&log).unwrap(), fs::read(&whole_log).unwrap());
    assert_eq!(json(&out), json(&whole_out));
    assert_eq!(json(&out)["budget"]["method"], "online");

    let (more, log, _) = tune("whole", &evaluator, "10");
    assert_eq!((more.status.code(), fs::read_to_string(&log).unwrap().lines().count()), (Some(0), 11), "one more");
    let (other, ..) = tune("whole", EVALUATOR, "10");
    assert_says(&String::from_utf8_lossy(&other.stderr), &["another search", "name another --folder"]);
}

#[test]
fn an_evaluator_that_says_nothing_of_use_is_told_so() {
    let folder = TempDir::new().unwrap();
    let calibration = calibrated(&folder);
    let tune = |more: &[&str]| {
        let search = TempDir::new().unwrap();
        let arguments = ["tune", TOY, "--calibration", text(&calibration), "--folder", text(search.path())];
        refused(1, &[&arguments[..], more].concat())
    };
    let average = ["--average", "1.2MFLOP"];
    let judged = |evaluator: &str| tune(&[&average[..], &["--evaluator", evaluator]].concat());
    assert_says(&judged("true"), &["has no {thresholds}"]);
    assert_says(&judged("echo hello # {thresholds}"), &["must print results as JSON", "hello"]);
    assert_says(&judged("echo '{\"chains\": []}' # {thresholds}"), &["missing field `compute`"]);
    let free = r#"echo '{"chains": [{"chain": 0, "succeeded": 1}], "compute": {"all_steps": {"llm_gmac": 0.0, "llm_ms": 0.0}}}' # {thresholds}"#;
    assert_says(&judged(free), &["1 chains are too few", "judge more"]);
    assert_says(&tune(&["--evaluator", "cat {thresholds}"]), &["--average is missing"]);
    assert_says(
        &tune(&[&average[..], &["--peak", "0.5MFLOP", "--evaluator", "cat {thresholds}"]].concat()),
        &["first exit"],
    );
}
