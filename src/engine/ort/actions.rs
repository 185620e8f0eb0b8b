//! What a call of the head gives to the host: an action a row, and what each row foresees.

use ort::value::Tensor;

use super::Options;
use super::mirror::Mirror;
use super::part::Part;
use crate::bundle::Manifest;
use crate::engine::{Action, EngineError};

/// A number an arm output, and the gripper's.
const EACH: usize = 7;

/// Where a call writes them.
pub(super) enum Actions {
    /// `actions`, `[N, K, 7]`: this period's and those foreseen, in one copy.
    Together(Mirror),
    /// In bundles that were exported without that output.
    Apart { arm: Mirror, gripper: Mirror, ahead: Option<Mirror> },
}

impl Actions {
    /// For calls of `rows` rows.
    pub(super) fn new(part: &Part, options: &Options, manifest: &Manifest, rows: usize) -> Result<Self, EngineError> {
        let output = |shape: &[usize]| Mirror::output(part, options, shape);
        if part.gives("actions") {
            return Ok(Self::Together(output(&[rows, manifest.ahead, EACH])?));
        }
        let ahead = (manifest.ahead > 1).then(|| output(&[rows, manifest.ahead - 1, EACH])).transpose()?;
        Ok(Self::Apart { arm: output(&[rows, 6])?, gripper: output(&[rows, 1])?, ahead })
    }

    /// What the graph's outputs are bound to.
    pub(super) fn bound(&mut self) -> Vec<(&'static str, &mut Tensor<f32>)> {
        match self {
            Self::Together(actions) => vec![("actions", actions.bound())],
            Self::Apart { arm, gripper, ahead } => {
                let ahead = ahead.as_mut().map(|ahead| ("ahead", ahead.bound()));
                [("arm", arm.bound()), ("gripper", gripper.bound())].into_iter().chain(ahead).collect()
            }
        }
    }

    /// Brings every row's action to the host; gives the copies that this takes and their bytes.
    pub(super) fn fetch(&mut self) -> ort::Result<Fetched> {
        match self {
            Self::Together(actions) => Ok(Fetched::one(actions.fetch()?)),
            Self::Apart { arm, gripper, .. } => Ok(Fetched::one(arm.fetch()?) + Fetched::one(gripper.fetch()?)),
        }
    }

    /// Every row's action, once they were fetched.
    pub(super) fn rows(&self) -> Vec<Action> {
        match self {
            Self::Together(actions) => {
                let (shape, numbers) = actions.host().extract_tensor();
                numbers.chunks_exact(each_row(shape)).map(|row| action(&row[..EACH])).collect()
            }
            Self::Apart { arm, gripper, .. } => {
                let (arm, gripper) = (arm.host().extract_tensor().1, gripper.host().extract_tensor().1);
                arm.chunks_exact(6).zip(gripper).map(|(arm, &gripper)| Action::new(arm, gripper)).collect()
            }
        }
    }

    /// What the last row foresees, and the copies that it takes to know it.
    pub(super) fn ahead(&mut self) -> ort::Result<(Vec<Action>, Fetched)> {
        match self {
            Self::Together(actions) => {
                let (shape, numbers) = actions.host().extract_tensor();
                Ok((foreseen(shape, numbers).split_off(1), Fetched::default()))
            }
            Self::Apart { ahead: Some(ahead), .. } => {
                let fetched = Fetched::one(ahead.fetch()?);
                let (shape, numbers) = ahead.host().extract_tensor();
                Ok((foreseen(shape, numbers), fetched))
            }
            Self::Apart { ahead: None, .. } => Ok(Default::default()),
        }
    }
}

/// Copies to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fetched {
    pub(super) copies: u64,
    pub(super) bytes: u64,
}

impl Fetched {
    fn one(bytes: u64) -> Self {
        Self { copies: 1, bytes }
    }
}

impl std::ops::Add for Fetched {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { copies: self.copies + other.copies, bytes: self.bytes + other.bytes }
    }
}

/// The last row's actions of `[N, K, 7]`: six arm outputs and the probability of open each.
pub(super) fn foreseen(shape: &[i64], numbers: &[f32]) -> Vec<Action> {
    let last = numbers.chunks_exact(each_row(shape)).last().unwrap_or_default();
    last.chunks_exact(EACH).map(action).collect()
}

fn action(numbers: &[f32]) -> Action {
    Action::new(&numbers[..6], numbers[6])
}

fn each_row(shape: &[i64]) -> usize {
    shape.iter().skip(1).product::<i64>().max(1) as usize
}
