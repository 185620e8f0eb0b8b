//! What the manifest prescribes for a graph: names and shapes.

use ort::value::{Outlet, TensorElementType, ValueType};

use crate::bundle::Manifest;

/// A dimension in a [`Spec`]: a fixed size, or free.
const FREE: i64 = -1;

type Tensors = Vec<(String, Vec<i64>)>;

/// Names and shapes that the manifest prescribes for a graph; `FREE` where any size may come.
pub(super) struct Spec {
    pub(super) inputs: Tensors,
    pub(super) outputs: Tensors,
    /// Outputs that need not be there.
    pub(super) offered: Tensors,
}

fn tensors<const N: usize>(list: [(&str, &[i64]); N]) -> Tensors {
    list.into_iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect()
}

/// The stages' media inputs, in the order of the vision parts.
pub(super) fn media_names(manifest: &Manifest) -> Vec<String> {
    if manifest.sees_jointly() {
        return vec!["media".into()];
    }
    manifest.cameras.iter().map(|camera| format!("media_{}", camera.role)).collect()
}

impl Spec {
    fn new(inputs: Tensors, outputs: Tensors) -> Self {
        Self { inputs, outputs, offered: Vec::new() }
    }

    fn media(manifest: &Manifest) -> [i64; 3] {
        [1, manifest.media.tokens as i64, manifest.media.width as i64]
    }

    /// One vision part a camera; in schema 1 `camera` is 0 and its part takes all of them by role.
    pub(super) fn vision(manifest: &Manifest, camera: usize) -> Self {
        let image = |size: u32| vec![1, 3, i64::from(size), i64::from(size)];
        let inputs = if manifest.sees_jointly() {
            manifest.cameras.iter().map(|c| (c.role.clone(), image(c.size))).collect()
        } else {
            vec![("image".to_owned(), image(manifest.cameras[camera].size))]
        };
        Self::new(inputs, tensors([("media", &Self::media(manifest))]))
    }

    pub(super) fn embed(manifest: &Manifest) -> Self {
        let width = manifest.width as i64;
        Self::new(tensors([("ids", &[1, FREE])]), tensors([("hidden", &[1, FREE, width])]))
    }

    /// Stage 0 also gives the probe: in schema 2 as the first row of its feature, in schema 1 by itself.
    pub(super) fn stage(manifest: &Manifest, k: usize) -> Self {
        let width = manifest.width as i64;
        let hidden = [1, FREE, width];
        let rows = if k == 0 && !manifest.sees_jointly() { 2 } else { 1 };
        let mut outputs = tensors([("hidden_next", &hidden), ("feature", &[rows, width])]);
        if k == 0 && manifest.sees_jointly() {
            outputs.extend(tensors([("probe", &[1, width])]));
        }
        let media = media_names(manifest).into_iter().map(|name| (name, Self::media(manifest).to_vec()));
        Self::new(tensors([("hidden", &hidden)]).into_iter().chain(media).collect(), outputs)
    }

    pub(super) fn whole(manifest: &Manifest) -> Self {
        let width = manifest.width as i64;
        let probe = manifest.sees_jointly().then(|| ("probe".to_owned(), vec![1, width]));
        let rows = |k: usize| if k == 0 && !manifest.sees_jointly() { 2 } else { 1 };
        let exits = (0..manifest.exits.len()).map(|k| (format!("feature_{k:02}"), vec![rows(k), width]));
        Self::new(Self::stage(manifest, 0).inputs, probe.into_iter().chain(exits).collect())
    }

    /// The recurrent products of all layers, which are the same at every exit of a step.
    pub(super) fn head_state(manifest: &Manifest) -> Self {
        let (layers, hidden) = (manifest.lstm.layers as i64, manifest.lstm.hidden as i64);
        Self::new(tensors([("h", &[layers, 1, hidden])]), tensors([("gates", &[layers, 4 * hidden])]))
    }

    /// In schema 2 the state after the last row is given, in schema 1 that after each. What is given row by row may also
    /// be given at once.
    pub(super) fn head(manifest: &Manifest) -> Self {
        let (layers, hidden) = (manifest.lstm.layers as i64, manifest.lstm.hidden as i64);
        let (before, joint) = ([layers, 1, hidden], manifest.sees_jointly());
        let after = [layers, if joint { FREE } else { 1 }, hidden];
        let products = [layers, 4 * hidden];
        let recurrent: (&str, &[i64]) = if joint { ("h", &before) } else { ("gates", &products) };
        let mut outputs =
            tensors([("arm", &[FREE, 6]), ("gripper", &[FREE, 1]), ("h_next", &after), ("c_next", &after)]);
        if manifest.ahead > 1 {
            outputs.extend(tensors([("ahead", &[FREE, manifest.ahead as i64 - 1, 7])]));
        }
        let inputs = tensors([("feature", &[FREE, manifest.width as i64]), recurrent, ("c", &before)]);
        let offered = tensors([("actions", &[FREE, manifest.ahead as i64, 7])]);
        Self { inputs, outputs, offered }
    }
}

/// Where a graph and the manifest disagree: the tensor, what was expected, what was found.
pub(super) type Disagreement = (String, String, String);

pub(super) fn compare(direction: &str, expected: &[(String, Vec<i64>)], found: &[Outlet]) -> Result<(), Disagreement> {
    for (name, shape) in expected {
        let Some(outlet) = found.iter().find(|outlet| outlet.name() == name) else {
            let names: Vec<_> = found.iter().map(Outlet::name).collect();
            return Err((name.clone(), format!("{direction} {name:?}"), format!("only {names:?}")));
        };
        let element = if name == "ids" { TensorElementType::Int64 } else { TensorElementType::Float32 };
        let agrees = matches!(outlet.dtype(), ValueType::Tensor { ty, shape: found, .. }
            if *ty == element && found.len() == shape.len()
                && found.iter().zip(shape).all(|(&found, &wanted)| wanted == FREE || found == wanted || found == FREE));
        if !agrees {
            return Err((name.clone(), format!("{element} {}", dims(shape)), outlet.dtype().to_string()));
        }
    }
    match found.iter().find(|outlet| expected.iter().all(|(name, _)| name != outlet.name())) {
        Some(extra) if direction == "input" => {
            Err((extra.name().to_owned(), "no such input".into(), extra.dtype().to_string()))
        }
        _ => Ok(()),
    }
}

fn dims(shape: &[i64]) -> String {
    let dims: Vec<_> = shape.iter().map(|&d| if d == FREE { "any".to_owned() } else { d.to_string() }).collect();
    format!("[{}]", dims.join(", "))
}
