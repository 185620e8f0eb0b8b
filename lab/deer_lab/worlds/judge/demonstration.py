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

import io
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from deer_lab.worlds.action import twist_from_action
from deer_lab.worlds.world import Fingers, State, World

JPEG_QUALITY = 95
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
STORE = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class Frame:
    """One control period: its number in the task, what was seen, what the expert wanted [7] and what was done [7]."""

    period: int
    jpegs: dict[str, bytes]
    state: State
    action: np.ndarray
    executed: np.ndarray


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 RGB [H, W, 3] as JPEG without colour subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def ros(kind: str, /, **fields: object) -> object:
    """A ROS message; `kind` as in "std_msgs/String"."""
    return STORE.types[kind.replace("/", "/msg/")](**fields)


def header(nanoseconds: int, frame_id: str) -> object:
    """A std_msgs/Header."""
    stamp = ros("builtin_interfaces/Time", sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return ros("std_msgs/Header", stamp=stamp, frame_id=frame_id)


def twist(nanoseconds: int, action: np.ndarray, control_hz: float) -> object:
    """An action [7] as a TwistStamped in the base frame."""
    linear, angular = (
        ros("geometry_msgs/Vector3", x=float(x), y=float(y), z=float(z))
        for x, y, z in twist_from_action(action, control_hz).reshape(2, 3)
    )
    velocity = ros("geometry_msgs/Twist", linear=linear, angular=angular)
    return ros("geometry_msgs/TwistStamped", header=header(nanoseconds, "base"), twist=velocity)


def gripper(nanoseconds: int, action: np.ndarray, fingers: Fingers) -> object:
    """The gripper's part of an action as a JointTrajectory of one point."""
    nothing = np.array([], dtype=np.float64)
    point = ros(
        "trajectory_msgs/JointTrajectoryPoint",
        positions=np.full(len(fingers.joints), fingers.open if action[6] > 0 else 0.0),
        velocities=nothing,
        accelerations=nothing,
        effort=nothing,
        time_from_start=ros("builtin_interfaces/Duration", sec=0, nanosec=0),
    )
    return ros(
        "trajectory_msgs/JointTrajectory",
        header=header(nanoseconds, "base"),
        joint_names=list(fingers.joints),
        points=[point],
    )


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
            image = ros(
                "sensor_msgs/CompressedImage",
                header=header(nanoseconds, f"{camera}_camera"),
                format="jpeg",
                data=np.frombuffer(data, np.uint8),
            )
            self._add(f"/{camera}/image", nanoseconds, image)
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
        self._add("/gripper", nanoseconds, gripper(nanoseconds, frame.action, self._world.fingers))
        self._add("/twist", nanoseconds, twist(nanoseconds, frame.action, self._control_hz))
        self._add("/executed_twist", nanoseconds, twist(nanoseconds, frame.executed, self._control_hz))

    def write(self, path: Path) -> None:
        """Writes the bag folder `path` anew; it appears whole or not at all."""
        beside = path.with_name(f".{path.name}.unfinished")
        for folder in (beside, path):
            shutil.rmtree(folder, ignore_errors=True)
        beside.mkdir(parents=True)
        unfinished = beside / path.name  # the file inside is named after its folder
        with Writer(unfinished, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
            connections = {topic: bag.add_connection(topic, kind, typestore=STORE) for topic, kind in TOPICS.items()}
            for topic, nanoseconds, message in self._messages:
                bag.write(connections[topic], nanoseconds, STORE.serialize_cdr(message, TOPICS[topic]))
        unfinished.rename(path)
        beside.rmdir()
