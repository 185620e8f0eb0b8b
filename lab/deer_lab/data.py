"""Demonstrations for training: rosbags in, windows of consecutive frames out.

Each recording becomes once a shard: a safetensors file of pictures as small as the policy sees them, actions and, where
it was recorded, the true state. Shards are mapped, not read: a window costs what it holds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor
from tqdm import tqdm

from deer_lab.config import ARM_DIMS, Camera
from deer_lab.reference import fit
from deer_lab.worlds.action import action_from_twist
from deer_lab.worlds.tabletop.answers import GOAL_DIMS, SENTENCES, answers
from deer_lab.worlds.tabletop.points import seen
from deer_lab.worlds.tabletop.truth import truth

OPEN_ABOVE = 0.02  # [m] of a finger; farther apart they are open
APART = 2.5  # control periods: frames further apart do not follow one another (a camera may have half the rate)


class DataError(Exception):
    """Demonstrations that cannot be used; the message names the file and how to mend it."""


@dataclass(frozen=True)
class Segment:
    """The T frames of one instruction. `pictures`: by camera role, uint8 RGB (T, H, W, 3).

    `actions`: float32 (T, 7), arm in -1..1, gripper 1 open or 0 closed. `state`: float32 (T, K), the true state.
    `points`: by camera role where things are in its picture, float32 (T, n, 3): x, y in -1..1, 1 where it shows.
    `answers`: float16 (T, tasks, 11), the expert's actions and goals for every task (deer_lab.worlds.tabletop.answers).
    """

    instruction: str
    pictures: dict[str, list[np.ndarray]]
    actions: np.ndarray
    state: np.ndarray | None
    points: dict[str, np.ndarray] | None = None
    answers: np.ndarray | None = None


# Rosbags


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


def bag_segments(bag: Path, roles: list[str], control_hz: float = 30.0) -> Iterator[Segment]:
    """The segments of one rosbag: a frame is a picture of the first camera with what is nearest to it in time.

    The other cameras and the twist must lie within half a control period of it, else the frame is left out; gripper
    commands and instructions hold until the next. Where frames are missing, a new segment begins. Raises DataError
    where a topic is missing.
    """
    cameras = [f"/{role}/image" for role in roles]
    tracks = read_tracks(bag, [*cameras, "/instruction", "/twist", "/gripper", "/state"])
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
            twists = [tracks["/twist"].messages[i].twist for i in near["/twist"][0][frames]]
            opened = [is_open(tracks["/gripper"].messages[i]) for i in grip[frames]]
            yield Segment(
                instruction,
                {
                    role: [decoded(bag, tracks[topic].messages[i]) for i in near[topic][0][frames]]
                    for role, topic in zip(roles, cameras)
                },
                np.stack([action_of(twist, o, control_hz) for twist, o in zip(twists, opened)]).astype(np.float32),
                *states_of(tracks["/state"], times[frames]),
            )


def is_open(message: object) -> bool:
    """Whether a gripper command (JointTrajectory, or Float64MultiArray of positions [m]) opens."""
    positions = message.points[-1].positions if hasattr(message, "points") else message.data
    return float(positions[0]) > OPEN_ABOVE


def action_of(twist: object, opened: bool, control_hz: float) -> np.ndarray:
    """A Twist held for one control period as an action [7], gripper 1 or 0."""
    velocity = np.array([getattr(part, axis) for part in (twist.linear, twist.angular) for axis in "xyz"])
    return np.r_[action_from_twist(velocity, opened, control_hz)[:6], float(opened)]


def states_of(
    track: Track, times: np.ndarray
) -> tuple[np.ndarray | None, dict[str, np.ndarray] | None, np.ndarray | None]:
    """At each frame the true state, (T, K), by camera where things appear, and what the expert answers to every task,
    (T, tasks, 11); None where no state was recorded."""
    if not track.messages:
        return None, None, None
    states = [json.loads(track.messages[i].data) for i in track.nearest(times)[0]]
    shown = [seen(state) for state in states]
    points = {camera: np.stack([places[camera] for places in shown]) for camera in shown[0]}
    return np.stack([truth(state) for state in states]), points, np.stack([answers(state) for state in states])


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


# Shards


def find_bags(places: list[Path]) -> list[Path]:
    """The bag folders at and below `places`, each once, in order. Raises DataError where a place holds none."""
    bags: dict[Path, None] = {}
    for place in places:
        found = sorted(Path(folder) for folder, _, files in walk(place) if "metadata.yaml" in files)
        if not found:
            raise DataError(f"{place}: no rosbag here (a folder with metadata.yaml); record some first")
        bags |= dict.fromkeys(found)
    return list(bags)


def walk(place: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk without hidden folders: a recording that is being written lies in one."""
    for folder, below, files in os.walk(place):
        below[:] = [name for name in below if not name.startswith(".")]
        yield folder, below, files


def write_shard(segments: Iterator[Segment], cameras: tuple[Camera, ...], out: Path) -> None:
    """Writes all `segments` as one shard; it appears whole or not at all."""
    pictures: dict[str, list[np.ndarray]] = {camera.role: [] for camera in cameras}
    lengths, instructions, actions, states = [], [], [], []
    further: dict[str, list[np.ndarray]] = {}
    for segment in segments:
        for camera in cameras:
            pictures[camera.role] += [fit(picture, camera) for picture in segment.pictures[camera.role]]
        lengths.append(len(segment.actions))
        instructions.append(segment.instruction)
        actions.append(segment.actions)
        states += [] if segment.state is None else [segment.state]
        for role, places in (segment.points or {}).items():
            further.setdefault(f"{role}_points", []).append(places)
        if segment.answers is not None:
            further.setdefault("answers", []).append(segment.answers)
    if not lengths:
        raise DataError(f"{out.stem}: no frame that has pictures of every camera, an instruction and an action")
    tensors = {role: np.stack(shots) for role, shots in pictures.items()}
    tensors |= {"actions": np.concatenate(actions), "lengths": np.array(lengths)}
    if len(states) == len(lengths):
        tensors["state"] = np.concatenate(states)
        tensors |= {name: np.concatenate(parts) for name, parts in further.items()}
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    save_file(tensors, beside, {"instructions": json.dumps(instructions)})
    beside.rename(out)


def shard_bag(bag: Path, cameras: tuple[Camera, ...], cache: Path) -> Path:
    """The bag's shard in `cache`, written where it is not there yet."""
    shown = [(camera.role, camera.size) for camera in cameras]
    key = hashlib.sha256(f"{bag.resolve()} {shown}".encode()).hexdigest()[:12]
    out = cache / f"{bag.name}-{key}.safetensors"
    if not out.exists():
        write_shard(bag_segments(bag, [camera.role for camera in cameras]), cameras, out)
    return out


def shard_bags(bags: list[Path], cameras: tuple[Camera, ...], cache: Path, workers: int = 1) -> list[Path]:
    """The shards of all bags, in their order; those that are missing are made by `workers` processes."""
    cache.mkdir(parents=True, exist_ok=True)
    make = partial(shard_bag, cameras=cameras, cache=cache)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        shards = pool.map(make, bags, chunksize=4) if workers > 1 else map(make, bags)
        return list(tqdm(shards, total=len(bags), desc="demonstrations", unit="bag", dynamic_ncols=True))


# Windows


class Windows:
    """Windows of `length` consecutive frames that lie within one instruction, from any frame that leaves room.

    An instruction of fewer frames gives one window, its last frame repeated and `weight` 0 there.

    Where the recordings have the expert's answers to every task, a window can be asked for as if another had been said.
    """

    def __init__(self, shards: list[Path], roles: list[str], length: int) -> None:
        self.roles, self.length = roles, length
        self._shards, self._files = shards, {}
        starts, states = [], []
        numbers: dict[str, int] = {}  # of the instructions, each once
        self.pointed = [f"{role}_points" for role in roles]
        self.has_answers = True
        for number, shard in enumerate(shards):
            with safe_open(shard, "np") as file:
                ends = np.cumsum(file.get_tensor("lengths"))
                texts = json.loads(file.metadata()["instructions"])
                states += [file.get_tensor("state")] if "state" in file.keys() else []  # noqa: SIM118 (no mapping)
                self.pointed = [name for name in self.pointed if name in file.keys()]  # noqa: SIM118
                self.has_answers &= "answers" in file.keys()  # noqa: SIM118
            for begin, end, text in zip(np.r_[0, ends[:-1]], ends, texts):
                first = np.arange(begin, max(begin + 1, end - length + 1))
                entry = np.full((len(first), 4), (number, 0, end, numbers.setdefault(text, len(numbers))))
                entry[:, 1] = first
                starts.append(entry)
        said = SENTENCES if self.has_answers else ()
        # per task the numbers of what may be said for it
        self._sentences = [[numbers.setdefault(text, len(numbers)) for text in sentences] for sentences in said]
        self.instructions = list(numbers)
        self._starts = np.concatenate(starts)  # per window: shard, first frame, end of the instruction, its number
        self.has_state = len(states) == len(shards)
        if self.has_state:
            every = np.concatenate(states)
            self._mean, self._std = every.mean(0), np.maximum(every.std(0), 1e-3)
            self.state_width = every.shape[1]

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int | tuple[int, int | None]) -> dict[str, Tensor | int]:
        """By camera role uint8 (T, S, S, 3); actions (T, 7); weight (T); instruction: its number.

        Where they were recorded, state (T, K) and by role ROLE_points (T, n, 3); goals (T, 4) where the recordings have
        answers, NaN where no other task is drawn. A second number in `index` is the seed by which another task is drawn
        of those that could begin in every frame, where there are any.
        """
        index, seed = index if isinstance(index, tuple) else (index, None)
        shard, first, end, instruction = self._starts[index]
        if shard not in self._files:
            self._files[shard] = safe_open(self._shards[shard], "pt")
        file, last = self._files[shard], min(first + self.length, end)
        wanted = [*self.roles, *self.pointed, "actions", *(["state"] if self.has_state else [])]
        window = {name: padded(file.get_slice(name)[first:last], self.length) for name in wanted}
        if self.has_state:
            window["state"] = (window["state"] - torch.from_numpy(self._mean)) / torch.from_numpy(self._std)
        window["weight"] = (torch.arange(self.length) < last - first).float()
        window["instruction"] = int(instruction)
        if self.has_answers:
            window["goals"] = torch.full((self.length, GOAL_DIMS), torch.nan)
        if seed is not None and self.has_answers:
            window |= self._otherwise(file.get_slice("answers")[first:last].float(), np.random.default_rng(seed))
        return window

    def _otherwise(self, answers: Tensor, random: np.random.Generator) -> dict[str, Tensor | int]:
        """Actions, goals and instruction of a task drawn of those that have `answers` (T, tasks, 11) throughout."""
        able = torch.isfinite(answers).all(2).all(0).nonzero()[:, 0].tolist()
        if not able:
            return {}
        task = int(random.choice(able))
        actions, goals = padded(answers[:, task], self.length).split((ARM_DIMS + 1, GOAL_DIMS), dim=1)
        return {
            "actions": actions,
            "goals": goals,
            "instruction": int(random.choice(self._sentences[task])),
        }


def padded(frames: Tensor, length: int) -> Tensor:
    """The last of `frames` repeated until there are `length`."""
    return torch.cat([frames, frames[-1:].expand(length - len(frames), *frames.shape[1:])])
