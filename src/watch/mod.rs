//! A running node as its topics show it, and how that looks on a terminal. What is heard goes in, what is drawn comes out;
//! `ros::listener` does the hearing.

mod state;
mod view;

pub use state::{Heard, Status, Watched};
pub use view::draw;
