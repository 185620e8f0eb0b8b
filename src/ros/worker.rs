//! The control thread: hands what has arrived to the session, lets it think, and does what it wants done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::sensor_msgs::msg::Image;

use super::clock::{Clock, Machine};
use super::diagnostics::Health;
use super::inbox::{Arrival, Content, Inbox, Message, Payload, Reply};
use super::mailbox::Mailbox;
use super::outputs::Outputs;
use super::vitals::Vitals;
use crate::bundle::Bundle;
use crate::config::Config;
use crate::frame::{Frame, FrameError, RawImage, View};
use crate::network::Network;
use crate::session::{Answer, Change, Effect, Event, Level, Order, Picture, Session};
use crate::thresholds::Live;
use crate::units::{Moment, Stamp};

/// The control loop's whole world.
pub(super) struct Worker<N> {
    pub(super) session: Session<N>,
    pub(super) bundle: Arc<Bundle>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) outputs: Outputs,
    pub(super) clock: Clock,
    pub(super) machine: Machine,
    pub(super) health: Health,
    pub(super) logger: String,
    /// How each camera's pictures are read.
    pub(super) views: Vec<View>,
    /// `use_sim_time`, which decides what the rules are when a parameter changes.
    pub(super) simulated: bool,
}

impl<N: Network> Worker<N> {
    /// Runs until the inbox is closed.
    pub(super) fn run(mut self) {
        let machine = self.machine;
        let warm = self.session.rehearse(self.moment(0), &mut || machine.now());
        self.perform(vec![warm]);
        while self.inbox.wait(machine.at(self.session.wake())) {
            self.come_round();
            // Read before the inbox, so that no halt is older than what it was for.
            let halts = self.mailbox.halts();
            let (messages, pictures) = self.inbox.take(|waiting| self.session.reads(waiting));
            // Pictures first: whoever enables the arm after something that took long means the cameras as they are now.
            pictures.into_iter().for_each(|arrival| self.see(arrival, halts));
            messages.into_iter().for_each(|message| self.hear(message, halts));
            let effects = self.session.look(self.moment(halts), &mut || machine.now());
            self.perform(effects);
            if let Some(pairing) = self.session.pairing() {
                self.inbox.expect(pairing);
            }
            while self.session.thinking() {
                // What was just enabled is watched from its first step on.
                self.come_round();
                self.vitals.begin_step(machine.now());
                self.session.think(&mut || machine.now());
                self.come_round();
                let halts = self.mailbox.halts();
                self.inbox.messages().into_iter().for_each(|message| self.hear(message, halts));
                let effects = self.session.finish(self.moment(halts));
                self.perform(effects);
            }
            self.come_round();
            self.report(halts);
        }
    }

    fn moment(&self, halts: u64) -> Moment {
        Moment { robot: self.clock.now(), machine: self.machine.now(), halts }
    }

    fn come_round(&self) {
        self.vitals.come_round(self.machine.now(), self.session.armed(), self.session.patience_secs());
    }

    fn report(&mut self, halts: u64) {
        let now = self.moment(halts);
        if let Some(statuses) = self.health.due(now, &self.session, &self.outputs) {
            let sent = self.outputs.diagnostics(now.robot, statuses);
            self.log_failure("/diagnostics", sent);
        }
    }

    fn see(&mut self, arrival: Arrival, halts: u64) {
        let Arrival { camera, stamp, content, received, messages, reads } = arrival;
        let (read, took) = match content {
            Content::Unread(image) => timed(image, &self.views[camera]),
            Content::Read(read, took) => (read, took),
        };
        self.health.came(camera, messages, reads + 1);
        match &read {
            Ok(frame) => self.health.picture(camera, frame.stamp),
            Err(error) => {
                if self.health.refused(camera, error) {
                    let role = &self.bundle.manifest.cameras[camera].role;
                    r2r::log_warn!(&self.logger, "{role}/image: {error}");
                }
            }
        }
        let frame = read.map_err(|error| error.to_string());
        self.on(Event::Picture(Picture { camera, stamp, frame, received, messages, took }), halts);
        self.vitals.read(camera, received, self.session.shown(camera));
    }

    fn hear(&mut self, message: Message, halts: u64) {
        let event = match message {
            Message::Instruction(text) => Event::Instruction(text),
            Message::Trouble(camera, reason) => Event::Trouble { camera, reason },
            Message::Estop(pressed, received) => Event::Estop { pressed, received },
            Message::Enable(on, reply) => Event::Enable(on, reply),
            Message::Reset(reply) => Event::Reset(reply),
            Message::ClearFault(reply) => Event::ClearFault(reply),
            Message::Servo(report, received) => Event::Servo { report, received },
            Message::Commanded(report) => Event::Commanded(report),
            Message::Unheard(grip) => Event::Unheard(grip),
            Message::Found(hold) => Event::Found(hold),
            Message::Configure(config, reply) => match self.change(&config) {
                Ok(change) => Event::Configure(Box::new(change), reply),
                Err(reason) => return reply(Err(reason)),
            },
        };
        self.on(event, halts);
    }

    fn on(&mut self, event: Event<Reply>, halts: u64) {
        let machine = self.machine;
        let effects = self.session.on(event, self.moment(halts), &mut || machine.now());
        self.perform(effects);
    }

    fn change(&self, config: &Config) -> Result<Change, String> {
        let settings = config.settings(&self.bundle).map_err(|e| e.to_string())?;
        let live = Live::new(&self.bundle, &settings, config.average());
        let rules = config.rules(self.bundle.manifest.embodiment.control_hz, self.simulated);
        self.vitals.allow_silence(rules.guard.max_silence_secs);
        Ok(Change { settings, guard: rules.guard, live })
    }

    fn perform(&mut self, effects: Vec<Effect<Reply>>) {
        for effect in effects {
            match effect {
                Effect::Move(motion) => self.mailbox.order(Order::Move(motion)),
                Effect::Halt => self.mailbox.halt(),
                Effect::Publish(answer) => self.publish(&answer),
                Effect::Reply(reply, result) => reply(result),
                Effect::Log(Level::Info, text) => r2r::log_info!(&self.logger, "{text}"),
                Effect::Log(Level::Error, text) => r2r::log_error!(&self.logger, "{text}"),
            }
        }
    }

    fn publish(&mut self, answer: &Answer) {
        self.vitals.answered(answer);
        let sent = self.outputs.decision(answer);
        self.log_failure("~/decision", sent);
        if let Some(change) = self.health.answer(answer) {
            r2r::log_info!(&self.logger, "{change}");
        }
    }

    fn log_failure(&self, what: &str, sent: r2r::Result<()>) {
        if let Err(error) = sent {
            r2r::log_error!(&self.logger, "{what} could not be published: {error}");
        }
    }
}

/// Reads a picture that is still wanted as it came.
pub(super) fn read(image: &Payload, view: &View) -> Result<Frame, FrameError> {
    match image {
        Payload::Raw(raw) => view.raw(RawImage { data: &raw.data, ..fields(image.stamp(), raw) }),
        Payload::Compressed(file) => view.compressed(image.stamp(), &file.format, &file.data),
    }
}

/// Reads a picture and tells how long that took.
pub(super) fn timed(image: Payload, view: &View) -> (Result<Frame, FrameError>, Duration) {
    let began = Instant::now();
    let read = into_frame(image, view);
    (read, began.elapsed())
}

/// Reads a picture, in its own memory where it is laid out as a frame is.
fn into_frame(image: Payload, view: &View) -> Result<Frame, FrameError> {
    let stamp = image.stamp();
    match image {
        Payload::Raw(mut raw) => {
            let data = std::mem::take(&mut raw.data);
            view.given_raw(fields(stamp, &raw), data)
        }
        Payload::Compressed(_) => read(&image, view),
    }
}

/// All but the rows.
fn fields(stamp: Stamp, image: &Image) -> RawImage<'_> {
    let Image { width, height, step, ref encoding, is_bigendian, .. } = *image;
    RawImage { stamp, width, height, encoding, big_endian: is_bigendian != 0, step, data: &[] }
}
