//! Orders to the command thread, from whoever may move or stop the arm.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::motion::{Grip, Twist};
use crate::session::Answer;
use crate::units::Stamp;

/// What the arm is to do next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// Move as an answer says.
    Move { stamp: Stamp, twist: Twist, grip: Option<Grip> },
    /// Stand, now.
    Halt,
    /// Stand, and end the thread.
    Finish,
}

pub(super) struct Commands {
    /// A world that waits for every command must get every command, and stands while it waits.
    lock_step: bool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    orders: VecDeque<Order>,
    dropped: [f64; 2],
}

impl Commands {
    pub(super) fn new(lock_step: bool) -> Self {
        Self { lock_step, state: Mutex::default(), wake: Condvar::new() }
    }

    pub(super) fn lock_step(&self) -> bool {
        self.lock_step
    }

    pub(super) fn follow(&self, answer: &Answer) {
        self.order(Order::Move { stamp: answer.stamp, twist: answer.twist, grip: answer.grip });
    }

    /// Stops the arm. What was ordered before and not begun yet is forgotten. In lock-step nothing moves between two
    /// orders, and the next will be one to stand.
    pub(super) fn halt(&self) {
        if !self.lock_step {
            self.lock().orders.retain(|order| *order == Order::Finish);
            self.order(Order::Halt);
        }
    }

    pub(super) fn finish(&self) {
        self.order(Order::Finish);
    }

    fn order(&self, order: Order) {
        self.lock().orders.push_back(order);
        self.wake.notify_one();
    }

    /// What has been ordered, waiting for it until `deadline`, or for as long as it takes.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> VecDeque<Order> {
        let mut state = self.lock();
        while state.orders.is_empty() {
            let Some(deadline) = deadline else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut state.orders)
    }

    /// So much of what was ordered (m, rad) will not be carried out.
    pub(super) fn drop_motion(&self, lost: [f64; 2]) {
        let mut state = self.lock();
        state.dropped = [state.dropped[0] + lost[0], state.dropped[1] + lost[1]];
    }

    /// What was dropped since this was asked last.
    pub(super) fn dropped(&self) -> [f64; 2] {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_forgets_what_was_ordered_before_it() {
        let commands = Commands::new(false);
        let forward = Order::Move { stamp: Stamp(1), twist: Twist::default(), grip: None };
        commands.order(forward.clone());
        commands.halt();
        commands.order(forward.clone());
        assert_eq!(commands.wait(None), [Order::Halt, forward]);
        assert!(commands.wait(Some(Instant::now())).is_empty());
    }
}
