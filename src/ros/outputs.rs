//! What the node says of itself: decisions and diagnostics. What moves something is in `arm`.

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::std_msgs::msg::Header;
use r2r::{Node, Publisher, QosProfile, builtin_interfaces};

use crate::safety::Verdict;
use crate::session::{Answer, Group};
use crate::units::Stamp;

/// Levels of a status.
pub(super) const OK: u8 = DiagnosticStatus::OK as u8;
pub(super) const WARN: u8 = DiagnosticStatus::WARN as u8;
pub(super) const ERROR: u8 = DiagnosticStatus::ERROR as u8;

#[derive(Clone)]
pub(super) struct Outputs {
    node: String,
    decision: Publisher<DiagnosticStatus>,
    diagnostics: Publisher<DiagnosticArray>,
    metrics: Option<Metrics>,
}

/// `~/metrics`, and the control period that it is told against.
#[derive(Clone)]
struct Metrics {
    publisher: Publisher<DiagnosticArray>,
    period_secs: f64,
}

impl Outputs {
    /// Publishes metrics as well, where they are wanted.
    pub(super) fn new(node: &mut Node, period_secs: f64, metrics: bool) -> r2r::Result<Self> {
        let record = || QosProfile::default().keep_last(10).reliable().volatile();
        let metrics = metrics.then(|| node.create_publisher("~/metrics", record())).transpose()?;
        Ok(Self {
            metrics: metrics.map(|publisher| Metrics { publisher, period_secs }),
            node: node.fully_qualified_name()?,
            decision: node.create_publisher("~/decision", record())?,
            diagnostics: node.create_publisher("/diagnostics", record())?,
        })
    }

    /// Publishes why the answer is what it is, and its numbers.
    pub(super) fn decision(&self, answer: &Answer) -> r2r::Result<()> {
        let status = self.status("decision", level(answer.verdict), &answer.message, answer.fields());
        self.decision.publish(&status)?;
        self.metrics.as_ref().map_or(Ok(()), |metrics| metrics.publish(answer))
    }

    pub(super) fn diagnostics(&self, now: Stamp, status: Vec<DiagnosticStatus>) -> r2r::Result<()> {
        let header = Header { stamp: time(now), frame_id: String::new() };
        self.diagnostics.publish(&DiagnosticArray { header, status })
    }

    /// A status under this node's name.
    pub(super) fn status(
        &self,
        task: &str,
        level: u8,
        message: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> DiagnosticStatus {
        DiagnosticStatus {
            level,
            name: format!("{}: {task}", self.node.trim_start_matches('/')),
            message: message.to_owned(),
            hardware_id: self.node.clone(),
            values: values.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
        }
    }
}

impl Metrics {
    /// A status a group. Plotting programs put the names together: `~/metrics`, the group, the number. So no node's name
    /// stands between them.
    fn publish(&self, answer: &Answer) -> r2r::Result<()> {
        let value = |(key, number): (String, f64)| KeyValue { key, value: number.to_string() };
        let status = |(name, numbers): Group| DiagnosticStatus {
            level: level(answer.verdict),
            name: name.to_owned(),
            message: answer.verdict.as_str().to_owned(),
            hardware_id: String::new(),
            values: numbers.into_iter().map(value).collect(),
        };
        let header = Header { stamp: time(answer.stamp), frame_id: String::new() };
        let status = answer.metrics(self.period_secs).into_iter().map(status).collect();
        self.publisher.publish(&DiagnosticArray { header, status })
    }
}

pub(super) fn time(stamp: Stamp) -> builtin_interfaces::msg::Time {
    let (sec, nanosec) = stamp.parts();
    builtin_interfaces::msg::Time { sec, nanosec }
}

/// A person should look at a fault; a hold is worth a warning, but not when it is the rest between two pictures.
pub(super) fn level(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Act | Verdict::HoldSpent => OK,
        Verdict::HoldFault => ERROR,
        _ => WARN,
    }
}
