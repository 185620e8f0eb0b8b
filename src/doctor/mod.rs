//! What would not work on this robot, and how to mend it. Judgments over what was seen; `ros::doctor` does the looking.

mod cameras;
mod controller;
mod topics;

use std::fmt;

use serde::Serialize;

pub use cameras::{CameraLimits, Seen, pictures, skew};
pub use controller::{Motion, ServoFacts, clock, limits, servo};
pub use topics::{Offer, Wish, listeners, offers};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could, or not in every case.
    Warning,
    /// It would not work.
    Error,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was looked at: a topic, a camera, a part of the node.
    pub check: String,
    /// How bad it is.
    pub level: Level,
    /// What was found, with numbers and units.
    pub message: String,
    /// What to do about it; empty where nothing is to be done.
    pub mend: String,
}

impl Finding {
    /// All well.
    pub fn ok(check: &str, message: impl Into<String>) -> Self {
        Self { check: check.to_owned(), level: Level::Ok, message: message.into(), mend: String::new() }
    }

    /// Not as it could be.
    pub fn warning(check: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: check.to_owned(), level: Level::Warning, message: message.into(), mend: mend.into() }
    }

    /// Would not work.
    pub fn error(check: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Error, ..Self::warning(check, message, mend) }
    }
}

impl fmt::Display for Finding {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        write!(f, "{level:<8} {}: {}", self.check, self.message)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, "; mend: {}", self.mend) }
    }
}

/// The worst level of all; nothing found is all well.
pub fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_mend() {
        assert_eq!(Finding::ok("clock", "simulated").to_string(), "ok       clock: simulated");
        let finding = Finding::error("estop", "nobody publishes it", "start it");
        assert_eq!(finding.to_string(), "error    estop: nobody publishes it; mend: start it");
    }

    #[test]
    fn the_worst_finding_is_what_the_whole_comes_to() {
        let (ok, warning) = (Finding::ok("a", ""), Finding::warning("b", "", ""));
        assert_eq!(worst(&[]), Level::Ok);
        assert_eq!(worst(&[ok.clone(), warning.clone()]), Level::Warning);
        assert_eq!(worst(&[warning, Finding::error("c", "", ""), ok]), Level::Error);
    }
}
