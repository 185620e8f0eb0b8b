//! The control thread: takes what has arrived, asks the core, orders and publishes what it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::sensor_msgs::msg::Image;

use super::clock::Clock;
use super::commands::Commands;
use super::diagnostics::Health;
use super::inbox::{Arrival, Event, Inbox, Picture};
use super::outputs::Outputs;
use super::vitals::Vitals;
use crate::bundle::Bundle;
use crate::config::Config;
use crate::engine::Engine;
use crate::frame::{Frame, FrameError, RawImage};
use crate::safety::{Hold, Verdict};
use crate::session::Answer;
use crate::session::Control;
use crate::thresholds::Live;
use crate::units::Stamp;

/// A network that was too slow is given another chance after so long.
const REHEARSE_AGAIN: Duration = Duration::from_secs(2);

/// The control loop's whole world.
pub(super) struct Worker<E> {
    pub(super) control: Control<E>,
    pub(super) bundle: Arc<Bundle>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) commands: Arc<Commands>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) outputs: Outputs,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) logger: String,
    /// What the exits cost, where the bundle was calibrated.
    pub(super) live: Option<Live>,
    /// When the newest picture came that no step has used.
    pub(super) received: Option<Instant>,
    /// When the network was rehearsed last.
    pub(super) rehearsed: Instant,
    /// Lock-step: whether the last answer was that of a disarmed arm.
    pub(super) stood: bool,
}

impl<E: Engine> Worker<E> {
    /// Runs until the inbox is closed.
    pub(super) fn run(mut self) {
        self.rehearse();
        let tick = Duration::from_secs_f64(0.125 / self.bundle.manifest.action.control_hz);
        while let Some((events, pictures)) = self.inbox.wait(tick) {
            self.vitals.come_round(self.control.armed(), self.control.patience_secs());
            self.handle(events);
            pictures.into_iter().for_each(|arrival| self.see(arrival));
            if !self.commands.lock_step() {
                self.control.beat(self.clock.now(), self.vitals.machine(Instant::now()));
            }
            self.answer();
            self.report();
            // Whatever else this machine was busy with may be over.
            if self.control.too_slow() && !self.control.armed() && self.rehearsed.elapsed() > REHEARSE_AGAIN {
                self.rehearse();
            }
        }
    }

    fn rehearse(&mut self) {
        let started = Instant::now();
        self.rehearsed = started;
        match self.control.rehearse(&mut || started.elapsed()) {
            Ok(()) => {
                let step_ms = self.control.step_secs().unwrap_or_default() * 1e3;
                r2r::log_info!(&self.logger, "the network is warm: a step at full depth takes {step_ms:.1} ms");
            }
            Err(error) => {
                r2r::log_error!(&self.logger, "the network cannot be run: {error}");
                self.control.arming().fault(format!("the network cannot be run: {error}"));
            }
        }
    }

    fn report(&mut self) {
        let now = self.now();
        if let Some(statuses) = self.health.due(now, &self.control, self.live.as_ref(), &self.outputs) {
            let sent = self.outputs.diagnostics(now, statuses);
            self.log_failure("/diagnostics", sent);
        }
    }

    /// Answers what is due, and keeps watch where nothing is.
    fn answer(&mut self) {
        let now = self.now();
        if self.control.due(now) {
            self.step();
        } else if let Some(answer) = self.clock.simulated().then(|| self.control.repeated()).flatten() {
            self.publish(&answer, None);
        } else if let Some(answer) = self.control.watch(now) {
            self.publish(&answer, None);
        }
    }

    fn now(&self) -> Stamp {
        let now = self.clock.now();
        if self.clock.simulated() { self.control.simulated_now(now) } else { now }
    }

    fn see(&mut self, arrival: Arrival) {
        match read(&arrival.picture) {
            Ok(frame) => {
                let machine = self.vitals.machine(arrival.received);
                self.control.hear(arrival.camera, machine, arrival.messages);
                self.health.picture(arrival.camera, frame.stamp);
                self.control.frame(arrival.camera, frame);
                self.received = self.received.max(Some(arrival.received));
            }
            Err(error) => {
                if self.health.refused(arrival.camera, &error) {
                    let role = &self.bundle.manifest.cameras[arrival.camera].role;
                    r2r::log_warn!(&self.logger, "{role}/image: {error}");
                }
            }
        }
    }

    /// One answer to one set of pictures. What changed while the network ran makes its answer one to another question:
    /// it is dropped, and the same pictures are answered anew.
    fn step(&mut self) {
        loop {
            let started = Instant::now();
            let now = self.now();
            self.vitals.begin_step();
            let mut answer = self.control.step(now, &mut || started.elapsed());
            // What a step does by itself, as to arm when it is the first that may, belongs to its answer.
            let asked = (self.control.epoch(), self.control.armed());
            if let Some(hold) = self.late().filter(|_| answer.verdict == Verdict::Act) {
                answer = self.control.give_up(now, hold);
            }
            let events = self.inbox.events();
            self.handle(events);
            let unchanged = (self.control.epoch(), self.control.armed()) == asked;
            // A fault disarms by itself, and is the answer.
            if unchanged || answer.verdict != Verdict::Act {
                let received = self.received.take();
                self.publish(&answer, received);
                return;
            }
        }
    }

    /// Ends the watch over a step; gives what was found wrong with it. In lock-step the world waits for however long.
    fn late(&mut self) -> Option<Hold> {
        let hold = self.vitals.end_step().filter(|_| !self.commands.lock_step())?;
        if hold.verdict == Verdict::HoldFault {
            self.control.arming().fault(hold.message.clone());
        }
        Some(hold)
    }

    /// What an answer means to the arm.
    fn command(&mut self, answer: &Answer) {
        // Once it stands, a disarmed arm may be someone else's to move.
        let stands = std::mem::replace(&mut self.stood, answer.verdict == Verdict::HoldDisarmed) && self.stood;
        match (answer.verdict, self.commands.lock_step()) {
            (Verdict::Act, _) => self.commands.follow(answer),
            (_, true) if !stands => self.commands.follow(answer),
            (_, true) => (),
            (_, false) => self.commands.halt(),
        }
    }

    fn publish(&mut self, answer: &Answer, received: Option<Instant>) {
        self.command(answer);
        self.vitals.answered(answer);
        let overhead_ms = received.zip(answer.decision.as_ref()).map(|(received, step)| {
            let network_ms = step.timing.vision_ms + step.timing.stage_ms.iter().sum::<f64>() + step.timing.head_ms;
            received.elapsed().as_secs_f64() * 1e3 - network_ms
        });
        let sent = self.outputs.decision(answer, overhead_ms, self.commands.dropped());
        self.log_failure("~/decision", sent);
        if let Some(step) = &answer.decision
            && let Some(thresholds) = self.live.as_mut().and_then(|live| live.step(step.exit))
            && let Err(error) = self.control.set_thresholds(thresholds)
        {
            r2r::log_error!(&self.logger, "the average could not be held: {error}");
        }
        if let Some(change) = self.health.answer(answer, overhead_ms) {
            r2r::log_info!(&self.logger, "{change}");
        }
    }

    fn handle(&mut self, events: Vec<Event>) {
        for event in events {
            let now = self.now();
            match event {
                Event::Instruction(text) => match self.control.instruction(&text) {
                    Ok(false) => (),
                    Ok(true) => r2r::log_info!(&self.logger, "epoch {}: {text:?}", self.control.epoch()),
                    Err(error) => r2r::log_error!(&self.logger, "the instruction was not taken up: {error}"),
                },
                Event::Estop(pressed) => self.control.arming().estop(pressed, now),
                Event::Enable(true, reply) => {
                    let enabled = self.control.enable(now);
                    reply(enabled.map(|()| "enabled".to_owned()).map_err(|e| e.to_string()));
                }
                Event::Enable(false, reply) => {
                    self.control.arming().disable();
                    reply(Ok("disabled".into()));
                }
                Event::Reset(reply) => {
                    self.control.reset();
                    reply(Ok(format!("state cleared, epoch {}", self.control.epoch())));
                }
                Event::ClearFault(reply) => {
                    let cleared = self.control.arming().clear_fault();
                    if cleared.is_ok() && self.control.step_secs().is_none() {
                        self.rehearse();
                    }
                    reply(cleared.map(|()| "fault cleared; call ~/enable to go on".into()).map_err(|e| e.to_string()));
                }
                Event::Servo(report) => self.control.servo(report, now),
                Event::Configure(config, reply) => reply(self.configure(&config).map(|()| String::new())),
            }
        }
    }

    fn configure(&mut self, config: &Config) -> Result<(), String> {
        let settings = config.settings(&self.bundle).map_err(|e| e.to_string())?;
        let live = Live::new(&self.bundle, &settings.thresholds, settings.metric, settings.cap, config.held_average());
        let rules =
            config.rules(self.bundle.manifest.action.control_hz, self.commands.lock_step(), self.clock.simulated());
        let started = Instant::now();
        self.vitals.allow_silence(rules.guard.max_silence_secs);
        self.control.configure(settings, rules.guard, &mut || started.elapsed()).map_err(|e| e.to_string())?;
        self.live = live;
        Ok(())
    }

    fn log_failure(&self, what: &str, sent: r2r::Result<()>) {
        if let Err(error) = sent {
            r2r::log_error!(&self.logger, "{what} could not be published: {error}");
        }
    }
}

pub(super) fn read(picture: &Picture) -> Result<Frame, FrameError> {
    match picture {
        Picture::Raw(image) => Frame::from_raw(raw(image)),
        Picture::Compressed(image) => {
            let stamp = &image.header.stamp;
            Frame::from_compressed(Stamp::new(stamp.sec, stamp.nanosec), &image.format, &image.data)
        }
    }
}

fn raw(image: &Image) -> RawImage<'_> {
    RawImage {
        stamp: Stamp::new(image.header.stamp.sec, image.header.stamp.nanosec),
        width: image.width,
        height: image.height,
        encoding: &image.encoding,
        step: image.step,
        data: &image.data,
    }
}
