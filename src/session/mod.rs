//! What decides the order of things on the robot: which pictures belong together, what is late, which answer is dropped,
//! when the arm halts, when a parameter takes effect. Without ROS, clocks, threads or files.
//!
//! Three state machines: the session decides, the [`Commander`] moves the arm, the [`Watchdog`](crate::safety::Watchdog)
//! halts it when the session hangs. Events and moments go in, effects and the next wake-up come out. The node gives
//! each a thread, `deer_vla replay` and the simulator run them on a virtual clock.
//!
//! Whoever runs a session does this, again and again:
//!
//! 1. wait until something has arrived or [`Session::wake`];
//! 2. read how often the arm was halted, then take what has arrived, and hand it to [`Session::on`]; pictures, where it
//!    [reads](Session::reads) them;
//! 3. [`Session::look`]: it may want the network's opinion;
//! 4. while it [is thinking](Session::thinking): let it [`Session::think`], which takes its time, then once more read
//!    the halts, take and hand over what has arrived but for pictures, and [`Session::finish`].

mod answer;
mod cameras;
mod commander;
mod epoch;
mod event;
mod metrics;
mod order;
mod pairing;
mod readiness;
pub mod run;
pub mod simulator;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::bundle::Bundle;
use crate::motion::{Gripper, Limits};
use crate::network::{Network, Settings};
use crate::safety::{self, Arming, ClockWatch, Guard, Hold, ServoWatch, Verdict};
use crate::thresholds::Live;
use crate::units::{Moment, Stamp};

pub use answer::{Answer, Identity};
pub use commander::{Command, Commander};
pub use event::{Change, Effect, Event, Level, Picture};
pub use metrics::Group;
pub use order::{Move, Order, Report};
pub use pairing::Pairing;

use cameras::Cameras;
use epoch::Epoch;
use readiness::Readiness;
use step::{Motion, Pending, Record};

/// What one robot's policy knows between two steps.
pub struct Session<N> {
    network: N,
    readiness: Readiness,
    live: Option<Live>,
    cameras: Cameras,
    safety: Safety,
    motion: Motion,
    epoch: Epoch,
    record: Record,
    pending: Option<Pending>,
}

/// What may forbid motion, but for the cameras.
struct Safety {
    rules: Rules,
    arming: Arming,
    clock: ClockWatch,
    /// MoveIt Servo, where the arm waits for it.
    servo: Option<ServoWatch>,
    /// What the watchdog has found during this step.
    found: Option<Hold>,
}

/// What the arm's side demands.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Limits on the pictures.
    pub guard: Guard,
    /// Limits on the motion. `None` in lock-step, where a world waits for every command and obeys it as it is: it does
    /// not matter then how long a step takes, and the machine's clock counts for nothing but the emergency stop.
    pub limits: Option<Limits>,
    /// Probability on either side of the gripper's threshold within which nothing changes.
    pub hysteresis: f64,
    /// A gripper command stands for at least so many seconds.
    pub dwell_secs: f64,
    /// The robot's clock is a simulator's.
    pub simulated: bool,
}

impl Rules {
    fn lock_step(&self) -> bool {
        self.limits.is_none()
    }
}

/// What a session is made from, beside its network.
pub struct Start<'a> {
    /// The bundle that the network is from.
    pub bundle: &'a Bundle,
    /// What the arm's side demands.
    pub rules: Rules,
    /// Armed or not.
    pub arming: Arming,
    /// What computes.
    pub provider: String,
    /// What the exits are compared with.
    pub live: Option<Live>,
    /// Where the arm waits for MoveIt Servo: its node's name.
    pub servo: Option<&'a str>,
}

impl<N: Network> Session<N> {
    /// Nothing has been seen or said yet.
    pub fn new(network: N, start: Start<'_>) -> Self {
        let Start { bundle, rules, arming, provider, live, servo } = start;
        let manifest = &bundle.manifest;
        let embodiment = manifest.embodiment.clone();
        let roles = manifest.cameras.iter().map(|camera| camera.role.as_str());
        let identity = Identity { bundle: manifest.name.clone(), bundle_sha256: bundle.hash.clone(), provider };
        Self {
            network,
            readiness: Readiness::default(),
            live,
            cameras: Cameras::new(roles, 1.0 / embodiment.control_hz, rules.lock_step()),
            motion: Motion {
                gripper: Gripper::new(embodiment.gripper.open_above, rules.hysteresis, rules.dwell_secs),
                limits: rules.limits,
                embodiment,
            },
            safety: Safety {
                clock: ClockWatch::new(rules.simulated),
                servo: servo.map(ServoWatch::new),
                rules,
                arming,
                found: None,
            },
            epoch: Epoch::default(),
            record: Record::new(identity),
            pending: None,
        }
    }

    /// Whether pictures are worth reading that wait, of each camera the newest, taken then: one that comes too soon after
    /// the last step's will be followed by another before a step is due. In lock-step every picture is waited for.
    pub fn reads(&self, waiting: &[Option<Stamp>]) -> bool {
        self.safety.rules.lock_step() || self.cameras.reads(waiting)
    }

    /// When a camera sent last what could be read, on the machine's clock.
    pub fn shown(&self, camera: usize) -> Option<Duration> {
        self.cameras.shown(camera)
    }

    /// What decides that, for whoever reads pictures while the session is busy; `None` in lock-step.
    pub fn pairing(&self) -> Option<&Pairing> {
        (!self.safety.rules.lock_step()).then(|| self.cameras.pairing())
    }

    /// Takes what has arrived. `watch` tells the machine's time, for what takes its time.
    pub fn on<R>(&mut self, event: Event<R>, now: Moment, watch: &mut dyn FnMut() -> Duration) -> Vec<Effect<R>> {
        match event {
            Event::Picture(picture) => self.cameras.take(picture, self.safety.rules.guard.frozen),
            Event::Trouble { camera, reason } => self.cameras.trouble(camera, reason),
            Event::Instruction(text) => return self.instruction(&text).into_iter().collect(),
            Event::Estop { pressed, received } => self.safety.arming.estop(pressed, received),
            Event::Enable(true, reply) => {
                let enabled = self.enable(now).map(|()| "enabled".to_owned()).map_err(|e| e.to_string());
                return vec![Effect::Reply(reply, enabled)];
            }
            Event::Enable(false, reply) => {
                self.safety.arming.disable();
                return vec![Effect::Reply(reply, Ok("disabled".into()))];
            }
            Event::Reset(reply) => {
                self.reset();
                let message = format!("state cleared, epoch {}", self.epoch.number);
                return vec![Effect::Reply(reply, Ok(message))];
            }
            Event::ClearFault(reply) => return self.clear_fault(reply, now, watch),
            Event::Configure(change, reply) => {
                let configured = self.configure(*change, watch).map(|()| String::new());
                return vec![Effect::Reply(reply, configured)];
            }
            Event::Servo { report, received } => self.servo(report, received),
            Event::Commanded(report) => self.commanded(report),
            Event::Unheard(grip) => self.motion.gripper.unheard(grip),
            Event::Found(hold) if hold.verdict == Verdict::HoldFault => self.safety.arming.fault(hold.message),
            Event::Found(hold) => self.safety.found = Some(hold),
        }
        Vec::new()
    }

    /// Looks at what is there: answers what is due and keeps watch where nothing is. Afterwards it may be
    /// [thinking](Self::thinking).
    pub fn look<R>(&mut self, now: Moment, watch: &mut dyn FnMut() -> Duration) -> Vec<Effect<R>> {
        self.record.looked = now.machine;
        // What was found before this step is over: the control loop has come round.
        self.safety.found = None;
        self.beat(now);
        if let Some(rehearsed) = self.rehearse_if_needed(now, watch) {
            // It took its time: what is known now is of before.
            return vec![rehearsed];
        }
        let now = self.now(now);
        if self.cameras.due(now.robot) {
            return self.begin(now);
        }
        if let Some(repeated) = self.repeated(now) {
            return repeated;
        }
        match self.watch(now).or_else(|| self.still_standing(now)) {
            Some(answer) => self.answered(answer, now),
            None => Vec::new(),
        }
    }

    /// When to look again if nothing arrives, on the machine's clock: often enough for two clocks to be compared and
    /// silence to be noticed while the arm may move, seldom else.
    pub fn wake(&self) -> Duration {
        let secs = if self.armed() { 0.5 * self.period_secs() } else { IDLE_SECS };
        self.record.looked + Duration::from_secs_f64(secs)
    }

    /// Reads the robot's clock and the machine's in one moment: the machine's judges whether cameras are silent or slow
    /// and whether the robot's jumps. In lock-step it judges nothing: there the world waits.
    fn beat(&mut self, now: Moment) {
        let Safety { clock, rules, .. } = &mut self.safety;
        if rules.lock_step() {
            return;
        }
        clock.beat(now.robot, now.machine, rules.guard.max_clock_jump_secs);
        if clock.hold().is_some() {
            self.cameras.begin_time();
        }
        if let Some(heard) = self.cameras.heard() {
            clock.settle(heard);
        }
    }

    /// The moment by the pictures, where time is simulated: a picture may overtake the clock message of its own step.
    /// One that is further ahead than a picture may be old is stamped by another clock, and no measure of time.
    fn now(&self, now: Moment) -> Moment {
        let Rules { simulated, guard, .. } = &self.safety.rules;
        let silent = now.robot == Stamp(0);
        let near = |newest: &Stamp| silent || newest.secs_since(now.robot) <= guard.max_frame_age_secs;
        let newest = self.cameras.newest().filter(|newest| *simulated && near(newest));
        Moment { robot: newest.map_or(now.robot, |newest| now.robot.max(newest)), ..now }
    }

    /// The machine's time, where it counts.
    fn machine(&self, now: Moment) -> Option<Duration> {
        (!self.safety.rules.lock_step()).then_some(now.machine)
    }

    /// How long after the last set of pictures came the action on it is over, whether or not another comes. Where the
    /// machine's clock counts, a camera that is slow by nature is given its own time.
    pub fn patience_secs(&self) -> f64 {
        let gap_secs = self.cameras.slowest_gap_secs().filter(|_| !self.safety.rules.lock_step());
        SPENT_PERIODS * gap_secs.map_or(self.period_secs(), |gap_secs| gap_secs.max(self.period_secs()))
    }

    fn servo(&mut self, report: safety::Report, received: Duration) {
        // Where Servo has stopped the arm, what the network remembers is of a motion that did not happen.
        if self.safety.servo.as_mut().is_some_and(|servo| servo.hear(report, received)) {
            self.forget();
        }
    }

    /// What became of an order.
    fn commanded(&mut self, report: Report) {
        let Report { grip, refused, dropped } = report;
        if let Some((grip, told)) = grip {
            self.motion.gripper.told(grip, told);
        }
        self.record.commanded(refused, dropped);
    }

    /// Counts instructions and resets; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.epoch.number
    }

    /// Whether motion is enabled.
    pub fn armed(&self) -> bool {
        self.safety.arming.armed()
    }

    /// What is set now.
    pub fn settings(&self) -> &Settings {
        self.network.settings()
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// What the exits cost lately, where the bundle was calibrated.
    pub fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// Camera roles, and when the pictures at hand were taken.
    pub fn stamps(&self) -> Vec<(String, Option<Stamp>)> {
        self.cameras.stamps()
    }

    /// The newest picture's capture time.
    pub fn newest(&self) -> Option<Stamp> {
        self.cameras.newest()
    }

    /// Limits on the pictures.
    pub fn guard(&self) -> &Guard {
        &self.safety.rules.guard
    }

    /// What is wrong with a camera, if anything is, and names and values of what is known of it.
    pub fn camera(&self, camera: usize, now: Moment) -> (Option<Hold>, Vec<(String, String)>) {
        let hold = self.cameras.hold_of(camera, &self.safety.rules.guard, self.now(now).robot, self.machine(now));
        (hold, self.cameras.facts(camera))
    }

    fn period_secs(&self) -> f64 {
        1.0 / self.motion.embodiment.control_hz
    }
}

/// An action is over after its control period; this many periods after it, an arm that got no other is told to stand.
const SPENT_PERIODS: f64 = 1.5;
/// Between two looks while the arm is disarmed and nothing arrives.
const IDLE_SECS: f64 = 0.25;
