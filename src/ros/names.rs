//! The full name of a topic, or of an action, remapped as rcl remaps topics: r2r tells neither.

/// A node's names and the remappings of its command line.
pub(super) struct Names {
    node: String,
    namespace: String,
    rules: Vec<(String, String)>,
}

impl Names {
    /// Of a node whose own name is remapped already.
    pub(super) fn new(node: &str, namespace: &str, arguments: impl Iterator<Item = String>) -> Self {
        let mut names = Self { node: node.to_owned(), namespace: namespace.to_owned(), rules: Vec::new() };
        let (mut ros, mut remap) = (false, false);
        for argument in arguments {
            match argument.as_str() {
                "--ros-args" => ros = true,
                "--" => ros = false,
                "-r" | "--remap" if ros => remap = true,
                rule if remap => {
                    names.rule(rule);
                    remap = false;
                }
                _ => (),
            }
        }
        names
    }

    /// Keeps `[node:]from:=to` where it concerns a topic of this node.
    fn rule(&mut self, rule: &str) {
        let Some((from, to)) = rule.split_once(":=") else { return };
        let from = from.strip_prefix("rostopic://").unwrap_or(from);
        let from = match from.split_once(':') {
            Some((node, name)) if node == self.node => name,
            Some(_) => return,
            None => from,
        };
        if !from.starts_with("__") {
            self.rules.push((self.expand(from), self.expand(to)));
        }
    }

    fn expand(&self, name: &str) -> String {
        let namespace = self.namespace.trim_end_matches('/');
        match name.strip_prefix("~/") {
            Some(private) => format!("{namespace}/{}/{private}", self.node),
            None if name.starts_with('/') => name.to_owned(),
            None => format!("{namespace}/{name}"),
        }
    }

    /// The full name of a topic as the node names it; the first rule that fits counts.
    pub(super) fn topic(&self, name: &str) -> String {
        let full = self.expand(name);
        self.rules.iter().find(|(from, _)| *from == full).map_or(full, |(_, to)| to.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(namespace: &str, arguments: &str) -> Names {
        Names::new("deer_vla", namespace, arguments.split(' ').map(str::to_owned))
    }

    #[test]
    fn names_are_full_in_the_nodes_namespace() {
        let (root, left) = (names("/", ""), names("/left", ""));
        assert_eq!([root.topic("static/image"), root.topic("~/twist")], ["/static/image", "/deer_vla/twist"]);
        assert_eq!([left.topic("estop"), left.topic("~/twist")], ["/left/estop", "/left/deer_vla/twist"]);
        assert_eq!(left.topic("/clock"), "/clock");
    }

    #[test]
    fn remappings_hold_for_this_node_and_only_among_ros_arguments() {
        let names = names(
            "/left",
            "-r estop:=/no --ros-args -r __ns:=/left -r static/image:=camera -r ~/twist:=/servo/cmd --remap other:estop:=/o \
             -r deer_vla:instruction:=/say -- -r estop:=/no",
        );
        assert_eq!([names.topic("static/image"), names.topic("~/twist")], ["/left/camera", "/servo/cmd"]);
        assert_eq!([names.topic("estop"), names.topic("instruction")], ["/left/estop", "/say"]);
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        assert_eq!(names("/", "--ros-args -r estop:=/a -r /estop:=/b").topic("estop"), "/a");
    }
}
