//! One control step of the network: a plan of what to look at → pictures → stages in turn → the first exit that agrees
//! with the one before → one action.

mod costs;
mod gate;
mod gauge;
mod glance;
mod observed;
mod plan;
mod policy;
mod predictor;
mod step;

use std::time::Duration;

use crate::frame::Frame;

pub use gate::{Candidate, Context, Metric, Reason, rms};
pub use gauge::Gauge;
pub use glance::Glance;
pub use observed::Observed;
pub(crate) use plan::Planner;
pub use plan::{Plan, PlanLimits, PlannedCamera, Situation};
pub use policy::{Policy, Settings};
pub use predictor::{INPUTS, Predictor, Signs, signs};
pub use step::{Step, Timing};

/// What the session asks of a network. A watch tells the time since any moment; whoever calls started it.
///
/// Errors are sentences for people: none of them is anybody's to mend while the arm moves.
pub trait Network {
    /// Takes up a sentence and clears the recurrent state.
    ///
    /// # Errors
    /// When the sentence cannot be used as it is, or the network cannot be run.
    fn begin_epoch(&mut self, sentence: &str) -> Result<(), String>;

    /// Clears the recurrent state.
    fn reset(&mut self);

    /// One step on one picture a camera, in the manifest's order, as far as the situation asks for it.
    ///
    /// # Errors
    /// When the network cannot be run, or gives no action; the recurrent state is then as it was before.
    fn step(
        &mut self,
        frames: &[&Frame],
        situation: &Situation,
        watch: &mut dyn FnMut() -> Duration,
    ) -> Result<Step, String>;

    /// Runs everything down to the cap on these pictures, or on made-up ones where one is missing, and forgets what
    /// comes out: no step costs more than this. Before the first sentence, with the longest prompt.
    ///
    /// # Errors
    /// When the network cannot be run.
    fn rehearse(&mut self, frames: &[&Frame]) -> Result<(), String>;

    /// What is set now.
    fn settings(&self) -> &Settings;

    /// Changes settings between two steps.
    ///
    /// # Errors
    /// When a stage does not load; the old settings stay.
    fn configure(&mut self, settings: Settings) -> Result<(), String>;
}
