//! What was heard of a node, and what follows from it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Steps whose exits are shown.
const STEPS: usize = 300;
/// Changes of the verdict that are shown.
const CHANGES: usize = 6;
/// `~/decision` comes once a second at least: after so long something is wrong.
const SILENT: Duration = Duration::from_secs(3);

/// A `diagnostic_msgs/DiagnosticStatus`.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "ROS's own fields")]
pub struct Status {
    pub level: u8,
    pub name: String,
    pub message: String,
    pub hardware_id: String,
    pub values: HashMap<String, String>,
}

impl Status {
    pub(super) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name).parse().ok()
    }

    /// Numbers between blanks.
    pub(super) fn list(&self, name: &str) -> Vec<f64> {
        self.text(name).split(' ').filter_map(|number| number.parse().ok()).collect()
    }
}

/// Something that a node said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// On `~/decision`.
    Decision(Status),
    /// On `/diagnostics`, where every node speaks.
    Diagnostics(Vec<Status>),
}

/// A node, as far as it was heard.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Its full name.
    pub node: String,
    pub(super) decision: Option<Status>,
    /// When it was heard last, since the watching began.
    heard: Option<Duration>,
    exits: VecDeque<usize>,
    /// When the verdict changed, in seconds of the node's clock, and to what.
    pub(super) changes: VecDeque<(f64, Status)>,
    /// Its last statuses, by task.
    health: BTreeMap<String, Status>,
}

impl Watched {
    /// A node of which nothing was heard.
    pub fn new(node: String) -> Self {
        Self { node, ..Self::default() }
    }

    /// Takes what was said at `now`, since the watching began.
    pub fn hear(&mut self, heard: Heard, now: Duration) {
        match heard {
            Heard::Decision(status) => self.decide(status, now),
            Heard::Diagnostics(statuses) => {
                for status in statuses.into_iter().filter(|status| status.hardware_id == self.node) {
                    let task = status.name.split_once(": ").map_or(status.name.as_str(), |(_, task)| task).to_owned();
                    self.health.insert(task, status);
                }
            }
        }
    }

    fn decide(&mut self, status: Status, now: Duration) {
        if let Some(exit) = status.number("exit") {
            self.exits.push_back(exit as usize);
            self.exits.drain(..self.exits.len().saturating_sub(STEPS));
        }
        // Between two pictures the last action may end: that is no news.
        let before = self.decision.as_ref().map(|before| before.text("verdict").to_owned());
        if before.as_deref() != Some(status.text("verdict")) {
            self.changes.push_front((status.number("stamp").unwrap_or_default(), status.clone()));
            self.changes.truncate(CHANGES);
        }
        (self.decision, self.heard) = (Some(status), Some(now));
    }

    /// For how long it has said nothing, where that is too long.
    pub(super) fn silent(&self, now: Duration) -> Option<Duration> {
        let silence = now.saturating_sub(self.heard.unwrap_or_default());
        (silence > SILENT).then_some(silence)
    }

    pub(super) fn health(&self, task: &str) -> Option<&Status> {
        self.health.get(task)
    }

    /// How many exits it has; those that were taken at least.
    pub(super) fn exits(&self) -> usize {
        let told = self.health("Policy").map_or(0, |policy| policy.list("exits taken").len());
        self.exits.iter().map(|exit| exit + 1).max().unwrap_or(0).max(told)
    }

    /// The share of the last steps that ended at an exit, and of how many.
    pub(super) fn share(&self, exit: usize) -> (f64, usize) {
        let taken = self.exits.iter().filter(|&&taken| taken == exit).count();
        (taken as f64 / self.exits.len().max(1) as f64, self.exits.len())
    }

    pub(super) fn period_ms(&self) -> Option<f64> {
        self.health("Inference")?.number("control period (ms)")
    }

    /// Each camera's role and, where it has sent one, how old its picture was when it was decided on, in milliseconds.
    pub(super) fn cameras(&self) -> Vec<(String, Option<f64>)> {
        let Some(decision) = &self.decision else { return Vec::new() };
        let stamp = decision.number("stamp");
        let camera = |name: &String| {
            let role = name.strip_prefix("stamp_")?;
            Some((role.to_owned(), stamp.zip(decision.number(name)).map(|(now, taken)| (now - taken) * 1e3)))
        };
        let mut cameras: Vec<_> = decision.values.keys().filter_map(camera).collect();
        cameras.sort_by(|a, b| b.0.cmp(&a.0));
        cameras
    }
}
