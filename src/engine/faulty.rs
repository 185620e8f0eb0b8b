//! An engine that goes wrong when it is told to, for tests of what must stop the arm then. Feature `faults`.
//!
//! The file that `DEER_VLA_FAULT` names says what is wrong from the next control step on: `nan`, `huge`, `panic`,
//! `sleep SECONDS` (each step), `hang SECONDS` (one step); nothing, or no file, means nothing.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

use ndarray::{Array2, ArrayView2, ArrayViewMut4};

use super::{Action, Engine, EngineError, LstmState};

/// Wraps an engine.
pub struct Faulty<E> {
    inner: E,
    file: Option<PathBuf>,
    fault: String,
    hung: bool,
}

impl<E> Faulty<E> {
    /// Reads the environment once, the file it names at every step.
    pub fn new(inner: E) -> Self {
        let file = env::var_os("DEER_VLA_FAULT").map(PathBuf::from);
        Self { inner, file, fault: String::new(), hung: false }
    }

    /// The engine that was wrapped.
    pub fn inner(&self) -> &E {
        &self.inner
    }
}

impl<E: Engine> Engine for Faulty<E> {
    fn embed(&mut self, ids: &[i64]) -> Result<(), EngineError> {
        self.inner.embed(ids)
    }

    fn draw(&mut self, camera: usize, paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {
        self.inner.draw(camera, paint);
    }

    fn look(&mut self, camera: usize) -> Result<(), EngineError> {
        self.inner.look(camera)
    }

    fn recall(&mut self) -> Result<(), EngineError> {
        let said = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        self.hung &= said == self.fault;
        self.fault = said;
        let (word, secs) = self.fault.trim().split_once(' ').unwrap_or((self.fault.trim(), "0"));
        let duration = Duration::from_secs_f64(secs.parse().unwrap_or_default());
        match word {
            "panic" => panic!("told to by DEER_VLA_FAULT"),
            "sleep" => thread::sleep(duration),
            "hang" if !self.hung => {
                self.hung = true;
                thread::sleep(duration);
            }
            _ => (),
        }
        self.inner.recall()
    }

    fn stage(&mut self, k: usize) -> Result<(), EngineError> {
        self.inner.stage(k)
    }

    fn act(&mut self) -> Result<Vec<Action>, EngineError> {
        let mut actions = self.inner.act()?;
        let wrong = match self.fault.trim() {
            "nan" => f32::NAN,
            "huge" => 1e30,
            _ => return Ok(actions),
        };
        actions.iter_mut().for_each(|action| action.arm = [wrong; 6]);
        Ok(actions)
    }

    fn ahead(&mut self) -> Result<Vec<Action>, EngineError> {
        self.inner.ahead()
    }

    fn features(&self) -> Result<Array2<f32>, EngineError> {
        self.inner.features()
    }

    fn commit(&mut self) {
        self.inner.commit();
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn state(&self) -> Result<LstmState, EngineError> {
        self.inner.state()
    }

    fn head(
        &mut self,
        features: ArrayView2<'_, f32>,
        state: &LstmState,
    ) -> Result<(Vec<Action>, LstmState), EngineError> {
        self.inner.head(features, state)
    }

    fn load_to(&mut self, cap: usize) -> Result<(), EngineError> {
        self.inner.load_to(cap)
    }
}
