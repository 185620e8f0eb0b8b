//! The cameras' pictures, thinned and made small, as data that stands in the page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, RgbImage};
use serde_json::{Value, json};

use super::Run;
use crate::bag::source::{CameraSource, InstructionSource, Resolved, Source};
use crate::bag::{Bag, Input};
use crate::frame::Frame;
use crate::report::ReportError;
use crate::units::Stamp;

/// How much of the film is kept.
#[derive(Debug, Clone, Copy)]
pub struct Thinned {
    /// Most pictures of a camera, spread over the run.
    pub pictures: usize,
    /// Their longest side in pixels; smaller ones are left as they are.
    pub side: u32,
    /// JPEG quality from 1 to 100.
    pub quality: u8,
}

impl Default for Thinned {
    /// About 6 MB for two cameras.
    fn default() -> Self {
        Self { pictures: 500, side: 240, quality: 75 }
    }
}

/// By camera: when each picture was taken, and its JPEG.
pub(super) struct Film(Vec<Vec<(Stamp, Vec<u8>)>>);

impl Film {
    /// From the first bag that has pictures of these roles; without pictures, where none has.
    pub(super) fn read(run: &Run<'_>, roles: &[String]) -> Result<Self, ReportError> {
        let names: Vec<&str> = roles.iter().map(String::as_str).collect();
        let mut source = Source {
            instruction: InstructionSource { sentence: Some(String::new()), ..InstructionSource::default() },
            ..Source::default()
        };
        source.cameras = run
            .topics
            .iter()
            .map(|(role, topic)| (role.clone(), CameraSource { topic: Some(topic.clone()), ..CameraSource::default() }))
            .collect();
        let mut refused = None;
        for bag in run.bags {
            match source.resolve(bag, &names) {
                Ok(found) => return Self::of(bag, &found, run.thinned),
                Err(error) => refused = Some(error),
            }
        }
        // Asked for by name, it must be there.
        refused.filter(|_| !run.topics.is_empty()).map_or_else(|| Ok(Self(Vec::new())), |error| Err(error.into()))
    }

    fn of(bag: &Bag, source: &Resolved, thinned: Thinned) -> Result<Self, ReportError> {
        let messages = |topic: &String| bag.topics().get(topic).map_or(0, |topic| topic.messages as usize);
        let every: Vec<usize> =
            source.cameras.iter().map(|camera| messages(&camera.topic).div_ceil(thinned.pictures).max(1)).collect();
        let mut seen = vec![0usize; every.len()];
        let mut film = vec![Vec::new(); every.len()];
        for input in bag.inputs(source, &[])? {
            // A picture that cannot be read is none; replay counts those.
            let (_, Input::Frame { camera, frame }) = input else { continue };
            if seen[camera].is_multiple_of(every[camera]) {
                film[camera].push((frame.stamp, jpeg(frame, thinned)?));
            }
            seen[camera] += 1;
        }
        Ok(Self(film))
    }

    pub(super) fn pictures(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// By camera: times in seconds and pictures as base64.
    pub(super) fn json(&self) -> Value {
        let camera = |pictures: &Vec<(Stamp, Vec<u8>)>| {
            let times: Vec<f64> = pictures.iter().map(|(stamp, _)| stamp.secs_since(Stamp(0))).collect();
            let jpegs: Vec<String> = pictures.iter().map(|(_, jpeg)| BASE64_STANDARD.encode(jpeg)).collect();
            json!({"times": times, "jpegs": jpegs})
        };
        self.0.iter().map(camera).collect()
    }
}

fn jpeg(frame: Frame, thinned: Thinned) -> Result<Vec<u8>, ReportError> {
    let refuse = |reason: String| ReportError::Run(format!("a picture cannot be made small: {reason}"));
    let Frame { width, height, rgb, .. } = frame;
    let picture = RgbImage::from_raw(width, height, rgb).ok_or_else(|| refuse("its size is wrong".into()))?;
    let scale = (f64::from(thinned.side) / f64::from(width.max(height))).min(1.0);
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    let small = if scale < 1.0 { resize(&picture, side(width), side(height), FilterType::Triangle) } else { picture };
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, thinned.quality)
        .encode(small.as_raw(), small.width(), small.height(), ExtendedColorType::Rgb8)
        .map_err(|error| refuse(error.to_string()))?;
    Ok(bytes)
}
