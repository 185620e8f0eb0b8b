//! The command thread: runs the [`Commander`], the only writer of `~/twist` and the gripper's commands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::arm::Arm;
use super::clock::{Clock, Machine};
use super::inbox::{Inbox, Message};
use super::mailbox::Mailbox;
use crate::motion::{Grip, Twist};
use crate::session::{Command, Commander};
use crate::units::{Moment, Stamp};

pub(super) struct CommandThread {
    pub(super) commander: Commander,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) arm: Arm,
    pub(super) clock: Clock,
    pub(super) machine: Machine,
    /// Where the thread goes wrong: zero twists, so many, so far apart.
    pub(super) zeros: u32,
    pub(super) tick: Duration,
    pub(super) logger: String,
}

impl CommandThread {
    /// Runs until the commander has ended; gives whether nothing went wrong.
    pub(super) fn run(mut self) -> bool {
        let ended = catch_unwind(AssertUnwindSafe(|| self.turns()));
        if ended.is_err() {
            for _ in 0..self.zeros {
                self.tell(self.clock.now(), &Twist::default());
                thread::sleep(self.tick);
            }
        }
        ended.is_ok()
    }

    fn turns(&mut self) {
        while !self.commander.finished() {
            let wake = self.commander.wake().map(|wake| self.machine.at(wake));
            if let Some((order, halts)) = self.mailbox.wait(wake) {
                let now = self.moment(halts);
                let commands = self.commander.on(order, now);
                self.perform(commands);
            }
            let now = self.moment(0);
            let commands = self.commander.tick(now);
            self.perform(commands);
        }
    }

    fn moment(&self, halts: u64) -> Moment {
        Moment { robot: self.clock.now(), machine: self.machine.now(), halts }
    }

    fn perform(&self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Report(report) => self.inbox.push(Message::Commanded(report)),
                Command::Grip(stamp, grip) => self.grip(stamp, grip),
                Command::Twist(stamp, twist) => self.tell(stamp, &twist),
            }
        }
    }

    fn grip(&self, stamp: Stamp, grip: Grip) {
        if let Err(error) = self.arm.grip(stamp, grip) {
            r2r::log_error!(&self.logger, "the gripper's command could not be sent: {error}");
            self.inbox.push(Message::Unheard(grip));
        }
    }

    fn tell(&self, stamp: Stamp, twist: &Twist) {
        if let Err(error) = self.arm.twist(stamp, twist) {
            r2r::log_error!(&self.logger, "a twist could not be published: {error}");
        }
    }
}
