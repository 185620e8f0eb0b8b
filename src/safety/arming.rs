//! Armed or not, and why not.

use super::{Hold, Verdict};
use crate::units::Stamp;

/// Whether motion is allowed.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Motion is off until it is enabled.
    Disarmed,
    /// Motion is on.
    Active,
    /// Something went wrong that a person should look at; holds until it is cleared.
    Fault(String),
}

/// Keeps the arming state. Whatever stops the arm also disarms it: releasing an emergency stop must not start motion.
#[derive(Debug, Clone)]
pub struct Arming {
    state: State,
    estop: Option<Estop>,
    heartbeat_secs: Option<f64>,
    started: Option<Stamp>,
}

#[derive(Debug, Clone, Copy)]
struct Estop {
    pressed: bool,
    heard: Stamp,
}

/// Why a request was not followed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// A fault is latched.
    #[error("a fault is latched ({0}); look at the robot, call ~/clear_fault, then enable again")]
    Fault(String),
    /// The emergency stop is pressed or silent.
    #[error("{0}")]
    Estop(String),
    /// There is no fault.
    #[error("there is no fault to clear")]
    NoFault,
}

impl Arming {
    /// Disarmed, or active when `autostart`. With a heartbeat, an emergency stop that was not heard for that many
    /// seconds counts as pressed.
    pub fn new(autostart: bool, heartbeat_secs: Option<f64>) -> Self {
        let state = if autostart { State::Active } else { State::Disarmed };
        Self { state, estop: None, heartbeat_secs, started: None }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Allows motion.
    ///
    /// # Errors
    /// While a fault is latched or the emergency stop is pressed or silent.
    pub fn enable(&mut self, now: Stamp) -> Result<(), Refused> {
        if let State::Fault(reason) = &self.state {
            return Err(Refused::Fault(reason.clone()));
        }
        if let Some(hold) = self.estopped(now) {
            return Err(Refused::Estop(hold.message));
        }
        self.state = State::Active;
        Ok(())
    }

    /// Forbids motion. A fault stays.
    pub fn disable(&mut self) {
        if self.state == State::Active {
            self.state = State::Disarmed;
        }
    }

    /// Latches a fault.
    pub fn fault(&mut self, reason: String) {
        self.state = State::Fault(reason);
    }

    /// Clears the fault; motion stays off.
    ///
    /// # Errors
    /// When there is none.
    pub fn clear_fault(&mut self) -> Result<(), Refused> {
        if !matches!(self.state, State::Fault(_)) {
            return Err(Refused::NoFault);
        }
        self.state = State::Disarmed;
        Ok(())
    }

    /// Hears the emergency stop.
    pub fn estop(&mut self, pressed: bool, now: Stamp) {
        self.estop = Some(Estop { pressed, heard: now });
        if pressed {
            self.disable();
        }
    }

    /// Why the arm must hold, if it must. Call it often: silence is noticed here.
    pub fn hold(&mut self, now: Stamp) -> Option<Hold> {
        self.started.get_or_insert(now);
        let estopped = self.estopped(now);
        if estopped.is_some() {
            self.disable();
        }
        match &self.state {
            State::Fault(reason) => Some(Hold::new(Verdict::HoldFault, reason.clone())),
            _ if estopped.is_some() => estopped,
            State::Disarmed => Some(Hold::new(Verdict::HoldDisarmed, "not enabled; call ~/enable with data: true")),
            State::Active => None,
        }
    }

    fn estopped(&self, now: Stamp) -> Option<Hold> {
        if self.estop.is_some_and(|estop| estop.pressed) {
            return Some(Hold::new(Verdict::HoldEstop, "the emergency stop is pressed; release it, then enable again"));
        }
        let heartbeat_secs = self.heartbeat_secs?;
        let heard = self.estop.map(|estop| estop.heard).or(self.started)?;
        let silent_secs = now.secs_since(heard);
        (silent_secs > heartbeat_secs).then(|| {
            let message =
                format!("the emergency stop was silent for {silent_secs:.2} s (heartbeat {heartbeat_secs} s)");
            Hold::new(Verdict::HoldEstopSilent, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Stamp {
        Stamp::from_secs(secs)
    }

    fn verdict(arming: &mut Arming, secs: f64) -> Option<Verdict> {
        arming.hold(at(secs)).map(|hold| hold.verdict)
    }

    #[test]
    fn holds_until_it_is_enabled_and_again_when_it_is_disabled() {
        let mut arming = Arming::new(false, None);
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldDisarmed));
        arming.enable(at(0.0)).unwrap();
        assert_eq!(verdict(&mut arming, 0.0), None);
        arming.disable();
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldDisarmed));
    }

    #[test]
    fn a_fault_stays_until_it_is_cleared_and_leaves_the_arm_disarmed() {
        let mut arming = Arming::new(true, None);
        arming.fault("not a number".into());
        assert!(arming.enable(at(0.0)).unwrap_err().to_string().contains("not a number"));
        arming.disable();
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldFault));
        arming.clear_fault().unwrap();
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldDisarmed));
        assert_eq!(arming.clear_fault(), Err(Refused::NoFault));
    }

    #[test]
    fn releasing_the_emergency_stop_does_not_start_motion() {
        let mut arming = Arming::new(true, None);
        arming.estop(true, at(1.0));
        assert_eq!(verdict(&mut arming, 1.0), Some(Verdict::HoldEstop));
        assert!(arming.enable(at(1.0)).is_err());
        arming.estop(false, at(2.0));
        assert_eq!(verdict(&mut arming, 2.0), Some(Verdict::HoldDisarmed));
        arming.enable(at(2.0)).unwrap();
        assert_eq!(verdict(&mut arming, 2.0), None);
    }

    #[test]
    fn a_silent_emergency_stop_counts_as_pressed_where_a_heartbeat_was_configured() {
        let mut arming = Arming::new(true, Some(0.5));
        assert_eq!(verdict(&mut arming, 10.0), None, "it has half a second to be heard first");
        assert_eq!(verdict(&mut arming, 10.6), Some(Verdict::HoldEstopSilent));
        arming.estop(false, at(11.0));
        arming.enable(at(11.0)).unwrap();
        assert_eq!(verdict(&mut arming, 11.4), None);
        assert_eq!(verdict(&mut arming, 11.6), Some(Verdict::HoldEstopSilent));
        let mut without = Arming::new(true, None);
        assert_eq!(verdict(&mut without, 1e6), None);
    }
}
