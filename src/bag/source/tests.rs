//! Sources as people write them, and what is guessed where they do not.

use super::guess;
use super::*;
use crate::bag::Topic;

fn topics(named: &[(&str, &str)]) -> guess::Topics {
    let topic = |message_type: &str| Topic { message_type: message_type.into(), encoding: "cdr".into(), messages: 1 };
    named.iter().map(|(name, message_type)| ((*name).to_owned(), topic(message_type))).collect()
}

const IMAGE: &str = "sensor_msgs/msg/Image";
const COMPRESSED: &str = "sensor_msgs/msg/CompressedImage";

fn cameras(named: &[(&str, &str)]) -> [Option<String>; 2] {
    guess::cameras(&topics(named), &["static", "gripper"], &[None, None]).try_into().unwrap()
}

fn refusal(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.yaml");
    fs::write(&path, text).unwrap();
    Source::read(&path).unwrap_err().to_string()
}

#[test]
fn the_example_that_ships_names_every_field() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/source.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let source = Source::read(&path).unwrap();
    assert_eq!(source.cameras["static"].topic.as_deref(), Some("/camera/color/image_raw/compressed"));
    assert_eq!(source.cameras["gripper"].view.crop, Some([40, 0, 560, 480]));
    let fields = serde_json::to_value(Source { cameras: source.cameras.clone(), ..Source::default() }).unwrap();
    let mut names: Vec<String> = fields.as_object().unwrap().keys().cloned().collect();
    for part in ["instruction", "motion", "gripper"] {
        names.extend(fields[part].as_object().unwrap().keys().cloned());
    }
    names.extend(fields["cameras"]["gripper"].as_object().unwrap().keys().cloned());
    for name in names {
        assert!(text.contains(&format!("{name}:")), "{name}");
    }
}

#[test]
fn a_recording_is_cut_as_the_policy_learned_it_where_nothing_is_said_of_that() {
    let learned = |role: &str, crop| crate::bundle::CameraSource {
        role: role.into(),
        width: 640,
        height: 480,
        rate_hz: 30.0,
        crop,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.yaml");
    fs::write(&path, "cameras: {static: {topic: /a, crop: [0, 0, 9, 9]}, gripper: /b}").unwrap();
    let cut = Some([80, 0, 480, 480]);
    let cameras = [learned("static", cut), learned("gripper", cut), learned("wrist", cut), learned("top", None)];
    let source = Source::read(&path).unwrap().cut_as_learned(&cameras);
    let found: Vec<_> = source
        .cameras
        .iter()
        .map(|(role, camera)| (role.as_str(), camera.topic.as_deref(), camera.view.crop, camera.view.cut_of))
        .collect();
    assert_eq!(
        found,
        [
            ("gripper", Some("/b"), cut, Some([640, 480])),
            ("static", Some("/a"), Some([0, 0, 9, 9]), None),
            ("wrist", None, cut, Some([640, 480])),
        ]
    );
}

#[test]
fn json_is_read_and_an_unknown_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.json");
    fs::write(&path, r#"{"cameras": {"static": "/a"}, "motion": {"topic": "/b", "urdf": "arm.urdf"}}"#).unwrap();
    let source = Source::read(&path).unwrap();
    assert_eq!(source.motion.urdf.unwrap(), folder.path().join("arm.urdf"));
    assert!(refusal("clok: log").contains("unknown field `clok`"));
    assert!(refusal("cameras: {static: {topic: /a, order: bgr8}}").contains("source.yaml"));
    assert!(refusal("instruction: {topic: /a, sentence: go}").contains("one of topic, sentence and key"));
    assert!(refusal("rate: 0").contains("0.1 to 1000"));
}

#[test]
fn cameras_are_guessed_where_names_and_number_leave_no_choice() {
    let found = cameras(&[("/static/image", IMAGE), ("/gripper/image", IMAGE), ("/spare/image", IMAGE)]);
    assert_eq!(found, [Some("/static/image".into()), Some("/gripper/image".into())]);
    let found = cameras(&[("/cam/color/compressed", COMPRESSED), ("/wrist_cam/image_raw", IMAGE)]);
    assert_eq!(found, [Some("/cam/color/compressed".into()), Some("/wrist_cam/image_raw".into())]);
    // A depth picture is no choice, and the compressed copy of a topic is not another camera.
    let found = cameras(&[
        ("/front/image_raw", IMAGE),
        ("/front/image_raw/compressed", COMPRESSED),
        ("/front/depth", IMAGE),
        ("/hand/image_raw", IMAGE),
    ]);
    assert_eq!(found, [Some("/front/image_raw".into()), Some("/hand/image_raw".into())]);
    assert_eq!(cameras(&[("/camera/image", IMAGE)]), [None, None], "one picture for two cameras");
    assert_eq!(cameras(&[("/a", IMAGE), ("/b", IMAGE)]), [None, None]);
    assert_eq!(cameras(&[("/wrist_left", IMAGE), ("/wrist_right", IMAGE)]), [None, None]);
}

#[test]
fn a_camera_that_was_named_is_left_alone() {
    let there = topics(&[("/a", IMAGE), ("/gripper/image", IMAGE)]);
    let found = guess::cameras(&there, &["static", "gripper"], &[Some("/gripper/image"), None]);
    assert_eq!(found, [Some("/gripper/image".into()), Some("/a".into())]);
    // The static camera's is no choice for the gripper, only because it is left over.
    let there = topics(&[("/static/image", IMAGE), ("/gripper/image", IMAGE)]);
    let found = guess::cameras(&there, &["static", "gripper"], &[Some("/gripper/image"), None]);
    assert_eq!(found, [Some("/gripper/image".into()), None]);
}

#[test]
fn motion_gripper_and_sentence_are_guessed_by_type_and_name() {
    let there = topics(&[
        ("/servo/delta_twist_cmds", "geometry_msgs/msg/TwistStamped"),
        ("/ee_pose", "geometry_msgs/msg/PoseStamped"),
        ("/my_gripper/commands", "std_msgs/msg/Float64MultiArray"),
        ("/arm/commands", "std_msgs/msg/Float64MultiArray"),
        ("/task_description", "std_msgs/msg/String"),
        ("/rosout_text", "std_msgs/msg/String"),
    ]);
    assert_eq!(guess::motion(&there), Some("/servo/delta_twist_cmds"));
    assert_eq!(guess::gripper(&there), Some("/my_gripper/commands"));
    assert_eq!(guess::instruction(&there), Some("/task_description"));
    let two = topics(&[("/a", "geometry_msgs/msg/Twist"), ("/b", "geometry_msgs/msg/Twist")]);
    assert_eq!(guess::motion(&two), None);
}
