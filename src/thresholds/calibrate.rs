//! What every exit would have done on demonstrations: the published procedure (DeeR-VLA, value_net.py).
//!
//! A window of W frames is run at full depth. The head's state is led through the window with the feature of an exit
//! drawn at random at every frame, as in training. At each frame from W/2 - 1 to W - 2 (counted from 0) the probe and
//! every exit act from the state so far: neighbours give the deltas, the deepest exit the errors.

use ndarray::{Array2, Array4, ArrayView2, Axis, concatenate, s};

use crate::bundle::Manifest;
use crate::engine::{Action, Engine, EngineError, LstmState};
use crate::network::{Candidate, Context, Gauge, Signs, rms, signs};

/// Turns frames into the calibration's columns. One window after the other, without overlap.
pub struct Calibrator<'e, E> {
    engine: &'e mut E,
    exits: usize,
    rest: LstmState,
    gauge: Gauge,
    window: usize,
    random: fastrand::Rng,
    /// `[1 + exits, W]` a frame: the probe's feature and every exit's.
    frames: Vec<Array2<f32>>,
    /// Of the instruction, before the window.
    past: usize,
}

/// One frame of a window: `deltas[exit]` and `errors[exit]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Between each exit's action and the one before.
    pub deltas: Vec<f32>,
    /// Root mean square of each exit's arm action minus the deepest's.
    pub errors: Vec<f32>,
    /// What each exit shows of that.
    pub signs: Vec<Signs>,
}

impl<'e, E: Engine> Calibrator<'e, E> {
    /// `window` is at least 3; the same `seed` draws the same exits.
    pub fn new(engine: &'e mut E, manifest: &Manifest, gauge: Gauge, window: usize, seed: u64) -> Self {
        let rest = LstmState::zeros(manifest.lstm.layers, manifest.lstm.hidden);
        let random = fastrand::Rng::with_seed(seed);
        Self { engine, exits: manifest.exits.len(), rest, gauge, window, random, frames: Vec::new(), past: 0 }
    }

    /// Begins an instruction; what an unfinished window held is dropped.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn instruction(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        self.frames.clear();
        self.past = 0;
        self.engine.embed(ids)
    }

    /// Takes one frame's pictures, `[1, 3, S, S]` each; gives the samples of a window that this ends.
    ///
    /// # Errors
    /// When the network cannot be run, or gives an action that is not finite.
    pub fn frame(&mut self, images: Vec<Array4<f32>>) -> Result<Vec<Sample>, EngineError> {
        for (camera, image) in images.iter().enumerate() {
            self.engine.draw(camera, &mut |mut drawn| drawn.assign(image));
            self.engine.look(camera)?;
        }
        self.frames.push(features(self.engine, self.exits)?);
        if self.frames.len() < self.window { Ok(Vec::new()) } else { self.window() }
    }

    fn window(&mut self) -> Result<Vec<Sample>, EngineError> {
        let frames = std::mem::take(&mut self.frames);
        let mut state = self.rest.clone();
        let mut samples = Vec::new();
        for (place, features) in frames.iter().enumerate().take(self.window - 1) {
            if place + 1 >= self.window / 2 {
                samples.push(self.sample(features, &state, (self.past + place) as u64)?);
            }
            let row = 1 + self.random.usize(..self.exits);
            state = self.engine.head(features.slice(s![row..=row, ..]), &state)?.1;
        }
        self.past += self.window;
        Ok(samples)
    }

    fn sample(&mut self, features: &Array2<f32>, state: &LstmState, step: u64) -> Result<Sample, EngineError> {
        let Exits { deltas, signs, actions } = at_exits(self.engine, features, state, &self.gauge, step)?;
        let deepest = actions[self.exits - 1].arm;
        Ok(Sample { deltas, signs, errors: actions.iter().map(|action| rms(&action.arm, &deepest)).collect() })
    }
}

/// What every exit says at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Exits {
    /// Between each exit's action and the one before.
    pub deltas: Vec<f32>,
    /// What each exit shows of its distance to the deepest's.
    pub signs: Vec<Signs>,
    /// Each exit's action.
    pub actions: Vec<Action>,
}

/// The probe's feature and every exit's, `[1 + exits, W]`, of what was looked at.
pub(super) fn features<E: Engine>(engine: &mut E, exits: usize) -> Result<Array2<f32>, EngineError> {
    let mut rows = Vec::with_capacity(exits);
    for k in 0..exits {
        engine.stage(k)?;
        rows.push(engine.features()?);
    }
    let views: Vec<ArrayView2<'_, f32>> = rows.iter().map(|row| row.view()).collect();
    concatenate(Axis(0), &views).map_err(|e| EngineError::Order(format!("features: {e}")))
}

/// What the exits say from these features and this state, at the epoch's step `step`.
pub(super) fn at_exits<E: Engine>(
    engine: &mut E,
    features: &Array2<f32>,
    state: &LstmState,
    gauge: &Gauge,
    step: u64,
) -> Result<Exits, EngineError> {
    let (mut actions, _) = engine.head(features.view(), state)?;
    if let Some(row) = actions.iter().position(|action| !action.arm.iter().all(|value| value.is_finite())) {
        // Row 0 is the probe's, which belongs to exit 0.
        let (exit, Action { arm, gripper }) = (row.saturating_sub(1), actions[row]);
        return Err(EngineError::NotFinite { exit, arm, gripper });
    }
    let (mut deltas, mut shown, mut delta_before) = (Vec::new(), Vec::new(), None);
    for n in 1..actions.len() {
        let candidate =
            |n: usize| Candidate { arm: actions[n].arm, gripper: actions[n].gripper, feature: features.row(n) };
        // Every frame is looked at.
        let context = Context { step, age: 0, delta_before };
        deltas.push(gauge.delta(n - 1, candidate(n), candidate(n - 1), context));
        shown.push(signs(candidate(n), candidate(n - 1), context));
        delta_before = Some(rms(&actions[n].arm, &actions[n - 1].arm));
    }
    Ok(Exits { deltas, signs: shown, actions: actions.split_off(1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::engine::Scripted;
    use crate::network::Metric;
    use ndarray::{Array3, ArrayViewMut4};

    fn calibrated(window: usize, frames: usize) -> (Vec<Sample>, Vec<String>) {
        let manifest = Bundle::open("models/toy").unwrap().manifest;
        let mut engine = Scripted::level(&[0.0, 0.5, 0.6, 0.6, 0.9, 0.8, 0.2]);
        let mut calibrator = Calibrator::new(&mut engine, &manifest, Metric::Rms.into(), window, 7);
        calibrator.instruction(&[1]).unwrap();
        let samples = (0..frames).flat_map(|_| calibrator.frame(Vec::new()).unwrap()).collect();
        (samples, engine.calls)
    }

    #[test]
    fn a_window_of_twelve_gives_the_frames_five_to_ten() {
        let (samples, calls) = calibrated(12, 30);
        assert_eq!(samples.len(), 2 * 6);
        // Per window: 11 frames lead the state on, and six of them were samples of probe and six exits before that.
        assert_eq!(calls.iter().filter(|call| *call == "head 1").count(), 2 * 11);
        assert_eq!(calls.iter().filter(|call| *call == "head 7").count(), 2 * 6);
    }

    /// A head whose state is the sum of the features that led up to it, and whose action is the feature times 1 + state.
    /// Holds the stage that ran last.
    struct Summing(usize);

    impl Engine for Summing {
        fn embed(&mut self, _ids: &[i64]) -> Result<(), EngineError> {
            Ok(())
        }

        fn draw(&mut self, _camera: usize, _paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {}

        fn look(&mut self, _camera: usize) -> Result<(), EngineError> {
            Ok(())
        }

        fn recall(&mut self) -> Result<(), EngineError> {
            Ok(())
        }

        fn stage(&mut self, k: usize) -> Result<(), EngineError> {
            self.0 = k;
            Ok(())
        }

        fn act(&mut self) -> Result<Vec<Action>, EngineError> {
            Ok(Vec::new())
        }

        /// The probe's feature is 1, exit k's is 2 + k.
        fn features(&self) -> Result<Array2<f32>, EngineError> {
            let rows = if self.0 == 0 { vec![1.0, 2.0] } else { vec![2.0 + self.0 as f32] };
            Ok(Array2::from_shape_fn((rows.len(), 1), |(n, _)| rows[n]))
        }

        fn commit(&mut self) {}

        fn reset(&mut self) {}

        fn state(&self) -> Result<LstmState, EngineError> {
            Ok(LstmState::zeros(1, 1))
        }

        fn head(
            &mut self,
            features: ArrayView2<'_, f32>,
            state: &LstmState,
        ) -> Result<(Vec<Action>, LstmState), EngineError> {
            let sum = state.h[[0, 0, 0]];
            let rows = features.column(0);
            let actions = rows.iter().map(|v| Action { arm: [v * (1.0 + sum); 6], gripper: 0.0 });
            let h = Array3::from_elem((1, 1, 1), sum + features[[features.nrows() - 1, 0]]);
            Ok((actions.collect(), LstmState { c: h.clone(), h }))
        }

        fn load_to(&mut self, _cap: usize) -> Result<(), EngineError> {
            Ok(())
        }
    }

    #[test]
    fn every_sample_acts_after_the_random_exits_of_the_frames_before_it_in_its_window() {
        let manifest = Bundle::open("models/toy").unwrap().manifest;
        let mut engine = Summing(0);
        let mut calibrator = Calibrator::new(&mut engine, &manifest, Metric::Rms.into(), 12, 5);
        let samples: Vec<Sample> = (0..24).flat_map(|_| calibrator.frame(Vec::new()).unwrap()).collect();
        let mut random = fastrand::Rng::with_seed(5);
        for window in samples.chunks(6) {
            let drawn: Vec<f32> = (0..11).map(|_| 2.0 + random.usize(..6) as f32).collect();
            for (sample, s) in window.iter().zip(5..=10) {
                let state: f32 = drawn[..s].iter().sum();
                // Neighbours' features are 1 apart.
                assert!(sample.deltas.iter().all(|delta| (delta - (1.0 + state)).abs() < 1e-3), "{s}: {sample:?}");
            }
        }
    }

    #[test]
    fn a_frames_time_is_its_place_in_the_instruction() {
        let manifest = Bundle::open("models/toy").unwrap().manifest;
        let mut engine = Summing(0);
        let mut calibrator = Calibrator::new(&mut engine, &manifest, Metric::Time.into(), 4, 5);
        for _ in 0..2 {
            calibrator.instruction(&[1]).unwrap();
            let samples = (0..9).flat_map(|_| calibrator.frame(Vec::new()).unwrap());
            let times: Vec<f32> = samples.map(|sample| sample.deltas[0]).collect();
            assert_eq!(times, [1.0, 2.0, 5.0, 6.0]);
        }
    }

    #[test]
    fn an_action_that_is_not_a_number_ends_the_calibration() {
        let manifest = Bundle::open("models/toy").unwrap().manifest;
        let mut engine = Scripted::level(&[0.0, 0.5, f32::NAN, 0.6, 0.9, 0.8, 0.2]);
        let mut calibrator = Calibrator::new(&mut engine, &manifest, Metric::Rms.into(), 3, 7);
        let error = (0..3).map(|_| calibrator.frame(Vec::new())).find_map(Result::err).unwrap();
        assert!(matches!(error, EngineError::NotFinite { exit: 1, .. }), "{error}");
    }

    #[test]
    fn neighbours_give_the_deltas_and_the_deepest_exit_the_errors() {
        let (samples, _) = calibrated(4, 4);
        let close = |found: &[f32], wanted: [f32; 6]| found.iter().zip(wanted).all(|(f, w)| (f - w).abs() < 1e-6);
        assert!(close(&samples[0].deltas, [0.5, 0.1, 0.0, 0.3, 0.1, 0.6]));
        assert!(close(&samples[0].errors, [0.3, 0.4, 0.4, 0.7, 0.6, 0.0]));
    }
}
