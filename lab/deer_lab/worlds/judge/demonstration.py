"""A demonstration as a rosbag2 in MCAP storage, with the topics that `ros2 bag record` would have found.

| topic | type | content |
|---|---|---|
| `/static/image`, `/gripper/image` | sensor_msgs/CompressedImage | what the policy would have seen |
| `/instruction` | std_msgs/String | once at the start of each task |
| `/twist` | geometry_msgs/TwistStamped | what the expert wanted at that frame |
| `/gripper` | trajectory_msgs/JointTrajectory | likewise, finger positions in metres |
| `/executed_twist` | geometry_msgs/TwistStamped | what was done: the same with noise |
| `/joint_states` | sensor_msgs/JointState | arm and fingers |
| `/state` | std_msgs/String | the scene's true state as JSON, for training aids |
| `/task` | std_msgs/String | JSON: the task's name at its first and last frame, and whether it was done |

Every message of a frame bears the frame's time; frames are one control period apart, or as many as `record --every`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from deer_lab.bags import gripper, header, picture, ros, twist, write_messages
from deer_lab.worlds.action import twist_from_action
from deer_lab.worlds.world import State, World

TOPICS = {
    "/static/image": "sensor_msgs/msg/CompressedImage",
    "/gripper/image": "sensor_msgs/msg/CompressedImage",
    "/instruction": "std_msgs/msg/String",
    "/twist": "geometry_msgs/msg/TwistStamped",
    "/gripper": "trajectory_msgs/msg/JointTrajectory",
    "/executed_twist": "geometry_msgs/msg/TwistStamped",
    "/joint_states": "sensor_msgs/msg/JointState",
    "/state": "std_msgs/msg/String",
    "/task": "std_msgs/msg/String",
}


@dataclass(frozen=True)
class Frame:
    """One control period: its number in the task, what was seen, what the expert wanted [7] and what was done [7]."""

    period: int
    jpegs: dict[str, bytes]
    state: State
    action: np.ndarray
    executed: np.ndarray


class Demonstration:
    """Collects the tasks of one episode and writes them as a bag."""

    def __init__(self, world: World) -> None:
        self._world, self._control_hz = world, world.control_hz
        self._messages: list[tuple[str, int, object]] = []
        self.frames = self._periods = 0

    def add_task(self, task: str, instruction: str, frames: list[Frame]) -> None:
        """Appends a task that was done; `frames` need not be of every control period."""
        began = self._periods
        for i, frame in enumerate(frames):
            nanoseconds = round(1e9 * (1.0 + (began + frame.period) / self._control_hz))
            self.frames, self._periods = self.frames + 1, began + frame.period + 1
            if i == 0:
                self._add("/instruction", nanoseconds, ros("std_msgs/String", data=instruction))
            if i in (0, len(frames) - 1):
                mark = {"task": task, "begins": i == 0, "done": i > 0}
                self._add("/task", nanoseconds, ros("std_msgs/String", data=json.dumps(mark)))
            self._add_frame(nanoseconds, frame)

    def _add(self, topic: str, nanoseconds: int, message: object) -> None:
        self._messages.append((topic, nanoseconds, message))

    def _add_frame(self, nanoseconds: int, frame: Frame) -> None:
        for camera, data in frame.jpegs.items():
            self._add(f"/{camera}/image", nanoseconds, picture(nanoseconds, camera, data))
        nothing = np.array([], dtype=np.float64)
        joints = ros(
            "sensor_msgs/JointState",
            header=header(nanoseconds, "base"),
            name=list(self._world.joint_names),
            position=np.array(frame.state.joints),
            velocity=nothing,
            effort=nothing,
        )
        self._add("/joint_states", nanoseconds, joints)
        self._add("/state", nanoseconds, ros("std_msgs/String", data=json.dumps(asdict(frame.state))))
        fingers = self._world.fingers
        position = fingers.open if frame.action[6] > 0 else 0.0
        self._add("/gripper", nanoseconds, gripper(nanoseconds, fingers.joints, position, "base"))
        for topic, action in (("/twist", frame.action), ("/executed_twist", frame.executed)):
            velocity = twist_from_action(action, self._control_hz)
            self._add(topic, nanoseconds, twist(nanoseconds, velocity, "base"))

    def write(self, path: Path) -> None:
        """Writes the bag folder `path` anew; it appears whole or not at all."""
        write_messages(path, self._messages, TOPICS)
