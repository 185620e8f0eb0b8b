//! A recording on its own time: pictures come when they were recorded, and what the node decided beside them tells what
//! its operator did and how long its steps took.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use deer_vla::bag::{Bag, DiagnosticStatus};
use deer_vla::bundle::Bundle;
use deer_vla::config::Config;
use deer_vla::engine::ort::OrtEngine;
use deer_vla::motion::Stream;
use deer_vla::network::{Network, Observed};
use deer_vla::safety::Watchdog;
use deer_vla::session::run::{Caller, Pace, Run, Thread};
use deer_vla::session::{Commander, Event, Session};
use deer_vla::units::Stamp;

use super::robot::session;

/// A decision of the node that was recorded.
pub(super) struct Recorded {
    at: Stamp,
    values: HashMap<String, String>,
    pub(super) message: String,
}

/// What an operator did, as far as decisions tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Enable,
    Disable,
    Reset,
    ClearFault,
}

impl Operator {
    /// What that is to the session; nobody waits for the reply.
    pub(super) fn event(self) -> Event<Caller> {
        match self {
            Self::Enable => Event::Enable(true, 0),
            Self::Disable => Event::Enable(false, 0),
            Self::Reset => Event::Reset(0),
            Self::ClearFault => Event::ClearFault(0),
        }
    }
}

impl Recorded {
    /// All decisions on `topic`, if the bag holds it.
    pub(super) fn all(bag: &Bag, topic: &str) -> anyhow::Result<Vec<Self>> {
        if !bag.topics().contains_key(topic) {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for message in bag.messages(&[topic]) {
            let message = message?;
            let status: DiagnosticStatus = cdr::deserialize(&message.data)?;
            let values = status.values.into_iter().map(|pair| (pair.key, pair.value)).collect();
            all.push(Self { at: message.log_time, values, message: status.message });
        }
        Ok(all)
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(super) fn armed(&self) -> bool {
        matches!(self.value("state"), "active" | "hold")
    }

    /// When its pictures were taken.
    pub(super) fn stamps(&self, roles: &[String]) -> Vec<Option<Stamp>> {
        let stamp = |role: &String| {
            let (secs, nanos) = self.value(&format!("stamp_{role}")).split_once('.')?;
            Some(Stamp::new(secs.parse().ok()?, nanos.parse().ok()?))
        };
        roles.iter().map(stamp).collect()
    }

    fn epoch(&self) -> u64 {
        self.value("epoch").parse().unwrap_or_default()
    }
}

/// Something that an operator did, and the decision that was the first to show it.
pub(super) struct Deed {
    pub(super) operator: Operator,
    /// When the decision was recorded, and when its pictures were taken.
    at: Stamp,
    stamps: Vec<Option<Stamp>>,
}

impl Deed {
    /// Whether it was done by now: with the very pictures that were decided on, or before the decision at the latest.
    pub(super) fn done(&self, now: Stamp, shown: &[Option<Stamp>]) -> bool {
        now >= self.at || shown == self.stamps
    }
}

/// What was done between the decisions. An epoch that neither a sentence nor an enabling began was begun by a reset.
pub(super) fn deeds(decisions: &[Recorded], roles: &[String]) -> Vec<Deed> {
    let mut done = Vec::new();
    for pair in decisions.windows(2) {
        let [before, after] = pair else { continue };
        // A decision between two sets of pictures is about those of the decision before it.
        let stamps = Some(after.stamps(roles)).filter(|stamps| *stamps != before.stamps(roles)).unwrap_or_default();
        let mut add = |operator| done.push(Deed { operator, at: after.at, stamps: stamps.clone() });
        let mut epochs = after.epoch().saturating_sub(before.epoch());
        epochs -= u64::from(before.value("instruction") != after.value("instruction")).min(epochs);
        let fault = |decision: &Recorded| decision.value("state") == "fault";
        if fault(before) && !fault(after) {
            add(Operator::ClearFault);
        }
        if after.armed() && !before.armed() {
            epochs = epochs.saturating_sub(1);
            add(Operator::Enable);
        }
        if before.armed() && after.value("verdict") == "hold_disarmed" {
            add(Operator::Disable);
        }
        (0..epochs).for_each(|_| add(Operator::Reset));
    }
    done
}

/// Virtual time that begins with the recording.
pub(super) struct Recording {
    start: Stamp,
    began: Instant,
    /// How long each step took, by the capture times of its pictures; the longest, where it was answered anew.
    took: HashMap<Vec<Option<Stamp>>, Duration>,
}

impl Recording {
    pub(super) fn new(start: Stamp, roles: &[String], decisions: &[Recorded]) -> Self {
        let mut took: HashMap<Vec<Option<Stamp>>, Duration> = HashMap::new();
        for decision in decisions {
            let ms = decision.value("total_ms").parse().unwrap_or(0.0f64);
            let longest = took.entry(decision.stamps(roles)).or_default();
            *longest = Duration::from_secs_f64(ms.max(0.0) * 1e-3).max(*longest);
        }
        Self { start, began: Instant::now(), took }
    }

    pub(super) fn machine(&self, at: Stamp) -> Duration {
        Duration::from_nanos(u64::try_from(at.0 - self.start.0).unwrap_or_default())
    }
}

impl<N: Network> Pace<N> for Recording {
    fn robot(&self, machine: Duration) -> Stamp {
        Stamp(self.start.0 + machine.as_nanos() as i64)
    }

    fn watch(&mut self) -> Duration {
        self.began.elapsed()
    }

    fn took(&mut self) -> Duration {
        Duration::ZERO
    }

    fn thought(&mut self, session: &Session<N>) -> Duration {
        let key: Vec<Option<Stamp>> = session.stamps().into_iter().map(|(_, stamp)| stamp).collect();
        self.took.get(&key).copied().unwrap_or_default()
    }

    fn delay(&mut self, _: Thread, _: Duration) -> Duration {
        Duration::ZERO
    }
}

/// The node on the recording's time.
///
/// # Errors
/// When the network does not load or cannot be run.
pub(super) fn run(
    bundle: &Bundle,
    config: &Config,
    armed: bool,
    start: Stamp,
    decisions: &[Recorded],
) -> anyhow::Result<Run<Observed<OrtEngine>, Recording>> {
    let manifest = &bundle.manifest;
    let roles: Vec<String> = manifest.cameras.iter().map(|camera| camera.role.clone()).collect();
    let (period_secs, tick_secs) = (1.0 / manifest.embodiment.control_hz, 1.0 / config.twist.rate_hz);
    let stream = Stream::new(&config.twist.limits, tick_secs, period_secs);
    let dwell = Duration::from_secs_f64(config.gripper.dwell_secs);
    let commander = Commander::streaming(stream, Duration::from_secs_f64(tick_secs), config.twist.zeros, dwell);
    let max_silence_secs = config.guard(manifest.embodiment.control_hz).max_silence_secs;
    let watchdog = Watchdog::new(roles.iter().map(String::as_str), period_secs, max_silence_secs);
    let pace = Recording::new(start, &roles, decisions);
    let run = Run::new(session(bundle, config, armed)?, commander, watchdog, roles.len(), pace);
    ensure!(run.session.step_secs().is_some(), "the network cannot be run; deer_vla check says more");
    Ok(run)
}
