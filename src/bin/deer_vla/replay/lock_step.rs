//! A recording in lock-step: the clock stands at the newest picture, as that of a simulator which waits does.

use std::time::{Duration, Instant};

use anyhow::bail;
use deer_vla::session::{Answer, Command, Commander, Effect, Event, Level, Order};
use deer_vla::units::Moment;

use super::robot::Robot;

/// A session and a commander that obeys it, on the pictures' own time.
pub(super) struct LockStep {
    session: Robot,
    commander: Commander,
    started: Instant,
    /// Why sentences were not taken up, since this was asked last.
    pub(super) refused: Vec<String>,
}

impl LockStep {
    /// # Errors
    /// When the network cannot be run.
    pub(super) fn new(mut session: Robot) -> anyhow::Result<Self> {
        let started = Instant::now();
        if let Effect::Log(Level::Error, reason) = session.rehearse::<()>(Moment::default(), &mut || started.elapsed())
        {
            bail!(reason);
        }
        Ok(Self { session, commander: Commander::lock_step(Duration::ZERO), started, refused: Vec::new() })
    }

    fn now(&self) -> Moment {
        Moment { robot: self.session.newest().unwrap_or_default(), ..Moment::default() }
    }

    pub(super) fn on(&mut self, event: Event<()>) {
        let (now, started) = (self.now(), self.started);
        let effects = self.session.on(event, now, &mut || started.elapsed());
        self.perform(effects);
    }

    /// What is due on what has been shown.
    pub(super) fn answer(&mut self) -> Vec<Answer> {
        let started = self.started;
        if self.session.newest().is_none() {
            return Vec::new();
        }
        let effects = self.session.look(self.now(), &mut || started.elapsed());
        let mut answers = self.perform(effects);
        while self.session.thinking() {
            self.session.think(&mut || started.elapsed());
            let effects = self.session.finish(self.now());
            answers.extend(self.perform(effects));
        }
        answers
    }

    fn perform(&mut self, effects: Vec<Effect<()>>) -> Vec<Answer> {
        let (now, mut answers) = (self.now(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Publish(answer) => answers.push(*answer),
                Effect::Move(motion) => {
                    for command in self.commander.on(Order::Move(motion), now) {
                        if let Command::Report(report) = command {
                            let _: Vec<Effect<()>> =
                                self.session.on(Event::Commanded(report), now, &mut || Duration::ZERO);
                        }
                    }
                }
                Effect::Log(Level::Error, reason) => self.refused.push(reason),
                Effect::Halt | Effect::Reply(..) | Effect::Log(..) => (),
            }
        }
        answers
    }
}
