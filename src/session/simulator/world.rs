//! The world around the robot: cameras, operators and clocks, which play a schedule.

use std::rc::Rc;
use std::time::Duration;

use super::draw::Draw;
use super::judge::{Judge, Taken};
use super::network::{Blind, Load, Scripted, UNKNOWN};
use super::pictures::frame;
use super::schedule::{ACCELERATION, BOTH, DWELL_SECS, EXITS, Fault, Incident, Schedule, TICK, Trouble, What};
use super::time::Time;
use super::{Broken, Line};
use crate::bundle::Bundle;
use crate::motion::{Limit, Limits, Stream};
use crate::network::{Metric, Policy, Settings};
use crate::safety::{Arming, Guard, Halt, Report, Watchdog};
use crate::session::run::Run;
use crate::session::{Change, Commander, Event, Picture, Rules, Session, Start};
use crate::thresholds::Thresholds;
use crate::units::Stamp;

const SENTENCES: [&str; 4] = ["open the drawer", "push the button", UNKNOWN, ""];
const ZEROS: u32 = 3;

pub(super) struct World<'a> {
    schedule: &'a Schedule,
    run: Run<Blind, Time>,
    load: Rc<Load>,
    judge: Judge,
    settings: Settings,
    guard: Guard,
    /// The next picture of each camera, and what it showed last.
    next: [u64; 2],
    shown: [(u64, Stamp); 2],
    beat: Duration,
    status: Duration,
    servo_stands: bool,
    callers: u64,
    pub(super) lines: Option<Vec<Line>>,
}

impl<'a> World<'a> {
    pub(super) fn new(schedule: &'a Schedule, bundle: &Bundle, told: bool) -> Self {
        let robot = &schedule.robot;
        let load = Rc::new(Load::default());
        load.factor.set(1.0);
        let period_secs = 1.0 / robot.control_hz;
        let mut bundle = bundle.clone();
        bundle.manifest.embodiment.control_hz = robot.control_hz;
        // As small as a network may be that has a shallow, a middle and a deepest exit.
        bundle.manifest.exits.truncate(EXITS);
        (bundle.manifest.lstm.layers, bundle.manifest.lstm.hidden) = (1, 1);
        let exits = bundle.manifest.exits.len();
        let settings = Settings {
            thresholds: Thresholds::deepest(exits),
            gauge: Metric::Rms.into(),
            cap: exits - 1,
            deadline: robot.deadline,
            plan: robot.plan,
        };
        let draw = Draw::new(schedule.seed).of(5);
        let policy = Policy::new(Scripted::new(load.clone(), draw, robot), &bundle.manifest, settings.clone());
        let guard = Guard {
            max_frame_age_secs: 6.0 * period_secs,
            max_frame_skew_secs: 1.5 * period_secs,
            max_silence_secs: 3.0 * period_secs,
            frozen: Some(2),
            ..Guard::default()
        };
        let limit = |speed| Limit { speed, acceleration: ACCELERATION, jerk: 500.0 };
        let limits = Limits { linear: limit(0.35), angular: limit(0.7) };
        let rules = Rules { guard, limits: Some(limits), hysteresis: 0.1, dwell_secs: DWELL_SECS, simulated: false };
        let start = Start {
            bundle: &bundle,
            rules,
            arming: Arming::new(robot.autostart, robot.heartbeat_secs),
            provider: "scripted".into(),
            live: None,
            servo: robot.servo.then_some("/servo_node"),
        };
        let stream = Stream::new(&limits, TICK.as_secs_f64(), period_secs);
        let delay = Duration::from_secs_f64(stream.delay_secs());
        let watchdog = Watchdog::new(["static", "gripper"].into_iter(), period_secs, guard.max_silence_secs);
        let session = Session::new(Blind(policy), start);
        let commander = Commander::streaming(stream, TICK, ZEROS, Duration::from_secs_f64(DWELL_SECS));
        let run = Run::new(session, commander, watchdog, 2, Time::new(schedule, load.clone()));
        Self {
            judge: Judge::new(schedule, delay),
            schedule,
            run,
            load,
            settings,
            guard,
            next: [0; 2],
            shown: [(0, Stamp(0)); 2],
            beat: Duration::ZERO,
            status: Duration::ZERO,
            servo_stands: false,
            callers: 0,
            lines: told.then(Vec::new),
        }
    }

    /// Plays the schedule to its end.
    pub(super) fn play(&mut self) -> Result<(), Broken> {
        let mut incidents = self.schedule.incidents.iter();
        let mut incident = incidents.next();
        let mut calmed = false;
        let last = self.schedule.end.saturating_sub(Duration::from_millis(700));
        let mut again = [self.schedule.calm + Duration::from_millis(400), last].into_iter().peekable();
        self.say(0);
        self.enable(true);
        loop {
            let pictures = [0, 1].map(|camera| self.received(camera));
            let calm = (!calmed).then_some(self.schedule.calm);
            let next = [
                Some(pictures[0]),
                Some(pictures[1]),
                incident.map(|i| i.at),
                calm,
                Some(self.beat),
                again.peek().copied(),
                Some(self.status),
            ];
            let Some((who, at)) =
                next.iter().enumerate().filter_map(|(who, at)| Some((who, (*at)?))).min_by_key(|(_, at)| *at)
            else {
                break;
            };
            if at > self.schedule.end {
                break;
            }
            self.pass(at)?;
            match who {
                0 | 1 => self.show(who),
                2 => {
                    self.happen(incident);
                    incident = incidents.next();
                }
                3 => {
                    calmed = true;
                    self.calm();
                }
                4 => self.beat(),
                5 => {
                    again.next();
                    self.again();
                }
                _ => self.servo_status(),
            }
        }
        self.pass(self.schedule.end)?;
        self.judge.end(&self.run)
    }

    fn pass(&mut self, until: Duration) -> Result<(), Broken> {
        self.run.pass(until);
        let busiest = self.run.busiest;
        for (at, seen) in self.run.seen() {
            if let Some(lines) = &mut self.lines {
                lines.extend(Line::of(at, &seen));
            }
            self.judge.see(at, &seen, busiest)?;
        }
        Ok(())
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.run.now();
        if let Some(lines) = &mut self.lines {
            lines.push(Line { at, text: text() });
        }
    }

    fn arrive(&mut self, event: Event<u64>) {
        self.run.arrive(event);
    }

    fn call(&mut self) -> u64 {
        self.callers += 1;
        self.callers
    }

    fn say(&mut self, which: usize) {
        self.note(|| format!("somebody says {:?}", SENTENCES[which]));
        self.judge.looked_at();
        self.arrive(Event::Instruction(SENTENCES[which].into()));
    }

    fn enable(&mut self, on: bool) {
        let caller = self.call();
        self.note(|| format!("call {caller}: enable {on}"));
        self.judge.called(caller, on.then_some(()), self.run.now());
        if on {
            self.judge.looked_at();
        } else {
            self.judge.stopped(self.run.now());
        }
        self.arrive(Event::Enable(on, caller));
    }

    fn fault(&self, camera: usize, at: Duration) -> Option<Fault> {
        let of = |incident: &Incident| match incident.what {
            What::Camera(which, fault, long) if which == camera || which == BOTH => {
                (incident.at..incident.at + long).contains(&at).then_some(fault)
            }
            _ => None,
        };
        self.schedule.incidents.iter().rev().find_map(of)
    }

    /// When the next picture of a camera is taken, and when it is received.
    fn taken(&self, camera: usize) -> Duration {
        let spec = self.schedule.robot.cameras[camera];
        let draw = Draw::new(self.schedule.seed).of(20 + camera as u64).of(self.next[camera]);
        spec.phase
            + Duration::from_secs_f64(self.next[camera] as f64 / spec.rate_hz)
            + spec.jitter.mul_f64(draw.share())
    }

    fn received(&self, camera: usize) -> Duration {
        self.taken(camera) + self.schedule.robot.cameras[camera].latency
    }

    /// How long a picture takes to be read that was taken at `at`.
    fn reading(&self, at: Duration) -> Duration {
        let of = |incident: &Incident| match incident.what {
            What::Heavy(took, long) => (incident.at..incident.at + long).contains(&at).then_some(took),
            _ => None,
        };
        self.schedule.incidents.iter().rev().find_map(of).unwrap_or(Duration::from_micros(500))
    }

    fn show(&mut self, camera: usize) {
        let (taken, received) = (self.taken(camera), self.run.now());
        let count = self.next[camera];
        self.next[camera] += 1;
        let fault = self.fault(camera, taken);
        if fault == Some(Fault::Dead) || (fault == Some(Fault::Lossy) && count.is_multiple_of(2)) {
            return;
        }
        let mut stamp = self.run.pace.clock(taken);
        let half = 500_000_000;
        match fault {
            Some(Fault::Old) => stamp.0 -= half + (1e9 / self.schedule.robot.control_hz * 6.0) as i64,
            Some(Fault::Ahead) => stamp.0 += half + (1e9 / self.schedule.robot.control_hz * 6.0) as i64,
            Some(Fault::Reordered) if count.is_multiple_of(2) => {
                stamp.0 -= (4.5e9 / self.schedule.robot.control_hz) as i64
            }
            // What a driver or a bridge sends that was held up.
            Some(Fault::Late) if count % 6 < 3 => stamp.0 -= (3.5e9 / self.schedule.robot.control_hz) as i64,
            _ => (),
        }
        let shows = if fault == Some(Fault::Frozen) { self.shown[camera].0 } else { count + 1 };
        let same = shows == self.shown[camera].0;
        self.shown[camera] = (shows, stamp);
        let unreadable = fault == Some(Fault::Unreadable);
        let bad = matches!(fault, Some(Fault::Blank | Fault::Unreadable | Fault::Old | Fault::Ahead));
        let resized = fault == Some(Fault::Resized);
        self.judge.picture(camera, Taken { stamp, received, bad, unreadable, same, resized });
        let frame = if unreadable { Err("half a picture".to_owned()) } else { Ok(frame(stamp, shows, fault)) };
        self.note(|| format!("camera {camera}: picture {shows} of {stamp}, {fault:?}"));
        self.arrive(Event::Picture(Picture { camera, stamp, frame, received, messages: 1, took: self.reading(taken) }));
    }

    fn beat(&mut self) {
        self.beat += Duration::from_millis(100);
        let now = self.run.now();
        let silent = |incident: &Incident| match incident.what {
            What::Silence(long) => (incident.at..incident.at + long).contains(&now),
            _ => false,
        };
        if self.schedule.robot.heartbeat_secs.is_some() && !self.schedule.incidents.iter().any(silent) {
            self.judge.heartbeat(now);
            // A stop that is pressed stays so.
            self.arrive(Event::Estop { pressed: self.judge.pressed(), received: now });
        }
    }

    fn servo_status(&mut self) {
        self.status += Duration::from_millis(50);
        if !self.schedule.robot.servo {
            return;
        }
        let received = self.run.now();
        if self.status == Duration::from_millis(50) {
            self.arrive(Event::Servo { report: Report::Ready, received });
        }
        let halt = self.servo_stands.then_some(Halt::Collision);
        self.arrive(Event::Servo { report: Report::Status(halt), received });
    }

    fn happen(&mut self, incident: Option<&Incident>) {
        let Some(Incident { what, .. }) = incident else { return };
        self.note(|| format!("{what:?}"));
        let now = self.run.now();
        match *what {
            What::Camera(..) | What::Silence(_) | What::Busy(..) | What::Heavy(..) => (),
            What::Clock(_) => self.judge.clock_set(now),
            What::Say(which) => self.say(which),
            What::Enable(on) => self.enable(on),
            What::Reset => {
                let caller = self.call();
                self.judge.called(caller, None, now);
                self.judge.looked_at();
                self.arrive(Event::Reset(caller));
            }
            What::ClearFault => {
                let caller = self.call();
                self.judge.called(caller, None, now);
                self.arrive(Event::ClearFault(caller));
            }
            What::Estop(pressed) => self.estop(pressed),
            What::Cap(cap, loading) => self.cap(cap, loading),
            What::Servo(stands) => {
                self.servo_stands = stands;
                self.judge.servo(stands, now);
                let report = Report::Status(stands.then_some(Halt::Collision));
                self.arrive(Event::Servo { report, received: now });
            }
            What::Network(Trouble::NotANumber, _) => self.load.not_a_number.set(true),
            What::Network(Trouble::Fails, _) => self.load.fails.set(true),
            What::Network(Trouble::Hangs, long) => self.load.hang.set(long),
            // With a deadline, so slow that a deeper exit is not tried at all.
            What::Network(Trouble::Slow, _) => {
                self.load.factor.set(if self.schedule.robot.deadline.is_some() { 12.0 } else { 6.0 });
            }
        }
    }

    fn estop(&mut self, pressed: bool) {
        self.judge.estop(pressed, self.run.now());
        let received = self.run.now();
        self.arrive(Event::Estop { pressed, received });
    }

    fn cap(&mut self, cap: usize, loading: Duration) {
        self.load.loading.set(loading);
        let caller = self.call();
        self.judge.called(caller, None, self.run.now());
        let settings = Settings { cap, ..self.settings.clone() };
        self.arrive(Event::Configure(Box::new(Change { settings, guard: self.guard, live: None }), caller));
    }

    /// Everything is as it should be again, and the operator goes on.
    fn calm(&mut self) {
        self.note(|| "all is calm; the operator goes on".into());
        let now = self.run.now();
        self.load.factor.set(1.0);
        self.load.not_a_number.set(false);
        self.load.fails.set(false);
        self.load.hang.set(Duration::ZERO);
        self.cap(self.settings.cap, Duration::ZERO);
        if self.judge.pressed() {
            self.estop(false);
        }
        if std::mem::take(&mut self.servo_stands) {
            self.judge.servo(false, now);
        }
        self.say(1);
        self.judge.calmed(now);
    }

    /// The operator clears and enables once more, until it goes on.
    fn again(&mut self) {
        let caller = self.call();
        self.judge.called(caller, None, self.run.now());
        self.arrive(Event::ClearFault(caller));
        self.enable(true);
    }
}
