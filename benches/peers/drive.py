"""One robot for one policy node: publishes pictures, hears commands, and reads what the node's process costs."""

import bisect
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "ros"))
from messages import SECOND, decision_from, image_message, jpeg_message, nanoseconds_of, time_message  # noqa: E402

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
HZ = 30
IDLE_SECS = 5.0
COMPARED = 40  # steps from a cleared state whose exits are compared
SENTENCES = ("push the button", "slide the blue block to the left")


@dataclass
class Found:
    """What one run came to. Milliseconds."""

    idle: float  # of CPU a second, before any picture
    exits: list[int] = field(default_factory=list)  # on the same pictures, from a cleared state
    commands: list[float] = field(default_factory=list)  # from a set of pictures to its command
    decisions: list[float] = field(default_factory=list)  # and to the decision, where it is told
    overheads: list[float] = field(default_factory=list)  # of these, neither network nor transport
    cpu: float = 0.0  # a step
    resident_mb: float = 0.0
    rate: float = 0.0  # steps a second


def cpu_ms(pid: int) -> float:
    """Time on a processor of all threads: by the scheduler, to the nanosecond; /proc/PID/stat counts whole ticks."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) * 1e-6


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1e3


def pictures(size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """A disc that goes round before a shaded background with noise: uint8 [H, W, 3], eight moments."""
    width, height = size
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:height*1j, 0:1:width*1j]  # fmt: skip
    shade = 60 + 70 * np.stack([x, y, (x + y) / 2], axis=-1) + random.integers(0, 4, (height, width, 3))

    def moment(turn: float) -> np.ndarray:
        disc = (x - 0.5 - 0.3 * np.sin(turn)) ** 2 + (y - 0.5 - 0.3 * np.cos(turn)) ** 2 < 0.03
        return np.where(disc[..., None], (220, 40, 40), shade).astype(np.uint8)

    return [moment(turn) for turn in np.arange(8) * np.pi / 4]


class Robot:
    """Cameras of two sizes, an operator, and an arm that only listens."""

    def __init__(self, domain: int, node: str, sizes: tuple[tuple[int, int], tuple[int, int]], jpeg: bool = False):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("robot", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        message, kind = (jpeg_message, CompressedImage) if jpeg else (image_message, Image)
        cameras = [[message(p, 0) for p in pictures(size, seed)] for seed, size in enumerate(sizes)]
        self.sets = list(zip(*cameras, strict=True))
        self.images = [self.node.create_publisher(kind, f"{role}/image", 1) for role in ("static", "gripper")]
        self.instruction = self.node.create_publisher(String, "instruction", 10)
        self.twists, self.decided = [], []  # (stamp, name, when sent), (Decision, when sent)
        hear = self.node.create_subscription
        self.hearing = hear(TwistStamped, f"{node}/twist", self._twist, QoSProfile(depth=100))
        hear(DiagnosticStatus, f"{node}/decision", self._decision, QoSProfile(depth=100))
        self.enabling = self.node.create_client(SetBool, f"{node}/enable")
        self.shown = 0

    def _twist(self, message: TwistStamped, info: dict) -> None:
        header = message.header
        self.twists.append((nanoseconds_of(header.stamp), header.frame_id, info["source_timestamp"]))

    def _decision(self, message: DiagnosticStatus, info: dict) -> None:
        self.decided.append((decision_from(message), info["source_timestamp"]))

    def meet(self, process: subprocess.Popen) -> None:
        publishers, twist = [*self.images, self.instruction], self.hearing.topic_name
        while not (all(p.get_subscription_count() for p in publishers) and self.node.count_publishers(twist)):
            self.executor.spin_once(timeout_sec=0.1)
            if process.poll() is not None:
                raise SystemExit(f"{process.args[:2]} ended with {process.returncode}")

    def say(self, sentence: str) -> None:
        self.instruction.publish(String(data=sentence))
        self.wait(0.2)

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def show(self, which: int) -> int:
        """Shows the pictures of a moment when the next are due; gives when they were taken."""
        self.wait(max(0.0, (self.shown + SECOND // HZ - time.time_ns()) / SECOND))
        self.shown = time.time_ns()
        for publisher, message in zip(self.images, self.sets[which % len(self.sets)], strict=True):
            message.header.stamp = time_message(self.shown)
            publisher.publish(message)
        return self.shown

    def enable(self) -> None:
        """Shows pictures until the arm is armed."""
        asked, which = None, 0
        while asked is None or not (asked.done() and asked.result().success):
            self.show(which := which + 1)
            if which % HZ == 0 and (asked is None or asked.done()):
                asked = self.enabling.call_async(SetBool.Request(data=True))
            if which > 60 * HZ:
                raise SystemExit("the node is not armed after a minute; its last decision: " + str(self.decided[-1:]))

    def answers(self) -> dict[int, tuple[int, int | None, int, float | None]]:
        """By when the pictures were taken: the exit, and when decision and command were sent; overhead in ms."""
        if not self.decided:
            return {stamp: (int(name), None, sent, None) for stamp, name, sent in self.twists}
        stamps = [stamp for stamp, *_ in self.twists]
        answers = {}
        for decision, _ in self.decided:
            # Its stamp is when the step began. The first command after the step carries its action.
            decided = decision.time + round(float(decision["total_ms"]) * 1e6)
            at = bisect.bisect_left(stamps, decided)
            if decision.acts and at < len(stamps):
                overhead = float(decision.values.get("overhead_ms", "nan"))
                answers[decision.stamps[0]] = (int(decision["exit"]), decided, self.twists[at][2], overhead)
        return answers

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def run(command: list, domain: int, node: str, sizes, seconds: float, arm: bool, jpeg: bool = False) -> Found:
    """Starts a node, drives it, and ends it."""
    variables = os.environ | {"ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1"}
    # The profile is for whoever publishes pictures: its segment would count as the node's memory.
    variables.pop(PROFILE, None)
    process = subprocess.Popen(list(map(str, command)), env=variables, stdout=subprocess.DEVNULL)
    robot = Robot(domain, node, sizes, jpeg)
    try:
        robot.meet(process)
        robot.wait(1.0)
        before = cpu_ms(process.pid)
        time.sleep(IDLE_SECS)
        found = Found(idle=(cpu_ms(process.pid) - before) / IDLE_SECS)
        robot.say(SENTENCES[0])
        if arm:
            robot.enable()
        for which in range(2 * HZ):
            robot.show(which)
        compare(robot, found)
        measure(robot, found, process.pid, seconds)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        robot.close()
    return found


def compare(robot: Robot, found: Found) -> None:
    """The exits on the same pictures, one set after another."""
    robot.wait(0.5)
    robot.say(SENTENCES[1])
    for which in range(COMPARED):
        stamp, end = robot.show(which), time.monotonic() + 1.0
        while stamp not in (answers := robot.answers()) and time.monotonic() < end:
            robot.wait(0.002)
        found.exits.append(answers[stamp][0] if stamp in answers else -1)


def measure(robot: Robot, found: Found, pid: int, seconds: float) -> None:
    robot.twists.clear()
    robot.decided.clear()
    before, began = cpu_ms(pid), time.monotonic()
    for which in range(round(seconds * HZ)):
        robot.show(which)
    spent, took = cpu_ms(pid) - before, time.monotonic() - began
    robot.wait(0.3)
    answers = robot.answers()
    for stamp, (_, decided, commanded, overhead) in answers.items():
        found.commands.append((commanded - stamp) * 1e-6)
        if decided is not None:
            found.decisions.append((decided - stamp) * 1e-6)
            found.overheads.append(overhead)
    found.cpu, found.rate = spent / max(1, len(answers)), len(answers) / took
    found.resident_mb = resident_mb(pid)
