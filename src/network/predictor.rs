//! How far is this exit's action from full depth's? A guess from what the exit has computed anyway.
//!
//! Two exits that agree may both be wrong, and one that moved away from its neighbour may have come to the end. So a small
//! regressor an exit, fitted by `deer_lab.predictor` to recordings on which full depth ran too, guesses the distance from
//! six signs. Its logarithm is a linear map of the signs' logarithms plus a few tanh units: a page of arithmetic,
//! `lab/deer_lab/predictor.py` is its twin, `tests/contracts/predictor.json` holds both to the same numbers.

use serde::{Deserialize, Serialize};

use super::gate::{Candidate, Context, rms};

/// The newest `predictor.json` version that is read.
const SCHEMA: u32 = 1;

/// The signs, in order: the delta (`rms`), that of the exit before (of the first, its own), the feature's root mean square,
/// that of its change from the exit before, how far the gripper's probability is from the middle, and the oldest camera's
/// age in control periods.
pub const INPUTS: [&str; 6] = ["delta", "delta_before", "norm", "change", "margin", "age"];

/// What an exit shows of its own distance, as [`INPUTS`] names it; none is negative.
pub type Signs = [f32; INPUTS.len()];

/// Added before the logarithm, so that nothing is not infinitely far from little.
const OFFSETS: [f64; INPUTS.len()] = [1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1.0];
/// In standard deviations: what is stranger than anything seen is taken for no stranger than this.
const FARTHEST: f64 = 4.0;
const MOST_UNITS: usize = 64;

/// The signs of an exit beside the one before.
pub fn signs(here: Candidate<'_>, before: Candidate<'_>, context: Context) -> Signs {
    let delta = rms(&here.arm, &before.arm);
    let mean = |sum: f32| (sum / here.feature.len() as f32).sqrt();
    let change = here.feature.iter().zip(before.feature).map(|(a, b)| (a - b).powi(2)).sum();
    let (norm, margin) = (here.feature.dot(&here.feature), (here.gripper - 0.5).abs());
    [delta, context.delta_before.unwrap_or(delta), mean(norm), mean(change), margin, context.age as f32]
}

/// `predictor.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictor {
    /// Version of this format.
    pub schema: u32,
    /// SHA-256 of the manifest of the bundle that it was fitted to.
    pub manifest_sha256: String,
    /// SHA-256 of the table that it was fitted on.
    pub signs_sha256: String,
    /// The signs' names in order: [`INPUTS`].
    pub inputs: Vec<String>,
    /// One an exit but the last, which is full depth.
    pub exits: Vec<Regressor>,
}

/// Of one exit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regressor {
    /// Of each sign's logarithm.
    pub mean: [f64; INPUTS.len()],
    /// Standard deviation of each sign's logarithm; 1 where it did not vary.
    pub scale: [f64; INPUTS.len()],
    /// A weight a sign, then what is added.
    pub linear: [f64; INPUTS.len() + 1],
    /// Per tanh unit: a weight a sign, what is added, and the unit's own weight.
    pub units: Vec<[f64; INPUTS.len() + 2]>,
}

impl Predictor {
    /// What it cannot be used for a network of so many exits for; `None` where it can.
    pub fn flaw(&self, exits: usize) -> Option<String> {
        let finite = |r: &Regressor| {
            let numbers = r.mean.iter().chain(&r.scale).chain(&r.linear).chain(r.units.iter().flatten());
            numbers.into_iter().all(|v| v.is_finite()) && r.scale.iter().all(|&scale| scale > 0.0)
        };
        match () {
            () if self.schema != SCHEMA => {
                Some(format!("it has schema {}, this deer_vla reads schema {SCHEMA}", self.schema))
            }
            () if self.inputs != INPUTS => Some(format!("its inputs are {:?}, expected {INPUTS:?}", self.inputs)),
            () if self.exits.len() + 1 != exits => Some(format!(
                "it has {} regressors for {exits} exits, expected one an exit but the last",
                self.exits.len()
            )),
            () => {
                self.exits.iter().position(|r| !finite(r) || r.units.len() > MOST_UNITS).map(|k| {
                    format!("exit {k} has a number that is none, a scale of 0, or more than {MOST_UNITS} units")
                })
            }
        }
    }

    /// The distance of an exit's action from full depth's, root mean square over the six arm outputs; 0 at the last exit.
    /// Not a number where a sign is none.
    pub fn distance(&self, exit: usize, signs: &Signs) -> f32 {
        if !signs.iter().all(|sign| sign.is_finite()) {
            return f32::NAN;
        }
        self.exits.get(exit).map_or(0.0, |regressor| regressor.distance(signs))
    }
}

impl Regressor {
    fn distance(&self, signs: &Signs) -> f32 {
        let standard = |i: usize| ((f64::from(signs[i]) + OFFSETS[i]).ln() - self.mean[i]) / self.scale[i];
        let z: [f64; INPUTS.len()] = std::array::from_fn(|i| standard(i).clamp(-FARTHEST, FARTHEST));
        let dot = |weights: &[f64]| weights.iter().zip(&z).map(|(w, z)| w * z).sum::<f64>();
        let [.., added] = self.linear;
        let units = self.units.iter().map(|unit| {
            let [.., inner, outer] = unit;
            outer * (dot(unit) + inner).tanh()
        });
        (dot(&self.linear) + added + units.sum::<f64>()).exp() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    /// Of three exits.
    fn predictor() -> Predictor {
        let regressor = Regressor {
            mean: [-4.0, -4.0, 0.0, -1.0, -1.0, 0.0],
            scale: [1.0; 6],
            linear: [0.8, 0.1, 0.0, 0.1, -0.1, 0.2, -3.0],
            units: vec![[0.5, 0.0, -0.5, 0.0, 0.0, 0.1, 0.2, 0.3]],
        };
        let inputs = INPUTS.map(str::to_owned).to_vec();
        let (manifest_sha256, signs_sha256) = Default::default();
        Predictor { schema: 1, manifest_sha256, signs_sha256, inputs, exits: vec![regressor.clone(), regressor] }
    }

    #[test]
    fn distances_are_those_that_python_computes() {
        #[derive(Deserialize)]
        struct Case {
            exit: usize,
            signs: Signs,
            distance: f32,
        }
        let contract: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/contracts/predictor.json")).unwrap();
        let predictor: Predictor = serde_json::from_value(contract["predictor"].clone()).unwrap();
        let cases: Vec<Case> = serde_json::from_value(contract["cases"].clone()).unwrap();
        assert_eq!((predictor.flaw(3), cases.len()), (None, 12));
        for Case { exit, signs, distance } in cases {
            let found = predictor.distance(exit, &signs);
            assert!((found / distance - 1.0).abs() < 1e-5, "exit {exit}, {signs:?}: {found}, wanted {distance}");
        }
    }

    #[test]
    fn the_signs_are_what_their_names_say() {
        let (near, far): (Array1<f32>, Array1<f32>) = (array![3.0, -4.0], array![3.0, -2.0]);
        let here = Candidate { arm: [0.3; 6], gripper: 0.2, feature: near.view() };
        let before = Candidate { arm: [0.1; 6], gripper: 0.9, feature: far.view() };
        for (delta_before, second) in [(None, 0.2), (Some(0.7), 0.7)] {
            let found = signs(here, before, Context { step: 9, age: 3, delta_before });
            let wanted = [0.2, second, 12.5f32.sqrt(), 2f32.sqrt(), 0.3, 3.0];
            assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-6), "{found:?}");
        }
    }

    #[test]
    fn a_sign_that_is_not_a_number_gives_no_distance_at_any_exit() {
        for (exit, sign) in [(0, f32::NAN), (1, f32::INFINITY), (2, f32::NAN)] {
            for place in 0..INPUTS.len() {
                let mut signs = [0.1; INPUTS.len()];
                signs[place] = sign;
                assert!(predictor().distance(exit, &signs).is_nan(), "exit {exit}, {}", INPUTS[place]);
            }
        }
        assert_eq!(predictor().distance(2, &[0.1; INPUTS.len()]), 0.0, "full depth is no way from itself");
    }

    #[test]
    fn what_cannot_be_honoured_is_said() {
        assert_eq!(predictor().flaw(3), None);
        assert!(predictor().flaw(4).unwrap().contains("2 regressors for 4 exits"));
        let flaw = |change: fn(&mut Predictor)| {
            let mut predictor = predictor();
            change(&mut predictor);
            predictor.flaw(3).unwrap()
        };
        assert!(flaw(|p| p.schema = 2).contains("schema 2"));
        assert!(flaw(|p| p.inputs.swap(0, 1)).contains("delta_before\", \"delta\""));
        assert!(flaw(|p| p.exits[1].scale[2] = 0.0).contains("exit 1"));
        assert!(flaw(|p| p.exits[0].linear[6] = f64::NAN).contains("exit 0"));
        assert!(flaw(|p| p.exits[0].units = vec![[0.0; 8]; 65]).contains("64 units"));
    }
}
