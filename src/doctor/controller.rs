//! Does the arm's controller live by the same clock, the same units and the same limits?

use super::Finding;

/// The fastest motion that the node may command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// m/s.
    pub linear: f64,
    /// rad/s.
    pub angular: f64,
}

/// What a running MoveIt Servo says of itself; `None` where it has no such parameter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServoFacts {
    /// Its node's full name.
    pub node: String,
    /// `use_sim_time`.
    pub use_sim_time: Option<bool>,
    /// `moveit_servo.command_in_type`: `speed_units` or `unitless`.
    pub command_in_type: Option<String>,
    /// `moveit_servo.scale.linear`, m/s.
    pub linear: Option<f64>,
    /// `moveit_servo.scale.rotational`, rad/s.
    pub rotational: Option<f64>,
    /// `moveit_servo.incoming_command_timeout`, seconds.
    pub timeout_secs: Option<f64>,
}

/// Whether the node's clock is the graph's. `publishers`: the nodes that publish /clock.
pub fn clock(use_sim_time: bool, publishers: &[String]) -> Finding {
    let who = publishers.join(", ");
    match (use_sim_time, publishers.len()) {
        (true, 0) => Finding::error(
            "clock",
            "use_sim_time is true, but nobody publishes /clock: time would stand still",
            "start the simulator's clock, or set use_sim_time to false",
        ),
        (true, 1) => Finding::ok("clock", format!("simulated, by {who}")),
        (_, 2..) => {
            Finding::error("clock", format!("several nodes publish /clock: {who}"), "stop all but one: time would jump")
        }
        (false, 1) => Finding::warning(
            "clock",
            format!("{who} publishes /clock, but use_sim_time is false"),
            "set use_sim_time to true in simulation, or stop the clock",
        ),
        (false, _) => Finding::ok("clock", "the machine's"),
    }
}

/// What the node may command at most, told where no controller is there to compare with.
pub fn limits(motion: Motion) -> Finding {
    Finding::ok("limits", format!("at most {:.2} m/s and {:.2} rad/s", motion.linear, motion.angular))
}

/// Whether Servo would carry out what the node commands. `step_secs`: seconds from one command to the next.
pub fn servo(use_sim_time: bool, motion: Motion, step_secs: f64, servo: &ServoFacts) -> Vec<Finding> {
    let found = [times(use_sim_time, servo), units(servo), timeout(step_secs, servo)];
    let speeds = [
        speed(servo, "scale.linear", motion.linear, servo.linear, "m/s"),
        speed(servo, "scale.rotational", motion.angular, servo.rotational, "rad/s"),
    ];
    let found: Vec<_> = found.into_iter().chain(speeds).flatten().collect();
    if found.is_empty() { vec![Finding::ok(&servo.node, "takes what the node commands")] } else { found }
}

/// Servo judges a command's age by its own clock: on another, the last command would be carried out for ever.
fn times(ours: bool, servo: &ServoFacts) -> Option<Finding> {
    let theirs = servo.use_sim_time.filter(|&theirs| theirs != ours)?;
    let message =
        format!("its use_sim_time is {theirs}, the node's is {ours}: commands would look too old, or never old");
    Some(Finding::error(&servo.node, message, "set use_sim_time alike on both sides"))
}

fn units(servo: &ServoFacts) -> Option<Finding> {
    let units = servo.command_in_type.as_ref().filter(|units| *units != "speed_units")?;
    let message = format!("its command_in_type is {units}: m/s and rad/s would be taken for shares of its own scale");
    Some(Finding::error(&servo.node, message, "set moveit_servo.command_in_type to speed_units"))
}

fn timeout(step_secs: f64, servo: &ServoFacts) -> Option<Finding> {
    let timeout_secs = servo.timeout_secs.filter(|&timeout| timeout < step_secs)?;
    let message = format!(
        "its incoming_command_timeout is {timeout_secs} s, commands come every {step_secs:.3} s: the arm would stutter"
    );
    let mend = format!("set moveit_servo.incoming_command_timeout to at least {:.2}", 2.0 * step_secs);
    Some(Finding::error(&servo.node, message, mend))
}

fn speed(servo: &ServoFacts, parameter: &str, ours: f64, theirs: Option<f64>, unit: &str) -> Option<Finding> {
    let theirs = theirs.filter(|&theirs| ours > theirs)?;
    let message =
        format!("its {parameter} is {theirs} {unit}, the node may command {ours:.3}: it would be cut without a word");
    let mend = format!("lower the node's limit to {theirs}, or raise moveit_servo.{parameter}");
    Some(Finding::error(&servo.node, message, mend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const MOTION: Motion = Motion { linear: 0.3, angular: 0.6 };

    fn healthy() -> ServoFacts {
        ServoFacts {
            node: "/servo_node".into(),
            use_sim_time: Some(false),
            command_in_type: Some("speed_units".into()),
            linear: Some(0.4),
            rotational: Some(0.8),
            timeout_secs: Some(0.1),
        }
    }

    #[test]
    fn a_servo_of_the_same_clock_units_and_limits_is_well() {
        let found = servo(false, MOTION, 0.01, &healthy());
        assert_eq!(found, [Finding::ok("/servo_node", "takes what the node commands")]);
        assert_eq!(
            servo(false, MOTION, 0.01, &ServoFacts::default())[0].level,
            Level::Ok,
            "what it does not say is not held against it"
        );
    }

    #[test]
    fn each_disagreement_is_told_with_both_numbers_and_its_mend() {
        type Case = (fn(&mut ServoFacts), &'static str, &'static str);
        let cases: [Case; 5] = [
            (|s| s.use_sim_time = Some(true), "use_sim_time is true, the node's is false", "alike"),
            (|s| s.command_in_type = Some("unitless".into()), "command_in_type is unitless", "speed_units"),
            (
                |s| s.linear = Some(0.2),
                "scale.linear is 0.2 m/s, the node may command 0.300",
                "moveit_servo.scale.linear",
            ),
            (|s| s.rotational = Some(0.5), "scale.rotational is 0.5 rad/s", "lower the node's limit to 0.5"),
            (|s| s.timeout_secs = Some(0.005), "every 0.010 s", "at least 0.02"),
        ];
        for (spoil, message, mend) in cases {
            let mut servo = healthy();
            spoil(&mut servo);
            let found = super::servo(false, MOTION, 0.01, &servo);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].message.contains(message) && found[0].mend.contains(mend), "{found:?}");
            assert_eq!(found[0].level, Level::Error);
        }
    }

    #[test]
    fn one_clock_and_no_other() {
        let level = |simulated, publishers: &[&str]| {
            clock(simulated, &publishers.iter().map(|&p| p.to_owned()).collect::<Vec<_>>()).level
        };
        assert_eq!([level(false, &[]), level(true, &["/sim"])], [Level::Ok, Level::Ok]);
        assert_eq!([level(true, &[]), level(true, &["/sim", "/bag"])], [Level::Error, Level::Error]);
        assert_eq!(level(false, &["/sim"]), Level::Warning);
    }
}
