//! How the node is doing, for `/diagnostics`: once a second, and at once when a level changes.

use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticStatus;

use super::outputs::{ERROR, OK, Outputs, WARN, level};
use crate::frame::FrameError;
use crate::network::Network;
use crate::safety::{Hold, State, Verdict};
use crate::session::{Answer, Session};
use crate::thresholds::{Expected, Live, Seen};
use crate::units::{Moment, Stamp};

const PERIOD: Duration = Duration::from_secs(1);
/// A camera that only sends what cannot be read should not fill the log.
const SAY_AGAIN: Duration = Duration::from_secs(5);
/// A camera that was not heard for this long is reported.
const SILENT_SECS: f64 = 1.0;

/// Counts since the node started and in the current period.
pub(super) struct Health {
    cameras: Vec<CameraCounts>,
    exits: Vec<u64>,
    steps: u64,
    holds: u64,
    verdict: Option<(Verdict, String)>,
    step_ms: Vec<f64>,
    overhead_ms: Vec<f64>,
    published: Instant,
    levels: Vec<u8>,
    facts: Vec<(String, String)>,
}

struct CameraCounts {
    role: String,
    newest: Option<Stamp>,
    /// Messages in the current period.
    received: u64,
    came: u64,
    read: u64,
    refused: u64,
    last_refusal: String,
    said: Option<Instant>,
}

impl Health {
    /// `facts` do not change while the node runs: bundle, provider, library.
    pub(super) fn new(roles: &[String], exits: usize, facts: Vec<(String, String)>) -> Self {
        let camera = |role: &String| CameraCounts {
            role: role.clone(),
            newest: None,
            received: 0,
            came: 0,
            read: 0,
            refused: 0,
            last_refusal: String::new(),
            said: None,
        };
        Self {
            cameras: roles.iter().map(camera).collect(),
            exits: vec![0; exits],
            steps: 0,
            holds: 0,
            verdict: None,
            step_ms: Vec::new(),
            overhead_ms: Vec::new(),
            published: Instant::now(),
            levels: Vec::new(),
            facts,
        }
    }

    /// Counts messages that came, and pictures that were read.
    pub(super) fn came(&mut self, camera: usize, messages: u64, reads: u64) {
        let camera = &mut self.cameras[camera];
        (camera.received, camera.came, camera.read) =
            (camera.received + messages, camera.came + messages, camera.read + reads);
    }

    pub(super) fn picture(&mut self, camera: usize, stamp: Stamp) {
        self.cameras[camera].newest = Some(stamp);
    }

    /// Counts a picture that could not be read; tells whether to say so.
    pub(super) fn refused(&mut self, camera: usize, error: &FrameError) -> bool {
        let camera = &mut self.cameras[camera];
        camera.refused += 1;
        camera.last_refusal = error.to_string();
        let say = camera.said.is_none_or(|said| said.elapsed() > SAY_AGAIN);
        if say {
            camera.said = Some(Instant::now());
        }
        say
    }

    /// Counts an answer; gives a line for the log when the verdict changes for longer than between two pictures.
    pub(super) fn answer(&mut self, answer: &Answer) -> Option<String> {
        match &answer.decision {
            Some(step) => {
                self.steps += 1;
                if let Some(exit) = step.ran_to() {
                    self.exits[exit] += 1;
                }
                self.step_ms.push(answer.total_ms);
                self.overhead_ms.extend(answer.overhead_ms);
            }
            None => self.holds += 1,
        }
        if answer.verdict == Verdict::HoldSpent {
            return None;
        }
        let before = self.verdict.replace((answer.verdict, answer.message.clone()));
        let changed = before.is_none_or(|(verdict, _)| verdict != answer.verdict);
        changed.then(|| match answer.message.as_str() {
            "" => format!("acting on {:?}", answer.instruction),
            message => format!("holding: {message}"),
        })
    }

    /// The statuses to publish, when it is time or a level has changed.
    pub(super) fn due<N: Network>(
        &mut self,
        now: Moment,
        session: &Session<N>,
        outputs: &Outputs,
    ) -> Option<Vec<DiagnosticStatus>> {
        let (policy_level, policy_message) = match &self.verdict {
            None => (WARN, "waiting for pictures".to_owned()),
            Some((verdict, message)) => (level(*verdict), message.clone()),
        };
        let found = |i| session.camera(i, now).0;
        let cameras: Vec<_> =
            self.cameras.iter().enumerate().map(|(i, camera)| camera.state(now.robot, found(i))).collect();
        let state = session.state(now);
        let (safety_level, reason) = match state {
            State::Fault => (ERROR, policy_message.clone()),
            State::Active | State::Ready => (OK, String::new()),
            State::Hold => (policy_level, policy_message.clone()),
            State::Disarmed => (WARN, format!("not ready: {}", session.unready(now).unwrap_or_default())),
        };
        let (compute_level, compute_message, compute) = session.live().map_or((OK, String::new(), Vec::new()), compute);
        let levels: Vec<u8> = cameras.iter().map(|c| c.0).chain([policy_level, compute_level, safety_level]).collect();
        if self.published.elapsed() < PERIOD && levels == self.levels {
            return None;
        }
        let window_secs = self.published.elapsed().as_secs_f64();
        self.levels = levels;
        self.published = Instant::now();
        let mut statuses = Vec::new();
        for (i, (camera, (level, message))) in self.cameras.iter_mut().zip(cameras).enumerate() {
            let mut values = camera.values(now.robot, window_secs);
            values.extend(session.camera(i, now).1);
            statuses.push(outputs.status(&format!("Inputs/{}", camera.role), level, &message, values));
        }
        statuses.push(outputs.status("Policy", policy_level, &policy_message, self.policy(session)));
        statuses.push(outputs.status("Safety", safety_level, &reason, safety(state, self.verdict.as_ref(), session)));
        statuses.push(outputs.status("Compute", compute_level, &compute_message, compute));
        statuses.push(outputs.status("Inference", OK, "", self.inference()));
        Some(statuses)
    }

    fn policy<N: Network>(&self, session: &Session<N>) -> Vec<(String, String)> {
        let settings = session.settings();
        let list = |values: Vec<String>| values.join(" ");
        vec![
            ("armed".into(), session.armed().to_string()),
            ("epoch".into(), session.epoch().to_string()),
            ("steps".into(), self.steps.to_string()),
            ("holds".into(), self.holds.to_string()),
            ("exits taken".into(), list(self.exits.iter().map(u64::to_string).collect())),
            ("cap".into(), settings.cap.to_string()),
            ("thresholds".into(), list(settings.thresholds.as_slice().iter().map(f32::to_string).collect())),
        ]
    }

    fn inference(&mut self) -> Vec<(String, String)> {
        let mut values = self.facts.clone();
        for (name, samples) in [("step", &mut self.step_ms), ("overhead", &mut self.overhead_ms)] {
            samples.sort_by(f64::total_cmp);
            let at = |share: f64| samples.get(((samples.len() as f64 - 1.0) * share).round() as usize);
            for (label, share) in [("median", 0.5), ("worst", 1.0)] {
                values.extend(at(share).map(|ms| (format!("{name} {label} (ms)"), format!("{ms:.3}"))));
            }
            samples.clear();
        }
        values
    }
}

fn safety<N: Network>(
    state: State,
    verdict: Option<&(Verdict, String)>,
    session: &Session<N>,
) -> Vec<(String, String)> {
    let step_ms = session.step_secs().map_or_else(String::new, |secs| format!("{:.3}", secs * 1e3));
    vec![
        ("state".into(), state.as_str().into()),
        ("verdict".into(), verdict.map_or("", |(verdict, _)| verdict.as_str()).into()),
        ("step at full depth (ms)".into(), step_ms),
    ]
}

/// What the exits cost lately, beside what the calibration expects.
fn compute(live: &Live) -> (u8, String, Vec<(String, String)>) {
    let list = |shares: &[f64]| shares.iter().map(|share| format!("{share:.3}")).collect::<Vec<_>>().join(" ");
    let mut values = Vec::new();
    if let Some(Expected { average, band: (low, high), shares, .. }) = live.expected() {
        values.push(("expected average (GFLOP)".into(), format!("{average:.6}")));
        values.push(("99 % band (GFLOP)".into(), format!("{low:.6} {high:.6}")));
        values.push(("expected shares".into(), list(shares)));
    }
    if let Some((budget, average)) = live.whole() {
        values.push(("budget of the whole step (GFLOP)".into(), format!("{budget:.6}")));
        values.extend(average.map(|average| ("average of the whole step (GFLOP)".into(), format!("{average:.6}"))));
    }
    let Some(Seen { average, shares, drift }) = live.seen() else {
        return (OK, String::new(), values);
    };
    values.push(("average (GFLOP)".into(), format!("{average:.6}")));
    values.push(("shares".into(), list(&shares)));
    (if drift.is_some() { WARN } else { OK }, drift.unwrap_or_default(), values)
}

impl CameraCounts {
    fn state(&self, now: Stamp, found: Option<Hold>) -> (u8, String) {
        match self.newest {
            None if self.refused > 0 => (ERROR, self.last_refusal.clone()),
            None => (WARN, "no picture yet".into()),
            Some(stamp) if now.secs_since(stamp) > SILENT_SECS => {
                (ERROR, format!("silent for {:.1} s", now.secs_since(stamp)))
            }
            Some(_) => {
                found.map_or((OK, String::new()), |hold| (WARN, format!("{}: {}", hold.verdict.as_str(), hold.message)))
            }
        }
    }

    fn values(&mut self, now: Stamp, window_secs: f64) -> Vec<(String, String)> {
        let received = std::mem::take(&mut self.received);
        let mut values = vec![
            ("Events in window".to_owned(), received.to_string()),
            ("Actual frequency (Hz)".to_owned(), format!("{:.1}", received as f64 / window_secs)),
            ("came".to_owned(), self.came.to_string()),
            ("read".to_owned(), self.read.to_string()),
            ("refused".to_owned(), self.refused.to_string()),
        ];
        if let Some(stamp) = self.newest {
            values.push(("age (s)".into(), format!("{:.3}", now.secs_since(stamp))));
        }
        if self.refused > 0 {
            values.push(("last refusal".into(), self.last_refusal.clone()));
        }
        values
    }
}
