"""deer_vla_node as a policy: the world's side of the ROS interface, in lock step.

Each policy starts a node of its own in a ROS domain of its own, publishes /clock and both pictures, and moves when the
node has answered. A picture's answer is its `~/decision`; what that says was commanded is waited for on the command
topics, so a step is the same however the messages overtake one another.
"""

import fcntl
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from deer_lab.worlds.action import action_from_twist
from deer_lab.worlds.judge.policies import Taken
from deer_lab.worlds.judge.workers import die_with_parent
from deer_lab.worlds.messages import finger_position, image_message, nanoseconds_of, time_of, velocity_of
from deer_lab.worlds.world import CAMERAS, World

RELIABLE = QoSProfile(depth=100)
PATIENCE_SECS = 30.0  # for an answer, before the evaluation is given up
RESEND_SECS = 2.0
OPEN_ABOVE = 0.02  # [m] mean finger position
DOMAINS = range(100, 200)  # ROS domains of the nodes


def claim_domain() -> IO:
    """A ROS domain that no other evaluation on this machine uses, as an open file whose name ends in its number; it is
    free again when the file is closed. Raises RuntimeError where all are taken."""
    for domain in DOMAINS:
        file = Path(tempfile.gettempdir(), f"deer_vla_domain_{domain}").open("w")  # noqa: SIM115 (held until the policy is closed)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            file.close()
    raise RuntimeError(f"the ROS domains {DOMAINS.start} to {DOMAINS.stop - 1} are all in use")


class NodePolicy:
    """A running deer_vla_node. `close` ends it."""

    def __init__(
        self,
        node: Path,
        bundle: Path,
        thresholds: Sequence[float] | None = None,
        metric: str = "rms",
        assignments: Sequence[str] = (),
    ) -> None:
        """Starts the program `node` with `bundle`; `thresholds`, one an exit but the last, take the place of its own,
        as limits on `metric`. `assignments`: more parameters of the node, each as NAME:=VALUE.

        Raises RuntimeError where it does not come up.
        """
        self._domain = claim_domain()
        domain = int(self._domain.name.rpartition("_")[2])
        self._log = tempfile.NamedTemporaryFile("w+", prefix="deer_vla_node_", suffix=".log")  # noqa: SIM115
        parameters = {"bundle": bundle.resolve(), "dry_run": False, "autostart": True, "use_sim_time": True}
        parameters |= {"twist.mode": "lock_step"}
        parameters["threads"] = 1  # workers run side by side
        if thresholds:
            parameters["gate.thresholds"] = [float(limit) for limit in thresholds]
            parameters["gate.metric"] = metric
        arguments = [f"{name}:={json.dumps(v) if isinstance(v, bool) else v}" for name, v in parameters.items()]
        given = [word for argument in [*arguments, "images.qos:=default", *assignments] for word in ("-p", argument)]
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self._process = subprocess.Popen(
            [node, "--ros-args", *given],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=die_with_parent,
        )
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("evaluator", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        publisher = self._node.create_publisher
        self._clock = publisher(Clock, "/clock", RELIABLE)
        self._images = {camera: publisher(Image, f"{camera}/image", RELIABLE) for camera in CAMERAS}
        self._instruction = publisher(String, "instruction", RELIABLE)
        self._reset = self._node.create_client(Trigger, "deer_vla/reset")
        self._twists: dict[int, TwistStamped] = {}
        self._decisions: dict[int, dict[str, str]] = {}
        self._grips: list[bool] = []
        subscribe = self._node.create_subscription
        subscribe(TwistStamped, "deer_vla/twist", self._take_twist, RELIABLE)
        subscribe(JointTrajectory, "deer_vla/gripper", self._take_grip, RELIABLE)
        subscribe(DiagnosticStatus, "deer_vla/decision", self._take_decision, RELIABLE)
        self._now, self._text, self._open = 10**9, "", True
        self.taken: list[Taken] = []
        self._until(self._matched, "the node on every topic")

    # What the node says

    def _take_twist(self, message: TwistStamped) -> None:
        self._twists[nanoseconds_of(message.header.stamp)] = message

    def _take_grip(self, message: JointTrajectory) -> None:
        self._grips.append(finger_position(message) > OPEN_ABOVE)

    def _take_decision(self, message: DiagnosticStatus) -> None:
        values = {value.key: value.value for value in message.values} | {"message": message.message}
        seconds, _, nanoseconds = values["stamp"].partition(".")
        self._decisions[int(seconds) * 10**9 + int(nanoseconds)] = values

    # Policy

    def begin(self, task: str, instruction: str, seed: list[int]) -> None:
        """See Policy.begin. The same sentence again is no new epoch to the node, so it is asked to start one."""
        self.taken, self._open = [], True
        if instruction == self._text:
            future = self._reset.call_async(Trigger.Request())
            self._until(future.done, "the answer of ~/reset")
        else:
            self._instruction.publish(String(data=instruction))
            self._text = instruction

    def act(self, world: World) -> np.ndarray:
        """See Policy.act. Raises RuntimeError where the node holds or does not answer."""
        self._now += round(1e9 / world.control_hz)
        stamp, pictures = self._now, world.pictures()
        decision = self._ask(stamp, pictures)
        while decision["instruction"] != self._text:  # it has not heard the sentence yet
            decision = self._ask(stamp, pictures)
        if decision["verdict"] != "act":
            raise RuntimeError(f"the node holds: {decision['verdict']}: {decision['message']}")
        if "grip" in decision:  # one of the step before may still come: an answer that is repeated repeats its command
            self._open = decision["grip"] == "open"
            self._until(lambda: self._open in self._grips, "the gripper command that the decision names")
        self._until(lambda: stamp in self._twists, f"the twist stamped {stamp}")
        velocity = velocity_of(self._twists[stamp])
        self._twists.clear()
        llm_ms = sum(map(float, decision["stage_ms"].split())) + float(decision["head_ms"])
        plan = decision.get("plan", "").split()
        looked = tuple(camera == "look" for camera in plan)
        exit_taken, because = int(decision["exit"]), decision.get("plan_because")
        self.taken.append(Taken(exit_taken, llm_ms, float(decision["total_ms"]), looked, plan == ["skip"], because))
        return action_from_twist(velocity, self._open, world.control_hz)

    def _ask(self, stamp: int, pictures: dict[str, np.ndarray]) -> dict[str, str]:
        """Shows the pictures of one moment until they are answered."""
        self._decisions.clear()
        self._twists.clear()
        self._grips.clear()
        sent = -RESEND_SECS

        def answered() -> bool:
            nonlocal sent
            if time.monotonic() - sent > RESEND_SECS:
                sent = time.monotonic()
                self._clock.publish(Clock(clock=time_of(stamp)))
                for camera, publisher in self._images.items():
                    publisher.publish(image_message(pictures[camera], time_of(stamp), camera))
            return stamp in self._decisions

        self._until(answered, f"a decision about the pictures of {stamp / 1e9:.6f} s")
        return self._decisions[stamp]

    def _matched(self) -> bool:
        heard = [self._clock, *self._images.values(), self._instruction]
        topics = [subscription.topic_name for subscription in self._node.subscriptions]
        listened = all(publisher.get_subscription_count() for publisher in heard)
        return listened and all(map(self._node.count_publishers, topics)) and self._reset.service_is_ready()

    def _until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_SECS
        while not condition():
            if self._process.poll() is not None or time.monotonic() > end:
                self._log.seek(0)
                state = (
                    f"it ended with {self._process.returncode}" if self._process.returncode is not None else "it runs"
                )
                raise RuntimeError(
                    f"waited for {what} in vain; of the node: {state}, it said:\n{self._log.read()[-2000:]}"
                )
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Ends the node."""
        self._process.terminate()
        self._process.wait(timeout=30)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)
        self._log.close()
        self._domain.close()
