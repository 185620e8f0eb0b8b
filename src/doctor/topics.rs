//! Does anybody send what the node hears, and hear what it sends?

use super::Finding;

/// A publisher on a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its node's full name.
    pub node: String,
    /// `package/msg/Type`.
    pub message_type: String,
    /// Whether it offers reliable delivery; best effort otherwise.
    pub reliable: bool,
}

/// What the node asks of a topic that it hears.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Its name in the node, as a remapping would name it.
    pub name: &'a str,
    /// `package/msg/Type`.
    pub message_type: &'a str,
    /// Whether it asks for reliable delivery.
    pub reliable: bool,
    /// What to set where a publisher offers too little.
    pub if_unreliable: &'a str,
    /// What to set where a publisher's type is another.
    pub if_other_type: &'a str,
}

/// The name in the node, and the full one where it is another.
fn title(name: &str, topic: &str) -> String {
    if topic.trim_start_matches('/') == name { name.to_owned() } else { format!("{name} ({topic})") }
}

/// Whether what is published on `topic`, its full name, can be heard.
pub fn offers(wish: &Wish<'_>, topic: &str, offers: &[Offer]) -> Vec<Finding> {
    let title = title(wish.name, topic);
    if offers.is_empty() {
        let mend = format!(
            "start its publisher, or remap it to the topic that carries {}: -r {}:=/TOPIC (ros2 topic list -t)",
            wish.message_type, wish.name
        );
        return vec![Finding::error(&title, format!("nobody publishes {topic}"), mend)];
    }
    let mut findings: Vec<_> = offers.iter().filter_map(|offer| mismatch(wish, &title, offer)).collect();
    if offers.len() > 1 {
        let nodes: Vec<_> = offers.iter().map(|offer| offer.node.as_str()).collect();
        let message = format!("{} publishers mix on it: {}", offers.len(), nodes.join(", "));
        findings.push(Finding::warning(&title, message, "stop all but one, or remap the topic to one of its own"));
    }
    if findings.is_empty() {
        let quality = if offers[0].reliable { "reliable" } else { "best effort" };
        findings.push(Finding::ok(&title, format!("published by {} ({quality})", offers[0].node)));
    }
    findings
}

fn mismatch(wish: &Wish<'_>, title: &str, offer: &Offer) -> Option<Finding> {
    let Offer { node, message_type, reliable } = offer;
    if message_type != wish.message_type {
        let message = format!("{node} publishes {message_type}, the node reads {}", wish.message_type);
        return Some(Finding::error(title, message, wish.if_other_type));
    }
    (wish.reliable && !reliable).then(|| {
        let message =
            format!("{node} publishes it best effort, the node asks for reliable: not one message would come");
        Finding::error(title, message, wish.if_unreliable)
    })
}

/// Whether a command topic has listeners; `needed` where nothing moves without one.
pub fn listeners(name: &str, topic: &str, count: usize, needed: bool) -> Finding {
    let title = title(name, topic);
    let mend = format!("start the controller, or remap to what it hears: -r {name}:=/TOPIC");
    match count {
        0 if needed => Finding::error(&title, "nobody listens: commands would reach no arm", mend),
        0 => Finding::warning(&title, "nobody listens", mend),
        _ => Finding::ok(&title, format!("{count} listener(s)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const TOPIC: &str = "/static/image";
    const WISH: Wish<'static> = Wish {
        name: "static/image",
        message_type: "sensor_msgs/msg/Image",
        reliable: true,
        if_unreliable: "set images.qos to sensor_data",
        if_other_type: "set images.transport to compressed",
    };

    fn offer(message_type: &str, reliable: bool) -> Offer {
        Offer { node: "/camera".into(), message_type: message_type.into(), reliable }
    }

    fn one(found: Vec<Finding>) -> Finding {
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    #[test]
    fn a_publisher_of_the_right_kind_is_well() {
        let finding = one(offers(&WISH, TOPIC, &[offer(WISH.message_type, true)]));
        assert_eq!(finding, Finding::ok("static/image", "published by /camera (reliable)"));
        let modest = Wish { reliable: false, ..WISH };
        assert_eq!(one(offers(&modest, TOPIC, &[offer(WISH.message_type, false)])).level, Level::Ok);
    }

    #[test]
    fn a_topic_without_a_publisher_is_started_or_remapped() {
        let finding = one(offers(&WISH, TOPIC, &[]));
        assert_eq!((finding.level, finding.message.as_str()), (Level::Error, "nobody publishes /static/image"));
        assert!(finding.mend.contains("sensor_msgs/msg/Image: -r static/image:=/TOPIC"), "{finding:?}");
    }

    #[test]
    fn too_weak_an_offer_and_another_type_would_bring_nothing() {
        let finding = one(offers(&WISH, TOPIC, &[offer(WISH.message_type, false)]));
        assert_eq!((finding.level, finding.mend.as_str()), (Level::Error, "set images.qos to sensor_data"));
        let finding = one(offers(&WISH, TOPIC, &[offer("sensor_msgs/msg/CompressedImage", true)]));
        assert_eq!((finding.level, finding.mend.as_str()), (Level::Error, "set images.transport to compressed"));
    }

    #[test]
    fn two_publishers_mix() {
        let finding = one(offers(&WISH, TOPIC, &[offer(WISH.message_type, true), offer(WISH.message_type, true)]));
        assert!(finding.level == Level::Warning && finding.message.starts_with("2 publishers"), "{finding:?}");
    }

    #[test]
    fn commands_that_nobody_hears_are_an_error_where_they_are_needed() {
        let level = |count, needed| listeners("~/twist", "/deer_vla/twist", count, needed).level;
        assert_eq!([level(0, true), level(0, false), level(1, true)], [Level::Error, Level::Warning, Level::Ok]);
    }
}
