//! `--metric predicted`: from what the exits show to thresholds on a distance that is guessed.

use super::*;

/// Regressors that go by the delta alone, of the bundle that was calibrated into `signs`.
fn predictor(signs: &Value, added: f64) -> Value {
    let regressor = serde_json::json!({"mean": [-3, 0, 0, 0, 0, 0], "scale": [1, 1, 1, 1, 1, 1],
        "linear": [0.5, 0, 0, 0, 0, 0, added], "units": [[0.3, 0, 0, 0, 0, 0, 0.1, 0.2]]});
    serde_json::json!({"schema": 1, "manifest_sha256": signs["manifest_sha256"], "signs_sha256": "",
        "inputs": signs["inputs"], "exits": vec![regressor; 5]})
}

#[test]
fn a_bundle_predicts_once_it_has_a_predictor_and_thresholds_stay_with_the_one_they_were_solved_on() {
    let folder = TempDir::new().unwrap();
    let (bundle, bag) = (toy(folder.path()), Rollout::read().bag(folder.path()));
    let path = |name: &str| folder.path().join(name);
    let (bundle, bag, rms, signs) = (text(&bundle), text(&bag), path("rms.json"), path("signs.json"));
    let asked = ["calibrate", bundle, bag, "--metric", "predicted"];
    assert_says(&refused(1, &asked), &["no predictor.json", "--signs", "python -m deer_lab.predictor"]);
    let error = refused(1, &["check", bundle, "--metric", "predicted", "--thresholds", "1,1,1,1,1"]);
    assert_says(&error, &["gate.metric", "no predictor.json"]);

    done(&["calibrate", bundle, bag, "--out", text(&rms), "--signs", text(&signs)]);
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let (rms, signs) = (read(&rms), read(&signs));
    assert_eq!(signs["inputs"], serde_json::json!(["delta", "delta_before", "norm", "change", "margin", "age"]));
    for exit in 0..6 {
        assert_eq!(signs["signs"][exit][0], rms["deltas"][exit], "the first sign is the delta");
        assert_eq!(signs["signs"][exit][1], rms["deltas"][exit.max(1) - 1], "the second that of the exit before");
        assert_eq!(signs["errors"][exit], rms["errors"][exit]);
    }

    fs::write(Path::new(bundle).join("predictor.json"), predictor(&signs, -2.0).to_string()).unwrap();
    done(&asked);
    let predicted = read(&Path::new(bundle).join("calibration.json"));
    assert_ne!(predicted["deltas"], rms["deltas"]);
    assert!(predicted["deltas"][5].as_array().unwrap().iter().all(|delta| delta == 0.0), "full depth is no way off");
    done(&["solve", bundle, "--average", "1.4MFLOP"]);
    assert_says(&done(&["check", bundle]), &["(metric predicted)"]);
    let out = path("replayed");
    done(&["replay", bundle, bag, "--out", text(&out)]);
    assert_eq!(decisions(&out)[0]["decision"]["metric"], "predicted");

    fs::write(Path::new(bundle).join("predictor.json"), predictor(&signs, -1.0).to_string()).unwrap();
    assert_says(&refused(1, &["check", bundle]), &["the thresholds", "sha256", "solve again"]);
    assert_says(&refused(1, &["solve", bundle, "--average", "1.4MFLOP"]), &["the calibration", "sha256"]);
}
