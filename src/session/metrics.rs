//! An answer as numbers, by quantity: for programs that plot.

use super::Answer;
use crate::network::Step;
use crate::safety::Verdict;

/// Numbers of one quantity: what they are of, which names the unit where there is one, and each by its name.
pub type Group = (&'static str, Vec<(String, f64)>);

impl Answer {
    /// Exit, deltas and thresholds by exit, milliseconds by part, ages of the pictures, what limits took, and the motion.
    /// What is not there, and what is not finite (the last exit's threshold), is left out.
    pub fn metrics(&self, period_secs: f64) -> Vec<Group> {
        let mut groups = vec![
            ("state", self.state_numbers()),
            ("age_s", self.ages()),
            ("ms", self.milliseconds(period_secs)),
            ("limits", self.limits()),
            ("motion", self.motion()),
        ];
        if let Some(step) = &self.decision {
            let by_exit = |values: &[f32]| numbered("exit", values.iter().map(|&value| f64::from(value)));
            if let Some(exit) = step.ran_to() {
                groups.push(("exit", named([("taken", exit as f64), ("layer", step.layer as f64)])));
            }
            groups.push(("plan", plan(step, &self.frames)));
            groups.push(("delta", by_exit(&step.deltas)));
            groups.push(("threshold", by_exit(&step.thresholds)));
        }
        groups.iter_mut().for_each(|(_, numbers)| numbers.retain(|(_, number)| number.is_finite()));
        groups
    }

    fn state_numbers(&self) -> Vec<(String, f64)> {
        let acts = if self.verdict == Verdict::Act { 1.0 } else { 0.0 };
        named([("acts", acts), ("epoch", self.epoch as f64), ("step", self.step as f64)])
    }

    /// How old each camera's picture was when this was decided, in seconds.
    pub fn ages(&self) -> Vec<(String, f64)> {
        let age = |(role, taken): &(String, Option<_>)| Some((role.clone(), self.stamp.secs_since((*taken)?)));
        self.frames.iter().filter_map(age).collect()
    }

    fn milliseconds(&self, period_secs: f64) -> Vec<(String, f64)> {
        let mut ms = named([("period", period_secs * 1e3)]);
        if let Some(step) = &self.decision {
            ms.extend(named([
                ("total", self.total_ms),
                ("vision", step.timing.vision_ms),
                ("head", step.timing.head_ms),
            ]));
            ms.extend(numbered("stage", step.timing.stage_ms.iter().copied()));
        }
        ms.extend(self.overhead_ms.map(|overhead_ms| ("overhead".to_owned(), overhead_ms)));
        ms
    }

    fn limits(&self) -> Vec<(String, f64)> {
        let refused = if self.refused.is_some() { 1.0 } else { 0.0 };
        named([
            ("clips", self.clips.len() as f64),
            ("cut_m", self.cut[0]),
            ("cut_rad", self.cut[1]),
            ("dropped_m", self.dropped[0]),
            ("dropped_rad", self.dropped[1]),
            ("refused", refused),
        ])
    }

    fn motion(&self) -> Vec<(String, f64)> {
        let [speed, turn] = self.twist.speeds();
        let open = self.decision.as_ref().map_or(f64::NAN, |step| f64::from(step.gripper));
        named([("speed_m_s", speed), ("turn_rad_s", turn), ("gripper_open", open)])
    }
}

/// Whether the step was skipped, and how old, in periods, the pictures are that it acts on.
fn plan<T>(step: &Step, frames: &[(String, T)]) -> Vec<(String, f64)> {
    let ages = frames.iter().zip(&step.plan.cameras);
    let ages = ages.map(|((role, _), camera)| (format!("age_{role}"), f64::from(camera.age)));
    ages.chain(named([("skipped", f64::from(u8::from(step.plan.skip)))])).collect()
}

fn named<const N: usize>(numbers: [(&str, f64); N]) -> Vec<(String, f64)> {
    numbers.map(|(name, number)| (name.to_owned(), number)).into()
}

fn numbered(name: &str, numbers: impl Iterator<Item = f64>) -> Vec<(String, f64)> {
    numbers.enumerate().map(|(i, number)| (format!("{name}_{i}"), number)).collect()
}
