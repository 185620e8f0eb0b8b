//! `deer_vla report`: plots and tables of results.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

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
fn report_makes_a_page_of_a_run_that_needs_nothing_else() {
    let (rollout, folder) = (Rollout::read(), tempfile::tempdir().unwrap());
    let bag = rollout.bag(folder.path());
    let commands = replayed(&folder, "out", &bag, &[]).join("commands");
    let out = folder.path().join("page");
    let arguments =
        ["report", text(&bag), text(&commands), "--bundle", TOY, "--pictures", "10", "--side", "32", "--out"];
    done(&[&arguments[..], &[text(&out)]].concat());
    let page = fs::read_to_string(out.join("run.html")).unwrap();
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("src=\""), "it loads nothing");
    let data = page.split("type=\"application/json\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let decided = data["decisions"].as_array().unwrap();
    let exits: Vec<_> = decided.iter().map(|decision| decision["step"]["exit"].as_f64().unwrap() as i64).collect();
    assert_eq!(exits, rollout.exits());
    assert_eq!(decided[39]["instruction"], rollout.instructions()[&20].as_str());
    assert_eq!((&data["roles"][0], data["film"].as_array().unwrap().len()), (&Value::from("static"), 2));
    for film in data["film"].as_array().unwrap() {
        assert_eq!(film["times"].as_array().unwrap().len(), 10, "every fourth of forty");
        let jpeg = BASE64_STANDARD.decode(film["jpegs"][3].as_str().unwrap()).unwrap();
        assert_eq!(image::load_from_memory(&jpeg).unwrap().width(), 32);
        assert_eq!(film["times"][3], decided[12]["pictures"][0], "beside the decision on it");
    }
    assert_eq!(data["costs"]["llm_gmac"].as_array().unwrap().len(), 6);

    let error = refused(1, &["report", text(&bag), "--out", text(&out)]);
    assert_says(&error, &["no decisions", "/deer_vla/decision", "OUT/commands"]);
    assert_says(&refused(1, &["report", text(&bag), "a.json", "--out", text(&out)]), &["a.json is no recording"]);
    let topic = ["report", text(&bag), text(&commands), "--topic", "static=/nowhere", "--out", text(&out)];
    assert_says(&refused(1, &topic), &["no topic /nowhere"]);
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
