"""Writes segments as rosbags in MCAP storage, as `ros2 bag record` would have left them.

| topic | type | content |
|---|---|---|
| `/ROLE/image` | sensor_msgs/CompressedImage | JPEG |
| `/instruction` | std_msgs/String | once, with the first pictures |
| `/twist` | geometry_msgs/TwistStamped | the motion until the next pictures, m/s and rad/s |
| `/gripper` | trajectory_msgs/JointTrajectory | the position that the gripper was told |
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from deer_lab.data.motion import velocities
from deer_lab.data.segment import Segment
from deer_lab.embodiment import Embodiment

JPEG = {"quality": 95, "subsampling": 0}  # without colour subsampling
BEGINS = 1.0  # [s], the first pictures' stamp: a stamp of 0 means none
STORE = get_typestore(Stores.ROS2_JAZZY)


def ros(kind: str, /, **fields: object) -> object:
    """A ROS message; `kind` as in "std_msgs/String"."""
    return STORE.types[kind.replace("/", "/msg/")](**fields)


def header(nanoseconds: int, frame_id: str) -> object:
    """A std_msgs/Header."""
    stamp = ros("builtin_interfaces/Time", sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return ros("std_msgs/Header", stamp=stamp, frame_id=frame_id)


def image(nanoseconds: int, role: str, picture: np.ndarray) -> object:
    """uint8 RGB (H, W, 3) as a CompressedImage."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **JPEG)
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    return ros("sensor_msgs/CompressedImage", header=header(nanoseconds, f"{role}_camera"), format="jpeg", data=data)


def twist(nanoseconds: int, velocity: np.ndarray, frame: str) -> object:
    """[m/s, rad/s] (6) as a TwistStamped."""
    linear, angular = (
        ros("geometry_msgs/Vector3", **dict(zip("xyz", map(float, part)))) for part in velocity.reshape(2, 3)
    )
    moving = ros("geometry_msgs/Twist", linear=linear, angular=angular)
    return ros("geometry_msgs/TwistStamped", header=header(nanoseconds, frame), twist=moving)


def told(nanoseconds: int, joint: str, position: float, frame: str) -> object:
    """A gripper's position as a JointTrajectory of one point."""
    none = np.array([], dtype=np.float64)
    point = ros(
        "trajectory_msgs/JointTrajectoryPoint",
        positions=np.array([position], np.float64),
        velocities=none,
        accelerations=none,
        effort=none,
        time_from_start=ros("builtin_interfaces/Duration", sec=0, nanosec=0),
    )
    about = {"header": header(nanoseconds, frame), "joint_names": [joint]}
    return ros("trajectory_msgs/JointTrajectory", **about, points=[point])


def write_bag(segment: Segment, embodiment: Embodiment, path: Path) -> None:
    """Writes the bag folder `path` anew; it appears whole or not at all."""
    beside = path.with_name(f".{path.name}.unfinished")
    for folder in (beside, path):
        shutil.rmtree(folder, ignore_errors=True)
    beside.mkdir(parents=True)
    unfinished = beside / path.name  # the file inside is named after its folder
    with Writer(unfinished, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        connections: dict[str, object] = {}
        for topic, nanoseconds, message in messages(segment, embodiment):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=STORE)
            bag.write(connections[topic], nanoseconds, STORE.serialize_cdr(message, kind))
    unfinished.rename(path)
    beside.rmdir()


def messages(segment: Segment, embodiment: Embodiment):
    """Topic, log time [ns] and message of everything, in order."""
    hz, gripper, frame = embodiment.control_hz, embodiment.gripper.name, embodiment.arm[0].frame
    moving = velocities(segment.motion, 1 / hz)
    for step in range(len(segment)):
        now = round(1e9 * (BEGINS + step / hz))
        if step == 0:
            yield "/instruction", now, ros("std_msgs/String", data=segment.instruction)
        for role, pictures in segment.pictures.items():
            yield f"/{role}/image", now, image(now, role, pictures[step])
        yield "/twist", now, twist(now, moving[step], frame)
        yield "/gripper", now, told(now, gripper, float(segment.gripper[step]), frame)
