use super::*;
use crate::bundle::Dimension;
use proptest::prelude::*;

fn embodiment() -> Embodiment {
    let dimension =
        |name: &str, unit: &str, scale| Dimension { name: name.into(), unit: unit.into(), scale, frame: "base".into() };
    let arm = vec![
        dimension("x", "m", 0.02),
        dimension("y", "m", 0.02),
        dimension("z", "m", 0.02),
        dimension("roll", "rad", 0.05),
        dimension("pitch", "rad", 0.05),
        dimension("yaw", "rad", 0.05),
    ];
    serde_json::from_value::<Embodiment>(serde_json::json!({
        "control_hz": 30, "arm": [], "cameras": [],
        "gripper": {"name": "gripper", "unit": "m", "open": 0.04, "closed": 0, "open_above": 0.5}
    }))
    .map(|embodiment| Embodiment { arm, ..embodiment })
    .unwrap()
}

#[test]
fn one_unit_is_two_centimetres_a_period() {
    let (twist, clips) = twist(&embodiment(), &[1.0, -0.5, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(twist, Twist { linear: [0.6, -0.3, 0.0], angular: [0.0; 3] });
    assert!(clips.is_empty());
}

#[test]
fn a_turn_about_one_axis_is_a_velocity_about_that_axis() {
    for axis in 0..3 {
        let mut arm = [0.0; 6];
        arm[3 + axis] = 1.0;
        let (twist, _) = twist(&embodiment(), &arm);
        let mut expected = [0.0; 3];
        expected[axis] = 1.5;
        assert!(twist.angular.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{twist:?}");
    }
}

#[test]
fn what_exceeds_one_is_cut_and_named() {
    let (twist, clips) = twist(&embodiment(), &[3.0, 0.0, -1.5, 0.0, 0.0, 0.0]);
    assert_eq!((twist.linear, clips), ([0.6, 0.0, -0.6], vec!["x".to_owned(), "z".to_owned()]));
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
        let (twist, _) = twist(&embodiment(), &arm);
        prop_assert!(twist.linear.iter().all(|v| v.abs() <= 0.6 + 1e-12));
        // Three turns of at most 0.05 rad make at most the sum of their angles.
        prop_assert!(twist.angular.iter().all(|v| v.abs() <= 4.5));
    }
}
