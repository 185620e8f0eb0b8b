"""Writes segments as rosbags in MCAP storage, as `ros2 bag record` would have left them.

| topic | type | content |
|---|---|---|
| `/ROLE/image` | sensor_msgs/CompressedImage | JPEG |
| `/instruction` | std_msgs/String | once, with the first pictures |
| `/twist` | geometry_msgs/TwistStamped | the motion until the next pictures, m/s and rad/s |
| `/gripper` | trajectory_msgs/JointTrajectory | the position that the gripper was told |
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deer_lab.bags import gripper, jpeg, picture, ros, twist, write_messages
from deer_lab.data.motion import velocities
from deer_lab.data.segment import Segment
from deer_lab.embodiment import Embodiment

BEGINS = 1.0  # [s], the first pictures' stamp: a stamp of 0 means none


def write_bag(segment: Segment, embodiment: Embodiment, path: Path) -> None:
    """Writes the bag folder `path` anew; it appears whole or not at all."""
    write_messages(path, messages(segment, embodiment))


def messages(segment: Segment, embodiment: Embodiment) -> Iterator[tuple[str, int, object]]:
    """Topic, log time [ns] and message of everything, in order."""
    hz, joint, frame = embodiment.control_hz, embodiment.gripper.name, embodiment.arm[0].frame
    moving = velocities(segment.motion, 1 / hz)
    for step in range(len(segment)):
        now = round(1e9 * (BEGINS + step / hz))
        if step == 0:
            yield "/instruction", now, ros("std_msgs/String", data=segment.instruction)
        for role, pictures in segment.pictures.items():
            yield f"/{role}/image", now, picture(now, role, jpeg(pictures[step]))
        yield "/twist", now, twist(now, moving[step], frame)
        yield "/gripper", now, gripper(now, [joint], float(segment.gripper[step]), frame)
