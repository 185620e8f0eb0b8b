//! What must hold of every motion: when it begins, while it lasts, and when it ends.

use std::time::Duration;

use super::Judge;
use crate::motion::{Grip, Twist};
use crate::session::Move;
use crate::session::simulator::schedule::{ACCELERATION, DWELL_SECS, TICK};
use crate::session::simulator::{Broken, Invariant};

impl Judge {
    pub(super) fn begun(&mut self, at: Duration, motion: &Move) -> Result<(), Broken> {
        let Some((thinking, answer)) = self.answers.iter().rev().find(|(_, answer)| answer.stamp == motion.stamp)
        else {
            return Ok(()); // answers come with their orders; one that was seen before its answer is judged by its twists
        };
        let (thinking, answer) = (*thinking, answer.clone());
        if self.halted > thinking {
            return Err(self.broken(at, Invariant::NoOrderAcrossAHalt, "an order that was made before the halt"));
        }
        let received =
            (0..2).filter_map(|camera| self.taken(camera, answer.frames[camera].1)).map(|t| t.received).max();
        let old = received.map_or(Duration::ZERO, |received| at.saturating_sub(received));
        if old > self.period.max(self.gap).mul_f64(1.6) {
            return Err(self.broken(at, Invariant::NoLateOrder, format!("begun {old:.3?} after its pictures came")));
        }
        self.begun = Some(at);
        self.may_move(at, "a motion was begun")?;
        let period = self.period.as_secs_f64();
        for (asked, speed) in self.asked.iter_mut().zip(motion.twist.linear.iter().chain(&motion.twist.angular)) {
            *asked += speed * period;
        }
        let gripper = answer.decision.as_ref().map_or(0.5, |step| step.gripper);
        self.gripper_wish(at, motion, gripper)
    }

    /// A wish that nothing wavers about is told as soon as a motion is.
    fn gripper_wish(&self, at: Duration, motion: &Move, gripper: f32) -> Result<(), Broken> {
        let wish = match gripper {
            p if p > 0.6 => Grip::Open,
            p if p < 0.4 => Grip::Closed,
            _ => return Ok(()),
        };
        let dwells = |since: Duration| at.saturating_sub(since) < Duration::from_secs_f64(DWELL_SECS) + self.slack * 2;
        let told = self.gripper.is_some_and(|(told, since)| told == wish || dwells(since));
        if told || motion.grip == Some(wish) {
            return Ok(());
        }
        Err(self.broken(
            at,
            Invariant::GripperIsTold,
            format!("p = {gripper}, told {:?}, last {:?}", motion.grip, self.gripper),
        ))
    }

    pub(super) fn twist(&mut self, at: Duration, twist: &Twist, ticks: f64) -> Result<(), Broken> {
        let held = TICK.as_secs_f64() * ticks;
        self.sped_up(at, twist, held)?;
        for (moved, speed) in self.moved.iter_mut().zip(self.told.linear.iter().chain(&self.told.angular)) {
            *moved += speed * held;
        }
        (self.told, self.stands) = (*twist, false);
        if *twist == Twist::default() {
            return Ok(());
        }
        let [linear, angular] = twist.speeds();
        if linear > 0.35 + 1e-9 || angular > 0.7 + 1e-9 {
            return Err(self.broken(at, Invariant::Limits, format!("{linear} m/s, {angular} rad/s")));
        }
        // What late ticks moved too far is made good, and that in turn by ticks that are late: echoes of the motion.
        let echo = linear < 0.05 * 0.35 && angular < 0.05 * 0.7;
        if !echo && self.begun.is_none_or(|begun| at > begun + self.tail + self.slack) {
            return Err(self.broken(
                at,
                Invariant::MotionEnds,
                format!("the last motion was begun at {:?}", self.begun),
            ));
        }
        if self.begun.is_some_and(|begun| self.halted > begun && at > self.halted + self.slack) {
            return Err(self.broken(at, Invariant::MotionEnds, format!("the arm was halted at {:.3?}", self.halted)));
        }
        self.may_move(at, "the arm was told to move")
    }

    /// No command but a halt's is further from the one before than the arm may be sped up in that time, by the stream's
    /// clock: it makes good what a late thread moved too far.
    fn sped_up(&self, at: Duration, twist: &Twist, held: f64) -> Result<(), Broken> {
        let change = |now: [f64; 3], before: [f64; 3]| {
            now.iter().zip(before).map(|(now, before)| (now - before).powi(2)).sum::<f64>().sqrt()
        };
        let before = if self.stands { Twist::default() } else { self.told };
        let changes = [change(twist.linear, before.linear), change(twist.angular, before.angular)];
        let most = ACCELERATION * held * (1.0 + 1e-6) + 1e-9;
        if *twist != Twist::default() && changes.into_iter().any(|change| change > most) {
            return Err(self.broken(at, Invariant::Limits, format!("sped up by {changes:?} in {held:.4} s")));
        }
        Ok(())
    }

    /// A motion that was begun is a command at once, once a tick of the stream.
    pub(super) fn at_once(&mut self, at: Duration, twist: bool) -> Result<(), Broken> {
        let Some(begun) = self.waits else { return Ok(()) };
        if at > begun && begun > self.last_at_once + TICK {
            let what = format!("the motion begun at {begun:?} was no command at once");
            return Err(self.broken(at, Invariant::AtOnce, what));
        }
        if twist {
            self.last_at_once = begun;
        }
        self.waits = self.waits.filter(|_| !twist && at == begun);
        Ok(())
    }

    /// Whether anything may move at all: nothing that forbids it is older than two control periods.
    pub(super) fn may_move(&self, at: Duration, what: &str) -> Result<(), Broken> {
        let within = self.period * 2 + self.slack;
        let beyond = |since: Duration| at > since + within;
        let forbids = |why: &str, since: Duration| {
            self.broken(at, Invariant::NoMotionUnlessAllowed, format!("{what}, {why} since {since:.3?}"))
        };
        if let Some(since) = self.stopped.filter(|since| beyond(*since)) {
            return Err(forbids("stopped and not enabled", since));
        }
        if let Some(silent) = self.heartbeat.map(|heartbeat| self.beaten + heartbeat).filter(|since| beyond(*since)) {
            return Err(forbids("the emergency stop's heartbeat silent", silent));
        }
        if let Some(since) = self.servo_stands.filter(|since| beyond(*since)) {
            return Err(forbids("MoveIt Servo standing", since));
        }
        for camera in 0..2 {
            if let Some(since) = self.bad_since[camera].filter(|since| at > *since + within + self.gap) {
                return Err(forbids(&format!("camera {camera} bad"), since));
            }
            let heard = self.pictures[camera].iter().rev().find(|taken| !taken.unreadable).map(|taken| taken.received);
            let overdue = heard.map(|heard| heard + self.period.max(self.gap).mul_f64(1.6));
            if let Some(since) = overdue.filter(|since| at > *since + self.period + self.slack) {
                return Err(forbids(&format!("camera {camera} overdue"), since));
            }
        }
        Ok(())
    }
}
