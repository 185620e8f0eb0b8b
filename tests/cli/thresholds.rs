//! `deer_vla calibrate`, `solve` and `tune`: from a budget to thresholds.

use super::*;

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
fn a_calibration_learns_from_no_picture_that_cannot_be_read_and_says_how_many_there_were() {
    let folder = TempDir::new().unwrap();
    let (bag, out) = (folder.path().join("bag"), folder.path().join("calibration.json"));
    let rollout = Rollout::read();
    let mut writer = BagWriter::create(&bag).unwrap();
    writer.write("/instruction", Stamp(1), &Text { data: "lift".into() }).unwrap();
    for (step, (scene, hand)) in rollout.pictures("static").into_iter().zip(rollout.pictures("gripper")).enumerate() {
        let mut scene = image(stamp(step), scene);
        if step % 8 == 7 {
            scene.encoding = "yuv444".into();
        }
        writer.write("/static/image", stamp(step), &scene).unwrap();
        writer.write("/gripper/image", stamp(step), &image(stamp(step), hand)).unwrap();
    }
    writer.finish().unwrap();
    let output = deer_vla(&["calibrate", TOY, text(&bag), "--window", "5", "--out", text(&out)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_says(&said, &["left out 5 messages of /static/image:", "5 times: image encoding \"yuv444\""]);
    assert!(!json(&out)["deltas"][0].as_array().unwrap().is_empty(), "{said}");
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
    assert_eq!(output.status.code(), Some(130));
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
    assert_says(&calibrate(&nothing, &[]), &["no recording, and holds none", "nothing"]);
    assert_says(&calibrate(&folder.path().join("nowhere"), &[]), &["cannot be read", "nowhere"]);
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

/// The toy's random weights are never sure of the gripper, so nothing of it would be spared.
const TABLETOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tabletop");

#[test]
fn a_budget_of_the_whole_step_becomes_a_plan_with_thresholds_and_a_fixed_one_stands_beside() {
    let folder = TempDir::new().unwrap();
    let (bag, own) = (Rollout::read().bag(folder.path()), folder.path().join("tabletop"));
    fs::create_dir(&own).unwrap();
    copy_files(TABLETOP, &own);
    fs::remove_file(own.join("calibration.json")).unwrap();
    let calibrate = ["calibrate", text(&own), text(&bag), "--plans"];
    assert_says(&refused(1, &calibrate), &["--plans comes second", "calibration.json"]);
    done(&["calibrate", text(&own), text(&bag)]);
    // A try that came to nothing; the calibration changes before the next.
    let mute = folder.path().join("mute");
    let mut writer = BagWriter::create(&mute).unwrap();
    writer.write("/instruction", Stamp(1), &Text { data: "lift".into() }).unwrap();
    writer.finish().unwrap();
    assert_says(&refused(1, &["calibrate", text(&own), text(&mute), "--plans"]), &["which topic is the static camera"]);
    done(&["calibrate", text(&own), text(&bag), "--seed", "1"]);
    assert_says(&refused(1, &calibrate), &["other settings", "plans.unfinished.jsonl"]);
    fs::remove_file(own.join("plans.unfinished.jsonl")).unwrap();
    done(&calibrate);
    let file = own.join("plans.json");
    let plans = json(&file);
    let (every, second) = (&plans["cells"][0], &plans["cells"][2]);
    assert_eq!((&every["skipped"], &second["fixed"]), (&0.into(), &"every 2nd step".into()));
    assert!(second["skipped"].as_u64() > Some(0) && second["looks"][0].as_u64() < every["looks"][0].as_u64());

    let whole = ["solve", text(&own), "--of", "whole", "--held-out", text(&file)];
    let output = deer_vla(&[&whole[..], &["--average", "30MFLOP"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_says(&said, &["plan:", "a step, all included", "exit ", "open loop", "held out, "]);
    let thresholds = json(&own.join("thresholds.json"));
    assert!(thresholds["budget"]["expected"]["average"]["value"].as_f64() <= Some(3e-2 * (1.0 + 1e-9)));
    assert!(thresholds["plan"]["max_age"].is_u64(), "{thresholds}");
    done(&["check", text(&own)]);
    assert_says(&refused(1, &[&whole[..], &["--average", "1e-6GFLOP"]].concat()), &["the nearest that can is"]);
    let before = fs::read(own.join("thresholds.json")).unwrap();
    let wrong = ["solve", text(&own), "--of", "whole", "--held-out", "nowhere.json", "--average", "20MFLOP"];
    refused(1, &wrong);
    assert_eq!(fs::read(own.join("thresholds.json")).unwrap(), before, "what failed replaces nothing");
    let deep = folder.path().join("no/such/folder/thresholds.json");
    done(&["solve", text(&own), "--of", "whole", "--average", "30MFLOP", "--out", text(&deep)]);
    assert!(deep.is_file());
    assert_says(&refused(1, &whole), &["needs --average"]);
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
fn a_promise_is_proved_on_recordings_of_their_own_and_is_cheaper_than_full_depth() {
    let folder = TempDir::new().unwrap();
    let calibration = calibrated(&folder);
    let held_out = folder.path().join("held_out.json");
    // The rollout's own numbers, as forty recordings, each of them once.
    let mut other = json(&calibration);
    let samples = other["deltas"][0].as_array().unwrap().len();
    for table in ["deltas", "errors"] {
        for row in other[table].as_array_mut().unwrap() {
            let values = row.as_array().unwrap();
            *row = std::iter::repeat_n(values, 40).flatten().cloned().collect();
        }
    }
    other["episodes"] = vec![samples; 40].into();
    other["recordings_sha256"] = "other".into();
    let among_others = folder.path().join("among_others.json");
    fs::write(&among_others, other.to_string()).unwrap();
    other["recordings"] = vec!["others"; 40].into();
    fs::write(&held_out, other.to_string()).unwrap();
    let out = folder.path().join("thresholds.json");
    let solve = |held_out: &Path, risk: &str| {
        let mut args = vec!["solve", TOY, "--calibration", text(&calibration), "--held-out", text(held_out)];
        args.extend(["--risk", risk, "--tolerance", "0.5", "--out", text(&out)]);
        deer_vla(&args)
    };
    let output = solve(&held_out, "0.2");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_says(&said, &["promise: mean loss 0.", "over 40 held-out recordings; at most 0.2 with 90 % confidence"]);
    let budget = &json(&out)["budget"];
    assert_eq!(budget["promise"]["risk"], 0.2);
    let costs = budget["exit_costs"]["value"].as_array().unwrap();
    assert!(budget["expected_average"]["value"].as_f64() < costs[5].as_f64(), "{budget}");

    let refusal = |held_out: &Path, risk: &str| String::from_utf8(solve(held_out, risk).stderr).unwrap();
    assert_says(&refusal(&held_out, "0.01"), &["40 episodes are too few", "at least 230 are needed"]);
    assert_says(&refusal(&calibration, "0.2"), &["own recordings (1 of 1), which prove nothing"]);
    assert_says(&refusal(&among_others, "0.2"), &["own recordings (1 of 1), which prove nothing"]);
    assert_says(&refusal(&held_out, "1.5"), &["above 0 and below 1"]);
    let alone = ["solve", TOY, "--calibration", text(&calibration), "--risk", "0.2"];
    assert_says(&refused(2, &alone), &["--held-out"]);
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
