//! The action head and its recurrent state, which stays where the head computes.
//!
//! Before a step the state stands in one of three places: at rest, or where one of the last two steps left it. Every
//! exit's call reads it there and writes a trial state into a place that is not read; the trial of the exit that is
//! taken becomes the state by being read next. So nothing is copied, and every call can be bound once.

use ndarray::{Array2, Array3, ArrayView2, ArrayViewD, Ix3, s};
use ort::memory::AllocationDevice;
use ort::value::{Tensor, TensorRef};

use super::actions::{Actions, Fetched, foreseen};
use super::part::{Call, Loader, Part};
use super::spec::Spec;
use crate::engine::{Action, EngineError, LstmState};

/// The place of the cleared state, which is never written.
const REST: usize = 0;
/// Where a step that reads the state at a place leaves its own.
const NEXT: [usize; 3] = [1, 2, 1];

pub(super) struct Head {
    part: Part,
    recall: Option<Recall>,
    states: [[Tensor<f32>; 2]; 3],
    now: usize,
    /// By the place that is read, and whether the first exit's rows are.
    calls: Vec<[Call; 2]>,
    outs: [Actions; 2],
    /// The first exit's rows: probe and feature; in schema 1 the probe alone. Then any other's.
    rows: [Tensor<f32>; 2],
    joint: bool,
    /// What features from elsewhere foresaw, where that is newer than what any exit did.
    elsewhere: Option<Vec<Action>>,
    /// What actions took to the host.
    pub(super) fetched: Fetched,
}

/// Schema 2: what is the same at every exit of a step is made by a part of its own.
struct Recall {
    part: Part,
    calls: Vec<Call>,
}

impl Head {
    pub(super) fn load(loader: &Loader) -> Result<Self, EngineError> {
        let (manifest, options) = (&loader.bundle.manifest, &loader.options);
        let joint = manifest.sees_jointly();
        let part = loader.fixed("head", &manifest.parts.head.file, &Spec::head(manifest))?;
        let shape = [manifest.lstm.layers, 1, manifest.lstm.hidden];
        let tensor = |shape: &[usize]| part.device_tensor(options, shape);
        let state = || -> Result<[Tensor<f32>; 2], EngineError> { Ok([tensor(&shape)?, tensor(&shape)?]) };
        let mut states = [state()?, state()?, state()?];
        for cleared in &mut states[REST] {
            part.host_tensor(&shape)?.copy_into(cleared).map_err(|e| part.failed(e))?;
        }
        let first = if joint { 1 } else { 2 };
        let rows = [tensor(&[first, manifest.width])?, tensor(&[1, manifest.width])?];
        let out = |rows| Actions::new(&part, options, manifest, rows);
        let mut outs = [out(first)?, out(1)?];
        let mut gates = tensor(&[shape[0], 4 * shape[2]])?;
        let recall = manifest.parts.head_state.as_ref().map(|file| {
            let part = loader.fixed("head_state", &file.file, &Spec::head_state(manifest))?;
            Recall::bind(part, &states, &mut gates)
        });
        let recall = recall.transpose()?;
        let gates = recall.as_ref().map(|_| &gates);
        let calls = bind(&part, &mut states, &rows, gates, &mut outs)?;
        Ok(Self {
            recall,
            states,
            now: REST,
            calls,
            outs,
            rows,
            joint,
            elsewhere: None,
            fetched: Fetched::default(),
            part,
        })
    }

    /// The parts that it runs.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.recall.iter().map(|recall| &recall.part).chain([&self.part])
    }

    /// Where a stage leaves its rows, by the names of its outputs.
    pub(super) fn rows_of(&mut self, k: usize) -> Vec<(&'static str, &mut Tensor<f32>)> {
        let [first, other] = &mut self.rows;
        match (k, self.joint) {
            (0, true) => vec![("probe", first), ("feature", other)],
            (0, false) => vec![("feature", first)],
            _ => vec![("feature", other)],
        }
    }
}

impl Head {
    /// Makes what is the same at every exit of the step that begins.
    pub(super) fn recall(&mut self) -> Result<(), EngineError> {
        match &mut self.recall {
            Some(Recall { part, calls }) => part.run(&calls[self.now]),
            None => Ok(()),
        }
    }

    /// Acts on the rows that stage `k` left: the probe's action first where it is the first stage.
    pub(super) fn act(&mut self, k: usize) -> Result<Vec<Action>, EngineError> {
        let calls: &[usize] = match (k, self.joint) {
            (0, true) => &[0, 1],
            (0, false) => &[0],
            _ => &[1],
        };
        self.elsewhere = None;
        let mut actions = Vec::with_capacity(2);
        for &which in calls {
            self.part.run(&self.calls[self.now][which])?;
            self.fetched = self.fetched + self.outs[which].fetch().map_err(|e| self.part.failed(e))?;
            actions.extend(self.outs[which].rows());
        }
        Ok(actions)
    }

    /// What the last row of stage `k` foresees.
    pub(super) fn ahead(&mut self, k: usize) -> Result<Vec<Action>, EngineError> {
        if let Some(foreseen) = &self.elsewhere {
            return Ok(foreseen.clone());
        }
        let which = usize::from(k > 0 || self.joint);
        let (foreseen, fetched) = self.outs[which].ahead().map_err(|e| self.part.failed(e))?;
        self.fetched = self.fetched + fetched;
        Ok(foreseen)
    }

    /// The state after the last action becomes the state.
    pub(super) fn commit(&mut self) {
        self.now = NEXT[self.now];
    }

    pub(super) fn reset(&mut self) {
        self.now = REST;
    }

    pub(super) fn state(&self) -> Result<LstmState, EngineError> {
        let [h, c] = &self.states[self.now];
        Ok(LstmState { h: self.cube(h)?, c: self.cube(c)? })
    }

    /// The rows that stage `k` left.
    pub(super) fn features(&self, k: usize) -> Result<Array2<f32>, EngineError> {
        let [first, other] = &self.rows;
        let rows: &[&Tensor<f32>] = match (k, self.joint) {
            (0, true) => &[first, other],
            (0, false) => &[first],
            _ => &[other],
        };
        let mut numbers = Vec::new();
        for row in rows {
            numbers.extend_from_slice(self.on_host(row)?.extract_tensor().1);
        }
        let width = first.shape()[1] as usize;
        Array2::from_shape_vec((numbers.len() / width, width), numbers).map_err(|e| self.part.failed(e))
    }

    /// What it makes of any features from any state, by way of the host.
    pub(super) fn of(
        &mut self,
        features: ArrayView2<'_, f32>,
        state: &LstmState,
    ) -> Result<(Vec<Action>, LstmState), EngineError> {
        let Self { part, recall, elsewhere, .. } = self;
        let view = |cube| TensorRef::<f32>::from_array_view(cube);
        let failed = |e: ort::Error| EngineError::Run { part: "head".into(), reason: e.to_string() };
        let recurrent = match recall {
            None => state.h.clone().into_dyn(),
            Some(recall) => {
                let h = ort::inputs!["h" => view(&state.h).map_err(failed)?];
                let outputs = recall.part.session.run(h).map_err(failed)?;
                outputs["gates"].try_extract_array::<f32>().map_err(failed)?.to_owned()
            }
        };
        let name = if recall.is_some() { "gates" } else { "h" };
        let inputs = ort::inputs![
            "feature" => TensorRef::from_array_view(features).map_err(failed)?,
            name => TensorRef::from_array_view(&recurrent).map_err(failed)?,
            "c" => view(&state.c).map_err(failed)?,
        ];
        let outputs = part.session.run(inputs).map_err(failed)?;
        let array = |name: &str| outputs[name].try_extract_array::<f32>().map_err(failed);
        let (arm, gripper) = (array("arm")?, array("gripper")?);
        let rows = arm.outer_iter().zip(&gripper);
        let actions = rows.map(|(arm, &gripper)| Action { arm: std::array::from_fn(|i| arm[i]), gripper }).collect();
        let ahead = outputs.get("ahead").map(|ahead| ahead.try_extract_tensor::<f32>()).transpose().map_err(failed)?;
        *elsewhere = Some(ahead.map_or_else(Vec::new, |(shape, numbers)| foreseen(shape, numbers)));
        // Schema 1 gives the state after every row.
        let last = |name: &str| Ok(cube(array(name)?)?.slice(s![.., -1.., ..]).to_owned());
        Ok((actions, LstmState { h: last("h_next")?, c: last("c_next")? }))
    }

    fn cube(&self, tensor: &Tensor<f32>) -> Result<Array3<f32>, EngineError> {
        cube(self.on_host(tensor)?.extract_array())
    }

    fn on_host(&self, tensor: &Tensor<f32>) -> Result<Tensor<f32>, EngineError> {
        tensor.to(AllocationDevice::CPU, 0).map_err(|e| self.part.failed(e))
    }
}

fn cube(array: ArrayViewD<'_, f32>) -> Result<Array3<f32>, EngineError> {
    let failed = |e: ndarray::ShapeError| EngineError::Run { part: "head".into(), reason: e.to_string() };
    Ok(array.into_dimensionality::<Ix3>().map_err(failed)?.to_owned())
}

impl Recall {
    fn bind(part: Part, states: &[[Tensor<f32>; 2]; 3], gates: &mut Tensor<f32>) -> Result<Self, EngineError> {
        let mut calls = Vec::new();
        for (place, [h, _]) in states.iter().enumerate() {
            calls.push(part.call(place, [("h", h)], [("gates", &mut *gates)])?);
        }
        Ok(Self { part, calls })
    }
}

/// By the place that is read: a call on the first exit's rows, and one on any other's.
fn bind(
    part: &Part,
    states: &mut [[Tensor<f32>; 2]; 3],
    rows: &[Tensor<f32>; 2],
    gates: Option<&Tensor<f32>>,
    outs: &mut [Actions; 2],
) -> Result<Vec<[Call; 2]>, EngineError> {
    let mut bind = |graph: usize, from: &[Tensor<f32>; 2], to: &mut [Tensor<f32>; 2]| {
        let [h, c] = from;
        let recurrent = gates.map_or(("h", h), |gates| ("gates", gates));
        let mut call = |which: usize| {
            let [h_next, c_next] = &mut *to;
            let outputs = outs[which].bound().into_iter().chain([("h_next", h_next), ("c_next", c_next)]);
            part.call(graph + which, [("feature", &rows[which]), recurrent, ("c", c)], outputs)
        };
        Ok([call(0)?, call(1)?])
    };
    let [rest, a, b] = states;
    Ok(vec![bind(0, rest, a)?, bind(2, a, b)?, bind(4, b, a)?])
}
