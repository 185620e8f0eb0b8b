//! What MoveIt Servo says of itself, where it moves the arm.
//!
//! Servo stands still by itself in front of a singularity, a collision and a joint's end. A policy that goes on meanwhile
//! believes that the arm moves: its state is then of an arm that is elsewhere.

use std::time::Duration;

use super::{Hold, Verdict};

/// After a halt the status must have been harmless for so long. Seconds: Servo forgets a halt as soon as it gets no more
/// commands, and the arm would knock at the obstacle at every step.
const SETTLE_SECS: f64 = 0.5;
/// Servo sends its status at every turn of its loop, some hundred times a second, unless it is paused. Seconds.
const SILENT_SECS: f64 = 1.0;

/// Whose numbers a status carries: the same numbers mean other things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// ROS 2 Humble: `std_msgs/Int8`.
    Humble,
    /// ROS 2 Jazzy and newer: `moveit_msgs/ServoStatus`.
    Jazzy,
}

/// Why Servo stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The command could not be used.
    Invalid,
    /// Close to a singularity.
    Singularity,
    /// Close to a collision.
    Collision,
    /// A joint is at the end of its range.
    JointBound,
}

impl Halt {
    /// What a status means; `None` where Servo moves, slowed down or not.
    pub fn of(interface: Interface, code: i64) -> Option<Self> {
        match (interface, code) {
            (_, -1) => Some(Self::Invalid),
            (_, 2) => Some(Self::Singularity),
            (Interface::Humble, 4) | (Interface::Jazzy, 5) => Some(Self::Collision),
            (Interface::Humble, 5) | (Interface::Jazzy, 6) => Some(Self::JointBound),
            _ => None,
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Invalid => Verdict::HoldServo,
            Self::Singularity => Verdict::HoldSingularity,
            Self::Collision => Verdict::HoldCollision,
            Self::JointBound => Verdict::HoldJointBound,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "it cannot use the command; look at its log, twist.frame_id and command_in_type",
            Self::Singularity => "the arm is close to a singularity; move it away",
            Self::Collision => "the arm is close to a collision; move it away",
            Self::JointBound => "a joint is at the end of its range; move it away",
        }
    }
}

/// What has become known of Servo.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It is not to be used yet, or not at all, and why.
    Away(String),
    /// It takes twists now.
    Ready,
    /// Its status.
    Status(Option<Halt>),
}

/// Keeps what was reported, by the machine's clock.
#[derive(Debug, Clone)]
pub struct ServoWatch {
    away: Option<String>,
    heard: Option<Duration>,
    halted: Option<(Halt, Duration)>,
}

impl ServoWatch {
    /// Away until it is reported ready.
    pub fn new(node: &str) -> Self {
        let away = format!("waiting for MoveIt Servo at {node}; start it, or set servo.handshake to false");
        Self { away: Some(away), heard: None, halted: None }
    }

    /// Takes a report; tells whether the arm has just been stopped by it, or had stood while it was silent.
    pub fn hear(&mut self, report: Report, now: Duration) -> bool {
        let held = self.away.is_some() || self.halted.is_some();
        let silent = self.silent_secs(now).is_some();
        match report {
            Report::Away(reason) => self.away = Some(reason),
            Report::Ready => (self.away, self.heard) = (None, Some(now)),
            Report::Status(halt) => {
                self.heard = Some(now);
                self.halted = halt.map(|halt| (halt, now)).or_else(|| self.halted.filter(|at| !settled(at.1, now)));
            }
        }
        !held && (silent || self.away.is_some() || self.halted.is_some())
    }

    /// How long it has said nothing, where that is too long.
    fn silent_secs(&self, now: Duration) -> Option<f64> {
        Some(now.saturating_sub(self.heard?).as_secs_f64()).filter(|secs| *secs > SILENT_SECS)
    }

    /// Why the arm must hold, if it must.
    pub fn hold(&self, now: Duration) -> Option<Hold> {
        let hold = |message: String| Some(Hold::new(Verdict::HoldServo, message));
        if let Some(reason) = &self.away {
            return hold(reason.clone());
        }
        if let Some((halt, _)) = self.halted {
            return Some(Hold::new(halt.verdict(), format!("MoveIt Servo stands: {}", halt.reason())));
        }
        let silent_secs = self.silent_secs(now)?;
        hold(format!("MoveIt Servo's status was silent for {silent_secs:.1} s: it is paused or gone"))
    }
}

fn settled(since: Duration, now: Duration) -> bool {
    now.saturating_sub(since).as_secs_f64() > SETTLE_SECS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Duration {
        Duration::from_secs_f64(secs)
    }

    fn ready() -> ServoWatch {
        let mut servo = ServoWatch::new("/servo_node");
        servo.hear(Report::Ready, at(0.0));
        servo
    }

    #[test]
    fn the_same_number_means_other_things_on_humble_and_later() {
        let of = |interface| (-1..=7).map(|code| Halt::of(interface, code)).collect::<Vec<_>>();
        let (invalid, singularity) = (Some(Halt::Invalid), Some(Halt::Singularity));
        let (collision, bound) = (Some(Halt::Collision), Some(Halt::JointBound));
        assert_eq!(of(Interface::Humble), [invalid, None, None, singularity, None, collision, bound, None, None]);
        assert_eq!(of(Interface::Jazzy), [invalid, None, None, singularity, None, None, collision, bound, None]);
    }

    #[test]
    fn the_arm_holds_until_servo_is_ready_and_when_it_goes() {
        let mut servo = ServoWatch::new("/servo_node");
        assert!(servo.hold(at(0.0)).unwrap().message.contains("waiting for MoveIt Servo at /servo_node"));
        assert!(!servo.hear(Report::Ready, at(1.0)));
        assert_eq!(servo.hold(at(1.0)), None);
        assert!(servo.hear(Report::Away("gone".into()), at(2.0)));
        assert_eq!(servo.hold(at(2.0)), Some(Hold::new(Verdict::HoldServo, "gone")));
    }

    #[test]
    fn a_halt_is_told_once_and_holds_until_it_has_settled() {
        let mut servo = ready();
        assert!(servo.hear(Report::Status(Some(Halt::Collision)), at(1.0)));
        assert!(!servo.hear(Report::Status(Some(Halt::Collision)), at(1.1)), "it holds already");
        assert_eq!(servo.hold(at(1.1)).unwrap().verdict, Verdict::HoldCollision);
        servo.hear(Report::Status(None), at(1.5));
        assert!(servo.hold(at(1.5)).is_some(), "without commands Servo forgets at once");
        servo.hear(Report::Status(None), at(1.7));
        assert_eq!(servo.hold(at(1.7)), None);
    }

    #[test]
    fn a_servo_that_says_nothing_is_paused_or_gone() {
        let mut servo = ready();
        assert_eq!(servo.hold(at(1.0)), None);
        assert!(servo.hold(at(1.1)).unwrap().message.contains("silent for 1.1 s"));
        assert!(servo.hear(Report::Status(None), at(1.2)), "the arm did not move as it was told to");
        assert_eq!(servo.hold(at(1.3)), None);
        assert!(!servo.hear(Report::Status(None), at(1.4)));
    }
}
