//! `deer_vla doctor`: what would not work on the live graph, and how to mend it.

use std::process::ExitCode;

use clap::Args;

/// Exit codes beside 0.
#[cfg(feature = "ros")]
const WOULD_NOT_WORK: u8 = 1;
const CANNOT_LOOK: u8 = 2;

/// Look at the live ROS 2 graph and say what would not work, each finding with its mend
///
/// It sees the graph as the node would: give it the node's own --ros-args. One line a check: ok, warning or error, what
/// was found, and the mend. It publishes nothing and offers no service, and may run beside the node.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 nothing stands in the way (there may be warnings); 1 something would not work; 2 wrong \
                  arguments, or no ROS 2 to look at."
)]
#[cfg_attr(not(feature = "ros"), allow(dead_code, reason = "without ROS 2 there is nothing to look at"))]
pub(crate) struct Doctor {
    /// How long to listen to the cameras, in seconds
    #[arg(long, default_value_t = 3.0, value_name = "S", value_parser = seconds)]
    seconds: f64,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// The node's own arguments: remappings, parameters, parameter files
    #[arg(long, num_args = 0.., allow_hyphen_values = true, value_terminator = "--", value_name = "ARGS")]
    ros_args: Vec<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|e| format!("{e}"))?;
    if (0.1..=600.0).contains(&seconds) { Ok(seconds) } else { Err("must be a number from 0.1 to 600".into()) }
}

impl Doctor {
    #[cfg(not(feature = "ros"))]
    pub(crate) fn run(&self) -> ExitCode {
        eprintln!(
            "deer_vla: doctor looks at a live ROS 2 graph, and this program was built without ROS 2; source one (or run \
             scripts/underlay.sh) and build with --features ros"
        );
        ExitCode::from(CANNOT_LOOK)
    }

    #[cfg(feature = "ros")]
    pub(crate) fn run(&self) -> ExitCode {
        use deer_vla::doctor::{Level, worst};
        match deer_vla::ros::doctor::look(std::time::Duration::from_secs_f64(self.seconds)) {
            Ok(findings) => {
                if self.json {
                    println!("{}", serde_json::json!({ "worst": worst(&findings), "findings": findings }));
                } else {
                    findings.iter().for_each(|finding| println!("{finding}"));
                }
                ExitCode::from(if worst(&findings) == Level::Error { WOULD_NOT_WORK } else { 0 })
            }
            Err(error) => {
                eprintln!("deer_vla: {error:#}");
                ExitCode::from(CANNOT_LOOK)
            }
        }
    }
}
