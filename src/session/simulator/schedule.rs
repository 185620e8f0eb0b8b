//! What happens in a schedule, drawn from its seed.

use std::time::Duration;

use super::draw::Draw;
use crate::network::PlanLimits;

/// The network's exits.
pub(super) const EXITS: usize = 3;
/// Between two commands of the stream.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// In place of a camera's number: both.
pub(super) const BOTH: usize = 2;
/// As fast as an arm may be sped up, in m/s² and in rad/s².
pub(super) const ACCELERATION: f64 = 10.0;
/// A gripper command stands for so long.
pub(super) const DWELL_SECS: f64 = 0.1;

/// One schedule: a robot, and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Draws everything that stands nowhere else.
    pub seed: u64,
    /// The robot.
    pub robot: Robot,
    /// What happens to it, in order.
    pub incidents: Vec<Incident>,
    /// When the incidents are over.
    pub calm: Duration,
    /// When the schedule is.
    pub end: Duration,
}

/// The robot of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Robot {
    /// Control steps a second.
    pub control_hz: f64,
    /// Both cameras.
    pub cameras: [Camera; 2],
    /// Of the emergency stop, in seconds.
    pub heartbeat_secs: Option<f64>,
    /// A step should end then.
    pub deadline: Option<Duration>,
    /// One stage of the network at rest.
    pub stage: Duration,
    /// Armed by itself.
    pub autostart: bool,
    /// MoveIt Servo moves the arm.
    pub servo: bool,
    /// How late threads are at most, now and then.
    pub late: Duration,
    /// When cameras are kept and steps skipped.
    pub plan: PlanLimits,
    /// Actions that the network foresees with each.
    pub ahead: usize,
}

/// A camera of a schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Pictures a second.
    pub rate_hz: f64,
    /// When its first picture is taken.
    pub phase: Duration,
    /// How irregular it is at most.
    pub jitter: Duration,
    /// From taken to received at least.
    pub latency: Duration,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// A camera goes wrong for a while, or both where its number is 2.
    Camera(usize, Fault, Duration),
    /// Somebody says one of some sentences; the last is empty, the one before it cannot be taken up.
    Say(usize),
    /// `~/enable`
    Enable(bool),
    /// `~/reset`
    Reset,
    /// `~/clear_fault`
    ClearFault,
    /// The emergency stop.
    Estop(bool),
    /// Its heartbeat is silent for a while.
    Silence(Duration),
    /// Another cap, which takes so long to load.
    Cap(usize, Duration),
    /// MoveIt Servo stands, or moves again.
    Servo(bool),
    /// The network goes wrong.
    Network(Trouble, Duration),
    /// The robot's clock is set by so many seconds.
    Clock(f64),
    /// Threads are late by up to so much for a while.
    Busy(Duration, Duration),
    /// Pictures take so long to be read for a while.
    Heavy(Duration, Duration),
}

/// How a camera goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It sends nothing.
    Dead,
    /// It sends the same picture with fresh stamps.
    Frozen,
    /// Its pictures show nothing.
    Blank,
    /// Its pictures cannot be read.
    Unreadable,
    /// Its pictures are half a second old.
    Old,
    /// Its pictures are stamped half a second ahead.
    Ahead,
    /// Its pictures have another size.
    Resized,
    /// Every other picture is stamped long before the one that came before it.
    Reordered,
    /// Of six pictures three in a row come late.
    Late,
    /// Every second picture is lost.
    Lossy,
}

/// How the network goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It gives no number, once.
    NotANumber,
    /// It fails, once.
    Fails,
    /// One step takes so long.
    Hangs,
    /// Every step takes several times as long for so long.
    Slow,
}

const FAULTS: [Fault; 10] = [
    Fault::Dead,
    Fault::Frozen,
    Fault::Blank,
    Fault::Unreadable,
    Fault::Old,
    Fault::Ahead,
    Fault::Resized,
    Fault::Reordered,
    Fault::Late,
    Fault::Lossy,
];

impl Schedule {
    /// The schedule of a seed.
    pub fn draw(seed: u64) -> Self {
        let draw = Draw::new(seed);
        let robot = Robot::draw(draw.of(1));
        let count = 1 + draw.of(2).below(7);
        let calm = Duration::from_secs_f64(draw.of(3).between(0.4, 1.4));
        let mut incidents: Vec<_> = (0..count).map(|i| Incident::draw(draw.of(100 + i as u64), calm)).collect();
        incidents.retain(|incident| robot.servo || !matches!(incident.what, What::Servo(_)));
        incidents.sort_by_key(|incident| incident.at);
        // Load is forgotten in seconds, by steps and by pictures read, and a network that was too slow is given its next
        // chance after two.
        let slow = incidents.iter().any(|incident| matches!(incident.what, What::Network(..)));
        let heavy = incidents.iter().any(|incident| matches!(incident.what, What::Heavy(..)));
        let after = match (slow, robot.deadline) {
            (true, Some(_)) => 13.0,
            (true, None) => 3.0,
            (false, _) if heavy => 3.0,
            (false, _) => 1.2,
        };
        let begun = robot.cameras.iter().map(|camera| camera.phase).max().unwrap_or_default();
        let end = calm.max(begun) + Duration::from_secs_f64(after);
        Self { seed, robot, incidents, calm, end }
    }
}

impl Robot {
    fn draw(draw: Draw) -> Self {
        let control_hz = if draw.of(1).one_in(4) { 10.0 } else { 30.0 };
        let camera = |i: u64| {
            let draw = draw.of(10 + i);
            let factor = draw.of(1).pick(&[1.0, 1.0, 1.0, 2.0, 4.0, 0.7]);
            Camera {
                rate_hz: control_hz * factor,
                phase: draw.of(2).ms(1.0, 1e3 / control_hz),
                jitter: draw.of(3).ms(0.0, 60.0 / control_hz),
                latency: draw.of(4).ms(1.0, 12.0),
            }
        };
        let mut cameras = [camera(0), camera(1)];
        if draw.of(10).one_in(20) {
            // Their driver starts late.
            cameras.iter_mut().for_each(|camera| camera.phase += Duration::from_millis(1600));
        }
        if draw.of(2).one_in(2) {
            // Synchronised, as two cameras of one driver are.
            cameras[1] = Camera { latency: cameras[1].latency, ..cameras[0] };
        }
        let deadline = draw.of(3).one_in(20).then(|| Duration::from_secs_f64(0.7 / control_hz));
        Self {
            control_hz,
            cameras,
            heartbeat_secs: draw.of(4).one_in(4).then_some(0.3),
            deadline,
            stage: draw.of(5).ms(0.2, 80.0 / control_hz),
            autostart: draw.of(6).one_in(3),
            servo: draw.of(7).one_in(4),
            plan: if draw.of(20).one_in(2) { plan(draw.of(21)) } else { PlanLimits::default() },
            ahead: draw.of(22).pick(&[0, 3]),
            late: if draw.of(8).one_in(4) { draw.of(9).ms(1.0, 15.0) } else { Duration::from_millis(1) },
        }
    }
}

/// The pictures' one changing patch changes by 0.0003 from one to the next; actions are far apart.
fn plan(draw: Draw) -> PlanLimits {
    PlanLimits {
        keep_change: draw.of(1).pick(&[0.0, 0.0005, 0.001, 1.0]),
        skip_delta: draw.of(2).pick(&[0.0, 0.5, 1.0]),
        skip_change: draw.of(3).pick(&[0.001, 1.0]),
        max_age: draw.of(4).below(9) as u32,
        max_skips: draw.of(5).below(4) as u32,
        first_steps: draw.of(6).below(4) as u32,
    }
}

impl Incident {
    fn draw(draw: Draw, calm: Duration) -> Self {
        let at = Duration::from_secs_f64(draw.of(1).between(0.1, calm.as_secs_f64()));
        let long = Duration::from_secs_f64(draw.of(2).between(0.02, 0.8));
        // Nothing outlasts the incidents' time.
        let long = long.min(calm.saturating_sub(at));
        let which = draw.of(4);
        let what = match draw.of(3).below(17) {
            0..=5 => What::Camera(which.below(3), which.of(1).pick(&FAULTS), long),
            6 => What::Say(which.below(4)),
            7 => What::Enable(which.one_in(2)),
            8 => What::Reset,
            9 => What::Estop(!which.one_in(3)),
            10 => What::Silence(long),
            11 => What::Cap(which.below(3), which.of(1).ms(0.0, 120.0)),
            12 => What::Servo(which.one_in(2)),
            13 => {
                let troubles = [Trouble::NotANumber, Trouble::Fails, Trouble::Hangs, Trouble::Slow, Trouble::Slow];
                let long = if which.of(2).one_in(4) { Duration::from_millis(1300) } else { long };
                What::Network(which.of(1).pick(&troubles), long)
            }
            14 => What::Heavy(which.ms(2.0, 60.0), long),
            15 => What::Clock(which.pick(&[-3.0, -0.15, 0.15, 0.5, 60.0])),
            _ => What::Busy(which.ms(5.0, 30.0), long),
        };
        Self { at, what }
    }
}
