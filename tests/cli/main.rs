//! The built `deer_vla`, from its arguments to its exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop, its helpers too")]

mod frames;
mod otherwise;
mod predicted;
mod replay;
mod report;
mod rollout;
mod thresholds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use deer_vla::bag::{Bag, BagWriter, Stored, Text};
use deer_vla::units::Stamp;
use serde_json::Value;
use tempfile::TempDir;

use rollout::{Rollout, image, stamp};

const TOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy");
const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/foreign_bag");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/toy_golden.safetensors");

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

/// A copy of the toy.
fn toy(folder: &Path) -> PathBuf {
    let bundle = folder.join("toy");
    fs::create_dir(&bundle).unwrap();
    copy_files(TOY, &bundle);
    bundle
}

fn copy_files(from: &str, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
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
fn check_prints_the_bundle_its_costs_and_the_library_that_runs_it() {
    let table = done(&["check", TOY]);
    let words = ["toy:", "Apache-2.0", "static 64 px, gripper 48 px", "onnxruntime", "libonnxruntime", "cpu", "rms"];
    assert_says(&table, &words);
    assert_says(&table, &["thresholds.json", "stages[5]", "whole", "LLM GMAC", "memory MB"]);
    let exits: Vec<_> = table.lines().skip_while(|line| !line.starts_with("exit ")).skip(1).take(6).collect();
    assert!(exits[5].ends_with("cap") && exits[5].contains("none"), "{table}");
    let capped = done(&["check", TOY, "--peak", "1.6MFLOP", "--thresholds", "0.5,-1,0.5,0.5,0.5"]);
    let exits: Vec<_> = capped.lines().skip_while(|line| !line.starts_with("exit ")).skip(1).take(6).collect();
    assert!(exits[0].contains("0.5") && exits[1].ends_with("cap") && exits[2].contains("not loaded"), "{capped}");
    assert_says(&capped, &["command line"]);
}

#[test]
fn check_refuses_what_is_no_bundle_a_changed_one_and_a_library_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&refused(1, &["check", text(folder.path())]), &["deer_vla: no manifest.json"]);
    let nowhere = folder.path().join("nowhere");
    assert_says(&refused(1, &["check", text(&nowhere)]), &["there is no folder", text(&nowhere)]);
    assert_says(&refused(2, &["check", TOY, "--peak", "6"]), &["with its unit"]);
    assert_says(&refused(2, &["check", TOY, "--peak", "6ms"]), &["GFLOP or MFLOP"]);
    copy_files(TOY, folder.path());
    fs::write(folder.path().join("head.data"), "changed").unwrap();
    assert_says(&refused(1, &["check", text(folder.path())]), &["head.data has sha256"]);
    fs::copy(Path::new(TOY).join("head.data"), folder.path().join("head.data")).unwrap();
    let mut deepest = fs::read(folder.path().join("stage_05.data")).unwrap();
    deepest[0] ^= 1;
    fs::write(folder.path().join("stage_05.data"), deepest).unwrap();
    assert_says(&refused(1, &["check", text(folder.path())]), &["stage_05.data has sha256", "copy the bundle again"]);
    let error = refused(1, &["check", TOY, "--onnxruntime", "/nowhere/libonnxruntime.so"]);
    assert_says(&error, &["/nowhere/libonnxruntime.so", "does not exist", "ORT_DYLIB_PATH"]);
    assert_eq!(error.matches("does not exist").count(), 1, "a cause is told once: {error}");
    refused(2, &["check"]);
    refused(2, &["check", TOY, "--provider", "gpu"]);
    refused(2, &[]);
}

#[test]
fn onnx_runtime_keeps_no_record_of_how_it_is_used() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deer_vla"));
    // Where it would stay quiet by itself, or keep its record elsewhere.
    for variable in ["ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "XDG_CACHE_HOME"] {
        command.env_remove(variable);
    }
    assert!(command.args(["check", TOY]).env("HOME", home.path()).output().unwrap().status.success());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn bench_measures_every_part_and_the_whole() {
    let json: Value = serde_json::from_str(&done(&["bench", TOY, "--steps", "3", "--json"])).unwrap();
    let parts: Vec<_> = json["parts_ms"].as_array().unwrap().iter().map(|part| part[0].as_str().unwrap()).collect();
    assert_eq!(parts[..4], ["pictures", "embed", "vision static", "vision gripper"]);
    // … then head state, six stages, and the head on two rows and on one.
    assert_eq!(parts.len(), 4 + 1 + 6 + 2);
    assert!(json["staged_against_whole"]["paired_ratio"]["median"].as_f64().unwrap() > 0.0);
    let share = json["overhead_share"]["median"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&share), "{share}");
    assert_eq!(json["caps"].as_array().unwrap().len(), 6);
    assert_says(&done(&["bench", TOY, "--steps", "1"]), &["staged / whole", "overhead", "resident MB"]);
    refused(2, &["bench", TOY, "--steps", "0"]);
}

#[test]
fn a_verb_that_is_interrupted_ends_with_a_line_that_says_what_is_left() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deer_vla"));
    let mut bench = command.args(["bench", TOY, "--steps", "1000000"]).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", bench.id());
    // Bit 1 of the signals that it looks for itself is SIGINT.
    let caught = |line: &str| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok();
    while fs::read_to_string(&status).unwrap().lines().find_map(caught).unwrap() & 2 == 0 {
        assert!(bench.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &bench.id().to_string()]).status().unwrap().success());
    let output = bench.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(130), "deer_vla: interrupted; nothing was written\n"));
}
