//! The ROS 2 node. All of it is in `deer_vla::ros`.

use std::process::ExitCode;

#[cfg(feature = "ros")]
fn main() -> ExitCode {
    match deer_vla::ros::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deer_vla_node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(feature = "ros"))]
fn main() -> ExitCode {
    eprintln!(
        "deer_vla_node was built without ROS 2; source one (or run scripts/underlay.sh) and build with --features ros"
    );
    ExitCode::from(2)
}
