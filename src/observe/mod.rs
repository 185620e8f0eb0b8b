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
    /// Of the tokenizer, such as `<image>`: only the template may hold them.
    special: Vec<String>,
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
    /// The published policies were trained on one line, and read no further.
    #[error("the instruction has {0} lines; say it in one")]
    Lines(usize),
    /// A token that has a meaning of its own, such as `<image>`, would make another prompt of the sentence.
    #[error("the instruction holds {0:?}, which the bundle's tokenizer reads as a sign of its own; leave it out")]
    Special(String),
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
        let added = tokenizer.get_added_tokens_decoder().into_values();
        let special = added.filter(|token| token.special).map(|token| token.content);
        Ok(Self {
            special: special.collect(),
            cameras: bundle.manifest.cameras.iter().map(Pixels::new).collect(),
            template: text.template.clone(),
            max_tokens: text.max_tokens,
            tokenizer,
        })
    }

    /// The token ids of a sentence: at least one, at most the manifest's `max_tokens`. Half a sentence is another one.
    ///
    /// # Errors
    /// `Lines`, `Special`, `Encode`, `NoTokens` or `TooLong`.
    pub fn ids(&self, instruction: &str) -> Result<Vec<i64>, ObserveError> {
        let sentence = instruction.trim();
        if sentence.lines().count() > 1 {
            return Err(ObserveError::Lines(sentence.lines().count()));
        }
        if let Some(token) = self.special.iter().find(|token| sentence.contains(token.as_str())) {
            return Err(ObserveError::Special(token.clone()));
        }
        let prompt = self.template.replace("{instruction}", sentence);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_of_two_lines_or_with_a_sign_of_the_tokenizers_own_is_refused() {
        let observer = Observer::new(&Bundle::open("models/toy").unwrap()).unwrap();
        assert_eq!(observer.ids(" open the drawer\n").unwrap(), observer.ids("open the drawer").unwrap());
        let refusal = |sentence| observer.ids(sentence).unwrap_err().to_string();
        assert_eq!(refusal("open the drawer\nand close it"), "the instruction has 2 lines; say it in one");
        assert!(refusal("open <image> the drawer").contains("holds \"<image>\""));
    }
}
