//! Whole robots on a virtual clock: session, commander and watchdog as the node wires them, under a scripted network,
//! cameras, operators and faults that are drawn from a seed, in any order. What must hold is judged from outside.
//!
//! A schedule that breaks something is a test case for ever: [`judge`] plays it, [`shrink`] makes it shorter, and
//! `cargo run --example simulate -- --seed N` tells it step by step. FoundationDB and TigerBeetle test so.

mod draw;
mod judge;
mod network;
mod pictures;
mod schedule;
#[cfg(test)]
mod tests;
mod time;
mod world;

use std::time::Duration;

pub use schedule::{Camera, Fault, Incident, Robot, Schedule, Trouble, What};

use super::run::Seen;
use crate::bundle::Bundle;
use world::World;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// Nothing moves unless armed, with a living, fit picture of every camera, two control periods after whatever
    /// forbids it.
    NoMotionUnlessAllowed,
    /// Only whole, fresh, visible pictures of one size in the order of their stamps are acted on, none from before the
    /// clock was set.
    FitPictures,
    /// No kept picture is older than its bound, none was unfit, and nothing is spared after a hold, in an epoch's first
    /// steps, or too often; what goes on is what was foreseen, or the last action, and never the gripper.
    OldPictures,
    /// No order is carried out that was made before the last halt.
    NoOrderAcrossAHalt,
    /// No motion begins later than the next pictures are due.
    NoLateOrder,
    /// A motion ends by itself, and at a halt at once.
    MotionEnds,
    /// No command exceeds the limits, nor speeds the arm up beyond them.
    Limits,
    /// A motion that is carried out is a command at once, once a tick of the stream.
    AtOnce,
    /// What was moved is what was ordered, less what was reported as dropped.
    Integral,
    /// No set of pictures is acted on twice.
    OneAnswer,
    /// Every request gets one reply.
    OneReply,
    /// The gripper is told its wish with the first motion that may be.
    GripperIsTold,
    /// It is said at least once a second why the arm stands.
    SaysWhy,
    /// When all is well again and enabled, it acts.
    GoesOn,
    /// When load ends, it goes as deep as before.
    FullDepthAgain,
    /// No queue grows without bound.
    BoundedQueues,
}

/// What was broken, and when.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{invariant:?} broken at {at:.3?}: {what}")]
pub struct Broken {
    /// On the machine's clock.
    pub at: Duration,
    /// What does not hold.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

/// Something that happened, for people.
#[derive(Debug, Clone)]
pub struct Line {
    /// On the machine's clock.
    pub at: Duration,
    /// What.
    pub text: String,
}

impl Line {
    fn of(at: Duration, seen: &Seen) -> Option<Self> {
        let text = match seen {
            Seen::Twist(_, twist, _) => format!("  twist {:.4?} {:.4?}", twist.linear, twist.angular),
            Seen::Answer(answer) => {
                let how = answer.decision.as_ref().map_or(String::new(), |step| {
                    if step.plan.skip { ", skipped".into() } else { format!(" at exit {}", step.exit) }
                });
                format!("  decision {}{how} {}", answer.verdict.as_str(), answer.message)
            }
            Seen::Order(order, refused) => format!("  order {order:?}, refused: {refused:?}"),
            other => format!("  {other:?}"),
        };
        Some(Self { at, text })
    }
}

/// Plays a schedule with the cameras and the action space of `bundle`.
///
/// # Errors
/// The first invariant that it breaks.
pub fn judge(schedule: &Schedule, bundle: &Bundle) -> Result<(), Broken> {
    World::new(schedule, bundle, false).play()
}

/// Plays a schedule and tells everything that happens in it.
pub fn tell(schedule: &Schedule, bundle: &Bundle) -> (Vec<Line>, Result<(), Broken>) {
    let mut world = World::new(schedule, bundle, true);
    let result = world.play();
    (world.lines.take().unwrap_or_default(), result)
}

/// A shorter schedule that breaks the same invariant: without what is not needed for it.
pub fn shrink(schedule: &Schedule, bundle: &Bundle, invariant: Invariant) -> Schedule {
    let breaks = |schedule: &Schedule| judge(schedule, bundle).is_err_and(|broken| broken.invariant == invariant);
    let mut shortest = schedule.clone();
    let mut at = 0;
    while at < shortest.incidents.len() {
        let mut without = shortest.clone();
        without.incidents.remove(at);
        if breaks(&without) { shortest = without } else { at += 1 }
    }
    let punctual = Robot { late: Duration::ZERO, ..shortest.robot.clone() };
    let simpler: [fn(&mut Robot); 5] = [
        |robot| robot.servo = false,
        |robot| robot.heartbeat_secs = None,
        |robot| robot.deadline = None,
        |robot| robot.cameras.iter_mut().for_each(|camera| camera.jitter = Duration::ZERO),
        |robot| robot.cameras[1] = robot.cameras[0],
    ];
    for change in std::iter::once(punctual)
        .chain(simpler.iter().map(|simplify| {
            let mut robot = shortest.robot.clone();
            simplify(&mut robot);
            robot
        }))
        .collect::<Vec<_>>()
    {
        let simple = Schedule { robot: change, ..shortest.clone() };
        if breaks(&simple) {
            shortest = simple;
        }
    }
    shortest
}
