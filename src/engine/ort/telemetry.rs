//! Official builds of ONNX Runtime for Linux tell Microsoft how they are used, from 1.29 on and unless told not to: names and
//! hashes of graphs and weights, what the machine is, how long runs take. What a robot does is nobody else's business.
//!
//! The library decides on that as it is loaded, by its environment. Turning it off later leaves a thread, a database in the
//! user's cache and what was sent until then. And a program cannot change its own environment safely, but it can begin anew.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Set to anything, it keeps ONNX Runtime quiet.
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Begins the program anew as the same process with telemetry turned off, unless the environment already says something of
/// it. To be called first: nothing is left of what was before.
///
/// # Errors
/// When the program cannot be started; it then goes on as it is.
pub fn without_telemetry() -> io::Result<()> {
    if env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    Err(Command::new(env::current_exe()?).arg0(name).args(arguments).env(VARIABLE, "1").exec())
}
