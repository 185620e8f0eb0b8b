"""Demonstrations in rosbags: a frame is a picture of the first camera with what belongs to it in time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from deer_lab.data.aids import Aids, load_aids
from deer_lab.data.motion import displacements
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import Part
from deer_lab.embodiment import Embodiment

APART = 2.5  # control periods: frames further apart do not follow one another (a camera may have half the rate)


def parts(bags: list[Path], roles: list[str], embodiment: Embodiment, aids: str | None = None) -> list[Part]:
    """A shard for each bag. `aids` names the module of a world (deer_lab.data.aids)."""
    hz = embodiment.control_hz
    return [Part(bag.name, f"{bag.resolve()} {aids}", partial(bag_segments, bag, roles, hz, aids)) for bag in bags]


@dataclass
class Track:
    """A topic's messages and their times [ns], in order."""

    times: np.ndarray
    messages: list

    def nearest(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each of `times` the index of the nearest message and how far away it is [ns]."""
        after = np.clip(np.searchsorted(self.times, times), 1, max(1, len(self.times) - 1))
        index = np.where(
            times - self.times[after - 1] <= np.abs(self.times[after % len(self.times)] - times), after - 1, after
        )
        index = np.minimum(index, len(self.times) - 1)
        return index, np.abs(self.times[index] - times)

    def last(self, times: np.ndarray) -> np.ndarray:
        """For each of `times` the index of the last message up to then; -1 where there is none."""
        return np.searchsorted(self.times, times, side="right") - 1


def read_tracks(bag: Path, topics: list[str]) -> dict[str, Track]:
    """The bag's messages on `topics`, timed by their headers where they have one. Raises DataError."""
    found: dict[str, list[tuple[int, object]]] = {topic: [] for topic in topics}
    try:
        with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            connections = [connection for connection in reader.connections if connection.topic in found]
            for connection, logged, raw in reader.messages(connections):
                message = reader.deserialize(raw, connection.msgtype)
                stamp = getattr(getattr(message, "header", None), "stamp", None)
                time = stamp.sec * 10**9 + stamp.nanosec if stamp else 0
                found[connection.topic].append((time or logged, message))
    except Exception as error:  # rosbags raises many kinds, all of them about the file
        raise DataError(f"{bag}: the rosbag cannot be read: {error}") from error
    tracks = {}
    for topic, messages in found.items():
        messages.sort(key=lambda entry: entry[0])
        tracks[topic] = Track(np.array([time for time, _ in messages], np.int64), [entry for _, entry in messages])
    return tracks


def bag_segments(bag: Path, roles: list[str], control_hz: float, aids: str | None = None) -> Iterator[Segment]:
    """The segments of one rosbag: a frame is a picture of the first camera with what is nearest to it in time.

    The other cameras and the twist must lie within half a control period of it, else the frame is left out; gripper
    commands and instructions hold until the next. Where frames are missing, a new segment begins. Raises DataError
    where a topic is missing.
    """
    cameras, world = [f"/{role}/image" for role in roles], load_aids(aids)
    tracks = read_tracks(bag, [*cameras, "/instruction", "/twist", "/gripper", *([world.TOPIC] if world else [])])
    for topic in (*cameras, "/instruction", "/twist", "/gripper"):
        if not tracks[topic].messages:
            raise DataError(f"{bag}: no message on {topic}; record it under that name (ros2 bag record … remaps)")
    times = tracks[cameras[0]].times
    near = {topic: tracks[topic].nearest(times) for topic in (*cameras, "/twist")}
    usable = np.all([distance <= 0.5e9 / control_hz for _, distance in near.values()], axis=0)
    spoken, grip = tracks["/instruction"].last(times), tracks["/gripper"].last(times)
    usable &= (spoken >= 0) & (grip >= 0)
    for number in np.unique(spoken[usable]):
        instruction = tracks["/instruction"].messages[number].data.strip()
        if not instruction:
            continue  # an empty text means: hold
        under_it = np.flatnonzero(usable & (spoken == number))
        for frames in np.split(under_it, np.flatnonzero(np.diff(times[under_it]) > APART * 1e9 / control_hz) + 1):
            twists = np.array([velocity(tracks["/twist"].messages[i].twist) for i in near["/twist"][0][frames]])
            yield Segment(
                instruction,
                {
                    role: [decoded(bag, tracks[topic].messages[i]) for i in near[topic][0][frames]]
                    for role, topic in zip(roles, cameras)
                },
                displacements(twists, 1 / control_hz),
                np.array([position(tracks["/gripper"].messages[i]) for i in grip[frames]]),
                aids_of(world, tracks, times[frames]),
            )


def position(message: object) -> float:
    """The first position of a gripper command: a JointTrajectory, or a Float64MultiArray."""
    positions = message.points[-1].positions if hasattr(message, "points") else message.data
    return float(positions[0])


def velocity(twist: object) -> list[float]:
    """A Twist as six numbers."""
    return [getattr(part, axis) for part in (twist.linear, twist.angular) for axis in "xyz"]


def aids_of(world: ModuleType | None, tracks: dict[str, Track], times: np.ndarray) -> Aids | None:
    """What the world's own messages make of the frames; None where none were recorded."""
    if world is None or not tracks[world.TOPIC].messages:
        return None
    track = tracks[world.TOPIC]
    return world.aids([track.messages[i].data for i in track.nearest(times)[0]])


def decoded(bag: Path, message: object) -> np.ndarray:
    """A CompressedImage, or an Image in rgb8 or bgr8, as uint8 RGB (H, W, 3). Raises DataError."""
    if hasattr(message, "format"):
        try:
            return np.asarray(Image.open(BytesIO(message.data)).convert("RGB"))
        except OSError as error:
            raise DataError(f"{bag}: a {message.format} picture cannot be decoded: {error}") from error
    if message.encoding not in ("rgb8", "bgr8"):
        raise DataError(f"{bag}: pictures in {message.encoding}; record rgb8, bgr8 or compressed ones")
    rows = np.asarray(message.data).reshape(message.height, message.step)[:, : 3 * message.width]
    pixels = rows.reshape(message.height, message.width, 3)
    return pixels if message.encoding == "rgb8" else pixels[..., ::-1]


def find_bags(place: Path) -> list[Path]:
    """The bag folders at and below `place`, in order. Raises DataError where there is none."""
    found = sorted(Path(folder) for folder, _, files in walk(place) if "metadata.yaml" in files)
    if not found:
        raise DataError(f"{place}: no rosbag here (a folder with metadata.yaml); record some first")
    return found


def walk(place: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk without hidden folders: a recording that is being written lies in one."""
    for folder, below, files in os.walk(place):
        below[:] = [name for name in below if not name.startswith(".")]
        yield folder, below, files
