//! A decision on one set of pictures, wherever it was told: by the node into a bag, or by a replay.

use std::collections::HashMap;

use deer_vla::session::Answer;
use deer_vla::units::Stamp;

use super::live::Recorded;

/// What was decided on one set of pictures, and what it rests on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Told {
    /// When its pictures were taken.
    pub(super) pictures: Vec<Option<Stamp>>,
    pub(super) verdict: String,
    /// Why, for people; empty when it acts.
    pub(super) message: String,
    pub(super) instruction: String,
    pub(super) bundle: String,
    pub(super) step: Option<Taken>,
}

/// What the network gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Taken {
    pub(super) exit: usize,
    pub(super) reason: String,
    pub(super) deltas: Vec<f32>,
    pub(super) thresholds: Vec<f32>,
    pub(super) arm: Vec<f32>,
    pub(super) gripper: f32,
    pub(super) ms: f64,
    /// Whether each camera was looked at.
    pub(super) looks: Vec<bool>,
}

impl Taken {
    /// The exit that the network ran to; `None` where the step was skipped.
    pub(super) fn ran_to(&self) -> Option<usize> {
        (self.reason != "skipped").then_some(self.exit)
    }
}

impl Told {
    /// As the node told it.
    pub(super) fn recorded(decision: &Recorded, roles: &[String]) -> Self {
        let list = |name: &str| decision.value(name).split(' ').filter_map(|number| number.parse().ok()).collect();
        let step = decision.value("exit").parse().ok().map(|exit| Taken {
            exit,
            reason: decision.value("reason").into(),
            deltas: list("deltas"),
            thresholds: list("thresholds"),
            arm: list("arm"),
            gripper: decision.value("gripper").parse().unwrap_or(f32::NAN),
            ms: decision.value("total_ms").parse().unwrap_or(f64::NAN),
            // Where no plan was recorded there was none: every camera was looked at.
            looks: match decision.value("plan") {
                "" => vec![true; roles.len()],
                plan => (0..roles.len()).map(|camera| plan.split(' ').nth(camera) == Some("look")).collect(),
            },
        });
        Self {
            pictures: decision.stamps(roles),
            verdict: decision.value("verdict").into(),
            message: decision.message.clone(),
            instruction: decision.value("instruction").into(),
            bundle: decision.value("bundle_sha256").into(),
            step,
        }
    }

    /// When the newest of its pictures was taken.
    pub(super) fn when(&self) -> Stamp {
        self.pictures.iter().copied().flatten().max().unwrap_or_default()
    }
}

impl From<&Answer> for Told {
    fn from(answer: &Answer) -> Self {
        let step = answer.decision.as_ref().map(|step| Taken {
            exit: step.exit,
            reason: step.reason.as_str().into(),
            deltas: step.deltas.clone(),
            thresholds: step.thresholds.clone(),
            arm: step.arm.to_vec(),
            gripper: step.gripper,
            ms: answer.total_ms,
            looks: (0..answer.frames.len()).map(|camera| step.plan.looks(camera)).collect(),
        });
        Self {
            pictures: answer.frames.iter().map(|(_, stamp)| *stamp).collect(),
            verdict: answer.verdict.as_str().into(),
            message: answer.message.clone(),
            instruction: answer.instruction.clone(),
            bundle: answer.identity.bundle_sha256.clone(),
            step,
        }
    }
}

/// One decision a set of pictures, in their order: the one that acted, or else the first. What was said while a camera
/// had sent nothing is about no set.
pub(super) fn by_pictures(told: Vec<Told>) -> Vec<Told> {
    let mut place: HashMap<Vec<Option<Stamp>>, usize> = HashMap::new();
    let mut sets: Vec<Told> = Vec::new();
    for decision in
        told.into_iter().filter(|told| !told.pictures.is_empty() && told.pictures.iter().all(Option::is_some))
    {
        match place.get(&decision.pictures) {
            Some(&known) if sets[known].step.is_none() && decision.step.is_some() => sets[known] = decision,
            Some(_) => (),
            None => {
                place.insert(decision.pictures.clone(), sets.len());
                sets.push(decision);
            }
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_that_is_said_about_a_set_of_pictures_the_act_counts() {
        let about = |stamp: Option<i64>, verdict: &str| Told {
            pictures: vec![stamp.map(Stamp), Some(Stamp(1))],
            verdict: verdict.into(),
            step: (verdict == "act").then(Taken::default),
            ..Told::default()
        };
        let said = ["hold_spent", "act", "hold_stale_frame"].map(|verdict| about(Some(5), verdict));
        let told =
            [vec![about(None, "hold_missing_frame")], said.to_vec(), vec![about(Some(9), "hold_estop")]].concat();
        let verdicts: Vec<_> = by_pictures(told).into_iter().map(|told| told.verdict).collect();
        assert_eq!(verdicts, ["act", "hold_estop"]);
    }
}
