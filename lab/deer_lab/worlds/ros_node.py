"""A world as a ROS 2 node: pictures out, velocity and gripper commands in.

    python -m deer_lab.worlds.ros_node --world tabletop --ros-args -p lock_step:=true

Lock step: the node publishes /clock and both pictures with one stamp, waits for a twist with that stamp or a later one,
moves exactly one control period and goes on, so a run repeats to the bit however fast either side is. A gripper
command belongs to the step of the twist published after it.
Free running: pictures at 30 Hz of wall time; the newest twist is used until it is `command_timeout` old.
With `faults` (see faults.py) the cameras, the clock or the node itself go wrong as scheduled.
"""

import argparse
import array
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from PIL import Image as Picture
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from deer_lab.worlds.action import action_from_twist
from deer_lab.worlds.catalog import add_option, open_world
from deer_lab.worlds.faults import Faults, parse
from deer_lab.worlds.film import Film
from deer_lab.worlds.messages import (
    finger_position,
    image_message,
    nanoseconds_of,
    time_of,
    velocity_of,
)
from deer_lab.worlds.parameters import PARAMETERS, descriptor, initial_parameters
from deer_lab.worlds.world import CAMERAS, World

SPIN_SECS = 0.1  # longest wait between two looks at the stop flag
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)  # matches reliable and best-effort subscribers
COMMANDS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class WorldNode(Node):
    """A world between topics. `run` does everything until `stopping()` is true."""

    def __init__(self, world: World, stopping: Callable[[], bool]) -> None:
        super().__init__("world")
        self._world = world
        declared = PARAMETERS | initial_parameters(world.initial_type)
        for name, (default, lowest, highest, description) in declared.items():
            self.declare_parameter(name, default, descriptor(lowest, highest, description))
        self._stopping = stopping
        self._lock_step = self._value("lock_step")
        image_type = self._choice("transport", {"raw": Image, "compressed": CompressedImage})
        gripper_type = self._choice("gripper_type", {"trajectory": JointTrajectory, "array": Float64MultiArray})
        self._film = Film(Path(self._value("record")), self._world.control_hz) if self._value("record") else None
        self._world.reset(self._initial())
        self._period = 0  # control periods since the start, never set back
        self._new_scene = False
        self._twist: TwistStamped | None = None
        self._twist_arrived = 0.0
        self._gripper_open = True
        self._faults = Faults(parse(self._value("faults")), self._world.control_hz, begin=1)
        self.add_on_set_parameters_callback(self._set)

        self._clock_out = self.create_publisher(ClockMessage, "/clock", NEWEST) if self._lock_step else None
        self._images_out = {camera: self.create_publisher(image_type, f"{camera}/image", NEWEST) for camera in CAMERAS}
        self._joints_out = self.create_publisher(JointState, "joint_states", COMMANDS)
        self._state_out = self.create_publisher(String, "state", COMMANDS)
        self._faults_out = self.create_publisher(String, "faults", COMMANDS)
        # The gripper comes first: of two commands that arrive together its callback runs first.
        self.create_subscription(gripper_type, "gripper", self._take_gripper, COMMANDS)
        self.create_subscription(TwistStamped, "twist", self._take_twist, COMMANDS)
        self.create_service(Trigger, "reset", self._reset)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)

    # Parameters

    def _value(self, name: str):
        return self.get_parameter(name).value

    def _choice(self, name: str, choices: dict[str, type]) -> type:
        if self._value(name) not in choices:
            raise ValueError(f"parameter {name} is {self._value(name)!r}, must be one of {', '.join(choices)}")
        return choices[self._value(name)]

    def _initial(self) -> object:
        kind = self._world.initial_type
        return kind(**{name: self._value(name) for name in initial_parameters(kind)})

    def _set(self, parameters: list[Parameter]) -> SetParametersResult:
        """A new schedule counts from the next period on."""
        for parameter in parameters:
            if parameter.name == "faults":
                try:
                    self._faults = Faults(parse(parameter.value), self._world.control_hz, begin=self._period + 1)
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    # Input

    def _take_twist(self, message: TwistStamped) -> None:
        self._twist, self._twist_arrived = message, time.monotonic()

    def _take_gripper(self, message: JointTrajectory | Float64MultiArray) -> None:
        position = finger_position(message)
        if not np.isfinite(position):
            self.get_logger().error("gripper command ignored: it holds no finite position")
            return
        self._gripper_open = position > self._value("gripper_midpoint")

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._world.reset(self._initial())
        except ValueError as error:
            response.success, response.message = False, str(error)
            return response
        self._twist, self._gripper_open, self._new_scene = None, True, True
        response.success, response.message = True, json.dumps(asdict(self._initial()))
        return response

    # Output

    def _frame(self, nanoseconds: int) -> list[tuple]:
        """Every message of this moment with its publisher, the clock first; renders both pictures."""
        pictures = self._world.pictures()
        if self._film:
            self._film.add(pictures)
        stamp = time_of(nanoseconds)
        frame = [(self._clock_out, ClockMessage(clock=stamp))] if self._clock_out else []
        images = {camera: self._image(stamp, camera, pictures[camera]) for camera in CAMERAS}
        frame += [(self._images_out[camera], image) for camera, image in self._faults.sent(self._period, images)]
        state = self._world.state()
        joints = JointState(name=list(self._world.joint_names), position=list(state.joints))
        joints.header.stamp, joints.header.frame_id = stamp, self._value("frame_id")
        frame.append((self._joints_out, joints))
        if self._state_out.get_subscription_count():
            frame.append((self._state_out, String(data=json.dumps(asdict(state)))))
        return frame

    def _image(self, stamp: Time, camera: str, pixels: np.ndarray) -> Image | CompressedImage:
        if self._value("transport") == "raw":
            return image_message(pixels, stamp, camera)
        buffer = io.BytesIO()
        Picture.fromarray(pixels).save(buffer, "JPEG", quality=self._value("jpeg_quality"), subsampling=0)
        message = CompressedImage(format="jpeg", data=array.array("B", buffer.getvalue()))
        message.header.stamp, message.header.frame_id = stamp, f"{camera}_camera"
        return message

    def _move(self, twist: TwistStamped | None) -> None:
        """One control period along `twist`; None stands still."""
        velocity = np.zeros(6) if twist is None else velocity_of(twist)
        if not np.isfinite(velocity).all():
            self.get_logger().error(f"twist is not finite, standing still: {velocity}", throttle_duration_sec=1.0)
            velocity = np.zeros(6)
        self._world.step(action_from_twist(velocity, self._gripper_open, self._world.control_hz))

    def _next_period(self, nanoseconds: int) -> int:
        """Begins a control period at this time; gives the time that clocks show in it. Here the world may end."""
        self._period += 1
        offset = self._faults.clock_offset(self._period)
        if self._faults:
            active = [str(fault) for fault in self._faults.active(self._period)]
            report = {"stamp": nanoseconds + offset, "offset": offset, "active": active}
            self._faults_out.publish(String(data=json.dumps(report)))
        if self._faults.dies(self._period):
            self.get_logger().error("killed, as scheduled")
            os.kill(os.getpid(), signal.SIGKILL)
        return nanoseconds + offset

    # Running

    def run(self) -> None:
        """Runs until told to stop."""
        self._run_in_lock_step() if self._lock_step else self._run_freely()

    def _missing_peers(self) -> list[str]:
        """What lock step cannot begin without."""
        unheard = [out.topic_name for out in self._images_out.values() if not out.get_subscription_count()]
        missing = [f"a subscriber of {topic}" for topic in unheard]
        if self._lock_step and not self.count_publishers(self.resolve_topic_name("twist")):
            missing.append(f"a publisher of {self.resolve_topic_name('twist')}")
        return missing

    def _wait_for_peers(self) -> None:
        """Spins until everything is connected."""
        while not self._stopping() and (missing := self._missing_peers()):
            self.get_logger().info(f"waiting for {', '.join(missing)}", throttle_duration_sec=5.0)
            self._executor.spin_once(timeout_sec=SPIN_SECS)

    def _run_in_lock_step(self) -> None:
        self._wait_for_peers()
        while not self._stopping():
            # From ten seconds on: zero means "no time" to ROS, and the clock may be told to jump back.
            nanoseconds = self._next_period(round(1e9 * (10.0 + (self._period + 1) / self._world.control_hz)))
            self._new_scene = False
            twist = self._ask(self._frame(nanoseconds), nanoseconds)
            if twist is not None or self._faults:
                self._move(twist)

    def _ask(self, frame: list[tuple], nanoseconds: int) -> TwistStamped | None:
        """Publishes `frame` until a twist stamped `nanoseconds` or later answers; None on reset and stop.

        With faults it is published once: no answer may be the right one, and time must go on.
        """
        timeout = self._value("fault_wait" if self._faults else "lock_step_timeout")
        if self._faults:
            self._twist = None  # the clock may have jumped back: one from before is no answer
        while not self._stopping():
            for publisher, message in frame:
                publisher.publish(message)
            deadline = time.monotonic() + timeout
            while not self._stopping() and not self._new_scene and time.monotonic() < deadline:
                self._executor.spin_once(timeout_sec=SPIN_SECS)
                if self._twist is not None and nanoseconds_of(self._twist.header.stamp) >= nanoseconds:
                    self._executor.spin_once(timeout_sec=0.0)  # a gripper command that came along
                    return self._twist
            if self._new_scene or self._faults:
                return None
            if not self._stopping():
                found = "none came"
                if self._twist is not None:
                    found = f"the last one is stamped {nanoseconds_of(self._twist.header.stamp) / 1e9:.6f} s"
                self.get_logger().warning(
                    f"no twist stamped {nanoseconds / 1e9:.6f} s or later on {self.resolve_topic_name('twist')} "
                    f"({found}): sending the frame again"
                )
        return None

    def _run_freely(self) -> None:
        self._wait_for_peers()
        self.create_timer(1 / self._world.control_hz, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        while not self._stopping():
            self._executor.spin_once(timeout_sec=SPIN_SECS)

    def _tick(self) -> None:
        fresh = self._twist is not None and self._twist_age() <= self._value("command_timeout")
        self._move(self._twist if fresh else None)
        nanoseconds = self._next_period(self.get_clock().now().nanoseconds)
        for publisher, message in self._frame(nanoseconds):
            publisher.publish(message)

    def _twist_age(self) -> float:
        """Seconds since the newest twist was stamped, or arrived where it bears no stamp."""
        stamp = nanoseconds_of(self._twist.header.stamp)
        return (self.get_clock().now().nanoseconds - stamp) / 1e9 if stamp else time.monotonic() - self._twist_arrived

    def close(self) -> None:
        """Writes the film and frees the renderer."""
        for path in self._film.close() if self._film else []:
            self.get_logger().info(f"wrote {path}")
        self._world.close()
        self._executor.shutdown()
        self.destroy_node()


def main() -> int:
    """Exit codes: 0 stopped by a signal, 2 the world or a parameter is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option(parser)
    args, for_ros = parser.parse_known_args()
    stop = False

    def ask_to_stop(*_: object) -> None:
        nonlocal stop
        stop = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    rclpy.init(args=for_ros, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = WorldNode(open_world(args.world), stopping=lambda: stop)
    except (ParameterException, ValueError) as error:
        print(f"world: {error}", file=sys.stderr)
        return 2
    try:
        node.run()
    finally:
        node.close()
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
