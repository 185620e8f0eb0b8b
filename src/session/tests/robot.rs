//! A robot whose engine plays a script, for tests of the session alone.

use super::*;

/// A session over the toy bundle's cameras and tokenizer, whose engine plays `levels`; seconds count on both clocks.
pub(super) struct Robot {
    pub(super) session: Session<Observed<Scripted>>,
    pub(super) halts: u64,
    /// How long a look at the watch takes.
    pub(super) lap: Duration,
}

impl Robot {
    pub(super) fn new(levels: &[f32], armed: bool, limits: Option<Limits>) -> Self {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/toy")).unwrap();
        let exits = bundle.manifest.exits.len();
        let settings = Settings {
            thresholds: Thresholds::deepest(exits),
            gauge: Metric::Rms.into(),
            cap: 0,
            deadline: None,
            plan: PlanLimits::default(),
        };
        let policy = Policy::new(Scripted::level(levels), &bundle.manifest, settings);
        let guard = Guard { frozen: Some(2), ..Guard::default() };
        let rules = Rules { guard, limits, hysteresis: 0.1, dwell_secs: 0.0, simulated: false };
        let start = Start {
            bundle: &bundle,
            rules,
            arming: Arming::new(armed, None),
            provider: "scripted".into(),
            live: None,
            servo: None,
        };
        let session = Session::new(Observed::new(Observer::new(&bundle).unwrap(), policy), start);
        let mut robot = Self { session, halts: 0, lap: Duration::ZERO };
        robot.rehearse();
        robot
    }

    /// On an arm, with a sentence.
    pub(super) fn acting() -> Self {
        let mut robot = Self::new(&[0.5, 0.5], true, Some(limits()));
        robot.say("push the button");
        robot
    }

    /// In a world that waits.
    pub(super) fn lock_step(levels: &[f32]) -> Self {
        let mut robot = Self::new(levels, true, None);
        robot.say("push the button");
        robot
    }

    pub(super) fn rehearse(&mut self) {
        let (mut clock, lap) = (Duration::ZERO, self.lap);
        let mut watch = || {
            clock += lap;
            clock
        };
        let _: Effect<()> = self.session.rehearse(Moment::default(), &mut watch);
    }

    pub(super) fn at(&self, secs: f64) -> Moment {
        Moment { robot: Stamp::from_secs(secs), machine: Duration::from_secs_f64(secs), halts: self.halts }
    }

    pub(super) fn on(&mut self, event: Event<()>, secs: f64) -> Vec<Effect<()>> {
        self.session.on(event, self.at(secs), &mut || Duration::ZERO)
    }

    pub(super) fn say(&mut self, text: &str) {
        self.on(Event::Instruction(text.into()), 0.0);
    }

    pub(super) fn show(&mut self, camera: usize, frame: Frame, secs: f64) {
        let (stamp, received, took) = (frame.stamp, Duration::from_secs_f64(secs), Duration::ZERO);
        let picture = Picture { camera, stamp, frame: Ok(frame), received, messages: 1, took };
        self.on(Event::Picture(picture), secs);
    }

    pub(super) fn see(&mut self, secs: f64) {
        (0..2).for_each(|camera| self.show(camera, frame(secs), secs));
    }

    /// What a look at `begun` comes to, whose network answers at `ended`.
    pub(super) fn look_until(&mut self, begun: f64, ended: f64) -> Vec<Effect<()>> {
        let mut effects = self.begin(begun);
        while self.session.thinking() {
            self.session.think(&mut || Duration::ZERO);
            effects.extend(self.session.finish(self.at(ended)));
        }
        effects
    }

    /// Looks, once more where the first look was a rehearsal.
    pub(super) fn begin(&mut self, secs: f64) -> Vec<Effect<()>> {
        let now = self.at(secs);
        let effects = self.session.look(now, &mut || Duration::ZERO);
        match effects[..] {
            [Effect::Log(..)] => self.session.look(now, &mut || Duration::ZERO),
            _ => effects,
        }
    }

    pub(super) fn look(&mut self, secs: f64) -> Option<Answer> {
        answer(self.look_until(secs, secs))
    }

    /// A step on pictures of `secs`.
    pub(super) fn step(&mut self, secs: f64) -> Answer {
        self.see(secs);
        self.look(secs).unwrap()
    }

    pub(super) fn reply(&mut self, event: Event<()>, secs: f64) -> Result<String, String> {
        let reply = |effect| if let Effect::Reply((), result) = effect { Some(result) } else { None };
        self.on(event, secs).into_iter().find_map(reply).unwrap()
    }

    pub(super) fn enable(&mut self, secs: f64) -> Result<String, String> {
        self.reply(Event::Enable(true, ()), secs)
    }

    pub(super) fn memory(&self) -> LstmState {
        self.session.network().policy().state().unwrap()
    }
}

pub(super) fn answer(effects: Vec<Effect<()>>) -> Option<Answer> {
    let published = |effect| if let Effect::Publish(answer) = effect { Some(*answer) } else { None };
    effects.into_iter().filter_map(published).next_back()
}

pub(super) fn limits() -> Limits {
    let limit = |speed| Limit { speed, acceleration: 10.0, jerk: 500.0 };
    Limits { linear: limit(0.35), angular: limit(0.7) }
}

/// A picture that is no other moment's.
pub(super) fn frame(secs: f64) -> Frame {
    let rgb = [[(secs * 1e3) as u64 as u8; 3], [200; 3]].concat().repeat(32 * 64);
    Frame::new(Stamp::from_secs(secs), [64, 64], rgb, "rgb8")
}
