//! The three machines on a virtual clock, wired as the node wires its threads: for `deer_vla replay` and the simulator.
//!
//! Whoever drives it says when something arrives, and lets time pass between. What a thread does takes effect when its
//! work is done; how long it sleeps too long and how long the network takes, a [`Pace`] says.

mod later;
mod pace;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Command, Commander, Effect, Event, Order, Picture, Session};
use crate::network::Network;
use crate::safety::Watchdog;
use crate::units::Moment;
use later::{Later, Wrapped, late};

pub use pace::{Caller, Pace, Seen, Thread};

/// The three machines and what lies between them.
pub struct Run<N, P> {
    /// The session.
    pub session: Session<N>,
    /// How time passes.
    pub pace: P,
    commander: Commander,
    watchdog: Watchdog,
    now: Duration,
    halts: u64,
    inbox: Inbox,
    mailbox: VecDeque<Order>,
    /// What takes effect later: when, in which order.
    later: BinaryHeap<Reverse<(Duration, u64, Wrapped)>>,
    count: u64,
    control: Control,
    /// When the commander's thread goes on, where an order woke it.
    command_at: Option<Duration>,
    /// When the commander and the watchdog wanted to be woken, and when their threads go on.
    tick_at: Option<(Duration, Duration)>,
    /// So much of the stream's tick had passed when a motion was a command before the next.
    between: f64,
    look_at: Option<(Duration, Duration)>,
    seen: VecDeque<(Duration, Seen)>,
    /// The longest that the session's thread has been at work without a look at what arrives.
    pub busiest: Duration,
    /// The longest that the inbox, the mailbox and what takes effect later have been.
    pub longest: [usize; 3],
}

#[derive(Default)]
struct Inbox {
    pictures: Vec<Option<Picture>>,
    /// One of them has come since they were looked through.
    news: bool,
    events: VecDeque<Event<Caller>>,
}

/// Where the session's thread is.
enum Control {
    /// It waits since then.
    Waits,
    /// Something has woken it; it goes on then.
    Wakes(Duration),
    /// The network is at work until then.
    Thinks(Duration),
    /// It is at work until then.
    Works(Duration),
}

impl<N: Network, P: Pace<N>> Run<N, P> {
    /// Starts at 0 on the machine's clock; the network is rehearsed first.
    pub fn new(session: Session<N>, commander: Commander, watchdog: Watchdog, cameras: usize, pace: P) -> Self {
        let pictures = (0..cameras).map(|_| None).collect();
        let inbox = Inbox { pictures, news: false, events: VecDeque::new() };
        let mut run = Self {
            session,
            pace,
            commander,
            watchdog,
            now: Duration::ZERO,
            halts: 0,
            inbox,
            mailbox: VecDeque::new(),
            later: BinaryHeap::new(),
            count: 0,
            control: Control::Waits,
            command_at: None,
            tick_at: None,
            between: 0.0,
            look_at: None,
            seen: VecDeque::new(),
            busiest: Duration::ZERO,
            longest: [0; 3],
        };
        let effect = run.session.rehearse(Moment::default(), &mut || run.pace.watch());
        let end = run.pace.took();
        run.effects(vec![effect], end);
        run.work(Duration::ZERO, Control::Works(end), end);
        run
    }

    /// The machine's time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Something arrives now.
    pub fn arrive(&mut self, event: Event<Caller>) {
        let stops = matches!(event, Event::Estop { pressed: true, .. } | Event::Enable(false, _));
        if let Event::Picture(picture) = event {
            self.watchdog.hear(picture.camera, self.now);
            if let Some(slot) = self.inbox.pictures.get_mut(picture.camera) {
                let messages = picture.messages + slot.as_ref().map_or(0, |before| before.messages);
                *slot = Some(Picture { messages, ..picture });
                self.inbox.news = true;
            }
        } else {
            self.inbox.events.push_back(event);
        }
        if stops {
            let at = self.now + self.pace.delay(Thread::Receiver, self.now);
            self.later(at, Later::Halt);
        }
        self.wake_control();
    }

    /// What was seen since this was asked last, in the order of time.
    pub fn seen(&mut self) -> impl Iterator<Item = (Duration, Seen)> + use<'_, N, P> {
        self.seen.drain(..)
    }

    /// Lets time pass until then.
    pub fn pass(&mut self, until: Duration) {
        loop {
            let later = self.later.peek().map(|Reverse((at, ..))| *at);
            let control = match self.control {
                Control::Wakes(at) | Control::Thinks(at) | Control::Works(at) => at,
                Control::Waits => self.session.wake().max(self.now),
            };
            let tick = late(&mut self.tick_at, self.commander.wake(), |wake| self.pace.delay(Thread::Command, wake));
            let command = [self.command_at, tick].into_iter().flatten().min();
            let watchdog =
                late(&mut self.look_at, self.watchdog.wake(), |wake| self.pace.delay(Thread::Watchdog, wake));
            // What takes effect goes before whoever would look at it at the same time.
            let next = [later, command, watchdog, Some(control)];
            let Some((who, at)) =
                next.iter().enumerate().filter_map(|(who, at)| Some((who, (*at)?))).min_by_key(|(_, at)| *at)
            else {
                break;
            };
            if at > until {
                break;
            }
            self.now = self.now.max(at);
            match who {
                0 => self.take_effect(),
                1 => self.command(),
                2 => self.look(),
                _ => self.go_on(),
            }
        }
        self.now = self.now.max(until);
    }

    fn moment(&self, machine: Duration, halts: u64) -> Moment {
        Moment { robot: self.pace.robot(machine), machine, halts }
    }

    fn later(&mut self, at: Duration, what: Later) {
        self.count += 1;
        self.later.push(Reverse((at, self.count, Wrapped(what))));
        self.longest[2] = self.longest[2].max(self.later.len());
    }

    fn effects(&mut self, effects: Vec<Effect<Caller>>, at: Duration) {
        effects.into_iter().for_each(|effect| self.later(at, Later::Effect(effect)));
    }

    fn see(&mut self, what: Seen) {
        self.seen.push_back((self.now, what));
    }

    fn take_effect(&mut self) {
        let Some(Reverse((_, _, Wrapped(what)))) = self.later.pop() else { return };
        match what {
            Later::Effect(Effect::Move(motion)) => self.order(Order::Move(motion)),
            Later::Effect(Effect::Halt) | Later::Halt => self.halt(),
            Later::Effect(Effect::Publish(answer)) => self.see(Seen::Answer(answer)),
            Later::Effect(Effect::Reply(caller, result)) => self.see(Seen::Reply(caller, result)),
            Later::Effect(Effect::Log(level, text)) => self.see(Seen::Log(level, text)),
            Later::Deliver(event) => {
                self.inbox.events.push_back(event);
                self.wake_control();
            }
            Later::StepBegins => {
                self.watchdog.begin_step(self.now);
                self.see(Seen::Thinking);
            }
            Later::Read { camera, heard, shown } => self.watchdog.read(camera, heard, shown),
            Later::Round { armed, patience_secs } => self.watchdog.come_round(self.now, armed, patience_secs),
        }
    }

    fn halt(&mut self) {
        self.halts += 1;
        self.see(Seen::Halt);
        self.order(Order::Halt);
    }

    fn order(&mut self, order: Order) {
        self.mailbox.push_back(order);
        self.longest[1] = self.longest[1].max(self.mailbox.len());
        let delay = self.pace.delay(Thread::Command, self.now);
        self.command_at.get_or_insert(self.now + delay);
    }

    fn command(&mut self) {
        if self.command_at.is_some_and(|at| at <= self.now) {
            while let Some(order) = self.mailbox.pop_front() {
                let now = self.moment(self.now, self.halts);
                let commands = self.commander.on(order.clone(), now);
                let refused = commands.iter().find_map(|command| match command {
                    Command::Report(report) => report.refused.clone(),
                    _ => None,
                });
                self.see(Seen::Order(order, refused));
                let left = self.commander.wake().unwrap_or(self.now).saturating_sub(self.now);
                let passed = 1.0 - left.div_duration_f64(self.commander.tick_length());
                self.perform(commands, passed);
            }
            self.command_at = None;
        }
        // However late the thread is: it looks at its clock now.
        let before = self.commander.wake();
        let commands = self.commander.tick(self.moment(self.now, self.halts));
        let passed = self.commander.wake().zip(before).map_or(Duration::ZERO, |(after, before)| after - before);
        self.perform(commands, passed.div_duration_f64(self.commander.tick_length()).round().max(1.0));
    }

    /// Does what the commander wants, so many ticks after its last.
    fn perform(&mut self, commands: Vec<Command>, ticks: f64) {
        for command in commands {
            match command {
                Command::Report(report) => {
                    self.inbox.events.push_back(Event::Commanded(report));
                    self.wake_control();
                }
                Command::Grip(stamp, grip) => self.see(Seen::Grip(stamp, grip)),
                Command::Twist(stamp, twist) => {
                    let before = std::mem::replace(&mut self.between, if ticks < 1.0 { ticks } else { 0.0 });
                    self.see(Seen::Twist(stamp, twist, ticks - before));
                }
            }
        }
    }

    fn look(&mut self) {
        let look = self.watchdog.look(self.now);
        if let Some(hold) = look.found {
            self.later(self.now, Later::Deliver(Event::Found(hold)));
        }
        if look.halt {
            let at = self.now + self.pace.delay(Thread::Watchdog, self.now);
            self.later(at, Later::Halt);
        }
    }

    fn wake_control(&mut self) {
        self.longest[0] = self.longest[0].max(self.inbox.events.len());
        if matches!(self.control, Control::Waits) {
            self.control = Control::Wakes(self.now + self.pace.delay(Thread::Control, self.now));
        }
    }

    /// The session's thread goes on.
    fn go_on(&mut self) {
        match std::mem::replace(&mut self.control, Control::Waits) {
            Control::Works(_) if self.inbox.events.is_empty() && !self.inbox.news => (),
            Control::Thinks(_) => {
                let (at, halts) = self.hear(false);
                let effects = self.session.finish(self.moment(at, halts));
                self.effects(effects, at);
                self.round(at);
                self.think_or_rest(at);
            }
            _ => {
                self.round(self.now);
                let (at, halts) = self.hear(true);
                let now = self.moment(at, halts);
                let effects = self.session.look(now, &mut || self.pace.watch());
                let at = at + self.pace.took();
                self.effects(effects, at);
                self.think_or_rest(at);
            }
        }
    }

    /// Hands over what has arrived; gives when that is done, and the halts before.
    fn hear(&mut self, pictures: bool) -> (Duration, u64) {
        let (mut at, halts) = (self.now, self.halts);
        let mut events = VecDeque::new();
        let waiting: Vec<_> = self.inbox.pictures.iter().map(|slot| slot.as_ref().map(|waits| waits.stamp)).collect();
        let news = pictures && std::mem::take(&mut self.inbox.news);
        if news && self.session.reads(&waiting) {
            events.extend(self.inbox.pictures.iter_mut().filter_map(Option::take).map(Event::Picture));
        }
        events.append(&mut self.inbox.events);
        for event in events {
            let read = if let Event::Picture(picture) = &event {
                at += picture.took;
                self.see(Seen::Read(picture.camera));
                Some((picture.camera, picture.received))
            } else {
                None
            };
            let now = self.moment(at, halts);
            let effects = self.session.on(event, now, &mut || self.pace.watch());
            at += self.pace.took();
            self.effects(effects, at);
            if let Some((camera, heard)) = read {
                self.later(at, Later::Read { camera, heard, shown: self.session.shown(camera) });
            }
        }
        (at, halts)
    }

    fn think_or_rest(&mut self, at: Duration) {
        if !self.session.thinking() {
            self.round(at);
            self.work(self.now, Control::Works(at), at);
            return;
        }
        self.round(at);
        self.later(at, Later::StepBegins);
        self.session.think(&mut || self.pace.watch());
        let end = at + self.pace.thought(&self.session);
        self.work(self.now, Control::Thinks(end), end);
    }

    fn work(&mut self, from: Duration, what: Control, end: Duration) {
        self.busiest = self.busiest.max(end.saturating_sub(from));
        self.control = what;
    }

    fn round(&mut self, at: Duration) {
        let (armed, patience_secs) = (self.session.armed(), self.session.patience_secs());
        self.later(at, Later::Round { armed, patience_secs });
    }
}
