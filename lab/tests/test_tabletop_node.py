"""The tabletop's ROS 2 node as its peers see it: the node runs as a program, the test is an rclpy node beside it."""

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

for module, reason in (("mujoco", "the extra `sim`"), ("rclpy", "a sourced ROS 2 (scripts/underlay.sh makes one)")):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the node's tests need {reason}; {module} cannot be imported", allow_module_level=True)

import rclpy
from geometry_msgs.msg import TwistStamped
from PIL import Image as Picture
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

LAB = Path(__file__).parents[1]
PATIENCE = 30.0  # [s] until a test gives up waiting for something that must come
PERIOD = 1 / 30


def environment(domain):
    """Each test its own ROS domain, this machine only."""
    return os.environ | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": f"{LAB}:{os.environ.get('PYTHONPATH', '')}",
    }


class Peer:
    """The simulator as a subprocess and an rclpy node that talks with it."""

    def __init__(self, domain, **parameters):
        image_type = CompressedImage if parameters.get("transport") == "compressed" else Image
        gripper_type = Float64MultiArray if parameters.get("gripper_type") == "array" else JointTrajectory
        arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deer_lab.worlds.ros_node", "--ros-args", *arguments],
            env=environment(domain),
            stderr=subprocess.PIPE,
            text=True,
        )
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        self.context = rclpy.Context()
        self.context.init(domain_id=domain)
        self.node = rclpy.create_node("peer", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received = {"static": [], "gripper": [], "clock": [], "state": [], "joint_states": []}
        for camera in ("static", "gripper"):
            self.node.create_subscription(image_type, f"{camera}/image", self.received[camera].append, 10)
        self.node.create_subscription(Clock, "/clock", self.received["clock"].append, 10)
        self.node.create_subscription(String, "state", self.received["state"].append, 10)
        self.node.create_subscription(JointState, "joint_states", self.received["joint_states"].append, 10)
        self.twist = self.node.create_publisher(TwistStamped, "twist", 10)
        self.gripper = self.node.create_publisher(gripper_type, "gripper", 10)
        self.reset = self.node.create_client(Trigger, "reset")

    def wait(self, condition):
        """Spins until `condition()`; fails after PATIENCE."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "nothing came"
            assert self.process.poll() is None, self.process.stderr.read()
            self.executor.spin_once(timeout_sec=0.05)

    def frame(self, newer_than=None):
        """The stamp, in seconds, of the next moment both cameras have shown."""

        def stamp():
            lists = [self.received[camera] for camera in ("static", "gripper")]
            if not all(lists):
                return None
            stamps = {seconds(messages[-1].header.stamp) for messages in lists}
            return stamps.pop() if len(stamps) == 1 else None

        self.wait(lambda: stamp() is not None and (newer_than is None or stamp() > newer_than))
        return stamp()

    def command(self, stamp, linear=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0)):
        """Publishes a twist stamped `stamp` seconds."""
        message = TwistStamped()
        message.header.stamp = rclpy.time.Time(nanoseconds=round(stamp * 1e9)).to_msg()
        for vector, values in ((message.twist.linear, linear), (message.twist.angular, angular)):
            vector.x, vector.y, vector.z = map(float, values)
        self.twist.publish(message)

    def state(self):
        """The newest true state."""
        self.wait(lambda: self.received["state"])
        return json.loads(self.received["state"][-1].data)

    def stop(self, number=signal.SIGINT):
        """Sends a signal, returns exit code and what was logged."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def peer():
    peers = []

    def start(*args, **parameters):
        peers.append(Peer(*args, **parameters))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


def seconds(stamp):
    return stamp.sec + stamp.nanosec / 1e9


def pixels(message):
    return np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.width, 3)


def test_lock_step_gives_clock_and_both_pictures_one_stamp_and_moves_one_period_a_twist(peer):
    sim = peer(51, lock_step=True)
    stamps = [sim.frame()]
    for _ in range(5):
        sim.command(stamps[-1], linear=(0.1, 0, 0))
        stamps.append(sim.frame(newer_than=stamps[-1]))
    assert np.diff(stamps) == pytest.approx(PERIOD, abs=1e-6)
    sim.wait(lambda: sim.received["clock"] and seconds(sim.received["clock"][-1].clock) == stamps[-1])
    static, gripper = sim.received["static"][-1], sim.received["gripper"][-1]
    assert (static.height, static.width, static.encoding, static.step) == (200, 200, "rgb8", 600)
    assert (gripper.height, gripper.width, len(gripper.data)) == (84, 84, 84 * 84 * 3)
    assert pixels(static).std() > 20
    assert len(sim.received["joint_states"][-1].position) == 9


def test_lock_step_waits_for_a_twist_as_new_as_its_own_time(peer):
    sim = peer(52, lock_step=True, lock_step_timeout=0.3)
    stamp = sim.frame()
    sim.command(stamp - PERIOD, linear=(0.5, 0, 0))
    count = len(sim.received["static"])
    sim.wait(lambda: len(sim.received["static"]) >= count + 2)  # the frame came again, twice, and time stood still
    assert sim.frame() == stamp
    sim.command(stamp)
    sim.frame(newer_than=stamp)
    code, log = sim.stop()
    assert code == 0
    assert "sending the frame again" in log and "/twist" in log


def test_the_same_commands_give_the_same_pictures_to_the_bit(peer):
    ends = []
    for domain in (53, 54):
        sim = peer(domain, lock_step=True, seed=4)
        stamp = sim.frame()
        for i in range(20):
            if i == 8:
                sim.gripper.publish(JointTrajectory(points=[JointTrajectoryPoint(positions=[0.0, 0.0])]))
            sim.command(stamp, linear=(0.2, -0.1, -0.1), angular=(0, 0, 0.3))
            stamp = sim.frame(newer_than=stamp)
        ends.append((pixels(sim.received["static"][-1]), pixels(sim.received["gripper"][-1])))
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_twist_moves_the_hand_at_its_velocity(peer):
    sim = peer(55, lock_step=True)
    stamp = sim.frame()
    start = sim.state()["tcp_position"]
    for i in range(45):
        sim.command(stamp, *(((0.3, 0, -0.15), (0, 0, 0.6)) if i < 15 else ()))
        stamp = sim.frame(newer_than=stamp)
    sim.wait(lambda: len(sim.received["state"]) >= 46)
    assert np.subtract(sim.state()["tcp_position"], start) == pytest.approx([0.15, 0, -0.075], abs=0.003)
    assert sim.state()["tcp_euler"][2] == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("kind", ("trajectory", "array"))
def test_the_gripper_closes_below_its_midpoint_and_opens_above(peer, kind):
    make = {
        "trajectory": lambda x: JointTrajectory(points=[JointTrajectoryPoint(positions=[x, x])]),
        "array": lambda x: Float64MultiArray(data=[x, x]),
    }[kind]
    sim = peer(56 if kind == "array" else 57, gripper_type=kind, lock_step=True)
    stamp = sim.frame()
    openings = []
    for position in (0.019, 0.021):
        sim.gripper.publish(make(position))
        for _ in range(25):
            sim.command(stamp)
            stamp = sim.frame(newer_than=stamp)
        openings.append(sum(sim.received["joint_states"][-1].position[7:]))
    assert openings == pytest.approx([0.0, 0.08], abs=0.005)


def test_free_running_stands_still_when_commands_stop(peer):
    sim = peer(58, lock_step=False)
    sim.frame()
    start = np.array(sim.state()["tcp_position"])
    while np.linalg.norm(np.array(sim.state()["tcp_position"]) - start) < 0.03:
        sim.command(time.time(), linear=(0.2, 0, 0))
        sim.frame(newer_than=sim.frame())
    count = len(sim.received["state"])
    sim.wait(lambda: len(sim.received["state"]) > count + 20)  # 0.1 s of validity and some settling
    stopped = sim.state()["tcp_position"]
    count = len(sim.received["state"])
    sim.wait(lambda: len(sim.received["state"]) > count + 15)
    assert sim.state()["tcp_position"] == pytest.approx(stopped, abs=0.001)
    assert not sim.received["clock"]


def test_free_running_ignores_a_twist_stamped_long_ago(peer):
    sim = peer(59, lock_step=False)
    sim.frame()
    start = sim.state()["tcp_position"]
    for _ in range(15):
        sim.command(time.time() - 1.0, linear=(0.3, 0, 0))
        sim.frame(newer_than=sim.frame())
    assert sim.state()["tcp_position"] == pytest.approx(start, abs=0.002)


def test_compressed_pictures_look_like_the_raw_ones(peer):
    raw = peer(60, lock_step=True)
    raw.frame()
    compressed = peer(61, lock_step=True, transport="compressed")
    compressed.frame()
    for camera in ("static", "gripper"):
        message = compressed.received[camera][-1]
        decoded = np.asarray(Picture.open(io.BytesIO(bytes(message.data))))
        assert message.format == "jpeg"
        assert np.abs(decoded.astype(int) - pixels(raw.received[camera][-1])).mean() < 3


def test_reset_starts_the_scene_anew_while_time_goes_on(peer):
    sim = peer(62, lock_step=True)
    stamp = sim.frame()
    first = pixels(sim.received["static"][-1])
    for _ in range(10):
        sim.command(stamp, linear=(0.3, 0, 0))
        stamp = sim.frame(newer_than=stamp)
    assert not np.array_equal(pixels(sim.received["static"][-1]), first)
    sim.wait(sim.reset.service_is_ready)
    answer = sim.reset.call_async(Trigger.Request())
    sim.wait(answer.done)
    assert answer.result().success
    assert sim.frame(newer_than=stamp) > stamp
    assert np.array_equal(pixels(sim.received["static"][-1]), first)


def test_faults_are_the_scheduled_ones_and_time_goes_on_without_an_answer(peer):
    sim = peer(66, lock_step=True, faults="'drop static 0.1 0.1'", fault_wait=0.05)
    sim.wait(lambda: len(sim.received["clock"]) > 9)

    def periods(stamps):
        return {round((seconds(stamp) - 10.0) / PERIOD) for stamp in stamps}

    clock = periods(message.clock for message in sim.received["clock"])
    missing = clock - periods(message.header.stamp for message in sim.received["static"])
    assert {4, 5, 6} <= missing and not {7, 8} & missing
    assert {4, 5, 6} <= periods(message.header.stamp for message in sim.received["gripper"])


def test_a_scheduled_death_comes_without_a_word(peer):
    sim = peer(67, lock_step=True, faults="'die 0.1'", fault_wait=0.05)
    sim.process.wait(timeout=PATIENCE)
    assert sim.process.returncode == -signal.SIGKILL


def test_a_film_and_a_contact_sheet_are_left_behind(peer, tmp_path):
    sim = peer(63, lock_step=True, record=tmp_path / "run.gif")
    stamp = sim.frame()
    for _ in range(30):
        sim.command(stamp, linear=(0.3, 0, 0))
        stamp = sim.frame(newer_than=stamp)
    assert sim.stop(signal.SIGTERM)[0] == 0
    assert Picture.open(tmp_path / "run.gif").n_frames >= 10
    assert Picture.open(tmp_path / "run_sheet.png").size[0] > 400


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_a_signal_ends_the_node_with_success_while_it_waits_for_peers(number):
    process = subprocess.Popen(
        [sys.executable, "-m", "deer_lab.worlds.ros_node"], env=environment(64), stderr=subprocess.PIPE, text=True
    )
    line = process.stderr.readline()
    assert "waiting for a subscriber of /static/image" in line
    process.send_signal(number)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "Traceback" not in log


@pytest.mark.parametrize(
    "parameter, complaint",
    [
        ("transport:=png", "must be one of raw, compressed"),
        ("jpeg_quality:=0", "out of range"),
        ("red_block:=floor", "red_block is 'floor', must be one of table"),
        ("faults:=blind static 1 1", "'blind' is none, must be one of drop"),
        ("record:=run.mp4", "a film ends in .gif or .webp"),
    ],
)
def test_a_wrong_parameter_is_named_and_the_exit_code_is_2(parameter, complaint):
    command = [sys.executable, "-m", "deer_lab.worlds.ros_node", "--ros-args", "-p", parameter]
    done = subprocess.run(command, env=environment(65), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2 and complaint in done.stderr and "Traceback" not in done.stderr
