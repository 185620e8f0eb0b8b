//! The page of a run: the film beside the exits, one cursor through both, what it cost, and every hold with its reason.
//! One HTML file that needs nothing else.

mod decided;
mod film;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::ReportError;
use crate::bag::{Bag, BagError, DECISIONS};
use crate::bundle::Manifest;
use decided::decided;
use film::Film;

pub use film::Thinned;

const PAGE: &str = include_str!("page.html");
/// Where the run's data go.
const DATA: &str = "/*DATA*/";

/// A run as its recordings show it: pictures in one of the bags, decisions in the same or another.
pub struct Run<'a> {
    /// What the page is called.
    pub title: String,
    /// The recordings.
    pub bags: &'a [Bag],
    /// Topics of cameras by role, where they are not the usual ones.
    pub topics: BTreeMap<String, String>,
    /// How many pictures of each camera, and how large.
    pub thinned: Thinned,
    /// Of the bundle that decided, for its costs.
    pub manifest: Option<&'a Manifest>,
}

/// Writes the page; gives how many decisions and pictures are on it.
///
/// # Errors
/// `Run` where no bag holds decisions, `Bag` where one cannot be read, `Results` where the page cannot be written.
pub fn write(run: &Run<'_>, path: &Path) -> Result<(usize, usize), ReportError> {
    let (decisions, roles) = decisions(run.bags)?;
    let film = Film::read(run, &roles)?;
    let pictures = film.pictures();
    let data = json!({
        "title": run.title,
        "roles": roles,
        "decisions": decisions,
        "film": film.json(),
        "costs": run.manifest.map(costs),
    });
    // Inside a script element nothing may look like its end.
    let page = PAGE.replace(DATA, &data.to_string().replace("</", "<\\/"));
    let refuse =
        |e: std::io::Error| ReportError::Results { reason: format!("cannot be written: {e}"), path: path.into() };
    std::fs::write(path, page).map_err(refuse)?;
    Ok((decisions.len(), pictures))
}

/// All decisions in their order, and the cameras' roles in the order in which they are told.
fn decisions(bags: &[Bag]) -> Result<(Vec<Value>, Vec<String>), ReportError> {
    let (mut all, mut roles): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for message in bags.iter().flat_map(|bag| bag.messages(&[bag.decisions()])) {
        let message = message?;
        let status = cdr::deserialize(&message.data)
            .map_err(|e| ReportError::Run(format!("a decision does not decode as DiagnosticStatus: {e}")))?;
        let (value, cameras) = decided(&status);
        roles = if roles.is_empty() { cameras } else { roles };
        all.push(value);
    }
    if all.is_empty() {
        let mend = "record that topic beside the cameras, or give the recording and the OUT/commands of its replay";
        return Err(ReportError::Run(format!("no decisions: none of the bags has {DECISIONS}; {mend}")));
    }
    Ok((all, roles))
}

/// Multiply-accumulates of a step, in 1e9: of the language model by exit, and of vision.
fn costs(manifest: &Manifest) -> Value {
    let exits: Vec<f64> = (0..manifest.exits.len()).map(|exit| manifest.macs_to(exit) as f64 * 1e-9).collect();
    json!({
        "llm_gmac": exits,
        "vision_gmac": manifest.parts.vision_macs() as f64 * 1e-9,
        "period_ms": 1e3 / manifest.embodiment.control_hz,
    })
}

impl From<BagError> for ReportError {
    fn from(error: BagError) -> Self {
        Self::Run(error.to_string())
    }
}
