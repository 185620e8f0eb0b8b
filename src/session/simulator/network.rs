//! A scripted network under the real policy, whose work takes virtual time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ndarray::{Array2, ArrayView2, ArrayViewMut4};

use super::draw::Draw;
use super::schedule::Robot;
use crate::engine::{Action, Engine, EngineError, LstmState};
use crate::frame::Frame;
use crate::network::{Network, Policy, Settings, Situation, Step};

/// What is wrong with the network, and what its work has cost.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Since the virtual clock asked last.
    pub(super) spent: Cell<Duration>,
    /// Every stage takes so many times as long.
    pub(super) factor: Cell<f64>,
    /// The next step takes so much longer.
    pub(super) hang: Cell<Duration>,
    pub(super) not_a_number: Cell<bool>,
    pub(super) fails: Cell<bool>,
    /// A cap takes so long to load.
    pub(super) loading: Cell<Duration>,
}

/// The sentence that no tokenizer knows.
pub(super) const UNKNOWN: &str = "xyzzy";

pub(super) struct Scripted {
    load: Rc<Load>,
    draw: Draw,
    stage: Duration,
    ahead: usize,
    steps: u64,
    row: ([f32; 6], f32),
}

impl Scripted {
    pub(super) fn new(load: Rc<Load>, draw: Draw, robot: &Robot) -> Self {
        Self { load, draw, stage: robot.stage, ahead: robot.ahead, steps: 0, row: ([0.0; 6], 0.5) }
    }

    fn spend(&self, secs: f64) {
        self.load.spent.set(self.load.spent.get() + Duration::from_secs_f64(secs));
    }

    /// A wish of the gripper that lasts some steps, with some wavering; a motion that is now and then too fast.
    fn draw_row(&mut self) {
        self.steps += 1;
        let draw = self.draw.of(self.steps);
        let arm = std::array::from_fn(|i| draw.of(i as u64).between(-0.7, 0.7) as f32);
        let long = self.draw.of(1_000_000 + self.steps / 12).share();
        let gripper = if draw.of(9).one_in(5) {
            draw.of(10).share()
        } else if long < 0.5 {
            0.05
        } else {
            0.95
        };
        let fast = if draw.of(11).one_in(8) { 3.0 } else { 1.0 };
        self.row = (arm.map(|v: f32| v * fast), gripper as f32);
    }
}

/// What is foreseen `n` periods after an action, 1 for the next: the arm slows down, and now and then it turns round or
/// the gripper changes.
pub(super) fn foreseen(action: Action, n: usize) -> Action {
    let Action { arm, gripper } = action;
    let speed = (1.0 - 0.2 * n as f32) * if n > 1 && arm[1] > 0.35 { -1.0 } else { 1.0 };
    let changes = n > 1 && arm[2] > 0.35;
    Action { arm: arm.map(|v| v * speed), gripper: if changes { 1.0 - gripper } else { gripper } }
}

impl Engine for Scripted {
    fn embed(&mut self, _: &[i64]) -> Result<(), EngineError> {
        self.spend(1e-4);
        Ok(())
    }

    fn draw(&mut self, _: usize, _: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {}

    fn look(&mut self, _: usize) -> Result<(), EngineError> {
        Ok(())
    }

    fn recall(&mut self) -> Result<(), EngineError> {
        self.draw_row();
        let hang = self.load.hang.take();
        self.spend(hang.as_secs_f64() + 1e-3 * self.load.factor.get());
        if self.load.fails.take() {
            return Err(EngineError::Run { part: "head_state".into(), reason: "told to".into() });
        }
        Ok(())
    }

    fn stage(&mut self, k: usize) -> Result<(), EngineError> {
        // A busy machine slows some stages and spares others.
        let spared = self.draw.of(self.steps).of(100 + k as u64).one_in(2);
        let factor = if spared { 1.0 } else { self.load.factor.get() };
        self.spend(self.stage.as_secs_f64() * factor);
        Ok(())
    }

    /// Probe and exits are all of one opinion.
    fn act(&mut self) -> Result<Vec<Action>, EngineError> {
        let (arm, gripper) = self.row;
        let arm = if self.load.not_a_number.take() { [f32::NAN; 6] } else { arm };
        Ok(vec![Action { arm, gripper }; 2])
    }

    fn ahead(&mut self) -> Result<Vec<Action>, EngineError> {
        let (arm, gripper) = self.row;
        Ok((1..=self.ahead).map(|n| foreseen(Action { arm, gripper }, n)).collect())
    }

    fn features(&self) -> Result<Array2<f32>, EngineError> {
        Ok(Array2::zeros((2, 1)))
    }

    fn commit(&mut self) {}

    fn reset(&mut self) {}

    fn state(&self) -> Result<LstmState, EngineError> {
        Ok(LstmState::zeros(1, 1))
    }

    fn head(&mut self, _: ArrayView2<'_, f32>, state: &LstmState) -> Result<(Vec<Action>, LstmState), EngineError> {
        Ok((self.act()?, state.clone()))
    }

    fn load_to(&mut self, _: usize) -> Result<(), EngineError> {
        self.spend(self.load.loading.take().as_secs_f64());
        Ok(())
    }
}

/// The policy without an observer: what pictures show is nobody's matter here.
pub(super) struct Blind(pub(super) Policy<Scripted>);

impl Network for Blind {
    fn begin_epoch(&mut self, sentence: &str) -> Result<(), String> {
        self.0.reset();
        if sentence == UNKNOWN {
            return Err("the bundle's tokenizer does not know its words".into());
        }
        self.0.start_epoch(&[]).map_err(|e| e.to_string())
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn step(
        &mut self,
        frames: &[&Frame],
        situation: &Situation,
        watch: &mut dyn FnMut() -> Duration,
    ) -> Result<Step, String> {
        let plan = self.0.plan(frames, situation);
        self.0.follow(plan, watch).map_err(|e| e.to_string())
    }

    fn rehearse(&mut self, _: &[&Frame]) -> Result<(), String> {
        self.0.rehearse().map_err(|e| e.to_string())
    }

    fn settings(&self) -> &Settings {
        self.0.settings()
    }

    fn configure(&mut self, settings: Settings) -> Result<(), String> {
        self.0.configure(settings).map_err(|e| e.to_string())
    }
}
