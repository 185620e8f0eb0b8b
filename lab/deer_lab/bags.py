"""ROS messages of demonstrations, and rosbags in MCAP storage, as `ros2 bag record` would have left them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

JPEG_QUALITY = 95
STORE = get_typestore(Stores.ROS2_JAZZY)


def ros(kind: str, /, **fields: object) -> object:
    """A ROS message; `kind` as in "std_msgs/String"."""
    return STORE.types[kind.replace("/", "/msg/")](**fields)


def header(nanoseconds: int, frame_id: str) -> object:
    """A std_msgs/Header."""
    stamp = ros("builtin_interfaces/Time", sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return ros("std_msgs/Header", stamp=stamp, frame_id=frame_id)


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 RGB (H, W, 3) as JPEG without colour subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def picture(nanoseconds: int, role: str, file: bytes) -> object:
    """A camera's JPEG as a CompressedImage."""
    data = np.frombuffer(file, np.uint8)
    return ros("sensor_msgs/CompressedImage", header=header(nanoseconds, f"{role}_camera"), format="jpeg", data=data)


def twist(nanoseconds: int, velocity: np.ndarray, frame: str) -> object:
    """[m/s, rad/s] (6) as a TwistStamped."""
    linear, angular = (
        ros("geometry_msgs/Vector3", **dict(zip("xyz", map(float, part)))) for part in velocity.reshape(2, 3)
    )
    moving = ros("geometry_msgs/Twist", linear=linear, angular=angular)
    return ros("geometry_msgs/TwistStamped", header=header(nanoseconds, frame), twist=moving)


def gripper(nanoseconds: int, joints: Iterable[str], position: float, frame: str) -> object:
    """One position of all the gripper's joints as a JointTrajectory of one point."""
    joints, none = list(joints), np.array([], dtype=np.float64)
    point = ros(
        "trajectory_msgs/JointTrajectoryPoint",
        positions=np.full(len(joints), position, np.float64),
        velocities=none,
        accelerations=none,
        effort=none,
        time_from_start=ros("builtin_interfaces/Duration", sec=0, nanosec=0),
    )
    about = {"header": header(nanoseconds, frame), "joint_names": joints}
    return ros("trajectory_msgs/JointTrajectory", **about, points=[point])


def write_messages(
    path: Path, messages: Iterable[tuple[str, int, object]], topics: Mapping[str, str] | None = None
) -> None:
    """Writes the bag folder `path` anew; it appears whole or not at all.

    `messages`: topic, log time [ns] and message. `topics`, with their types, are in the bag also without a message.
    """
    beside = path.with_name(f".{path.name}.unfinished")
    for folder in (beside, path):
        shutil.rmtree(folder, ignore_errors=True)
    beside.mkdir(parents=True)
    unfinished = beside / path.name  # the file inside is named after its folder
    with Writer(unfinished, version=9, storage_plugin=StoragePlugin.MCAP) as bag:

        def connection(topic: str, kind: str) -> object:
            return bag.add_connection(topic, kind, typestore=STORE)

        connections = {topic: connection(topic, kind) for topic, kind in (topics or {}).items()}
        for topic, nanoseconds, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = connection(topic, kind)
            bag.write(connections[topic], nanoseconds, STORE.serialize_cdr(message, kind))
    unfinished.rename(path)
    beside.rmdir()
