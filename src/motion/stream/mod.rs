//! Relative actions → a stream of velocities whose integral they are.
//!
//! An action asks for a displacement within one control period. Spread evenly over that period it is a velocity with
//! corners, so two moving averages follow. Averaging changes no integral; it can exceed neither the input's largest
//! norm nor, over `n` ticks of `d` seconds, an acceleration of `2 speed / (n d)`, the worst being a full reversal; the
//! second average bounds the jerk in the same way. When nothing more comes in, what comes out is exactly zero once the
//! averages have run empty. An action need not wait for the next tick: a command between two ticks lies on the line from
//! the one to the next, and what it moves too far is taken from what comes after. The price is a delay of half of both averages (see [`Stream::delay_secs`]).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::limits::{norm, within};
use super::{Limit, Limits, Twist};

/// Actions may come this many control periods before the one before them is carried out; what is more is cut.
const MOST_AHEAD_PERIODS: f64 = 1.5;

/// Turns actions into what an arm is told tick by tick. It knows no clock: who calls [`Stream::tick`] keeps time.
#[derive(Debug, Clone)]
pub struct Stream {
    linear: Channel,
    angular: Channel,
    tick_secs: f64,
    /// Longer lateness is no lateness: whoever listens has given up.
    most_late: u32,
}

impl Stream {
    /// At rest. `tick_secs` between two commands, `period_secs` for one action.
    pub fn new(limits: &Limits, tick_secs: f64, period_secs: f64) -> Self {
        let channel = |limit| Channel::new(limit, tick_secs, period_secs);
        let most_late = (2.0 * period_secs / tick_secs).ceil() as u32;
        Self { linear: channel(&limits.linear), angular: channel(&limits.angular), tick_secs, most_late }
    }

    /// Takes up an action: the mean velocity over one control period. Gives what had to be cut (m, rad) because
    /// actions come faster than they can be carried out.
    pub fn act(&mut self, mean: &Twist) -> [f64; 2] {
        [self.linear.act(mean.linear), self.angular.act(mean.angular)]
    }

    /// The next command. `ticks` is 1, or more where the caller is late: the command before then held for so long, and
    /// what it moved too far or too little is made good. After two control periods the motion is over instead: gives
    /// also what was dropped then (m, rad).
    pub fn tick(&mut self, ticks: u32) -> (Twist, [f64; 2]) {
        let dropped = if ticks > self.most_late { self.stop() } else { [0.0; 2] };
        let per_second = |v: f64| v / self.tick_secs;
        let linear = self.linear.tick(ticks).map(per_second);
        (Twist { linear, angular: self.angular.tick(ticks).map(per_second) }, dropped)
    }

    /// A command between two ticks, after `share` of the time from the one to the next: on the straight line between
    /// both, so that the arm is sped up as the ticks alone would, however often it is asked. `None` where this tick has
    /// had one: the next is settled then.
    pub fn between(&mut self, share: f64) -> Option<Twist> {
        let per_second = |v: f64| v / self.tick_secs;
        let linear = self.linear.between(share)?.map(per_second);
        Some(Twist { linear, angular: self.angular.between(share)?.map(per_second) })
    }

    /// Forgets all motion at once: the next command is zero. For a halt, which knows no limits of acceleration. Gives
    /// how far it still was from where the actions led (m, rad).
    pub fn stop(&mut self) -> [f64; 2] {
        [self.linear.stop(), self.angular.stop()]
    }

    /// Whether the next command, and every one until the next action, is zero.
    pub fn at_rest(&self) -> bool {
        self.linear.at_rest() && self.angular.at_rest()
    }

    /// How far the stream lags behind the actions, in seconds.
    pub fn delay_secs(&self) -> f64 {
        self.linear.delay_ticks().max(self.angular.delay_ticks()) * self.tick_secs
    }
}

/// One vector of a twist. Displacements in metres or radians, per tick where nothing else is said.
#[derive(Debug, Clone)]
struct Channel {
    most_a_tick: f64,
    tick_secs: f64,
    period_secs: f64,
    /// What the actions have asked for and the averages have not got yet, and the time it is to be spread over.
    pending: [f64; 3],
    left_secs: f64,
    averages: [Average; 2],
    last: [f64; 3],
    /// The next tick's, where a command between two ticks has settled it.
    settled: Option<[f64; 3]>,
}

impl Channel {
    fn new(limit: &Limit, tick_secs: f64, period_secs: f64) -> Self {
        // A hair less than exact, so that rounding does not cost a tick.
        let ticks = |secs: f64| (secs / tick_secs - 1e-9).ceil().max(1.0);
        let first = ticks(2.0 * limit.speed / limit.acceleration);
        let acceleration = 2.0 * limit.speed / (first * tick_secs);
        let second = ticks(2.0 * acceleration / limit.jerk);
        Self {
            most_a_tick: limit.speed * tick_secs,
            tick_secs,
            period_secs,
            pending: [0.0; 3],
            left_secs: 0.0,
            averages: [first, second].map(|ticks| Average::new(ticks as usize)),
            last: [0.0; 3],
            settled: None,
        }
    }

    fn act(&mut self, velocity: [f64; 3]) -> f64 {
        let most_secs = MOST_AHEAD_PERIODS * self.period_secs;
        self.left_secs = (self.left_secs + self.period_secs).min(most_secs);
        let wanted = std::array::from_fn(|i| self.pending[i] + velocity[i] * self.period_secs);
        let (pending, cut) = within(wanted, self.most_a_tick / self.tick_secs * most_secs);
        self.pending = pending;
        cut
    }

    fn tick(&mut self, ticks: u32) -> [f64; 3] {
        for _ in 1..ticks {
            let missed = self.advance();
            for ((pending, missed), moved) in self.pending.iter_mut().zip(missed).zip(self.last) {
                *pending += missed - moved;
            }
        }
        self.last = self.advance();
        self.last
    }

    fn between(&mut self, share: f64) -> Option<[f64; 3]> {
        if self.settled.is_some() {
            return None;
        }
        let (last, next) = (self.last, self.advance());
        self.last = std::array::from_fn(|i| last[i] + (next[i] - last[i]) * share);
        for (pending, (last, now)) in self.pending.iter_mut().zip(last.into_iter().zip(self.last)) {
            // It holds for the rest of the tick in the last one's stead; what that moves too far is made good.
            *pending += (last - now) * (1.0 - share);
        }
        self.settled = Some(next);
        Some(self.last)
    }

    fn advance(&mut self) -> [f64; 3] {
        if let Some(settled) = self.settled.take() {
            return settled;
        }
        let share = if self.left_secs <= self.tick_secs { 1.0 } else { self.tick_secs / self.left_secs };
        let (input, _) = within(self.pending.map(|v| v * share), self.most_a_tick);
        self.left_secs = (self.left_secs - self.tick_secs).max(0.0);
        self.pending = std::array::from_fn(|i| self.pending[i] - input[i]);
        self.averages.iter_mut().fold(input, |value, average| average.next(value))
    }

    fn stop(&mut self) -> f64 {
        let settled = self.settled.take().unwrap_or_default();
        let pending = std::mem::take(&mut self.pending);
        let mut left = std::array::from_fn(|i| pending[i] + settled[i]);
        (self.left_secs, self.last) = (0.0, [0.0; 3]);
        for average in &mut self.averages {
            let held = average.clear();
            left = std::array::from_fn(|i| left[i] + held[i]);
        }
        norm(left)
    }

    fn at_rest(&self) -> bool {
        self.settled.is_none() && norm(self.pending) == 0.0 && self.averages.iter().all(Average::is_zero)
    }

    fn delay_ticks(&self) -> f64 {
        self.averages.iter().map(|average| (average.newest.len() as f64 - 1.0) / 2.0).sum()
    }
}

/// The mean of the newest values. Summed anew every time: a running sum would never come back to zero.
#[derive(Debug, Clone)]
struct Average {
    newest: VecDeque<[f64; 3]>,
}

impl Average {
    fn new(ticks: usize) -> Self {
        Self { newest: VecDeque::from(vec![[0.0; 3]; ticks]) }
    }

    fn next(&mut self, value: [f64; 3]) -> [f64; 3] {
        self.newest.pop_front();
        self.newest.push_back(value);
        std::array::from_fn(|i| self.newest.iter().map(|v| v[i]).sum::<f64>() / self.newest.len() as f64)
    }

    /// Gives what it would still have given.
    fn clear(&mut self) -> [f64; 3] {
        let count = self.newest.len() as f64;
        let mut held = [0.0; 3];
        for (age, value) in self.newest.iter_mut().rev().map(std::mem::take).enumerate() {
            let share = (count - 1.0 - age as f64) / count;
            held = std::array::from_fn(|i| held[i] + value[i] * share);
        }
        held
    }

    fn is_zero(&self) -> bool {
        self.newest.iter().all(|&value| norm(value) == 0.0)
    }
}
