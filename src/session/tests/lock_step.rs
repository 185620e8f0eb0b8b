//! In lock-step a world waits for the answer to its last set of pictures, and sends nothing more until it has come. So
//! whatever happened before and meanwhile, and in whatever order: that set must be answered.

use super::*;

/// When the sets are taken that a world sends before it waits for the last, in control periods: as a world that goes on
/// does, and as one that begins anew.
const SETS: [[f64; 3]; 2] = [[0.0, 1.5, 3.0], [0.0, 1.5, -100.0]];

/// What may come beside the pictures: another question, and what forbids motion with a new epoch and without one.
const EVENTS: [fn() -> Event<()>; 3] = [
    || Event::Instruction("open the drawer".into()),
    || Event::Servo { report: Servo::Status(Some(Halt::Invalid)), received: Duration::ZERO },
    || Event::Estop { pressed: true, received: Duration::ZERO },
];

/// A session and what waits for it, as whoever runs one keeps it: the newest picture of each camera, events in order.
struct World {
    robot: Robot,
    pictures: [Option<f64>; 2],
    events: Vec<Event<()>>,
    clock: f64,
    answered: Vec<Vec<Option<Stamp>>>,
}

impl World {
    fn new() -> Self {
        let mut robot = Robot::lock_step(&[0.5, 0.5]);
        robot.session.safety.rules.simulated = true;
        robot.session.safety.rules.guard = Guard { frozen: None, min_contrast: 0.0, ..Guard::default() };
        robot.session.safety.servo = Some(ServoWatch::new("/servo_node"));
        Self { robot, pictures: [None; 2], events: Vec::new(), clock: 0.0, answered: Vec::new() }
    }

    /// What whoever runs a session does between two waits, or between two steps of the network.
    fn turn(&mut self) {
        let thinking = self.robot.session.thinking();
        if thinking {
            self.robot.session.think(&mut || Duration::ZERO);
        } else {
            for (camera, picture) in self.pictures.iter_mut().enumerate() {
                if let Some(secs) = picture.take() {
                    self.robot.show(camera, frame(secs), 0.0);
                }
            }
        }
        for event in std::mem::take(&mut self.events) {
            self.robot.on(event, self.clock);
        }
        let now = Moment { machine: Duration::ZERO, ..self.robot.at(self.clock) };
        let session = &mut self.robot.session;
        let effects = if thinking { session.finish(now) } else { session.look(now, &mut || Duration::ZERO) };
        self.answered.extend(effects.into_iter().filter_map(|effect: Effect<()>| match effect {
            Effect::Publish(answer) => Some(answer.frames.into_iter().map(|(_, stamp)| stamp).collect()),
            _ => None,
        }));
    }

    /// Lets the session rest; tells how often the set of then was answered.
    fn answers(&mut self, secs: f64) -> usize {
        (0..4).for_each(|_| self.turn());
        let set = [Some(Stamp::from_secs(secs)); 2];
        self.answered.iter().filter(|frames| **frames == set).count()
    }

    /// Everything is well and the arm moves.
    fn well(&mut self, secs: f64) {
        let received = Duration::ZERO;
        self.events = vec![
            Event::Instruction("push the button".into()),
            Event::Estop { pressed: false, received },
            Event::Servo { report: Servo::Ready, received },
            Event::Enable(true, ()),
        ];
        self.robot.session.safety.servo = Some(ServoWatch::new("/servo_node"));
        (self.clock, self.pictures) = (secs, [Some(secs); 2]);
        assert_eq!(self.answers(secs), 1);
        let last = self.robot.session.record.last.as_ref().unwrap();
        assert_eq!(last.verdict, Verdict::Act, "{}", last.message);
        self.answered.clear();
    }
}

/// Every order in which two cameras' pictures may come, so many of each.
fn orders(left: [usize; 2]) -> Vec<Vec<usize>> {
    let first = |camera: usize| {
        let mut rest = left;
        rest[camera] -= 1;
        orders(rest).into_iter().map(move |rest| [vec![camera], rest].concat())
    };
    match left {
        [0, 0] => vec![Vec::new()],
        _ => (0..2).filter(|camera| left[*camera] > 0).flat_map(first).collect(),
    }
}

/// What comes, and before which picture; or nothing.
fn happenings() -> impl Iterator<Item = Option<(usize, usize)>> {
    let events = (0..EVENTS.len()).flat_map(|event| (0..6).map(move |at| Some((event, at))));
    events.chain([None])
}

#[test]
fn in_lock_step_every_set_that_a_world_waits_for_is_answered_whatever_else_comes() {
    let (mut world, mut base) = (World::new(), 0.0);
    for (order, sets) in orders([3; 2]).iter().flat_map(|order| SETS.iter().map(move |sets| (order, sets))) {
        for (turns, happens) in (0..1 << 6).flat_map(|turns| happenings().map(move |happens| (turns, happens))) {
            base += 10.0;
            let stamps = sets.map(|set| base + set * PERIOD);
            world.well(base - 1.0);
            let mut shown = [0; 2];
            for (i, camera) in order.iter().enumerate() {
                world.events.extend(happens.filter(|(_, at)| *at == i).map(|(event, _)| EVENTS[event]()));
                world.clock = stamps[shown[*camera]];
                world.pictures[*camera] = Some(world.clock);
                shown[*camera] += 1;
                if turns & (1 << i) != 0 {
                    world.turn();
                }
            }
            world.clock = stamps[2];
            let answers = world.answers(stamps[2]);
            let once = answers == 1 || (answers > 1 && happens.is_some());
            let case = || format!("pictures of {order:?}, {sets:?} periods, turns {turns:06b}, {happens:?}");
            assert!(once, "{}: {:?}", case(), world.answered);
        }
    }
}

#[test]
fn in_lock_step_a_set_that_comes_again_beside_the_emergency_stop_is_answered_without_the_action() {
    let mut world = World::new();
    world.well(1.0);
    world.pictures = [Some(1.0); 2];
    world.events = vec![Event::Estop { pressed: true, received: Duration::ZERO }];
    assert_eq!(world.answers(1.0), 1);
    assert_eq!(world.robot.session.record.last.as_ref().unwrap().verdict, Verdict::HoldEstop);
}
