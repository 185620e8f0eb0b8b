//! The control thread: takes what has arrived, asks the core, publishes what it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::sensor_msgs::msg::Image;

use super::clock::Clock;
use super::diagnostics::Health;
use super::inbox::{Arrival, Event, Inbox, Picture};
use super::outputs::Outputs;
use crate::answer::Answer;
use crate::bundle::Bundle;
use crate::config::Config;
use crate::control::Control;
use crate::engine::Engine;
use crate::frame::{Frame, FrameError, RawImage};
use crate::safety::Verdict;
use crate::thresholds::Live;
use crate::units::Stamp;

/// The control loop's whole world.
pub(super) struct Worker<E> {
    pub(super) control: Control<E>,
    pub(super) bundle: Arc<Bundle>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outputs: Outputs,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) logger: String,
    /// What the exits cost, where the bundle was calibrated.
    pub(super) live: Option<Live>,
    /// When the newest picture came that no step has used.
    pub(super) received: Option<Instant>,
    /// Whether the last answer was that of a disarmed arm.
    pub(super) stood: bool,
}

impl<E: Engine> Worker<E> {
    /// Runs until the inbox is closed, then tells the arm to stand.
    pub(super) fn run(mut self) {
        let tick = Duration::from_secs_f64(0.25 / self.bundle.manifest.action.control_hz);
        while let Some((events, pictures)) = self.inbox.wait(tick) {
            self.handle(events);
            pictures.into_iter().for_each(|arrival| self.see(arrival));
            self.answer();
            let now = self.now();
            let statuses = self.health.due(now, &self.control, self.live.as_ref(), &self.outputs);
            if let Some(statuses) = statuses {
                let sent = self.outputs.diagnostics(now, statuses);
                self.log_failure("/diagnostics", sent);
            }
        }
        let sent = self.outputs.stand(self.clock.now());
        self.log_failure("the last zero twist", sent);
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

    /// In simulated time a picture may overtake the clock message of its own step.
    fn now(&self) -> Stamp {
        let now = self.clock.now();
        if self.clock.simulated() { self.control.newest().map_or(now, |newest| now.max(newest)) } else { now }
    }

    fn see(&mut self, arrival: Arrival) {
        match read(&arrival.picture) {
            Ok(frame) => {
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
            let asked = (self.control.epoch(), self.control.armed());
            let now = self.now();
            let answer = self.control.step(now, &mut || started.elapsed());
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

    fn publish(&mut self, answer: &Answer, received: Option<Instant>) {
        // Once it stands, a disarmed arm may be someone else's to move.
        if !(answer.verdict == Verdict::HoldDisarmed && self.stood) {
            let sent = self.outputs.command(answer);
            self.log_failure("a command", sent);
        }
        self.stood = answer.verdict == Verdict::HoldDisarmed;
        let overhead_ms = received.zip(answer.decision.as_ref()).map(|(received, step)| {
            let network_ms = step.timing.vision_ms + step.timing.stage_ms.iter().sum::<f64>() + step.timing.head_ms;
            received.elapsed().as_secs_f64() * 1e3 - network_ms
        });
        let sent = self.outputs.decision(answer, overhead_ms);
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
                    reply(cleared.map(|()| "fault cleared; call ~/enable to go on".into()).map_err(|e| e.to_string()));
                }
                Event::Configure(config, reply) => reply(self.configure(&config).map(|()| String::new())),
            }
        }
    }

    fn configure(&mut self, config: &Config) -> Result<(), String> {
        let settings = config.settings(&self.bundle).map_err(|e| e.to_string())?;
        let live = Live::new(&self.bundle, &settings, config.held_average());
        self.control.configure(settings, config.guard).map_err(|e| e.to_string())?;
        self.live = live;
        Ok(())
    }

    fn log_failure(&self, what: &str, sent: r2r::Result<()>) {
        if let Err(error) = sent {
            r2r::log_error!(&self.logger, "{what} could not be published: {error}");
        }
    }
}

fn read(picture: &Picture) -> Result<Frame, FrameError> {
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
