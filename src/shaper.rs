//! One relative action → the command that carries it out in one control period.
//!
//! The network says "2 cm along x, 0.05 rad about z"; an arm wants a velocity. A velocity of displacement over period,
//! held for one period, is that displacement. The rotation goes through its logarithm: three Euler angles are no
//! angular velocity.

use serde::{Deserialize, Serialize};

use crate::bundle::Action;

/// A velocity in the base frame.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Twist {
    /// x, y, z in m/s.
    pub linear: [f64; 3],
    /// About x, y, z in rad/s.
    pub angular: [f64; 3],
}

/// What the gripper should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grip {
    /// Let go.
    Open,
    /// Grasp.
    Closed,
}

impl Grip {
    /// Its published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// The velocity that carries out `arm` (six outputs, cut to -1..1) in one control period, and the names of the
/// dimensions that were cut.
pub fn twist(action: &Action, arm: &[f32; 6]) -> (Twist, Vec<String>) {
    let mut displacement = [0.0; 6];
    let mut clips = Vec::new();
    for ((value, dimension), &output) in displacement.iter_mut().zip(&action.arm).zip(arm) {
        let cut = f64::from(output).clamp(-1.0, 1.0);
        if cut != f64::from(output) {
            clips.push(dimension.name.clone());
        }
        *value = cut * dimension.scale;
    }
    let [x, y, z, roll, pitch, yaw] = displacement;
    let per_second = |v: f64| v * action.control_hz;
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

/// Opens and closes with hysteresis, and speaks only when something changes.
#[derive(Debug, Clone)]
pub struct Gripper {
    open_above: f64,
    hysteresis: f64,
    last: Option<Grip>,
}

impl Gripper {
    /// Opens above `open_above + hysteresis`, closes below `open_above - hysteresis`, stays as it is between.
    pub fn new(open_above: f64, hysteresis: f64) -> Self {
        Self { open_above, hysteresis, last: None }
    }

    /// Forgets the last command, so that the next one is sent whatever it is.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// The command for a probability of "open"; `None` when nothing changes.
    pub fn command(&mut self, probability: f32) -> Option<Grip> {
        let margin = f64::from(probability) - self.open_above;
        let wanted = match self.last {
            Some(last) if margin.abs() <= self.hysteresis => last,
            _ if margin > 0.0 => Grip::Open,
            _ => Grip::Closed,
        };
        (self.last.replace(wanted) != Some(wanted)).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Dimension;
    use proptest::prelude::*;

    fn action() -> Action {
        let dimension = |name: &str, unit: &str, scale| Dimension {
            name: name.into(),
            unit: unit.into(),
            scale,
            frame: "base".into(),
        };
        let arm = vec![
            dimension("x", "m", 0.02),
            dimension("y", "m", 0.02),
            dimension("z", "m", 0.02),
            dimension("roll", "rad", 0.05),
            dimension("pitch", "rad", 0.05),
            dimension("yaw", "rad", 0.05),
        ];
        serde_json::from_value::<Action>(serde_json::json!({
            "control_hz": 30, "arm": [], "gripper": {"name": "gripper", "open_above": 0.5}
        }))
        .map(|action| Action { arm, ..action })
        .unwrap()
    }

    #[test]
    fn one_unit_is_two_centimetres_a_period() {
        let (twist, clips) = twist(&action(), &[1.0, -0.5, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(twist, Twist { linear: [0.6, -0.3, 0.0], angular: [0.0; 3] });
        assert!(clips.is_empty());
    }

    #[test]
    fn a_turn_about_one_axis_is_a_velocity_about_that_axis() {
        for axis in 0..3 {
            let mut arm = [0.0; 6];
            arm[3 + axis] = 1.0;
            let (twist, _) = twist(&action(), &arm);
            let mut expected = [0.0; 3];
            expected[axis] = 1.5;
            assert!(twist.angular.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{twist:?}");
        }
    }

    #[test]
    fn what_exceeds_one_is_cut_and_named() {
        let (twist, clips) = twist(&action(), &[3.0, 0.0, -1.5, 0.0, 0.0, 0.0]);
        assert_eq!((twist.linear, clips), ([0.6, 0.0, -0.6], vec!["x".to_owned(), "z".to_owned()]));
    }

    #[test]
    fn the_gripper_speaks_on_change_only_and_ignores_a_wavering_network() {
        let mut gripper = Gripper::new(0.5, 0.1);
        let said: Vec<_> = [0.52, 0.9, 0.45, 0.55, 0.39, 0.2, 0.58, 0.61].map(|p| gripper.command(p)).into();
        use Grip::{Closed, Open};
        assert_eq!(said, [Some(Open), None, None, None, Some(Closed), None, None, Some(Open)]);
        gripper.reset();
        assert_eq!(gripper.command(0.9), Some(Open));
    }

    /// R(axis, angle) applied to a vector, by Rodrigues' formula: an independent way to turn.
    fn rotate(rotation: [f64; 3], p: [f64; 3]) -> [f64; 3] {
        let angle = rotation.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-300);
        let k = rotation.map(|v| v / angle);
        let dot: f64 = k.iter().zip(p).map(|(a, b)| a * b).sum();
        let cross = [k[1] * p[2] - k[2] * p[1], k[2] * p[0] - k[0] * p[2], k[0] * p[1] - k[1] * p[0]];
        std::array::from_fn(|i| p[i] * angle.cos() + cross[i] * angle.sin() + k[i] * dot * (1.0 - angle.cos()))
    }

    proptest! {
        #[test]
        fn the_rotation_vector_turns_as_roll_then_pitch_then_yaw_do(
            rpy in prop::array::uniform3(-0.5f64..0.5), p in prop::array::uniform3(-1f64..1.0)
        ) {
            let turned = rotate([0.0, 0.0, rpy[2]], rotate([0.0, rpy[1], 0.0], rotate([rpy[0], 0.0, 0.0], p)));
            let at_once = rotate(rotation_vector(rpy[0], rpy[1], rpy[2]), p);
            for (a, b) in turned.iter().zip(at_once) {
                prop_assert!((a - b).abs() < 1e-9, "{:?} {:?}", turned, at_once);
            }
        }

        #[test]
        fn no_output_however_large_exceeds_one_unit(arm in prop::array::uniform6(-1e6f32..1e6)) {
            let (twist, _) = twist(&action(), &arm);
            prop_assert!(twist.linear.iter().all(|v| v.abs() <= 0.6 + 1e-12));
            // Three turns of at most 0.05 rad make at most the sum of their angles.
            prop_assert!(twist.angular.iter().all(|v| v.abs() <= 4.5));
        }
    }
}
