"""The names, stamps and records of the ROS interface."""

import itertools
import math

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from messages import is_zero, nanoseconds_of, numbers_of
from trajectory_msgs.msg import JointTrajectory

RECORD = {
    "verdict", "state", "epoch", "step", "instruction", "exit", "layer", "reason", "deltas", "thresholds", "arm",
    "gripper", "stamp_static", "stamp_gripper", "vision_ms", "stage_ms", "head_ms", "total_ms", "overhead_ms", "clips",
    "cut_m", "cut_rad", "dropped_m", "dropped_rad", "bundle", "provider",
}  # fmt: skip


def test_every_command_has_its_decision(pair, pictures, other_pictures):
    _, peer = pair()
    peer.begin("push the button", pictures)
    for shown in (pictures, other_pictures, pictures):
        decision, twist = peer.step(shown)
        assert set(decision.values) >= RECORD
        assert decision.name == "deer_vla: decision" and decision.hardware_id == "/deer_vla"
        assert decision["instruction"] == "push the button" and decision["provider"] == "cpu"
        assert len(decision.numbers("arm")) == 6
        assert nanoseconds_of(twist.header.stamp) == peer.now and decision.stamps == (peer.now, peer.now)
        assert twist.header.frame_id
    steps = [int(decision["step"]) for decision in peer.decisions[-3:]]
    assert steps == [steps[0], steps[0] + 1, steps[0] + 2]


def test_the_twist_is_the_action_in_physical_units(pair, pictures):
    """Metres and radians a step, thirty steps a second; angular is the rotation vector of Rz Ry Rx, not Euler rates."""
    _, peer = pair()
    peer.begin("push the button", pictures)
    decision, twist = peer.step(pictures)
    arm = decision.numbers("arm")
    linear, angular = numbers_of(twist)[:3], numbers_of(twist)[3:]
    assert linear == pytest.approx([0.02 * 30 * value for value in arm[:3]], rel=1e-4, abs=1e-9)
    assert angular == pytest.approx(rotation_vector(*(0.05 * value for value in arm[3:])), rel=1e-3, abs=1e-6)


def rotation_vector(roll: float, pitch: float, yaw: float, hz: float = 30.0) -> list[float]:
    """Through the quaternion of Rz(yaw) Ry(pitch) Rx(roll), times `hz`."""
    cr, sr, cp, sp, cy, sy = (f(angle / 2) for angle in (roll, pitch, yaw) for f in (math.cos, math.sin))
    w = cr * cp * cy + sr * sp * sy
    axis = [sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy]
    sine = math.hypot(*axis)
    return [value * 2 * math.atan2(sine, w) / sine * hz for value in axis]


def test_in_real_time_a_command_is_stamped_when_it_is_published(pair, pictures):
    _, peer = pair(use_sim_time=False, images__frozen=0)
    peer.begin("push the button", pictures)
    shown = peer.tick()
    _, twist = peer.step(pictures)
    assert shown <= nanoseconds_of(twist.header.stamp) <= peer.tick()


def test_a_dry_run_decides_and_commands_nothing(pair, pictures):
    _, peer = pair(dry_run=True)
    peer.begin("push the button", pictures)
    decisions = [peer.decide(pictures) for _ in range(10)]
    assert all(decision.acts and decision["exit"] for decision in decisions)
    # The topics are there and matched, so that silence means silence.
    assert not peer.twists and not peer.gripper_commands


def test_names_follow_the_namespace_and_remappings(pair, pictures):
    renamed = {"static/image": "/overhead/image_raw", "~/twist": "/servo_node/delta_twist_cmds"}
    _, peer = pair(remappings=renamed | {"__ns": "/left"}, peer={"namespace": "/left", "remapped": renamed})
    peer.begin("push the button", pictures)
    assert not is_zero(peer.step(pictures)[1])
    peer.until_named("deer_vla", "/left")
    topics = dict(peer.node.get_topic_names_and_types())
    assert {"/left/deer_vla/decision", "/left/instruction", "/diagnostics", *renamed.values()} <= topics.keys()


def test_metrics_tell_every_decisions_numbers_one_a_key_by_quantity(pair, pictures, other_pictures):
    """What PlotJuggler and Foxglove split: names of statuses and keys, and a number a value."""
    _, peer = pair()
    heard = peer.hear(DiagnosticArray, "deer_vla/metrics")
    peer.begin("push the button", pictures)
    decision = peer.decide(other_pictures)
    metrics = peer.until(lambda: [m for m in heard if nanoseconds_of(m.header.stamp) == peer.now], "its metrics")[-1]
    numbers = {s.name: {pair.key: float(pair.value) for pair in s.values} for s in metrics.status}
    assert all(not status.hardware_id for status in metrics.status), "it would stand between topic and quantity"
    assert numbers["exit"]["taken"] == float(decision["exit"])
    assert list(numbers["delta"].values()) == pytest.approx(decision.numbers("deltas"), rel=1e-6)
    assert numbers["ms"]["total"] == pytest.approx(float(decision["total_ms"]), abs=1e-3)
    assert numbers["ms"]["period"] == pytest.approx(1000 / 30)
    assert numbers["age_s"] == {"static": 0.0, "gripper": 0.0} and numbers["state"]["acts"] == 1.0
    assert all(math.isfinite(number) for group in numbers.values() for number in group.values())


def test_metrics_are_off_where_they_are_not_wanted(pair, pictures):
    _, peer = pair(metrics=False)
    peer.begin("push the button", pictures)
    assert "/deer_vla/metrics" not in dict(peer.node.get_topic_names_and_types())


def test_diagnostics_keep_coming(pair, pictures):
    _, peer = pair()
    peer.begin("push the button", pictures)
    before = len(peer.diagnostics)
    peer.until(lambda: len(peer.diagnostics) >= before + 3, "three reports")
    statuses = {status.name: status for report in peer.diagnostics[before:] for status in report.status}
    assert {f"deer_vla: {task}" for task in ("Inputs/static", "Inputs/gripper", "Policy", "Safety")} <= statuses.keys()
    assert all(status.hardware_id for status in statuses.values())


@pytest.mark.parametrize("interface", ["joint_trajectory", "float64_multi_array"])
def test_the_gripper_is_told_at_the_start_and_then_only_of_changes(pair, pictures, interface):
    arrays = interface == "float64_multi_array"
    joints = ["left_finger", "right_finger"]
    fingers = {"gripper__joints": joints, "gripper__open": 0.04, "gripper__closed": 0.0}
    _, peer = pair(peer={"gripper_arrays": arrays}, gripper__interface=interface, **fingers)
    peer.begin("push the button", pictures)
    names, positions = peer.until(lambda: peer.gripper_commands, "the gripper's first command")[0]
    assert names == ([] if arrays else joints)
    assert positions in ([0.04, 0.04], [0.0, 0.0])
    for _ in range(10):
        peer.step(pictures)
    told = peer.gripper_commands
    assert all(before != after for before, after in itertools.pairwise(told)), "no change, no command"


def test_a_gripper_command_that_nobody_heard_is_told_again(pair, pictures):
    node, peer = pair()
    controllers = [heard for heard in peer.node.subscriptions if heard.topic.endswith("deer_vla/gripper")]
    assert all(map(peer.node.destroy_subscription, controllers)) and controllers
    peer.begin("push the button", pictures)
    for _ in range(5):
        peer.step(pictures)
    late = peer.hear(JointTrajectory, "deer_vla/gripper")
    peer.stream(pictures, lambda: late, "a command of the gripper whose controller came late")
    assert "nobody hears ~/gripper" in node.said()


def test_an_interrupt_in_the_middle_of_work_stops_the_arm_and_ends_cleanly(pair, pictures):
    node, peer = pair()
    peer.begin("push the button", pictures)
    for _ in range(20):
        peer.show(pictures, peer.tick())
    assert node.stop() == 0
    peer.until(lambda: is_zero(peer.twists[-1]), "a zero twist at the end")
