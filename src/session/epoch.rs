//! The life of one instruction.

use super::Control;
use crate::engine::{Engine, EngineError};
use crate::observe::ObserveError;

/// Why an instruction was not taken up.
#[derive(Debug, thiserror::Error)]
pub enum InstructionError {
    /// It could not be tokenized.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// It could not be embedded.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl<E: Engine> Control<E> {
    /// Hears an instruction. A new text starts an epoch, the same text changes nothing, an empty one means hold.
    /// Tells whether an epoch started.
    ///
    /// # Errors
    /// When the text cannot be embedded; the arm then holds, as for an empty text.
    pub fn instruction(&mut self, text: &str) -> Result<bool, InstructionError> {
        let text = text.trim();
        if text == self.instruction {
            return Ok(false);
        }
        self.instruction.clear();
        self.new_epoch();
        if !text.is_empty() {
            let ids = self.observer.ids(text)?;
            self.policy.start_epoch(&ids)?;
            self.instruction = text.to_owned();
        }
        Ok(true)
    }

    /// Starts the epoch of the same instruction again: state cleared, gripper command sent anew.
    pub fn reset(&mut self) {
        self.policy.reset();
        self.new_epoch();
    }

    fn new_epoch(&mut self) {
        self.epoch += 1;
        self.steps = 0;
        self.cameras.begin_epoch();
        self.gripper.reset();
    }
}
