//! The two clocks: the robot's, which is the system's or a simulator's where `use_sim_time` is set, and the machine's,
//! which nobody sets.
//!
//! r2r follows /clock by itself, but compiles that in or out by a flag of its build script that a cached build loses
//! without a word. A node that silently ran on the wrong clock would judge the age of every picture wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use r2r::rosgraph_msgs::msg::Clock as ClockMessage;
use r2r::{Node, QosProfile};
use tokio::runtime::Handle;

use crate::units::Stamp;

/// The machine's clock, from when the node began.
#[derive(Clone, Copy)]
pub(super) struct Machine(Instant);

impl Machine {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Duration {
        self.0.elapsed()
    }

    pub(super) fn at(self, machine: Duration) -> Instant {
        self.0 + machine
    }
}

#[derive(Clone)]
pub(super) struct Clock {
    /// What /clock said last, in nanoseconds; 0 before it spoke.
    simulated: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// Follows /clock when `simulated`.
    pub(super) fn new(node: &mut Node, tasks: &Handle, simulated: bool) -> r2r::Result<Self> {
        if !simulated {
            return Ok(Self { simulated: None });
        }
        let now = Arc::new(AtomicI64::new(0));
        let newest = QosProfile::default().keep_last(1).best_effort();
        let mut stream = node.subscribe::<ClockMessage>("/clock", newest)?;
        let to = Arc::clone(&now);
        tasks.spawn(async move {
            while let Some(message) = stream.next().await {
                to.store(Stamp::new(message.clock.sec, message.clock.nanosec).0, Ordering::Relaxed);
            }
        });
        Ok(Self { simulated: Some(now) })
    }

    pub(super) fn now(&self) -> Stamp {
        match &self.simulated {
            Some(now) => Stamp(now.load(Ordering::Relaxed)),
            None => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Stamp(since.as_nanos() as i64)
            }
        }
    }
}
