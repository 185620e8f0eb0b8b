//! A manifest of schema 1 as one of today's: its robot could not be described further, and its cameras share one vision
//! part.

use serde_json::{Value, json};

/// What every robot was taken for before a manifest could say otherwise: a gripper that opens to 0.04 m a finger, and
/// cameras that send what the network sees.
pub(super) fn upgraded(mut manifest: Value) -> Value {
    let mut embodiment = manifest.as_object_mut().and_then(|fields| fields.remove("action")).unwrap_or_default();
    let rate_hz = embodiment.get("control_hz").cloned().unwrap_or_default();
    if let Some(gripper) = embodiment.get_mut("gripper").and_then(Value::as_object_mut) {
        gripper.extend([("unit".into(), json!("m")), ("open".into(), json!(0.04)), ("closed".into(), json!(0.0))]);
    }
    let camera = |camera: &Value| json!({"role": camera["role"], "width": camera["size"], "height": camera["size"], "rate_hz": rate_hz});
    let cameras: Vec<Value> = manifest["cameras"].as_array().into_iter().flatten().map(camera).collect();
    if let Some(fields) = embodiment.as_object_mut() {
        fields.insert("cameras".into(), cameras.into());
    }
    manifest["embodiment"] = embodiment;
    if let Some(vision) = manifest.pointer_mut("/parts/vision") {
        *vision = json!([vision.take()]);
    }
    manifest
}
