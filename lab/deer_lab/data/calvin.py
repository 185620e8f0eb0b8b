"""Demonstrations in CALVIN's own format (github.com/mees/calvin, dataset/README): npz frames + language annotations.

    training/
    ├── episode_0000123.npz …                     one frame each: rgb_static, rgb_gripper, rel_actions, …
    └── lang_annotations/auto_lang_ann.npy        a pickled dict: sentences, tasks, first and last frame of each

`deer_lab.train --calvin training` reads it in place of rosbags.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import Part

SHAPES = {"rgb_static": (200, 200, 3), "rgb_gripper": (84, 84, 3), "rel_actions": (7,)}
ROLES = {"rgb_static": "static", "rgb_gripper": "gripper"}
SHARD_SEGMENTS = 64  # sentences a shard
ADMITTED = {("builtins", name) for name in ("dict", "list", "tuple", "str", "int", "float")}
ADMITTED |= {("numpy", "ndarray"), ("numpy", "dtype")}
ADMITTED |= {(f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")}


class Restricted(pickle.Unpickler):
    """Unpickles numbers, texts and their containers; a pickle may otherwise run any program."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}, which an annotation does not need")
        return super().find_class(module, name)


@dataclass(frozen=True)
class Annotation:
    """One sentence, and the first and last frame of what it describes, both included."""

    sentence: str
    first: int
    last: int


def read_annotations(split: Path) -> list[Annotation]:
    """The language annotations of a split's folder. Raises DataError."""
    path = split / "lang_annotations" / "auto_lang_ann.npy"
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version](file)
            content = Restricted(file).load()
        found = content.item() if isinstance(content, np.ndarray) else content
        pairs = zip(found["language"]["ann"], found["info"]["indx"], strict=True)
        return [Annotation(str(sentence), int(first), int(last)) for sentence, (first, last) in pairs]
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; give the folder of a CALVIN split, such as task_D_D/training") from error
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no CALVIN annotations: {error}") from error


def read_frame(split: Path, number: int) -> dict[str, np.ndarray]:
    """Pictures and action of one frame. Raises DataError."""
    path = split / f"episode_{number:07d}.npz"
    try:
        with np.load(path) as file:
            frame = {name: file[name] for name in SHAPES}
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}, which the annotations name, cannot be read: {error}") from error
    for name, shape in SHAPES.items():
        if frame[name].shape != shape:
            raise DataError(f"{path}: {name} is {frame[name].shape}, CALVIN's is {shape}")
    return frame


def segments(split: Path, annotations: list[Annotation] | None = None) -> Iterator[Segment]:
    """The annotated frames of a split, one segment a sentence. Raises DataError.

    Actions are CALVIN's relative ones, which are the policy's; its gripper, -1 closed and 1 open, becomes 0 and 1.
    """
    for annotation in read_annotations(split) if annotations is None else annotations:
        frames = [read_frame(split, number) for number in range(annotation.first, annotation.last + 1)]
        if not frames:
            raise DataError(f"{split}: {annotation.sentence!r} ends at {annotation.last}, before it begins")
        actions = np.stack([frame["rel_actions"] for frame in frames]).astype(np.float32)
        actions[:, 6] = (actions[:, 6] + 1) // 2
        pictures = {role: [frame[name] for frame in frames] for name, role in ROLES.items()}
        yield Segment(annotation.sentence, pictures, actions)


def parts(split: Path) -> list[Part]:
    """A shard for every SHARD_SEGMENTS sentences. Raises DataError."""
    annotations = read_annotations(split)
    return [
        Part(f"calvin-{first:06d}", f"{split.resolve()} {some}", partial(segments, split, some))
        for first in range(0, len(annotations), SHARD_SEGMENTS)
        for some in [annotations[first : first + SHARD_SEGMENTS]]
    ]
