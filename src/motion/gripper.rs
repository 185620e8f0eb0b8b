//! Opens and closes without wavering.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
///
/// What the network wishes and what the gripper was told are two things: an order may come too late to be carried out,
/// or a command may still have to stand for its dwell. A wish is offered until it was told.
#[derive(Debug, Clone)]
pub struct Gripper {
    open_above: f64,
    hysteresis: f64,
    dwell_secs: f64,
    wish: Option<Grip>,
    /// The last command and when it was given, on the machine's clock.
    told: Option<(Grip, Duration)>,
    /// What is wished is to be told even if it was told before.
    anew: bool,
    /// How far the network's last probability was from the threshold, towards the wish.
    margin: f64,
    /// Decisions since the last command.
    since: u32,
}

/// So many decisions after a command the fingers are where they were sent.
const REST: u32 = 4;

impl Gripper {
    /// Opens above `open_above + hysteresis`, closes below `open_above - hysteresis`, stays as it is between. A command
    /// stands for at least `dwell_secs`: fingers that are told to turn back on their way grasp nothing.
    pub fn new(open_above: f64, hysteresis: f64, dwell_secs: f64) -> Self {
        Self { open_above, hysteresis, dwell_secs, wish: None, told: None, anew: false, margin: 0.0, since: 0 }
    }

    /// Forgets the wish, so that the next is told whatever it is. Where the fingers are now only a person may know, who may
    /// have moved them: a network that wavers says nothing, and a command stands for its dwell.
    pub fn reset(&mut self) {
        (self.wish, self.anew) = (None, true);
    }

    /// Forgets the command too: it was for another world.
    pub fn forget(&mut self) {
        (self.wish, self.told) = (None, None);
    }

    /// Takes the network's probability of "open".
    pub fn decide(&mut self, probability: f32) {
        let margin = f64::from(probability) - self.open_above;
        let side = if margin > 0.0 { Grip::Open } else { Grip::Closed };
        if margin.abs() > self.hysteresis {
            self.wish = Some(side);
        } else if self.told.is_none() {
            self.wish = self.wish.or(Some(side));
        }
        self.margin = if self.wish == Some(Grip::Open) { margin } else { -margin };
        self.since = self.since.saturating_add(1);
    }

    /// While it is neither about to change nor has just changed (told what is wished, some decisions ago, by a network that
    /// does not waver): the probabilities of open, from and to, that leave its wish as it is.
    pub fn rests(&self) -> Option<[f32; 2]> {
        let (told, _) = self.told?;
        let rests = Some(told) == self.wish && !self.anew && self.since >= REST && self.margin > self.hysteresis;
        rests.then_some(match told {
            Grip::Open => [(self.open_above + self.hysteresis) as f32, 1.0],
            Grip::Closed => [0.0, (self.open_above - self.hysteresis) as f32],
        })
    }

    /// What the gripper should be told now, if that is something new.
    pub fn command(&self, machine: Duration) -> Option<Grip> {
        let dwells = |since: Duration| machine.saturating_sub(since).as_secs_f64() < self.dwell_secs;
        let stands =
            |wish: Grip| self.told.is_some_and(|(told, since)| if told == wish { !self.anew } else { dwells(since) });
        self.wish.filter(|wish| !stands(*wish))
    }

    /// The gripper was told.
    pub fn told(&mut self, grip: Grip, machine: Duration) {
        (self.told, self.anew, self.since) = (Some((grip, machine)), false, 0);
    }

    /// What it was told came to nothing, so that the wish is told again; unless it was told something else since.
    pub fn unheard(&mut self, grip: Grip) {
        self.anew |= self.told.is_some_and(|(told, _)| told == grip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Grip::{Closed, Open};

    /// What a gripper that hears every command is told at `secs`.
    fn next(gripper: &mut Gripper, probability: f32, secs: f64) -> Option<Grip> {
        let machine = Duration::from_secs_f64(secs);
        gripper.decide(probability);
        let command = gripper.command(machine);
        command.into_iter().for_each(|grip| gripper.told(grip, machine));
        command
    }

    #[test]
    fn the_gripper_speaks_on_change_only_and_ignores_a_wavering_network() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.0);
        let probabilities = [0.52, 0.9, 0.45, 0.55, 0.39, 0.2, 0.58, 0.61];
        let said: Vec<_> = probabilities.map(|p| next(&mut gripper, p, 1.0)).into();
        assert_eq!(said, [Some(Open), None, None, None, Some(Closed), None, None, Some(Open)]);
        gripper.reset();
        assert_eq!(next(&mut gripper, 0.9, 1.0), Some(Open));
    }

    #[test]
    fn a_command_stands_for_its_dwell_and_the_wish_is_told_after_it() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.3);
        assert_eq!(next(&mut gripper, 0.9, 1.0), Some(Open));
        assert_eq!(next(&mut gripper, 0.1, 1.2), None, "it has just been opened");
        assert_eq!(next(&mut gripper, 0.45, 1.4), Some(Closed), "wavering takes no wish back");
    }

    #[test]
    fn after_a_reset_a_wavering_network_says_nothing_and_a_command_still_stands_for_its_dwell() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.3);
        assert_eq!(next(&mut gripper, 0.1, 1.0), Some(Closed));
        gripper.reset();
        assert_eq!(next(&mut gripper, 0.9, 1.1), None, "it has just been closed");
        gripper.reset();
        assert_eq!(next(&mut gripper, 0.52, 1.2), None, "somebody may have moved it");
        assert_eq!(next(&mut gripper, 0.48, 1.3), None);
        assert_eq!(next(&mut gripper, 0.1, 1.4), Some(Closed), "told once more");
        assert_eq!(next(&mut gripper, 0.9, 1.8), Some(Open));
        gripper.forget();
        assert_eq!(next(&mut gripper, 0.48, 1.8), Some(Closed), "another world");
    }

    #[test]
    fn the_gripper_rests_some_decisions_after_a_command_and_until_the_network_wavers() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.0);
        let mut rests = |probability: f32| {
            next(&mut gripper, probability, 1.0);
            gripper.rests().is_some()
        };
        assert_eq!([0.9; 6].map(&mut rests), [false, false, false, false, true, true]);
        assert!(!rests(0.55), "it wavers");
        assert!(rests(0.9));
        assert_eq!([0.1, 0.1].map(&mut rests), [false, false], "it closes");
    }

    #[test]
    fn a_wish_that_the_gripper_was_not_told_is_offered_again() {
        let mut gripper = Gripper::new(0.5, 0.1, 0.3);
        gripper.decide(0.9);
        assert_eq!(gripper.command(Duration::ZERO), Some(Open));
        assert_eq!(gripper.command(Duration::ZERO), Some(Open), "that order came too late");
        gripper.told(Open, Duration::ZERO);
        assert_eq!(gripper.command(Duration::ZERO), None);
        gripper.unheard(Closed);
        assert_eq!(gripper.command(Duration::ZERO), None, "that was an earlier command");
        gripper.unheard(Open);
        assert_eq!(gripper.command(Duration::ZERO), Some(Open));
    }
}
