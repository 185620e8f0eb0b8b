//! ROS parameters ↔ [`RawConfig`]: one dotted name a field, every change checked before it is accepted.
//!
//! r2r's own derive accepts a value first and tells afterwards; implemented by hand, a bad value is refused with its
//! reason and the old one stays.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use r2r::indexmap::IndexMap;
use r2r::{Parameter, ParameterValue, RosParams};
use serde_json::{Map, Value, json};

use super::inbox::{Inbox, Message};
use crate::bundle::Bundle;
use crate::config::{Config, RawConfig};

/// Parameters, and whole groups of them, that may change while the node runs.
const LIVE: [&str; 10] = [
    "max_frame_age",
    "max_frame_skew",
    "max_silence",
    "max_clock_jump",
    "images.min_rate",
    "images.min_contrast",
    "images.frozen",
    "gate.",
    "plan.",
    "budget.",
];
/// Loading stages for a raised cap may take this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The node's parameters.
pub(super) struct Parameters {
    raw: RawConfig,
    running: Option<(Arc<Bundle>, Arc<Inbox>)>,
}

impl Parameters {
    pub(super) fn new() -> Self {
        Self { raw: RawConfig::default(), running: None }
    }

    pub(super) fn raw(&self) -> &RawConfig {
        &self.raw
    }

    /// From here on a change goes to the running control loop.
    pub(super) fn connect(&mut self, bundle: Arc<Bundle>, inbox: Arc<Inbox>) {
        self.running = Some((bundle, inbox));
    }

    /// The parameters with one changed, and what they mean.
    fn candidate(&self, name: &str, value: &ParameterValue) -> Result<(RawConfig, Option<Config>), String> {
        let raw = with(&self.raw, name, value)?;
        let Some((bundle, _)) = &self.running else {
            return Ok((raw, None)); // still reading the start's parameters: they are checked together
        };
        let config = raw.check().map_err(|e| e.to_string())?;
        if !LIVE.iter().any(|live| name.starts_with(live)) && raw != self.raw {
            return Err("is read when the node starts; restart it to change this".into());
        }
        config.settings(bundle).map_err(|e| e.to_string())?;
        Ok((raw, Some(config)))
    }

    fn change(&mut self, name: &str, value: &ParameterValue) -> Result<(), String> {
        let (raw, config) = self.candidate(name, value)?;
        if let (Some(config), Some((_, inbox))) = (config, &self.running)
            && raw != self.raw
        {
            let (reply, answer) = mpsc::sync_channel(1);
            let reply = Box::new(move |result| drop(reply.try_send(result)));
            inbox.push(Message::Configure(Box::new(config), reply));
            answer.recv_timeout(ANSWER_TIMEOUT).map_err(|e| format!("the control loop did not answer: {e}"))??;
        }
        self.raw = raw;
        Ok(())
    }
}

impl RosParams for Parameters {
    fn register_parameters(
        &mut self,
        _prefix: &str,
        _parameter: Option<Parameter>,
        given: &mut IndexMap<String, Parameter>,
    ) -> r2r::Result<()> {
        let known = flatten(&self.raw);
        for (name, parameter) in given.iter() {
            if known.contains_key(name.as_str()) {
                self.change(name, &parameter.value).map_err(|reason| refused(name, reason))?;
            } else if !is_of_every_node(name) {
                let reason = format!("this node has no such parameter; it has {}", join(known.keys()));
                return Err(refused(name, reason));
            }
        }
        for (name, value) in flatten(&self.raw) {
            given.insert(name, Parameter::new(value));
        }
        Ok(())
    }

    fn get_parameter(&mut self, name: &str) -> r2r::Result<ParameterValue> {
        let value = flatten(&self.raw).shift_remove(name);
        value.ok_or_else(|| r2r::Error::InvalidParameterName { name: name.to_owned() })
    }

    fn set_parameter(&mut self, name: &str, value: &ParameterValue) -> r2r::Result<()> {
        self.change(name, value).map_err(|reason| {
            // ~/set_parameters_atomically checks each value against what was set before, and says "successful" even so.
            r2r::log_error!("deer_vla", "{name} was not changed: {reason}");
            refused(name, reason)
        })
    }

    fn check_parameter(&self, name: &str, value: &ParameterValue) -> r2r::Result<()> {
        self.candidate(name, value).map(drop).map_err(|reason| refused(name, reason))
    }
}

fn refused(name: &str, msg: String) -> r2r::Error {
    r2r::Error::ParameterValueConv { name: name.to_owned(), msg }
}

fn is_of_every_node(name: &str) -> bool {
    name == "use_sim_time" || name == "start_type_description_service" || name.starts_with("qos_overrides.")
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Every field under its dotted name.
fn flatten(raw: &RawConfig) -> IndexMap<String, ParameterValue> {
    let mut flat = IndexMap::new();
    if let Ok(Value::Object(fields)) = serde_json::to_value(raw) {
        collect("", &fields, &mut flat);
    }
    flat
}

fn collect(prefix: &str, fields: &Map<String, Value>, flat: &mut IndexMap<String, ParameterValue>) {
    for (name, value) in fields {
        let name = format!("{prefix}{name}");
        match value {
            Value::Object(group) => collect(&format!("{name}."), group, flat),
            value => drop(flat.insert(name, to_ros(value))),
        }
    }
}

fn to_ros(value: &Value) -> ParameterValue {
    match value {
        Value::Bool(value) => ParameterValue::Bool(*value),
        Value::Number(value) if value.is_f64() => ParameterValue::Double(value.as_f64().unwrap_or_default()),
        Value::Number(value) => ParameterValue::Integer(value.as_i64().unwrap_or_default()),
        Value::String(value) => ParameterValue::String(value.clone()),
        Value::Array(values) if values.iter().any(Value::is_string) => {
            ParameterValue::StringArray(values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
        }
        Value::Array(values) => ParameterValue::DoubleArray(values.iter().filter_map(Value::as_f64).collect()),
        Value::Null | Value::Object(_) => ParameterValue::NotSet,
    }
}

/// JSON has no NaN and no infinity, and no parameter may be one.
fn from_ros(value: &ParameterValue) -> Result<Value, String> {
    let finite = |v: &f64| if v.is_finite() { Ok(json!(v)) } else { Err(format!("is {v}, expected a finite number")) };
    Ok(match value {
        // An empty list has no type in a YAML file.
        ParameterValue::NotSet => json!([]),
        ParameterValue::Bool(value) => json!(value),
        ParameterValue::Integer(value) => json!(value),
        ParameterValue::Double(value) => finite(value)?,
        ParameterValue::String(value) => json!(value),
        ParameterValue::BoolArray(values) => json!(values),
        ParameterValue::ByteArray(values) => json!(values),
        ParameterValue::IntegerArray(values) => json!(values),
        ParameterValue::DoubleArray(values) => Value::Array(values.iter().map(finite).collect::<Result<_, _>>()?),
        ParameterValue::StringArray(values) => json!(values),
    })
}

/// `raw` with the field of that dotted name set.
fn with(raw: &RawConfig, name: &str, value: &ParameterValue) -> Result<RawConfig, String> {
    let mut fields = serde_json::to_value(raw).map_err(|e| e.to_string())?;
    let pointer = format!("/{}", name.replace('.', "/"));
    *fields.pointer_mut(&pointer).ok_or("this node has no such parameter")? = from_ros(value)?;
    serde_json::from_value(fields).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_can_be_set_to_what_it_is() {
        let raw = RawConfig::default();
        let flat = flatten(&raw);
        assert!(flat.contains_key("gate.thresholds") && flat.contains_key("gripper.joints"), "{:?}", flat.keys());
        for (name, value) in flat {
            assert_eq!(with(&raw, &name, &value).as_ref(), Ok(&raw), "{name}");
        }
    }

    #[test]
    fn a_whole_number_serves_where_a_real_one_is_expected() {
        let raw = with(&RawConfig::default(), "max_frame_age", &ParameterValue::Integer(1)).unwrap();
        assert_eq!(raw.max_frame_age, 1.0);
    }

    #[test]
    fn a_wrong_type_an_unknown_name_and_a_number_that_is_none_are_refused() {
        let raw = RawConfig::default();
        let refusal = |name: &str, value| with(&raw, name, &value).unwrap_err();
        assert!(refusal("max_frame_age", ParameterValue::String("x".into())).contains("expected f64"));
        assert!(refusal("no.such", ParameterValue::Bool(true)).contains("no such parameter"));
        assert!(refusal("gate.thresholds", ParameterValue::DoubleArray(vec![f64::NAN])).contains("finite"));
        assert!(refusal("gate", ParameterValue::Bool(true)).contains("expected struct"));
    }
}
