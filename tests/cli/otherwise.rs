//! What a replay would have spent and done otherwise.

use deer_vla::bag::DiagnosticStatus;

use super::*;

/// The rollout and the folder of its replay at full depth.
fn full_depth(folder: &TempDir) -> (PathBuf, PathBuf) {
    let bag = Rollout::read().bag(folder.path());
    let out = replayed(folder, "full", &bag, &["--thresholds=-1,-1,-1,-1,-1"]);
    (bag, out)
}

/// A row of the table: its two cells.
fn row<'a>(table: &'a str, name: &str) -> [&'a str; 2] {
    let row = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {table}"));
    let cells: Vec<&str> = row[name.len()..].split_whitespace().collect();
    [cells[0], cells[1]]
}

#[test]
fn a_fixed_exit_is_compared_with_full_depth_in_a_table_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let (bag, full) = full_depth(&folder);
    let (before, out) = (full.join("commands"), folder.path().join("exit1"));
    let arguments = ["replay", TOY, text(&bag), "--plan", "exit=1", "--against", text(&before), "--out", text(&out)];
    let table = done(&arguments);
    assert_eq!([row(&table, "steps"), row(&table, "mean exit")], [["40", "40"], ["5.00", "1.00"]]);
    assert_eq!([row(&table, "  exit 1"), row(&table, "  exit 5")], [["0", "40"], ["40", "0"]]);
    let [was, is] = row(&table, "language model, GMAC a step").map(|cell| cell.parse::<f64>().unwrap());
    assert!(is < 0.5 * was, "{table}");
    assert_says(
        &table,
        &["another exit in 40 of 40 steps", "the first that differs, at 0.00 s: exit 5 was taken (the deepest"],
    );
    let worst: f64 = table.split("worst ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(worst > 0.01, "another exit of random weights is another action: {table}");
    assert!(decisions(&out).iter().all(|decision| decision["decision"]["exit"] == 1));
    assert_says(&fs::read_to_string(out.join("otherwise.svg")).unwrap(), &["before", "now", "actions apart"]);
    assert!(image::open(out.join("otherwise.png")).is_ok());
}

#[test]
fn a_replay_that_changes_nothing_differs_in_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (bag, full) = full_depth(&folder);
    let (before, out) = (full.join("commands"), folder.path().join("again"));
    let table = done(&[
        "replay",
        TOY,
        text(&bag),
        "--thresholds=-1,-1,-1,-1,-1",
        "--against",
        text(&before),
        "--out",
        text(&out),
    ]);
    assert_says(&table, &["40 sets of pictures", "another exit in 0 of 40", "no decision differs"]);
    assert_eq!(row(&table, "language model, GMAC a step")[0], row(&table, "language model, GMAC a step")[1]);
}

#[test]
fn a_script_is_told_by_the_exit_code_whether_a_decision_differs() {
    let folder = tempfile::tempdir().unwrap();
    let (bag, full) = full_depth(&folder);
    let (before, out) = (full.join("commands"), folder.path().join("out"));
    let code = |more: &[&str]| {
        let replay = ["replay", TOY, text(&bag), "--against", text(&before), "--force", "--out", text(&out)];
        deer_vla(&[&replay, more].concat()).status.code()
    };
    assert_eq!(code(&["--exit-code", "--thresholds=-1,-1,-1,-1,-1"]), Some(0));
    assert_eq!(code(&["--exit-code", "--plan", "exit=1"]), Some(3));
    assert_eq!(code(&["--plan", "exit=1"]), Some(0), "who only wants the table is not told that it failed");
}

#[test]
fn decisions_of_a_node_in_a_namespace_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (bag, full) = full_depth(&folder);
    let (left, out) = (folder.path().join("left"), folder.path().join("out"));
    let mut writer = BagWriter::create(&left).unwrap();
    for message in Bag::open(full.join("commands")).unwrap().messages(&["/deer_vla/decision"]) {
        let Stored { log_time, data, .. } = message.unwrap();
        let status: DiagnosticStatus = cdr::deserialize(&data).unwrap();
        writer.write("/left/deer_vla/decision", log_time, &status).unwrap();
    }
    writer.finish().unwrap();
    let table = done(&["replay", TOY, text(&bag), "--against", text(&left), "--out", text(&out)]);
    assert_says(&table, &["40 sets of pictures that both decided on"]);
}

#[test]
fn another_sentence_is_the_first_thing_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let (bag, full) = full_depth(&folder);
    let (before, out) = (full.join("commands"), folder.path().join("said"));
    let arguments = ["--instruction", "push", "--against", text(&before), "--out", text(&out)];
    let table = done(&[&["replay", TOY, text(&bag)], &arguments[..]].concat());
    assert_says(&table, &["at 0.00 s: the sentence was", "is \"push\""]);
}

#[test]
fn what_cannot_be_compared_or_planned_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let bag = Rollout::read().bag(folder.path());
    let out = folder.path().join("out");
    let refusal = |code: i32, more: &[&str]| {
        let error = refused(code, &[&["replay", TOY, text(&bag), "--out", text(&out)], more].concat());
        assert!(!out.exists(), "{error}");
        error
    };
    assert_says(&refusal(1, &["--against", text(&bag)]), &["--against", "holds no /deer_vla/decision", "OUT/commands"]);
    assert_says(&refusal(1, &["--exit-code"]), &["holds no /deer_vla/decision to compare with", "--against BAG"]);
    assert_says(&refusal(1, &["--against", "/nowhere"]), &["--against", "/nowhere"]);
    assert_says(&refusal(1, &["--plan", "exit=6"]), &["--plan exit=6", "exits are 0 to 5"]);
    assert_says(
        &refusal(1, &["--plan", "exit=1", "--average", "1MFLOP"]),
        &["--plan exit=1", "--average", "one of them"],
    );
    assert_says(&refusal(1, &["--plan", "skip_delta=3"]), &["plan.skip_delta is 3"]);
    assert_says(&refusal(2, &["--plan", "fast"]), &["exit=2"]);
    assert_says(&refusal(2, &["--plan", "layers=3"]), &["exit=K", "max_skips"]);
    assert_says(&refusal(2, &["--deadline", "20"]), &["with its unit", "20ms"]);
}
