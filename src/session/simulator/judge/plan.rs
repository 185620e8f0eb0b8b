//! A kept picture is as old as it is; only what was foreseen goes on, or the last action, from one that was carried out,
//! and never with the gripper.

use std::time::Duration;

use super::super::network::foreseen;
use super::{Broken, Invariant, Judge};
use crate::engine::Action;
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
            Some((_, ran, skips)) if step.plan.skip => {
                if let Some(what) = self.skipped(ran, skips, answer, step) {
                    return wrong(what);
                }
            }
            _ => (),
        }
        if spared && answer.step <= u64::from(self.plan.first_steps) {
            return wrong("something was spared in an epoch's first steps");
        }
        let ran = Action { arm: step.arm, gripper: step.gripper };
        let ran = before.filter(|_| step.plan.skip).map_or(ran, |(_, ran, _)| ran);
        self.planned = Some((answer.epoch, ran, step.plan.skips));
        Ok(())
    }

    /// What is wrong with a skipped step, by what the network said when it was asked last, `before` steps of those
    /// skipped ago.
    fn skipped(&self, ran: Action, before: u32, answer: &Answer, step: &Step) -> Option<&'static str> {
        let n = before as usize + 1;
        let action = |n: usize| if n == 0 || self.ahead == 0 { ran } else { foreseen(ran, n) };
        let stays = |n: usize| if ran.gripper > 0.5 { action(n).gripper > 0.6 } else { action(n).gripper < 0.4 };
        match () {
            () if before >= self.plan.max_skips || step.plan.skips != before + 1 => Some("skipped too often"),
            () if self.ahead > 0 && n > self.ahead => Some("skipped beyond what was foreseen"),
            () if step.arm != action(n).arm => Some("another action goes on than was foreseen, or was the last"),
            () if step.gripper != ran.gripper || answer.grip.is_some() => Some("a skipped step moves the gripper"),
            () if !(n..=self.ahead).all(stays) => Some("skipped while the gripper was about to change"),
            () if action(n - 1).turns_to(&action(n)) => Some("skipped into a turn"),
            () => None,
        }
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
