//! A kept picture is as old as it is, and an action goes on only from one that was carried out.

use std::time::Duration;

use super::{Broken, Invariant, Judge};
use crate::network::Step;
use crate::safety::Verdict;
use crate::session::Answer;

impl Judge {
    /// Whether what a step spared may be spared.
    pub(super) fn planned(&mut self, at: Duration, answer: &Answer) -> Result<(), Broken> {
        let before = self.planned.take();
        let Some(step) = answer.decision.as_ref().filter(|_| answer.verdict == Verdict::Act) else { return Ok(()) };
        self.ages(at, answer, step)?;
        let spared = step.plan.skip || step.plan.cameras.iter().any(|camera| !camera.look);
        let before = before.filter(|(epoch, ..)| *epoch == answer.epoch);
        let wrong = |what: &str| Err(self.broken(at, Invariant::OldPictures, what));
        match before {
            None if spared => return wrong("something was spared right after a hold or in a new epoch"),
            Some((_, arm, _)) if step.plan.skip && arm != step.arm => {
                return wrong("another action than the last goes on");
            }
            Some((.., skips)) if step.plan.skip && skips >= self.plan.max_skips => return wrong("skipped too often"),
            _ => (),
        }
        if spared && answer.step <= u64::from(self.plan.first_steps) {
            return wrong("something was spared in an epoch's first steps");
        }
        self.planned = Some((answer.epoch, step.arm, step.plan.skips));
        Ok(())
    }

    /// Every picture that is acted on was fit when it was sent, and is no older than its bound.
    fn ages(&self, at: Duration, answer: &Answer, step: &Step) -> Result<(), Broken> {
        let kept = answer.frames.iter().zip(&step.plan.cameras).enumerate().filter(|(_, (_, camera))| !camera.look);
        for (i, ((role, stamp), camera)) in kept {
            self.fit(at, i, role, Some(camera.seen))?;
            let periods = stamp.map_or(0.0, |stamp| stamp.secs_since(camera.seen) / self.period.as_secs_f64());
            if !(-1e-9..f64::from(self.plan.max_age) + 0.5 + 1e-9).contains(&periods) || camera.age > self.plan.max_age
            {
                let what = format!(
                    "the {role} camera's media are {periods:.2} periods old, {} are allowed",
                    self.plan.max_age
                );
                return Err(self.broken(at, Invariant::OldPictures, what));
            }
        }
        Ok(())
    }
}
