//! The life of one instruction.

use super::{Effect, Level, Session};
use crate::network::Network;

/// Longer than any sentence that is said to a robot, in bytes.
const LONGEST_SENTENCE: usize = 2000;

/// The instruction, and how far it has been followed.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    /// Counts instructions and resets; 0 before the first.
    pub(super) number: u64,
    /// The network's steps in it.
    pub(super) steps: u64,
    /// The sentence; empty means hold.
    pub(super) instruction: String,
    /// Why the last sentence was not taken up.
    pub(super) refusal: Option<String>,
}

impl<N: Network> Session<N> {
    /// Hears an instruction. A new text starts an epoch, the same text changes nothing, an empty one means hold, and so
    /// does one that cannot be taken up.
    pub(super) fn instruction<R>(&mut self, text: &str) -> Option<Effect<R>> {
        let text = text.trim();
        if text == self.epoch.instruction && self.epoch.refusal.is_none() {
            return None;
        }
        self.epoch.instruction.clear();
        self.epoch.refusal = None;
        self.new_epoch();
        self.cameras.accept();
        if let Err(reason) = self.begin_epoch(text) {
            self.epoch.refusal = Some(reason.clone());
            return Some(Effect::Log(Level::Error, format!("the instruction was not taken up: {reason}")));
        }
        text.clone_into(&mut self.epoch.instruction);
        Some(Effect::Log(Level::Info, format!("epoch {}: {text:?}", self.epoch.number)))
    }

    fn begin_epoch(&mut self, text: &str) -> Result<(), String> {
        if text.len() > LONGEST_SENTENCE {
            return Err(format!("it has {} bytes; at most {LONGEST_SENTENCE} are taken", text.len()));
        }
        if text.is_empty() { Ok(()) } else { self.network.begin_epoch(text) }
    }

    /// A person starts the epoch of the same instruction again: state cleared, gripper command sent anew, and the cameras
    /// are as they should be.
    pub(super) fn reset(&mut self) {
        self.forget();
        self.cameras.accept();
    }

    /// The same where no person looked.
    pub(super) fn forget(&mut self) {
        self.network.reset();
        self.new_epoch();
    }

    fn new_epoch(&mut self) {
        self.epoch.number += 1;
        self.epoch.steps = 0;
        self.cameras.forget_step();
        // A world in lock-step begins anew with each of its sentences, and must not depend on what was before.
        if self.safety.rules.lock_step() {
            self.motion.gripper.forget();
        } else {
            self.motion.gripper.reset();
        }
    }
}
