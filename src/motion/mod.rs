//! One relative action → the commands that carry it out.
//!
//! The network says "2 cm along x, 0.05 rad about z"; an arm wants a velocity. A velocity of displacement over period,
//! held for one period, is that displacement. The rotation goes through its logarithm: three Euler angles are no
//! angular velocity. A world that waits for every command gets it as it is; an arm gets a [`Stream`] within its
//! [`Limits`].

mod gripper;
mod limits;
mod stream;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::bundle::Embodiment;

pub use gripper::{Grip, Gripper};
pub use limits::{Limit, Limits};
pub use stream::Stream;

/// A velocity in the base frame.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Twist {
    /// x, y, z in m/s.
    pub linear: [f64; 3],
    /// About x, y, z in rad/s.
    pub angular: [f64; 3],
}

impl Twist {
    /// How fast it moves (m/s) and turns (rad/s).
    pub fn speeds(&self) -> [f64; 2] {
        [limits::norm(self.linear), limits::norm(self.angular)]
    }
}

/// The velocity that carries out `arm` (six outputs, cut to -1..1) in one control period, and the names of the
/// dimensions that were cut.
pub fn twist(embodiment: &Embodiment, arm: &[f32; 6]) -> (Twist, Vec<String>) {
    let mut displacement = [0.0; 6];
    let mut clips = Vec::new();
    for ((value, dimension), &output) in displacement.iter_mut().zip(&embodiment.arm).zip(arm) {
        let cut = f64::from(output).clamp(-1.0, 1.0);
        if cut != f64::from(output) {
            clips.push(dimension.name.clone());
        }
        *value = cut * dimension.scale;
    }
    let [x, y, z, roll, pitch, yaw] = displacement;
    let per_second = |v: f64| v * embodiment.control_hz;
    let angular = rotation_vector(roll, pitch, yaw).map(per_second);
    (Twist { linear: [x, y, z].map(per_second), angular }, clips)
}

/// Axis times angle of Rz(yaw) Ry(pitch) Rx(roll), by way of the unit quaternion.
fn rotation_vector(roll: f64, pitch: f64, yaw: f64) -> [f64; 3] {
    let (sr, cr) = (roll / 2.0).sin_cos();
    let (sp, cp) = (pitch / 2.0).sin_cos();
    let (sy, cy) = (yaw / 2.0).sin_cos();
    let w = cr * cp * cy + sr * sp * sy;
    let v = [sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy];
    let sine = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    // sine / angle tends to 1/2 as the rotation vanishes.
    let scale = if sine < 1e-12 { 2.0 } else { 2.0 * sine.atan2(w) / sine };
    v.map(|v| v * scale)
}
