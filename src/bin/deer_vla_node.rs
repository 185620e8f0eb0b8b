//! The ROS 2 node. All of it is in `deer_vla::ros`.

use std::process::ExitCode;

#[cfg(feature = "ros")]
fn main() -> ExitCode {
    if let Err(error) = deer_vla::engine::ort::without_telemetry() {
        eprintln!("deer_vla_node: ONNX Runtime's telemetry could not be turned off: {error}");
    }
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
