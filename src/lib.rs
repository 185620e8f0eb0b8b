//! Runs a big vision-language-action model on a small robot computer: cameras and a sentence in, arm and gripper
//! commands out, and only as much of the network as the moment needs (DeeR-VLA, arXiv 2411.02359).
//!
//! ```text
//!  static/image ─┐                    ┌── stage 0 ─▶ gate ─ agreed ─┐
//!  gripper/image ┼▶ frame ▶ observe ▶ │      │no                    ├▶ policy ▶ safety ▶ motion ▶ ~/twist, ~/gripper
//!  instruction  ─┘   pixels  tensors  └── stage 1 ─▶ gate ─ … ─ cap ┘   one      may the    what the
//!                                                                     action    arm move?  arm gets
//! ```
//!
//! The modules stand in the order in which data flows. Everything down to [`session`] knows no ROS, clock, thread or
//! file: time and data come in as arguments.

pub mod units;
// What comes in.
pub mod frame;
pub mod observe;
// The network, and how deep it is run.
pub mod bundle;
pub mod engine;
pub mod network;
pub mod thresholds;
// What goes out.
pub mod motion;
pub mod safety;
// All of it together, and what a user may set.
pub mod config;
pub mod session;
// Files: recordings in and out, and what they show.
#[cfg(feature = "bag")]
pub mod bag;
pub mod report;
// A running node on a terminal.
#[cfg(feature = "watch")]
pub mod watch;
// What would not work on this robot.
pub mod doctor;
#[cfg(feature = "ros")]
pub mod ros;
