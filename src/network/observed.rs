//! A bundle's network: frames and a sentence through its observer into its policy.

use std::time::Duration;

use super::{Network, Policy, Settings, Situation, Step};
use crate::engine::Engine;
use crate::frame::Frame;
use crate::observe::Observer;

/// A policy and the observer that feeds it.
pub struct Observed<E> {
    observer: Observer,
    policy: Policy<E>,
    /// Whether a prompt has been embedded.
    prompted: bool,
}

impl<E: Engine> Observed<E> {
    /// Nothing was said yet.
    pub fn new(observer: Observer, policy: Policy<E>) -> Self {
        Self { observer, policy, prompted: false }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy<E> {
        &self.policy
    }

    /// Brings the pictures of the cameras that are looked at to where the network reads them.
    fn draw(&mut self, frames: &[&Frame], looks: impl Fn(usize) -> bool) {
        for (camera, frame) in frames.iter().enumerate().filter(|(camera, _)| looks(*camera)) {
            self.policy.draw(camera, &mut |image| self.observer.draw(camera, frame, image));
        }
    }

    /// The policy's engine, for whoever loaded it.
    pub fn engine(&self) -> &E {
        self.policy.engine()
    }
}

impl<E: Engine> Network for Observed<E> {
    fn begin_epoch(&mut self, sentence: &str) -> Result<(), String> {
        self.policy.reset();
        let ids = self.observer.ids(sentence).map_err(|e| e.to_string())?;
        self.policy.start_epoch(&ids).map_err(|e| e.to_string())?;
        self.prompted = true;
        Ok(())
    }

    fn reset(&mut self) {
        self.policy.reset();
    }

    fn step(
        &mut self,
        frames: &[&Frame],
        situation: &Situation,
        watch: &mut dyn FnMut() -> Duration,
    ) -> Result<Step, String> {
        let plan = self.policy.plan(frames, situation);
        self.draw(frames, |camera| plan.looks(camera));
        self.policy.follow(plan, watch).map_err(|e| e.to_string())
    }

    fn rehearse(&mut self, frames: &[&Frame]) -> Result<(), String> {
        if !self.prompted {
            self.policy.embed(&self.observer.longest()).map_err(|e| e.to_string())?;
        }
        // Where a picture is missing, those of before will do, or none.
        if frames.len() == self.observer.cameras() {
            self.draw(frames, |_| true);
        }
        self.policy.rehearse().map_err(|e| e.to_string())
    }

    fn settings(&self) -> &Settings {
        self.policy.settings()
    }

    fn configure(&mut self, settings: Settings) -> Result<(), String> {
        self.policy.configure(settings).map_err(|e| e.to_string())
    }
}
