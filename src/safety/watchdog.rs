//! Watches over the control loop from outside: what hangs cannot report that it hangs.

use std::time::Duration;

use super::{Hold, Verdict};

/// A control loop that has not come back after this many control periods hangs.
const STUCK_PERIODS: f64 = 1.5;
/// A network that hangs for so long will not come back by itself: that is a fault.
const LOST_SECS: f64 = 1.0;

/// Limits on what the control loop's signs of life may look like. All seconds are of the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watchdog {
    /// One control period.
    pub period_secs: f64,
    /// A camera that was heard once may not be silent for longer.
    pub max_silence_secs: f64,
}

/// Signs of life, as times on the machine's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// Since when the network has been at work, if it is.
    pub stepping: Option<Duration>,
    /// When the control loop came round last.
    pub alive: Duration,
    /// Each camera's role and when it was heard last, if ever.
    pub cameras: Vec<(String, Option<Duration>)>,
    /// So long after a camera was heard the action on its picture is over.
    pub patience_secs: f64,
}

impl Pulse {
    /// Whether the next set of pictures is overdue: the arm must stand, which is no fault. The control loop sees it too
    /// and says so, but may be at work on the pictures before.
    pub fn overdue(&self, machine: Duration) -> bool {
        let over = |heard: Duration| machine.saturating_sub(heard).as_secs_f64() > self.patience_secs;
        self.cameras.iter().any(|(_, heard)| heard.is_some_and(over))
    }
}

impl Watchdog {
    /// Why the arm must hold, if it must.
    pub fn check(&self, machine: Duration, pulse: &Pulse) -> Option<Hold> {
        let since = |then: Duration| machine.saturating_sub(then).as_secs_f64();
        let (what, secs) = match pulse.stepping {
            Some(began) => ("the network has been at work", since(began)),
            None => ("the control loop has not come round", since(pulse.alive)),
        };
        if pulse.stepping.is_some() && secs > LOST_SECS {
            return Some(Hold::new(Verdict::HoldFault, format!("{what} for {secs:.1} s: it hangs")));
        }
        if secs > STUCK_PERIODS * self.period_secs {
            let message = format!("{what} for {secs:.3} s, a control period is {:.3} s", self.period_secs);
            return Some(Hold::new(Verdict::HoldStuck, message));
        }
        let silent =
            |(_, heard): &&(String, Option<Duration>)| heard.is_some_and(|heard| since(heard) > self.max_silence_secs);
        let (role, heard) = pulse.cameras.iter().find(silent)?;
        let (secs, limit) = (since((*heard)?), self.max_silence_secs);
        let message = format!("the {role} camera has sent nothing for {secs:.3} s (max_silence {limit} s)");
        Some(Hold::new(Verdict::HoldSilentCamera, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_a_loop_and_a_camera_that_give_no_sign_of_life_hold() {
        let at = Duration::from_secs_f64;
        let watchdog = Watchdog { period_secs: 0.1, max_silence_secs: 0.3 };
        let cameras = vec![("static".into(), Some(at(1.0)))];
        let pulse = Pulse { stepping: None, alive: at(1.0), cameras, patience_secs: 0.15 };
        let verdict = |secs, pulse: &Pulse| watchdog.check(at(secs), pulse).map(|hold| hold.verdict);
        assert_eq!(verdict(1.1, &pulse), None);
        assert_eq!(verdict(1.2, &pulse), Some(Verdict::HoldStuck));
        let working = Pulse { stepping: Some(at(1.1)), ..pulse.clone() };
        assert_eq!([verdict(1.2, &working), verdict(1.26, &working)], [None, Some(Verdict::HoldStuck)]);
        assert_eq!(verdict(2.2, &working), Some(Verdict::HoldFault));
        let blind = Pulse { alive: at(1.35), ..pulse.clone() };
        assert_eq!(verdict(1.35, &blind), Some(Verdict::HoldSilentCamera));
        let unheard = Pulse { cameras: vec![("static".into(), None)], ..blind };
        assert_eq!(verdict(1.35, &unheard), None, "the control loop itself waits for it");
    }

    #[test]
    fn the_set_of_pictures_is_overdue_when_one_camera_is() {
        let at = Duration::from_secs_f64;
        let heard = |secs| ("camera".to_owned(), Some(at(secs)));
        let pulse =
            Pulse { stepping: None, alive: at(1.0), cameras: vec![heard(1.0), heard(1.1)], patience_secs: 0.15 };
        assert_eq!([1.14, 1.16].map(|secs| pulse.overdue(at(secs))), [false, true]);
    }
}
