//! One motion told in every way that recorders tell it, at several rates and on several clocks.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use super::*;
use crate::bag::source::Joint;
use crate::bag::{BagWriter, Header, Topic};

const PERIOD: f64 = 0.1;
const START: i64 = 1_000_000_000_000;

fn bag(message_type: &str) -> Bag {
    let folder = tempfile::tempdir().unwrap();
    BagWriter::create(folder.path().join("bag")).unwrap().finish().unwrap();
    let mut bag = Bag::open(folder.path().join("bag")).unwrap();
    let topic = Topic { message_type: message_type.into(), encoding: "cdr".into(), messages: 1 };
    bag.topics = BTreeMap::from([("/motion".to_owned(), topic)]);
    bag
}

fn source() -> MotionSource {
    MotionSource { topic: Some("/motion".into()), ..MotionSource::default() }
}

fn header(at: f64) -> Header {
    Header { stamp: Stamp(START + nanos(at)).into(), frame_id: "base".into() }
}

/// A message that was recorded 3 s after what its header says.
fn stored(at: f64, message: &impl Serialize) -> Stored {
    let data = cdr::serialize::<_, _, cdr::CdrLe>(message, cdr::Infinite).unwrap();
    Stored { log_time: Stamp(START + nanos(at + 3.0)), number: 0, topic: "/motion".into(), data }
}

/// Ten steps, a period apart.
fn steps() -> Vec<When> {
    let at = |i: usize| START + nanos(PERIOD) * i as i64;
    (0..10).map(|i| When { stamp: Stamp(at(i)), log: Stamp(at(i) + 3_000_000_000) }).collect()
}

/// What is made of messages `dt` seconds apart that `make` makes.
fn told<M: Serialize>(
    message_type: &str,
    source: &MotionSource,
    dt: f64,
    make: impl Fn(f64) -> M,
) -> Vec<Option<[f64; 6]>> {
    let mut motion = Motion::new(&bag(message_type), source).unwrap();
    for i in 0..(1.1 / dt) as usize {
        motion.add(&stored(i as f64 * dt, &make(i as f64 * dt))).unwrap();
    }
    motion.displacements(&steps(), PERIOD, true)
}

fn assert_near(found: Option<[f64; 6]>, expected: [f64; 6]) {
    let found = found.unwrap();
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
}

const VELOCITY: ([f64; 3], [f64; 3]) = ([0.1, -0.2, 0.3], [0.0, 0.0, 0.5]);
const MOVED: [f64; 6] = [0.01, -0.02, 0.03, 0.0, 0.0, 0.05];

#[test]
fn velocities_and_poses_tell_the_same_motion_at_any_rate() {
    for dt in [0.1, 0.05, 0.01] {
        let twist = |at: f64| (header(at), VELOCITY.0, VELOCITY.1);
        let stamped = told("geometry_msgs/msg/TwistStamped", &source(), dt, twist);
        let bare = told("geometry_msgs/msg/Twist", &source(), dt, |_| VELOCITY);
        let pose = |at: f64| {
            let turn = DQuat::from_rotation_z(1.0 + 0.5 * at);
            (header(at), VELOCITY.0.map(|v| v * at), turn.to_array())
        };
        let posed = told("geometry_msgs/msg/PoseStamped", &source(), dt, pose);
        for found in [&stamped, &bare, &posed] {
            found[..9].iter().for_each(|moved| assert_near(*moved, MOVED));
        }
    }
}

#[test]
fn fast_commands_are_the_mean_of_the_period_that_follows_and_slow_ones_the_nearest() {
    let ramp = |at: f64| (header(at), [at, 0.0, 0.0], [0.0; 3]);
    let fast = told("geometry_msgs/msg/TwistStamped", &source(), 0.01, ramp);
    assert_near(fast[3], [0.0345, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let slow = told("geometry_msgs/msg/TwistStamped", &source(), 0.1, ramp);
    assert_near(slow[3], [0.03, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn steps_that_no_message_tells_of_have_no_motion() {
    let mut motion = Motion::new(&bag("geometry_msgs/msg/TwistStamped"), &source()).unwrap();
    for at in [0.0, 0.1, 0.2, 0.3] {
        motion.add(&stored(at, &(header(at), VELOCITY.0, VELOCITY.1))).unwrap();
    }
    let found: Vec<bool> = motion.displacements(&steps(), PERIOD, true).iter().map(Option::is_some).collect();
    assert_eq!(found, [true, true, true, true, false, false, false, false, false, false]);
}

#[test]
fn headers_without_a_time_leave_it_to_the_log() {
    let unstamped = told("geometry_msgs/msg/TwistStamped", &source(), 0.1, |_| (Header::default(), [0.1; 3], [0.0; 3]));
    assert_near(unstamped[4], [0.01, 0.01, 0.01, 0.0, 0.0, 0.0]);
}

#[test]
fn a_command_from_before_the_clock_ran_is_left_out_and_the_others_headers_count() {
    let mut motion = Motion::new(&bag("geometry_msgs/msg/TwistStamped"), &source()).unwrap();
    motion.add(&stored(0.0, &(Header::default(), [9.0; 3], [0.0; 3]))).unwrap();
    for i in 0..10 {
        // Recorded at twice the time that their headers tell, as of a slow simulator.
        let at = f64::from(i) * PERIOD;
        motion.add(&stored(2.0 * at, &(header(at), VELOCITY.0, VELOCITY.1))).unwrap();
    }
    assert_eq!((motion.unstamped(true), motion.unstamped(false)), (1, 0));
    let found = motion.displacements(&steps(), PERIOD, true);
    found.iter().for_each(|moved| assert_near(*moved, MOVED));
}

#[test]
fn joint_positions_become_motion_by_the_urdf() {
    let folder = tempfile::tempdir().unwrap();
    let urdf = folder.path().join("arm.urdf");
    let text = r#"<robot name="arm"><link name="base"/><link name="upper"/><link name="tool"/>
        <joint name="turn" type="revolute"><parent link="base"/><child link="upper"/>
          <origin xyz="0 0 1" rpy="0 0 0"/><axis xyz="0 0 1"/></joint>
        <joint name="slide" type="prismatic"><parent link="upper"/><child link="tool"/>
          <origin xyz="1 0 0"/><axis xyz="1 0 0"/></joint></robot>"#;
    fs::write(&urdf, text).unwrap();
    let source = MotionSource { urdf: Some(urdf.clone()), ..source() };
    let state = |at: f64| {
        let names = vec!["slide".to_owned(), "turn".to_owned()];
        (header(at), names, vec![0.2 * at, 0.0], Vec::<f64>::new(), Vec::<f64>::new())
    };
    assert_near(told("sensor_msgs/msg/JointState", &source, 0.1, state)[2], [0.02, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let numbers = |at: f64| ((Vec::<(String, u32, u32)>::new(), 0u32), vec![0.3 * at, 0.0]);
    let named = MotionSource { joints: vec!["turn".into(), "slide".into()], ..source.clone() };
    let turned = told("std_msgs/msg/Float64MultiArray", &named, 0.1, numbers)[2].unwrap();
    assert!(
        (turned[5] - 0.03).abs() < 1e-6 && (turned[1] - (0.09f64.sin() - 0.06f64.sin())).abs() < 1e-6,
        "{turned:?}"
    );
    let refused = |source: &MotionSource| match Motion::new(&bag("sensor_msgs/msg/JointState"), source) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("not refused"),
    };
    assert!(refused(&self::source()).contains("no URDF is named"));
    assert!(
        refused(&MotionSource { tip: Some("hand".into()), ..source.clone() })
            .contains("no joint leads from the root to hand")
    );
    fs::write(&urdf, "<robot><xacro:include/></robot>").unwrap();
    assert!(refused(&source).contains("arm.urdf"));
}

#[test]
fn a_gripper_is_read_from_every_kind_of_command() {
    let positions = |message_type: &str, joint: Option<Joint>, message: &dyn Fn() -> Stored| {
        let source = GripperSource { topic: Some("/motion".into()), joint };
        let mut gripper = GripperMotion::new(&bag(message_type), &source).unwrap();
        gripper.add(&message()).map(|()| gripper.held(&steps(), PERIOD, true)[9])
    };
    let state = || {
        stored(
            0.0,
            &(header(0.0), vec!["a".to_owned(), "b".to_owned()], vec![0.1, 0.8], Vec::<f64>::new(), Vec::<f64>::new()),
        )
    };
    let named = Some(Joint::Name("b".into()));
    assert_eq!(positions("sensor_msgs/msg/JointState", named.clone(), &state), Ok(Some(0.8)));
    let array = || stored(0.0, &((Vec::<(String, u32, u32)>::new(), 0u32), vec![0.1, 0.2, 0.3]));
    assert_eq!(positions("std_msgs/msg/Float64MultiArray", Some(Joint::Place(2)), &array), Ok(Some(0.3)));
    assert_eq!(positions("std_msgs/msg/Float64MultiArray", None, &array), Ok(Some(0.1)));
    assert!(positions("std_msgs/msg/Float64MultiArray", named, &array).unwrap_err().contains("no joint b"));
    assert_eq!(positions("control_msgs/msg/GripperCommand", None, &|| stored(0.0, &[0.5, 10.0])), Ok(Some(0.5)));
}
