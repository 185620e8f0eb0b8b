//! Orders to the command thread, from whoever may move or stop the arm, and how often it was halted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::session::Order;

/// Orders beyond this are forgotten, the oldest first: nobody takes them, and late ones would be refused.
const MOST: usize = 64;

#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    orders: VecDeque<Order>,
    halts: u64,
}

impl Mailbox {
    /// Stops the arm. Orders that were made before stay in the queue to be refused by the count: a world in lock-step
    /// waits for a command for each, and the session hears what became of it.
    pub(super) fn halt(&self) {
        let mut state = self.lock();
        state.halts += 1;
        self.put(state, Order::Halt);
    }

    pub(super) fn order(&self, order: Order) {
        self.put(self.lock(), order);
    }

    fn put(&self, mut state: MutexGuard<'_, State>, order: Order) {
        if state.orders.len() >= MOST {
            state.orders.pop_front();
        }
        state.orders.push_back(order);
        drop(state);
        self.wake.notify_one();
    }

    /// How often the arm was halted.
    pub(super) fn halts(&self) -> u64 {
        self.lock().halts
    }

    /// The next order and the number of halts; `None` when there is none at `deadline`, or for as long as it takes.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<(Order, u64)> {
        let mut state = self.lock();
        loop {
            if let Some(order) = state.orders.pop_front() {
                return Some((order, state.halts));
            }
            let Some(deadline) = deadline else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Move;
    use crate::units::Stamp;

    #[test]
    fn an_order_that_a_halt_overtakes_is_taken_with_the_halt_counted() {
        let mailbox = Mailbox::default();
        let motion = Move { stamp: Stamp(1), twist: Default::default(), grip: None, halts: 0, until: None };
        mailbox.order(Order::Move(motion.clone()));
        mailbox.halt();
        assert_eq!(mailbox.wait(None), Some((Order::Move(motion), 1)));
        assert_eq!(mailbox.wait(None), Some((Order::Halt, 1)));
        assert_eq!(mailbox.wait(Some(Instant::now())), None);
    }

    #[test]
    fn orders_that_nobody_takes_do_not_pile_up() {
        let mailbox = Mailbox::default();
        (0..1000).for_each(|_| mailbox.halt());
        assert_eq!(mailbox.lock().orders.len(), MOST);
    }
}
