//! Result files → tables and, with the feature `report`, plots.

#[cfg(feature = "report")]
mod canvas;
#[cfg(feature = "report")]
mod course;
#[cfg(feature = "report")]
mod decisions;
#[cfg(feature = "report")]
mod exits;
mod quantiles;
#[cfg(feature = "report")]
mod results;
mod summary;

#[cfg(feature = "report")]
pub use decisions::{Decision, ReportError, read};
#[cfg(feature = "report")]
pub use exits::plot;
pub use quantiles::Quantiles;
#[cfg(feature = "report")]
pub use results::{Evaluated, compare};
pub use summary::Summary;
