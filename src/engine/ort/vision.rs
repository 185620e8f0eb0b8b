//! The cameras' encoders: each looks by itself; in schema 1 one looks through all of them.

use ndarray::{ArrayViewMut4, Ix4};
use ort::value::Tensor;

use super::mirror::Mirror;
use super::part::{Call, Loader, Part};
use super::spec::Spec;
use crate::engine::EngineError;

pub(super) struct Vision {
    /// One a file: cameras may look through the same weights.
    parts: Vec<Part>,
    /// What runs when a camera is looked at: the part, and its call. Schema 1: for the last camera alone.
    looks: Vec<Option<(usize, Call)>>,
    /// One a camera.
    images: Vec<Mirror>,
    /// On the device, one a camera (schema 1: for all): rewritten by every look.
    media: Vec<Tensor<f32>>,
    /// Bytes that pictures took to the device.
    pub(super) sent: u64,
}

impl Vision {
    pub(super) fn load(loader: &Loader) -> Result<Self, EngineError> {
        let (manifest, options) = (&loader.bundle.manifest, &loader.options);
        let mut files: Vec<&str> = Vec::new();
        let mut parts = Vec::new();
        let mut part_of = Vec::new();
        for (camera, part) in manifest.parts.vision.iter().enumerate() {
            let known = files.iter().position(|file| *file == part.file);
            if known.is_none() {
                files.push(&part.file);
                parts.push(loader.fixed(&format!("vision[{camera}]"), &part.file, &Spec::vision(manifest, camera))?);
            }
            part_of.push(known.unwrap_or(files.len() - 1));
        }
        let mut images = Vec::new();
        for (camera, spec) in manifest.cameras.iter().enumerate() {
            let part = &parts[part_of.get(camera).copied().unwrap_or_default()];
            let side = spec.size as usize;
            images.push(Mirror::input(part, options, &[1, 3, side, side])?);
        }
        let shape = [1, manifest.media.tokens, manifest.media.width];
        let tensor = |&part: &usize| parts[part].device_tensor(options, &shape);
        let mut media = part_of.iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
        let mut looks: Vec<_> = images.iter().map(|_| None).collect();
        if manifest.sees_jointly() {
            let roles = manifest.cameras.iter().map(|camera| camera.role.as_str());
            let seen: Vec<_> = roles.zip(&mut images).map(|(role, image)| (role, &*image.bound())).collect();
            let call = parts[0].call(0, seen, [("media", &mut media[0])])?;
            if let Some(last) = looks.last_mut() {
                *last = Some((0, call));
            }
        } else {
            for (camera, (image, media)) in images.iter_mut().zip(&mut media).enumerate() {
                let part = part_of[camera];
                let call = parts[part].call(camera, [("image", &*image.bound())], [("media", media)])?;
                looks[camera] = Some((part, call));
            }
        }
        Ok(Self { parts, looks, images, media, sent: 0 })
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn media(&self) -> &[Tensor<f32>] {
        &self.media
    }

    pub(super) fn draw(&mut self, camera: usize, paint: &mut dyn FnMut(ArrayViewMut4<'_, f32>)) {
        let image = self.images[camera].host_mut().extract_array_mut();
        // It was made with four dimensions.
        if let Ok(image) = image.into_dimensionality::<Ix4>() {
            paint(image);
        }
    }

    /// Where one part sees all cameras, it looks when the last of them is.
    pub(super) fn look(&mut self, camera: usize) -> Result<(), EngineError> {
        let failed = |e: ort::Error| EngineError::Run { part: format!("vision[{camera}]"), reason: e.to_string() };
        self.sent += self.images[camera].send().map_err(failed)?;
        match &self.looks[camera] {
            Some((part, call)) => self.parts[*part].run(call),
            None => Ok(()),
        }
    }
}
