//! Armed or not, and why not.

use std::time::Duration;

use serde::Serialize;

use super::{Hold, Verdict};
/// Whether motion is allowed, as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Motion is off, and something is missing before it can be enabled.
    Disarmed,
    /// Motion is off and can be enabled.
    Ready,
    /// The network moves the arm.
    Active,
    /// Enabled, but something forbids motion for now; it goes on by itself.
    Hold,
    /// Something went wrong that a person should look at; holds until it is cleared.
    Fault,
}

impl State {
    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disarmed => "disarmed",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Hold => "hold",
            Self::Fault => "fault",
        }
    }
}

/// Keeps the arming state. All times are of the machine's clock: whoever sets the robot's must not switch a heartbeat off.
///
/// Whatever stops the arm also disarms it: releasing an emergency stop must not start motion.
#[derive(Debug, Clone)]
pub struct Arming {
    armed: bool,
    fault: Option<String>,
    /// Arm as soon as that is possible, once.
    autostart: bool,
    estop: Option<Estop>,
    heartbeat_secs: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Estop {
    pressed: bool,
    heard: Duration,
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
    /// Something is missing.
    #[error("not ready: {0}")]
    NotReady(String),
    /// There is no fault.
    #[error("there is no fault to clear")]
    NoFault,
}

impl Arming {
    /// Disarmed; with `autostart` it arms by itself as soon as it is ready, once. With a heartbeat, an emergency stop
    /// that was not heard for that many seconds, or never, counts as pressed.
    pub fn new(autostart: bool, heartbeat_secs: Option<f64>) -> Self {
        Self { armed: false, fault: None, autostart, estop: None, heartbeat_secs }
    }

    /// Whether motion is on.
    pub fn armed(&self) -> bool {
        self.armed
    }

    /// The state, given whether it could be enabled and whether anything else forbids motion.
    pub fn state(&self, ready: bool, holds: bool) -> State {
        match self.fault {
            Some(_) => State::Fault,
            None if !self.armed => {
                if ready {
                    State::Ready
                } else {
                    State::Disarmed
                }
            }
            None if holds => State::Hold,
            None => State::Active,
        }
    }

    /// Allows motion. `unready`: what is missing, if anything is.
    ///
    /// # Errors
    /// While something is missing, a fault is latched or the emergency stop is pressed or silent.
    pub fn enable(&mut self, now: Duration, unready: Option<String>) -> Result<(), Refused> {
        if let Some(reason) = &self.fault {
            return Err(Refused::Fault(reason.clone()));
        }
        if let Some(hold) = self.estopped(now) {
            return Err(Refused::Estop(hold.message));
        }
        if let Some(reason) = unready {
            return Err(Refused::NotReady(reason));
        }
        (self.armed, self.autostart) = (true, false);
        Ok(())
    }

    /// Whether it still has to arm by itself.
    pub fn starts_by_itself(&self) -> bool {
        self.autostart && !self.armed && self.fault.is_none()
    }

    /// Forbids motion. A fault stays.
    pub fn disable(&mut self) {
        (self.armed, self.autostart) = (false, false);
    }

    /// Latches a fault.
    pub fn fault(&mut self, reason: String) {
        self.disable();
        self.fault = Some(reason);
    }

    /// Clears the fault; motion stays off.
    ///
    /// # Errors
    /// When there is none.
    pub fn clear_fault(&mut self) -> Result<(), Refused> {
        self.fault.take().map(drop).ok_or(Refused::NoFault)
    }

    /// Hears the emergency stop.
    pub fn estop(&mut self, pressed: bool, now: Duration) {
        self.estop = Some(Estop { pressed, heard: now });
        if pressed {
            self.disable();
        }
    }

    /// Why the arm must hold, if it must. Call it often: silence is noticed here.
    pub fn hold(&mut self, now: Duration) -> Option<Hold> {
        let estopped = self.estopped(now);
        // One that was never heard stopped nothing: what is to arm by itself waits for it.
        if estopped.is_some() && self.estop.is_some() {
            self.disable();
        }
        if let Some(reason) = &self.fault {
            return Some(Hold::new(Verdict::HoldFault, reason.clone()));
        }
        let disarmed = || Hold::new(Verdict::HoldDisarmed, "not enabled; call ~/enable with data: true");
        estopped.or_else(|| (!self.armed).then(disarmed))
    }

    /// Whether the emergency stop forbids motion.
    pub fn estopped(&self, now: Duration) -> Option<Hold> {
        if self.estop.is_some_and(|estop| estop.pressed) {
            return Some(Hold::new(Verdict::HoldEstop, "the emergency stop is pressed; release it, then enable again"));
        }
        let heartbeat_secs = self.heartbeat_secs?;
        let Some(Estop { heard, .. }) = self.estop else {
            let message = format!("the emergency stop was not heard yet (heartbeat {heartbeat_secs} s)");
            return Some(Hold::new(Verdict::HoldEstopSilent, message));
        };
        let silent_secs = now.saturating_sub(heard).as_secs_f64();
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

    fn at(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    fn armed(heartbeat_secs: Option<f64>) -> Arming {
        let mut arming = Arming::new(false, heartbeat_secs);
        arming.enable(at(0.0), None).unwrap();
        arming
    }

    fn verdict(arming: &mut Arming, secs: f64) -> Option<Verdict> {
        arming.hold(at(secs)).map(|hold| hold.verdict)
    }

    #[test]
    fn holds_until_it_is_enabled_and_again_when_it_is_disabled() {
        let mut arming = Arming::new(false, None);
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldDisarmed));
        arming.enable(at(0.0), None).unwrap();
        assert_eq!(verdict(&mut arming, 0.0), None);
        arming.disable();
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldDisarmed));
    }

    #[test]
    fn a_fault_stays_until_it_is_cleared_and_leaves_the_arm_disarmed() {
        let mut arming = armed(None);
        arming.fault("not a number".into());
        assert!(arming.enable(at(0.0), None).unwrap_err().to_string().contains("not a number"));
        arming.disable();
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldFault));
        arming.clear_fault().unwrap();
        assert_eq!(verdict(&mut arming, 0.0), Some(Verdict::HoldDisarmed));
        assert_eq!(arming.clear_fault(), Err(Refused::NoFault));
    }

    #[test]
    fn releasing_the_emergency_stop_does_not_start_motion() {
        let mut arming = armed(None);
        arming.estop(true, at(1.0));
        assert_eq!(verdict(&mut arming, 1.0), Some(Verdict::HoldEstop));
        assert!(arming.enable(at(1.0), None).is_err());
        arming.estop(false, at(2.0));
        assert_eq!(verdict(&mut arming, 2.0), Some(Verdict::HoldDisarmed));
        arming.enable(at(2.0), None).unwrap();
        assert_eq!(verdict(&mut arming, 2.0), None);
    }

    #[test]
    fn a_silent_emergency_stop_counts_as_pressed_where_a_heartbeat_was_configured() {
        let mut arming = Arming::new(true, Some(0.5));
        assert_eq!(verdict(&mut arming, 10.0), Some(Verdict::HoldEstopSilent), "it may be pressed");
        assert!(arming.enable(at(10.0), None).unwrap_err().to_string().contains("not heard yet"));
        assert!(arming.starts_by_itself(), "once it is heard");
        arming.estop(false, at(11.0));
        arming.enable(at(11.0), None).unwrap();
        assert_eq!(verdict(&mut arming, 11.4), None);
        assert_eq!(verdict(&mut arming, 11.6), Some(Verdict::HoldEstopSilent));
        let mut without = armed(None);
        assert_eq!(verdict(&mut without, 1e6), None);
    }

    #[test]
    fn what_is_not_ready_is_not_enabled_and_the_reason_is_told() {
        let mut arming = Arming::new(true, None);
        assert_eq!([arming.state(false, true), arming.state(true, true)], [State::Disarmed, State::Ready]);
        let refused = arming.enable(at(0.0), Some("no picture".into())).unwrap_err();
        assert_eq!(refused.to_string(), "not ready: no picture");
        assert!(arming.starts_by_itself());
        arming.enable(at(0.0), None).unwrap();
        assert_eq!([arming.state(true, false), arming.state(true, true)], [State::Active, State::Hold]);
        arming.disable();
        assert!(!arming.starts_by_itself(), "once");
        arming.fault("not a number".into());
        assert_eq!(arming.state(true, false), State::Fault);
    }
}
