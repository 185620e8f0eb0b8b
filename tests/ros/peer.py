"""The rest of the robot as the node sees it: cameras, an operator and an arm, over real ROS 2.

The one test module that names rclpy, which shares no code with the node. Nothing here sleeps: a test says what it
waits for, and is told what it waited for in vain.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from messages import (
    PERIOD,
    SECOND,
    Decision,
    decision_from,
    finger_positions,
    image_message,
    is_zero,
    jpeg_message,
    time_message,
)
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

RETRY_SECS = 2.0
RELIABLE = QoSProfile(depth=100)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def serialized(message) -> bytes:
    """A message as it goes over the wire and into a bag."""
    return serialize_message(message)


class Peer:
    """Publishes what the node hears and keeps what it says.

    With `sim_time` the peer is the clock too: time stands still but for `tick`.
    """

    def __init__(
        self,
        domain: int,
        *,
        sim_time: bool,
        dry_run: bool = False,
        compressed: bool = False,
        gripper_arrays: bool = False,
        namespace: str = "",
        remapped: dict[str, str] | None = None,
        best_effort: bool = False,
    ):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("peer", namespace=namespace or "/", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.dry_run = dry_run
        self.compressed = compressed
        self.now = 1000 * SECOND if sim_time else None
        self.shown = 0

        names = remapped or {}
        image_type = CompressedImage if compressed else Image
        images = BEST_EFFORT if best_effort else RELIABLE
        self.static = self._publisher(image_type, names.get("static/image", "static/image"), images)
        self.gripper = self._publisher(image_type, names.get("gripper/image", "gripper/image"), images)
        self.instruction = self._publisher(String, "instruction")
        self.estop = self._publisher(Bool, "estop")
        self.clock = self._publisher(Clock, "/clock") if sim_time else None

        gripper_type = Float64MultiArray if gripper_arrays else JointTrajectory
        self.twists = self.hear(TwistStamped, names.get("~/twist", "deer_vla/twist"))
        self.gripper_commands = self.hear(gripper_type, "deer_vla/gripper", finger_positions)
        self.decisions = self.hear(DiagnosticStatus, "deer_vla/decision", decision_from)
        self.diagnostics = self.hear(DiagnosticArray, "/diagnostics")

    def _publisher(self, message_type: type, topic: str, quality: QoSProfile = RELIABLE):
        return self.node.create_publisher(message_type, topic, quality)

    def neighbour(self, name: str, **parameters):
        """Another node of this process, with parameters (`__` for a dot in their names)."""
        node = rclpy.create_node(name, context=self.context)
        for parameter, value in parameters.items():
            if not node.has_parameter(parameter.replace("__", ".")):
                node.declare_parameter(parameter.replace("__", "."), value)
            else:
                node.set_parameters([Parameter(parameter, value=value)])
        self.executor.add_node(node)
        return node

    def hear(self, message_type: type, topic: str, read: Callable = lambda message: message) -> list:
        """A list that every message of a topic is appended to."""
        heard = []
        self.node.create_subscription(message_type, topic, lambda message: heard.append(read(message)), RELIABLE)
        return heard

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def until(self, condition: Callable, what: str, patience: float = 30.0):
        """Listens until the condition holds, and gives what it gave."""
        end = time.monotonic() + patience
        while not (result := condition()):
            assert time.monotonic() < end, f"waited {patience:.0f} s in vain for {what}; at last {self.said()}"
            self.tick(0)
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def said(self) -> list[tuple]:
        """The last decisions: which pictures they are about, and what they say."""
        return [(d.stamps, d["epoch"], d["verdict"], d.message) for d in self.decisions[-3:]]

    def meet(self, alive: Callable[[], None]) -> None:
        """Waits until the node hears and is heard: until it has answered a frame, by the right clock."""

        def matched() -> bool:
            alive()
            publishers = [self.static, self.gripper, self.instruction, self.estop]
            topics = [subscription.topic for subscription in self.node.subscriptions]
            return all(p.get_subscription_count() for p in publishers) and all(map(self.node.count_publishers, topics))

        self.until(matched, "the node on every topic")
        # Each side may know of the other before the other knows of it, so the first frames may be lost.
        black = np.zeros((32, 32, 3), np.uint8)

        def answered() -> bool:
            return bool(self.decisions) and abs(self.decisions[-1].time - self.tick(0)) < 5 * SECOND

        self.stream((black, black), answered, "an answer to a frame")
        if self.now is not None:
            # A set still on its way would be the first of the next epoch.
            last = (self.shown, self.shown)
            self.until(lambda: self.decisions[-1].stamps == last, "the answer to the last of them")

    def until_named(self, name: str, namespace: str) -> None:
        """Waits until the graph knows a node by this name; topics are often known before."""
        there = self.node.get_node_names_and_namespaces
        self.until(lambda: (name, namespace) in there(), f"{name} in {namespace}")

    # The clock

    def tick(self, nanoseconds: int = PERIOD) -> int:
        """Moves the time on and publishes it; gives the time that it is then.

        In real time it waits until a camera's period has passed since the last picture.
        """
        if self.now is None:
            while nanoseconds and time.time_ns() < self.shown + nanoseconds:
                self.executor.spin_once(timeout_sec=0.005)
            return time.time_ns()
        self.now += nanoseconds
        self.clock.publish(Clock(clock=time_message(self.now)))
        return self.now

    # The cameras

    def show(self, pictures: tuple[np.ndarray, np.ndarray], stamp: int) -> None:
        """Publishes one picture of each camera, [H, W, 3] uint8 RGB, taken at `stamp`."""
        self.shown = stamp
        for publisher, picture in zip((self.static, self.gripper), pictures, strict=True):
            publisher.publish(self.image(picture, stamp))

    def image(self, picture: np.ndarray, stamp: int) -> Image | CompressedImage:
        return jpeg_message(picture, stamp) if self.compressed else image_message(picture, stamp)

    def stream(self, pictures: tuple[np.ndarray, np.ndarray], condition: Callable, what: str):
        """Shows pictures over and over until the condition holds, as a camera does."""

        def shown_in_vain():
            self.show(pictures, self.tick())
            return condition()

        return self.until(shown_in_vain, what)

    def step(self, pictures: tuple[np.ndarray, np.ndarray]) -> tuple[Decision, TwistStamped | None]:
        """Shows pictures taken now and waits for the whole answer: an act moves, a hold does not.

        A dry run and a disarmed arm are answered by a decision alone.
        """
        decided, commanded = len(self.decisions), len(self.twists)
        stamp = self.tick()
        self.show(pictures, stamp)

        def about_them() -> Decision | None:
            return next((d for d in self.decisions[decided:] if d.stamps == (stamp, stamp)), None)

        decision = self.until(about_them, f"the decision about the frames of {stamp}")
        if self.dry_run or decision["verdict"] == "hold_disarmed":
            return decision, None

        def answering() -> TwistStamped | None:
            # An order that a halt has overtaken is refused, and what comes instead is a zero.
            refused = decision.acts and any("refused" in later.values for later in self.decisions[decided:])
            return next((t for t in self.twists[commanded:] if refused or is_zero(t) != decision.acts), None)

        return decision, self.until(answering, f"the twist of {decision['verdict']}: {decision.message}")

    def decide(self, pictures: tuple[np.ndarray, np.ndarray]) -> Decision:
        return self.step(pictures)[0]

    # The operator

    def say(self, text: str) -> None:
        self.instruction.publish(String(data=text))

    def begin(self, text: str, pictures: tuple[np.ndarray, np.ndarray]) -> Decision:
        """Gives an instruction and shows the pictures until it is followed; gives the first decision of its epoch."""
        self.say(text)
        for _ in range(100):
            decision = self.decide(pictures)
            if decision["instruction"] == text:
                return decision
        raise AssertionError(f"the instruction {text!r} was never followed")

    def stop(self, stopped: bool) -> None:
        self.estop.publish(Bool(data=stopped))

    def call(self, service: str, request, of: str = "deer_vla", *, again: bool = False):
        """The answer of a node's service; `again`: asks it again where the answer is long in coming."""
        kinds = {SetBool.Request: SetBool, Trigger.Request: Trigger}
        kinds |= {SetParameters.Request: SetParameters, GetParameters.Request: GetParameters}
        client = self.node.create_client(kinds[type(request)], f"{of}/{service}")
        self.until(client.service_is_ready, f"the service {service}")
        calls = []

        def answered():
            # What a node that has died since would have answered is lost.
            waits = RETRY_SECS if again else float("inf")
            if not calls or time.monotonic() > calls[-1][0] + waits:
                calls.append((time.monotonic(), client.call_async(request)))
            return next((future for _, future in calls if future.done()), None)

        future = self.until(answered, f"the answer of {service}")
        self.node.destroy_client(client)
        return future.result()

    def enable(self, enabled: bool = True):
        return self.call("enable", SetBool.Request(data=enabled))

    def trigger(self, service: str):
        return self.call(service, Trigger.Request())

    def set_parameters(self, node: str = "deer_vla", **values) -> list[str]:
        """Sets a node's parameters (`__` for a dot in their names); gives the reason of each refusal."""
        parameters = [Parameter(n.replace("__", "."), value=v).to_parameter_msg() for n, v in values.items()]
        results = self.call("set_parameters", SetParameters.Request(parameters=parameters), node, again=True).results
        return [result.reason or "refused" for result in results if not result.successful]

    def parameter(self, name: str):
        values = self.call("get_parameters", GetParameters.Request(names=[name])).values
        return rclpy.parameter.parameter_value_to_python(values[0])

    # The arm

    def until_still(self) -> TwistStamped:
        """Waits for a zero twist newer than everything heard so far."""
        heard = len(self.twists)
        return self.until(lambda: next((t for t in self.twists[heard:] if is_zero(t)), None), "a zero twist")

    def until_reported(self, words: Sequence[str]) -> DiagnosticStatus:
        """Waits for a diagnostic that holds all the words."""

        def found() -> DiagnosticStatus | None:
            for status in (status for report in self.diagnostics for status in report.status):
                said = " ".join([status.name, status.message, *(value.value for value in status.values)])
                if all(word in said for word in words):
                    return status
            return None

        return self.until(found, f"a diagnostic with {', '.join(words)}")
