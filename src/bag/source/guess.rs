//! Which topic is meant where nothing is said: by type and by name. Only what leaves no choice is guessed.

use std::collections::BTreeMap;

use crate::bag::Topic;

/// A bag's topics by name.
pub(super) type Topics = BTreeMap<String, Topic>;

const IMAGES: [&str; 2] = ["sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"];
const TEXT: [&str; 1] = ["std_msgs/msg/String"];
const TWISTS: [&str; 2] = ["geometry_msgs/msg/TwistStamped", "geometry_msgs/msg/Twist"];
const POSES: [&str; 1] = ["geometry_msgs/msg/PoseStamped"];
const GRIPS: [&str; 4] = [
    "trajectory_msgs/msg/JointTrajectory",
    "std_msgs/msg/Float64MultiArray",
    "sensor_msgs/msg/JointState",
    "control_msgs/msg/GripperCommand",
];
/// Words in the names of topics that carry a sentence.
const SAID: [&str; 5] = ["instruction", "task", "prompt", "language", "sentence"];
/// Keys under which recorders leave the sentence in `custom_data`.
const KEYS: [&str; 5] = ["instruction", "language_instruction", "task", "prompt", "task_description"];
/// Pictures that show no colours.
const BLIND: [&str; 4] = ["depth", "infra", "disparity", "thermal"];

/// Other words for a role in the names of cameras.
fn words(role: &str) -> Vec<&str> {
    match role {
        "gripper" => vec!["gripper", "wrist", "hand", "eef"],
        "static" => vec!["static", "front", "scene", "overhead", "third_person"],
        other => vec![other],
    }
}

/// The one of `names`, where there is one alone.
fn only<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = names.next()?;
    names.next().is_none().then_some(first)
}

fn of_types<'a>(topics: &'a Topics, types: &'a [&str]) -> impl Iterator<Item = &'a str> + Clone {
    let typed =
        |(name, topic): (&'a String, &Topic)| types.contains(&topic.message_type.as_str()).then_some(name.as_str());
    topics.iter().filter_map(typed)
}

/// A topic for each of `roles`, where one leaves no choice; `named` are those that were said.
pub(super) fn cameras(topics: &Topics, roles: &[&str], named: &[Option<&str>]) -> Vec<Option<String>> {
    let blind = |name: &str| BLIND.iter().any(|word| name.to_lowercase().contains(word));
    // The same pictures twice: as they came, and compressed.
    let copy = |name: &str| name.strip_suffix("/compressed").is_some_and(|raw| topics.contains_key(raw));
    let mut free: Vec<&str> = of_types(topics, &IMAGES).filter(|name| !blind(name) && !copy(name)).collect();
    free.retain(|name| !named.contains(&Some(name)));
    let mut found: Vec<Option<&str>> = named.to_vec();
    let by_name: [fn(&str, &str) -> bool; 3] = [
        |role, name| name == format!("/{role}/image"),
        |role, name| name == format!("/{role}/image/compressed"),
        |role, name| words(role).iter().any(|word| name.to_lowercase().contains(word)),
    ];
    for fits in by_name {
        for (role, slot) in roles.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
            *slot = only(free.iter().copied().filter(|name| fits(role, name)));
            free.retain(|name| Some(*name) != *slot);
        }
    }
    // What is left over goes together, where it is one of each and its name speaks for no other role.
    let speaks = |role: &str, name: &str| words(role).iter().any(|word| name.to_lowercase().contains(word));
    let mut open: Vec<_> = found.iter_mut().filter(|slot| slot.is_none()).collect();
    if let ([slot], [name]) = (open.as_mut_slice(), free.as_slice())
        && !roles.iter().any(|role| speaks(role, name))
    {
        **slot = Some(name);
    }
    found.into_iter().map(|name| name.map(str::to_owned)).collect()
}

/// The instruction's topic.
pub(super) fn instruction(topics: &Topics) -> Option<&str> {
    let texts = of_types(topics, &TEXT);
    let said = |name: &&str| SAID.iter().any(|word| name.to_lowercase().contains(word));
    texts.clone().find(|name| *name == "/instruction").or_else(|| only(texts.filter(said)))
}

/// The key of `custom_data` under which the sentence is.
pub(super) fn key(custom_data: &BTreeMap<String, String>) -> Option<&'static str> {
    KEYS.into_iter().find(|key| custom_data.contains_key(*key))
}

/// The arm's motion: velocities before poses. Joint positions need a URDF, which nobody can guess.
pub(super) fn motion(topics: &Topics) -> Option<&str> {
    let twists = || of_types(topics, &TWISTS);
    let named = twists().find(|name| *name == "/twist");
    named.or_else(|| only(twists())).or_else(|| only(of_types(topics, &POSES)))
}

/// The gripper's commands.
pub(super) fn gripper(topics: &Topics) -> Option<&str> {
    let grips = || of_types(topics, &GRIPS);
    grips().find(|name| *name == "/gripper").or_else(|| only(grips().filter(|name| name.contains("gripper"))))
}
