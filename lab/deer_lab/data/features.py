"""Which of a LeRobot data set's features is what, and what its numbers mean."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from deer_lab.data.motion import differences, displacements, from_euler
from deer_lab.data.segment import DataError
from deer_lab.data.source import MEANS, CameraTopic, Source
from deer_lab.embodiment import Embodiment

PICTURES = ("video", "image")
# other words for a role in the names of cameras
WORDS = {"gripper": ("gripper", "wrist", "hand", "eef"), "static": ("static", "front", "scene", "overhead", "top")}


@dataclass(frozen=True)
class Features:
    """By camera role its feature; the places of the motion's numbers in theirs, and of the gripper's in its own."""

    cameras: dict[str, CameraTopic]
    stored: tuple[str, ...]  # of the cameras' features those whose pictures stand in the table
    motion: str
    places: tuple[int, ...]
    gripper: str
    place: int

    @classmethod
    def of(cls, root: Path, features: dict[str, dict], source: Source, roles: list[str]) -> Features:
        """As the source says, or guessed from the names; what was guessed is printed. Raises DataError."""
        cameras = camera_features(root, features, source.cameras, roles)
        stored = tuple(c.topic for c in cameras.values() if features[c.topic]["dtype"] == "image")
        motion, gripper = source.motion, source.gripper or source.motion
        names, own = number_names(root, features, motion), number_names(root, features, gripper)
        if source.means is None:
            told = "; ".join(f"{word}: {meaning}" for word, meaning in MEANS.items())
            raise DataError(
                f"{root}: what do the numbers of {motion} mean ({', '.join(names)})? Say motion: {{topic: {motion}, "
                f"means: …}} in a --source file: {told}"
            )
        columns = source.columns or range(min(6, len(names)))
        places = tuple(place_of(root, motion, names, column) for column in columns)
        wanted = (6, 7) if source.means == "pose" else (6,)
        if len(places) not in wanted:
            raise DataError(
                f"{root}: {motion} has {', '.join(names)}; {source.means} needs {' or '.join(map(str, wanted))} of "
                "them: name them in motion.columns of a --source file"
            )
        joint = len(own) - 1 if source.joint is None else source.joint
        return cls(cameras, stored, motion, places, gripper, place_of(root, gripper, own, joint))

    def columns(self) -> list[str]:
        """What is read of a data set's tables."""
        own = ("episode_index", "frame_index", "timestamp", "task_index", self.motion, self.gripper)
        return list(dict.fromkeys((*own, *self.stored)))

    def numbers(self, rows: pa.Table, where: str) -> tuple[np.ndarray, np.ndarray]:
        """The motion's (T, 6 or 7) and the gripper's (T). Raises DataError where one is no number."""
        motion, gripper = (
            np.array(rows[name].to_pylist(), float).reshape(len(rows), -1) for name in (self.motion, self.gripper)
        )
        motion, gripper = motion[:, list(self.places)], gripper[:, self.place]
        if not (np.isfinite(motion).all() and np.isfinite(gripper).all()):
            raise DataError(
                f"{where}: {self.motion} or {self.gripper} has a value that is no number; remove the episode"
            )
        return motion, gripper


def camera_features(
    root: Path, features: dict[str, dict], named: dict[str, CameraTopic], roles: list[str]
) -> dict[str, CameraTopic]:
    """By role what was named, or what leaves no choice by its name."""
    there = [name for name, feature in features.items() if feature.get("dtype") in PICTURES]
    found = {role: named[role] for role in roles if role in named}
    for role, camera in found.items():
        if camera.topic not in there:
            raise DataError(
                f"{root} has no pictures named {camera.topic} for {role}; it has {', '.join(there) or 'none'}"
            )
    free = [name for name in there if name not in {camera.topic for camera in found.values()}]
    for fits in (
        lambda role, name: name.split(".")[-1] == role,
        lambda role, name: any(w in name for w in WORDS.get(role, (role,))),
    ):
        for role in (role for role in roles if role not in found):
            if len(fitting := [name for name in free if fits(role, name)]) == 1:
                found[role] = CameraTopic(fitting[0])
                free.remove(fitting[0])
    lacking = [role for role in roles if role not in found]
    if len(lacking) == len(free) == 1:
        found[lacking[0]] = CameraTopic(free[0])
    elif lacking:
        raise DataError(
            f"{root}: which feature is the camera {lacking[0]}? Say cameras: {{{lacking[0]}: NAME}} in a --source "
            f"file; it has {', '.join(there) or 'no pictures'}"
        )
    for role in (role for role in roles if role not in named):
        print(f"{root}: {found[role].topic} is taken for the camera {role}", file=sys.stderr)
    return {role: found[role] for role in roles}


def number_names(root: Path, features: dict[str, dict], name: str) -> list[str]:
    """The names of a feature's numbers, or their places where they have none. Raises DataError."""
    if name not in features or features[name].get("dtype") in (*PICTURES, "string"):
        numeric = [known for known, feature in features.items() if "float" in str(feature.get("dtype"))]
        raise DataError(f"{root} has no feature {name} of numbers; it has {', '.join(numeric) or 'none'}")
    names = features[name].get("names")
    if isinstance(names, dict):  # older ones: {"motors": [...]}
        names = next(iter(names.values()), None)
    if isinstance(names, list):
        return [str(word) for word in names]
    return [str(place) for place in range(int(np.prod(features[name].get("shape", [1]))))]


def place_of(root: Path, feature: str, names: list[str], column: int | str) -> int:
    """From 0. Raises DataError."""
    if isinstance(column, str) and column in names:
        return names.index(column)
    if isinstance(column, int) and 0 <= column < len(names):
        return column
    raise DataError(f"{root}: {feature} has no number {column}; it has {', '.join(names)}")


def motion_of(numbers: np.ndarray, means: str, fps: float, embodiment: Embodiment) -> np.ndarray:
    """Displacements from each frame to the next (T, 6); of poses one less than there are."""
    if means == "action":
        return numbers * [axis.scale for axis in embodiment.arm]
    if means == "velocity":
        return displacements(numbers, 1 / fps)
    if means == "displacement":
        return numbers
    turned = from_euler(numbers[:, 3:]) if numbers.shape[1] == 6 else numbers[:, [6, 3, 4, 5]]
    return differences(numbers[:, :3], turned / np.linalg.norm(turned, axis=1, keepdims=True))
