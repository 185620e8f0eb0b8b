//! Frames and a sentence → tensors, exactly as the bundle's manifest prescribes.
//!
//! The network was trained on pictures that Pillow resized and torchvision cropped; a picture that is resized in
//! another way is another picture, so the same filter and the same rounding are used here.

mod pixels;
mod resize;
mod shown;
mod weights;

use ndarray::{Array4, ArrayViewMut4};
use tokenizers::Tokenizer;

use crate::bundle::Bundle;
use crate::frame::Frame;
use pixels::Pixels;
pub use shown::Shown;

/// Makes the network's inputs.
pub struct Observer {
    cameras: Vec<Pixels>,
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
            cameras: bundle.manifest.cameras.iter().map(Pixels::new).collect(),
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

    /// How many cameras it observes.
    pub fn cameras(&self) -> usize {
        self.cameras.len()
    }

    /// Writes a camera's picture as the network sees it: `[1, 3, S, S]`, normalised.
    pub fn draw(&self, camera: usize, frame: &Frame, image: ArrayViewMut4<'_, f32>) {
        if let Some(pixels) = self.cameras.get(camera) {
            pixels.draw(frame, image);
        }
    }

    /// The tensors of one set of frames, in the manifest's order of cameras: each `[1, 3, S, S]`, normalised.
    pub fn images<'a>(&self, frames: impl IntoIterator<Item = &'a Frame>) -> Vec<Array4<f32>> {
        self.cameras.iter().zip(frames).map(|(camera, frame)| camera.tensor(frame)).collect()
    }
}
