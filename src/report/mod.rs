//! Result files → tables and plots.

mod decisions;
mod exits;
mod quantiles;
mod summary;

pub use decisions::{Decision, ReportError, read};
pub use exits::plot;
pub use quantiles::Quantiles;
pub use summary::Summary;
