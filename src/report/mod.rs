//! Result files → tables and plots.

mod canvas;
mod course;
mod decisions;
mod exits;
mod quantiles;
mod results;
mod summary;

pub use decisions::{Decision, ReportError, read};
pub use exits::plot;
pub use quantiles::Quantiles;
pub use results::{Evaluated, compare};
pub use summary::Summary;
