//! Reads decisions back: JSON lines from `deer_vla replay`, or from anyone who writes the same few names.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::units::Stamp;

/// The few fields of a decision that reports use; all others are skipped.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Decision {
    /// When.
    pub stamp: Stamp,
    /// `act` or `hold_…`.
    pub verdict: String,
    /// Counts instructions.
    #[serde(default)]
    pub epoch: u64,
    /// The sentence.
    #[serde(default)]
    pub instruction: String,
    /// What the network decided, where it was asked.
    decision: Option<Step>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Step {
    exit: usize,
    #[serde(default)]
    reason: String,
}

impl Decision {
    /// The exit that was taken; `None` on hold and where the step was skipped.
    pub fn exit(&self) -> Option<usize> {
        self.decision.as_ref().filter(|step| step.reason != "skipped").map(|step| step.exit)
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error("the decisions cannot be read: {source}\nfile: {path}")]
    Unreadable {
        /// What the system says.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// A line is not a decision.
    #[error(
        "line {line} is not a decision: {source}; each line is a JSON object as `deer_vla replay` writes it\nfile: {path}"
    )]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        source: serde_json::Error,
        /// Where.
        path: PathBuf,
    },
    /// There is nothing to show.
    #[error(
        "there are no decisions in the file; a replay or a recording must have answered at least once\nfile: {path}"
    )]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// A results file that does not serve, or a table that cannot be written.
    #[error("{path} {reason}")]
    Results {
        /// What is wrong.
        reason: String,
        /// Where.
        path: PathBuf,
    },
    /// A recording of which no page can be made.
    #[error("{0}")]
    Run(String),
    /// The plot cannot be drawn.
    #[error("the plot cannot be written: {reason}\nfile: {path}")]
    Plot {
        /// What the plotting library says.
        reason: String,
        /// Where.
        path: PathBuf,
    },
}

/// Reads a file of decisions. A last line without its end is one that a writer was stopped in, and is left out.
///
/// # Errors
/// `Unreadable`, `Syntax` or `Empty`.
pub fn read(path: &Path) -> Result<Vec<Decision>, ReportError> {
    let unreadable = |source| ReportError::Unreadable { source, path: path.to_path_buf() };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut decisions = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        if reader.read_line(&mut text).map_err(unreadable)? == 0 {
            break;
        }
        match serde_json::from_str(&text) {
            Ok(decision) => decisions.push(decision),
            Err(_) if text.trim().is_empty() => (),
            Err(source) if source.is_eof() && !text.ends_with('\n') => break,
            Err(source) => return Err(ReportError::Syntax { line, source, path: path.to_path_buf() }),
        }
    }
    if decisions.is_empty() {
        return Err(ReportError::Empty { path: path.to_path_buf() });
    }
    Ok(decisions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Decision>, ReportError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    const ACT: &str = r#"{"stamp": 5, "verdict": "act", "epoch": 1, "instruction": "lift", "decision": {"exit": 2}}"#;
    const HOLD: &str = r#"{"stamp": 9, "verdict": "hold_stale_frame", "more": [1], "decision": null}"#;

    #[test]
    fn only_the_fields_that_are_used_must_be_there() {
        let decisions = parsed(&format!("{ACT}\n\n{HOLD}\n")).unwrap();
        assert_eq!(decisions.iter().map(Decision::exit).collect::<Vec<_>>(), [Some(2), None]);
        assert_eq!((decisions[0].epoch, decisions[1].stamp), (1, Stamp(9)));
    }

    #[test]
    fn a_line_that_was_cut_off_by_the_end_is_left_out_and_any_other_is_refused_by_number() {
        assert_eq!(parsed(&format!("{ACT}\n{}", &HOLD[..20])).unwrap().len(), 1);
        let error = parsed(&format!("{ACT}\n{}\n{ACT}\n", &HOLD[..20])).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        let error = parsed("{\"verdict\": \"act\"}\n").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("stamp"), "{error}");
    }

    #[test]
    fn an_empty_file_and_a_missing_one_are_refused() {
        assert!(matches!(parsed("\n"), Err(ReportError::Empty { .. })));
        assert!(matches!(read(Path::new("/nowhere")), Err(ReportError::Unreadable { .. })));
    }
}
