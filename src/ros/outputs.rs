//! What the node says of itself: decisions and diagnostics. What moves something is in `arm`.

use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::std_msgs::msg::Header;
use r2r::{Node, Publisher, QosProfile, builtin_interfaces};

use crate::safety::Verdict;
use crate::session::Answer;
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
}

impl Outputs {
    pub(super) fn new(node: &mut Node) -> r2r::Result<Self> {
        let record = || QosProfile::default().keep_last(10).reliable().volatile();
        Ok(Self {
            node: node.fully_qualified_name()?,
            decision: node.create_publisher("~/decision", record())?,
            diagnostics: node.create_publisher("/diagnostics", record())?,
        })
    }

    /// Publishes why the answer is what it is.
    pub(super) fn decision(&self, answer: &Answer) -> r2r::Result<()> {
        let status = self.status("decision", level(answer.verdict), &answer.message, answer.fields());
        self.decision.publish(&status)
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
