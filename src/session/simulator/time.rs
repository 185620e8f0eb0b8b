//! Time of a schedule: the robot's clock, which jumps, and threads, which are late.

use std::rc::Rc;
use std::time::Duration;

use super::draw::Draw;
use super::network::{Blind, Load};
use super::schedule::{Incident, Schedule, What};
use crate::session::Session;
use crate::session::run::{Pace, Thread};
use crate::units::Stamp;

/// The robot's clock when the machine's stands at 0.
const BEGAN: Stamp = Stamp(1_700_000_000_000_000_000);

/// Time of a schedule.
pub(super) struct Time {
    load: Rc<Load>,
    draw: Draw,
    drawn: u64,
    late: Duration,
    /// When the robot's clock is set, and by how many nanoseconds.
    jumps: Vec<(Duration, i64)>,
    /// From when to when threads are later, and by how much.
    busy: Vec<(Duration, Duration, Duration)>,
}

impl Time {
    pub(super) fn new(schedule: &Schedule, load: Rc<Load>) -> Self {
        let jump = |incident: &Incident| match incident.what {
            What::Clock(secs) => Some((incident.at, (secs * 1e9) as i64)),
            _ => None,
        };
        let busy = |incident: &Incident| match incident.what {
            What::Busy(late, long) => Some((incident.at, incident.at + long, late)),
            _ => None,
        };
        Self {
            load,
            draw: Draw::new(schedule.seed).of(7),
            drawn: 0,
            late: schedule.robot.late,
            jumps: schedule.incidents.iter().filter_map(jump).collect(),
            busy: schedule.incidents.iter().filter_map(busy).collect(),
        }
    }

    pub(super) fn clock(&self, machine: Duration) -> Stamp {
        let set: i64 = self.jumps.iter().filter(|(at, _)| *at <= machine).map(|(_, by)| by).sum();
        Stamp(BEGAN.0 + machine.as_nanos() as i64 + set)
    }
}

impl Pace<Blind> for Time {
    fn robot(&self, machine: Duration) -> Stamp {
        self.clock(machine)
    }

    fn watch(&mut self) -> Duration {
        self.load.spent.get()
    }

    fn took(&mut self) -> Duration {
        self.load.spent.take()
    }

    fn thought(&mut self, _: &Session<Blind>) -> Duration {
        self.load.spent.take()
    }

    fn delay(&mut self, _: Thread, now: Duration) -> Duration {
        self.drawn += 1;
        let draw = self.draw.of(self.drawn);
        let busy = self.busy.iter().find(|(from, to, _)| (*from..*to).contains(&now)).map(|(.., late)| *late);
        let most = if draw.of(1).one_in(10) { self.late } else { Duration::from_micros(200) };
        busy.unwrap_or(most).mul_f64(draw.share())
    }
}
