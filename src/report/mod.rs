//! Result files → tables and, with the feature `report`, plots.

#[cfg(feature = "report")]
mod canvas;
#[cfg(feature = "report")]
mod course;
#[cfg(feature = "report")]
mod decisions;
#[cfg(feature = "report")]
mod exits;
#[cfg(feature = "report")]
mod otherwise;
#[cfg(feature = "report")]
pub mod page;
mod quantiles;
#[cfg(feature = "report")]
mod results;
#[cfg(feature = "report")]
mod sheet;
mod summary;

#[cfg(feature = "report")]
pub use decisions::{Decision, ReportError, read};
#[cfg(feature = "report")]
pub use exits::plot;
#[cfg(feature = "report")]
pub use otherwise::{Otherwise, plot_otherwise};
pub use quantiles::Quantiles;
#[cfg(feature = "report")]
pub use results::{Evaluated, compare};
#[cfg(feature = "report")]
pub use sheet::{Tile, contact_sheet};
pub use summary::{Summary, mean_macs};
