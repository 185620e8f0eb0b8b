//! `deer_vla replay`: what the policy would have done.

use super::*;

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
fn a_recording_is_cut_as_the_policy_learned_it_unless_its_source_says_otherwise() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let bag = rollout.bag(folder.path());
    let (bundle, source) = (toy(folder.path()), folder.path().join("source.yaml"));
    let manifest = bundle.join("manifest.json");
    let mut fields: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let thresholds = ["--thresholds", "0.01,0.01,0.01,0.01,0.01"];
    let mut learned_from = |width: u32| {
        let camera =
            serde_json::json!({"role": "static", "width": width, "height": 64, "rate_hz": 30, "crop": [8, 0, 48, 48]});
        fields["embodiment"]["cameras"][0] = camera;
        fs::write(&manifest, fields.to_string()).unwrap();
        fs::remove_file(bundle.join("thresholds.json")).ok();
    };
    let replayed = |name: &str, bundle: &str, more: &[&str]| {
        let out = folder.path().join(name);
        done(&[&["replay", bundle, text(&bag), "--out", text(&out)], &thresholds[..], more].concat());
        untimed(&out).iter().map(|answer| answer["decision"].clone()).collect::<Vec<_>>()
    };
    fs::write(&source, "cameras: {static: {topic: /static/image, crop: [8, 0, 48, 48]}}").unwrap();
    let said = replayed("said", TOY, &["--source", text(&source)]);
    assert_ne!(said, replayed("whole", TOY, &[]));
    learned_from(64);
    assert_eq!(replayed("learned", text(&bundle), &[]), said);
    learned_from(128);
    assert_eq!(replayed("otherwise", text(&bundle), &["--source", text(&source)]), said);
    let out = folder.path().join("other_size");
    let refusal = deer_vla(&[&["replay", text(&bundle), text(&bag), "--out", text(&out)], &thresholds[..]].concat());
    assert_says(&String::from_utf8(refusal.stderr).unwrap(), &["of 128x64 pictures, and this one has 64x64 pixels"]);
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
    assert_eq!(exits("peak", &["--thresholds=-1,-1,-1,-1,-1", "--peak", "1.6MFLOP"]), [1; 40]);
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
            picture.encoding = "yuv444".into();
        }
        bag.write("/static/image", stamp(step), &picture).unwrap();
    }
    bag.finish().unwrap();
    let out = folder.path().join("out");
    let output = deer_vla(&["replay", TOY, text(&path), "--out", text(&out)]);
    let summary = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), decisions(&out).len()), (Some(0), 4), "{summary}");
    assert_says(
        &summary,
        &[
            "left out 1 messages of /static/image:",
            "1 times: image encoding \"yuv444\"",
            "4 answers: act 3, hold_spent 1",
            "GMAC a step",
            "ms a step",
        ],
    );
}

#[test]
fn what_was_read_before_a_bag_breaks_off_is_replayed_and_the_end_is_told() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let whole = fs::read(rollout.bag(folder.path()).join("rollout_0.mcap")).unwrap();
    let (cut, out) = (folder.path().join("cut.mcap"), folder.path().join("out"));
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let output = deer_vla(&["replay", TOY, text(&cut), "--out", text(&out)]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_says(&told, &["cut short or damaged after message", "cut.mcap"]);
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
    assert_eq!(output.status.code(), Some(130), "{error}");
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
    let there = ["no topic /cam;", "/static/image/compressed (sensor_msgs/msg/CompressedImage)"];
    assert_says(&refusal(1, FOREIGN, &["--static", "/cam"]), &there);
    let wrong = refusal(1, FOREIGN, &["--topic", "static=/joint_states"]);
    assert_says(&wrong, &["/joint_states carries sensor_msgs/msg/JointState", "expected sensor_msgs/msg/Image"]);
    assert_says(&refusal(1, FOREIGN, &["--topic", "wrist=/x"]), &["wrist", "static, gripper, instruction"]);
    let twice = ["--static", "/gripper/image", "--gripper", "/gripper/image"];
    assert_says(&refusal(1, FOREIGN, &twice), &["/gripper/image", "two inputs"]);
    assert_says(&refusal(2, FOREIGN, &["--topic", "static"]), &["INPUT=TOPIC"]);
    assert_says(&refusal(2, FOREIGN, &["--metric", "l2"]), &["rms", "cosine"]);
    assert_says(&refusal(1, FOREIGN, &["--max-frame-age", "-1"]), &["max_frame_age is -1", "from 0.02"]);
    assert_says(&refusal(1, "/nowhere", &[]), &["/nowhere", "cannot be read"]);
    assert_says(&refusal(1, TOY, &[]), &["not a bag"]);
    let sqlite = folder.path().join("old.db3");
    fs::write(&sqlite, "SQLite format 3\0").unwrap();
    assert_says(&refusal(1, text(&sqlite), &[]), &["a SQLite file that is no recording"]);
    let few = ["--topic", "static=/static/image/compressed", "--thresholds", "0.1"];
    assert_says(&refusal(1, FOREIGN, &few), &["1 thresholds for 6 exits"]);
    let small = ["--topic", "static=/static/image/compressed", "--peak", "0.1MFLOP"];
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
