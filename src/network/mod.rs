//! One control step of the network: pictures → stages in turn → the first exit that agrees with the one before → one
//! action.

mod gate;
mod policy;

pub use gate::{Candidate, Metric, Reason, rms};
pub use policy::{Policy, Settings, Step, Timing};
