//! Opens and closes without wavering.

use serde::{Deserialize, Serialize};

use crate::units::Stamp;

/// What the gripper should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grip {
    /// Let go.
    Open,
    /// Grasp.
    Closed,
}

impl Grip {
    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// Opens and closes with hysteresis and dwell, and speaks only when something changes.
#[derive(Debug, Clone)]
pub struct Gripper {
    open_above: f64,
    hysteresis: f64,
    dwell_secs: f64,
    /// The last command and when it was given.
    last: Option<(Grip, Stamp)>,
}

impl Gripper {
    /// Opens above `open_above + hysteresis`, closes below `open_above - hysteresis`, stays as it is between. A command
    /// stands for at least `dwell_secs`: fingers that are told to turn back on their way grasp nothing.
    pub fn new(open_above: f64, hysteresis: f64, dwell_secs: f64) -> Self {
        Self { open_above, hysteresis, dwell_secs, last: None }
    }

    /// Forgets the last command, so that the next one is sent whatever it is.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// The command for a probability of "open"; `None` when nothing changes.
    pub fn command(&mut self, probability: f32, now: Stamp) -> Option<Grip> {
        let margin = f64::from(probability) - self.open_above;
        let wanted = if margin > 0.0 { Grip::Open } else { Grip::Closed };
        if let Some((last, since)) = self.last {
            // A clock that was set back must not keep the gripper for longer.
            let dwells = (0.0..self.dwell_secs).contains(&now.secs_since(since));
            if last == wanted || margin.abs() <= self.hysteresis || dwells {
                return None;
            }
        }
        self.last = Some((wanted, now));
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Grip::{Closed, Open};

    #[test]
    fn the_gripper_speaks_on_change_only_and_ignores_a_wavering_network() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.0);
        let probabilities = [0.52, 0.9, 0.45, 0.55, 0.39, 0.2, 0.58, 0.61];
        let said: Vec<_> = probabilities.map(|p| gripper.command(p, Stamp(1))).into();
        assert_eq!(said, [Some(Open), None, None, None, Some(Closed), None, None, Some(Open)]);
        gripper.reset();
        assert_eq!(gripper.command(0.9, Stamp(1)), Some(Open));
    }

    #[test]
    fn a_command_stands_for_its_dwell() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.3);
        let mut command = |p, secs| gripper.command(p, Stamp::from_secs(secs));
        assert_eq!(command(0.9, 1.0), Some(Open));
        assert_eq!(command(0.1, 1.2), None, "it has just been opened");
        assert_eq!(command(0.1, 1.4), Some(Closed));
        assert_eq!(command(0.9, 1.0), Some(Open), "the clock was set back");
    }
}
