//! Frames and a sentence → tensors, exactly as the bundle's manifest prescribes.
//!
//! The network was trained on pictures that Pillow resized and torchvision cropped; a picture that is resized in
//! another way is another picture, so the same filter and the same rounding are used here.

mod resize;

use ndarray::{Array4, s};
use tokenizers::Tokenizer;

use crate::bundle::{Bundle, CameraSpec, Crop, Resize};
use crate::frame::Frame;

/// Makes the network's inputs.
pub struct Observer {
    cameras: Vec<CameraSpec>,
    template: String,
    max_tokens: usize,
    tokenizer: Tokenizer,
}

/// Why the network's inputs could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The tokenizer file does not load.
    #[error("the tokenizer does not load: {0}; it must be in Hugging Face tokenizers format (tokenizer.json)")]
    Tokenizer(tokenizers::Error),
    /// The sentence could not be split into tokens.
    #[error("the instruction {instruction:?} cannot be tokenized: {source}")]
    Encode {
        /// The sentence.
        instruction: String,
        /// What the tokenizer says.
        source: tokenizers::Error,
    },
    /// The tokenizer knows none of the prompt's words.
    #[error("the instruction {0:?} gives no tokens; the bundle's tokenizer does not know its words")]
    NoTokens(String),
    /// A prompt longer than the network was made for.
    #[error(
        "the instruction gives {found} tokens with its prompt, and this bundle takes at most {most}; say it shorter"
    )]
    TooLong {
        /// Tokens of the prompt.
        found: usize,
        /// The manifest's `max_tokens`.
        most: usize,
    },
}

impl Observer {
    /// Prepares what `bundle` prescribes.
    ///
    /// # Errors
    /// [`ObserveError::Tokenizer`].
    pub fn new(bundle: &Bundle) -> Result<Self, ObserveError> {
        let text = &bundle.manifest.text;
        let mut tokenizer = Tokenizer::from_file(bundle.path(&text.tokenizer)).map_err(ObserveError::Tokenizer)?;
        // The manifest alone says how long a prompt may be, whatever the tokenizer's file was saved with.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(ObserveError::Tokenizer)?;
        Ok(Self {
            cameras: bundle.manifest.cameras.clone(),
            template: text.template.clone(),
            max_tokens: text.max_tokens,
            tokenizer,
        })
    }

    /// The token ids of a sentence: at least one, at most the manifest's `max_tokens`. Half a sentence is another one.
    ///
    /// # Errors
    /// `Encode`, `NoTokens` or `TooLong`.
    pub fn ids(&self, instruction: &str) -> Result<Vec<i64>, ObserveError> {
        let prompt = self.template.replace("{instruction}", instruction.trim());
        let encoding = self
            .tokenizer
            .encode(prompt, false)
            .map_err(|source| ObserveError::Encode { instruction: instruction.to_owned(), source })?;
        let ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
        match ids.len() {
            0 => Err(ObserveError::NoTokens(instruction.to_owned())),
            found if found > self.max_tokens => Err(ObserveError::TooLong { found, most: self.max_tokens }),
            _ => Ok(ids),
        }
    }

    /// A prompt as long as prompts get, of tokens that every tokenizer has.
    pub fn longest(&self) -> Vec<i64> {
        vec![0; self.max_tokens]
    }

    /// Tensors of the right shapes that show nothing.
    pub fn made_up(&self) -> Vec<Array4<f32>> {
        let side = |camera: &CameraSpec| camera.size as usize;
        self.cameras.iter().map(|camera| Array4::zeros((1, 3, side(camera), side(camera)))).collect()
    }

    /// The tensors of one set of frames, in the manifest's order of cameras: each `[1, 3, S, S]`, normalised.
    pub fn images<'a>(&self, frames: impl IntoIterator<Item = &'a Frame>) -> Vec<Array4<f32>> {
        self.cameras.iter().zip(frames).map(|(camera, frame)| tensor(camera, frame)).collect()
    }
}

fn tensor(camera: &CameraSpec, frame: &Frame) -> Array4<f32> {
    let Resize::Bicubic = camera.resize;
    let from = (frame.width, frame.height);
    let to = resized(camera.size, frame.width, frame.height);
    if from == to {
        return normalise(camera, &frame.rgb, to.0, to.1);
    }
    normalise(camera, &resize::bicubic(&frame.rgb, from, to), to.0, to.1)
}

/// Width and height once the shorter side is `size`, the longer cut to whole pixels as torchvision's Resize does.
fn resized(size: u32, width: u32, height: u32) -> (u32, u32) {
    let long = |long: u32, short: u32| (u64::from(size) * u64::from(long) / u64::from(short)) as u32;
    if width <= height { (size, long(height, width)) } else { (long(width, height), size) }
}

/// Cuts the middle `size` x `size` out of `rgb` and brings each channel to the network's scale.
fn normalise(camera: &CameraSpec, rgb: &[u8], width: u32, height: u32) -> Array4<f32> {
    let Crop::Center = camera.crop;
    let size = camera.size as usize;
    let (top, left) = (centred(height, camera.size), centred(width, camera.size));
    let mut tensor = Array4::zeros((1, 3, size, size));
    for channel in 0..3 {
        // One table of 256 values instead of a division a pixel.
        let table: Vec<f32> =
            (0..=255u8).map(|v| (f32::from(v) / 255.0 - camera.mean[channel]) / camera.std[channel]).collect();
        for (y, mut row) in tensor.slice_mut(s![0, channel, .., ..]).rows_mut().into_iter().enumerate() {
            let start = ((top + y) * width as usize + left) * 3 + channel;
            for (value, &byte) in row.iter_mut().zip(rgb[start..].iter().step_by(3)) {
                *value = table[usize::from(byte)];
            }
        }
    }
    tensor
}

/// torchvision's CenterCrop: half of what is left over, rounded to the nearest, ties to even.
fn centred(side: u32, size: u32) -> usize {
    (f64::from(side - size) / 2.0).round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Stamp;

    fn camera(size: u32) -> CameraSpec {
        CameraSpec {
            role: "static".into(),
            size,
            resize: Resize::Bicubic,
            crop: Crop::Center,
            mean: [0.5, 0.25, 0.0],
            std: [0.5, 1.0, 2.0],
        }
    }

    #[test]
    fn the_shorter_side_becomes_the_size() {
        assert_eq!(resized(64, 200, 200), (64, 64));
        assert_eq!(resized(48, 128, 96), (64, 48));
        assert_eq!(resized(48, 96, 128), (48, 64));
        assert_eq!(resized(224, 641, 480), (299, 224));
    }

    #[test]
    fn the_crop_is_centred_with_ties_to_even() {
        assert_eq!((centred(64, 64), centred(65, 64), centred(66, 64), centred(67, 64)), (0, 0, 1, 2));
    }

    #[test]
    fn channels_are_scaled_shifted_and_planar() {
        let rgb: Vec<u8> = [255, 255, 255].repeat(2 * 2);
        let tensor = normalise(&camera(2), &rgb, 2, 2);
        assert_eq!(tensor.shape(), &[1, 3, 2, 2]);
        assert_eq!((tensor[[0, 0, 1, 1]], tensor[[0, 1, 0, 0]], tensor[[0, 2, 0, 1]]), (1.0, 0.75, 0.5));
    }

    #[test]
    fn a_wide_picture_loses_its_sides_only() {
        let mut rgb = vec![0; 20 * 16 * 3];
        rgb[(5 * 20 + 2) * 3] = 255; // row 5, column 2: the first column of the crop
        let tensor = normalise(&camera(16), &rgb, 20, 16);
        assert_eq!(tensor[[0, 0, 5, 0]], 1.0);
        assert_eq!(tensor.iter().filter(|&&v| v == 1.0).count(), 1);
    }

    #[test]
    fn a_larger_frame_of_one_colour_stays_that_colour() {
        let frame = Frame { stamp: Stamp(1), width: 50, height: 40, rgb: [255, 0, 255].repeat(2000), encoding: "rgb8" };
        let tensor = tensor(&camera(16), &frame);
        assert_eq!(tensor.shape(), &[1, 3, 16, 16]);
        for (channel, value) in [1.0, -0.25, 0.5].into_iter().enumerate() {
            assert!(tensor.slice(s![0, channel, .., ..]).iter().all(|&v| v == value), "channel {channel}");
        }
    }
}
