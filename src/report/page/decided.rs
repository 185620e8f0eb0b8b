//! One decision as the page shows it.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::bag::DiagnosticStatus;

/// A decision as JSON, and the roles of the cameras that it tells of. Times are in seconds on the robot's clock.
pub(super) fn decided(status: &DiagnosticStatus) -> (Value, Vec<String>) {
    let fields: HashMap<&str, &str> =
        status.values.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
    let text = |name: &str| fields.get(name).copied().unwrap_or_default();
    let number = |name: &str| text(name).parse::<f64>().ok();
    let list = |name: &str| text(name).split(' ').filter_map(|number| number.parse::<f64>().ok()).collect::<Vec<_>>();
    let norm = |numbers: &[f64]| numbers.iter().map(|v| v * v).sum::<f64>().sqrt();
    let twist = list("twist");
    let (linear, angular) = twist.split_at(twist.len().min(3));
    let roles: Vec<String> =
        status.values.iter().filter_map(|pair| pair.key.strip_prefix("stamp_").map(str::to_owned)).collect();
    let step = number("exit").map(|exit| {
        json!({
            "exit": exit,
            "reason": text("reason"),
            "deltas": list("deltas"),
            "thresholds": list("thresholds"),
            "gripper": number("gripper"),
            "ms": {
                "total": number("total_ms"),
                "vision": number("vision_ms"),
                "stages": list("stage_ms").iter().sum::<f64>(),
                "head": number("head_ms"),
            },
        })
    });
    let decision = json!({
        "t": number("stamp"),
        "verdict": text("verdict"),
        "state": text("state"),
        "message": status.message,
        "epoch": number("epoch"),
        "instruction": text("instruction"),
        "pictures": roles.iter().map(|role| number(&format!("stamp_{role}"))).collect::<Vec<_>>(),
        "step": step,
        "speed": norm(linear),
        "turn": norm(angular),
        "clips": text("clips"),
    });
    (decision, roles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bag::KeyValue;

    #[test]
    fn a_decision_is_numbers_where_it_has_any_and_a_hold_has_no_step() {
        let pair = |(key, value): (&str, &str)| KeyValue { key: key.into(), value: value.into() };
        let act = [
            ("stamp", "10.500000000"),
            ("verdict", "act"),
            ("stamp_static", "10.400000000"),
            ("stamp_wrist", ""),
            ("exit", "1"),
            ("deltas", "0.5 0.25"),
            ("thresholds", "0.1 inf"),
            ("stage_ms", "1.5 2.5"),
            ("twist", "3 0 4 0 0 0"),
        ];
        let status = DiagnosticStatus { values: act.map(pair).into(), ..DiagnosticStatus::default() };
        let (decision, roles) = decided(&status);
        assert_eq!(roles, ["static", "wrist"]);
        assert_eq!((&decision["t"], &decision["speed"]), (&json!(10.5), &json!(5.0)));
        assert_eq!(decision["pictures"], json!([10.4, null]));
        assert_eq!((&decision["step"]["exit"], &decision["step"]["ms"]["stages"]), (&json!(1.0), &json!(4.0)));
        let hold =
            DiagnosticStatus { message: "why".into(), values: vec![pair(act[0])], ..DiagnosticStatus::default() };
        let (decision, _) = decided(&hold);
        assert_eq!((&decision["step"], &decision["message"]), (&Value::Null, &json!("why")));
    }
}
