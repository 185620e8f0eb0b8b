"""Aids: what a simulated world knows of its recordings beyond what a robot would, and training may ask for.

A world brings them as a module (`--aids deer_lab.worlds.tabletop.aids`) with

    TOPIC: str                              the std_msgs/String topic that its recordings tell them on
    def aids(texts: list[str]) -> Aids      what it makes of the T messages that belong to T frames
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np


@dataclass(frozen=True)
class Aids:
    """`state`: float32 (T, K), the true state. `points`: by camera role where things are in its picture, float32
    (T, n, 3): x, y in -1..1, 1 where it shows. `answers`: float16 (T, tasks, 7 + G), for every task the expert's action
    and G numbers that say where it leads; NaN where the task cannot begin. `sentences`: what may be said for each task.
    """

    state: np.ndarray
    points: dict[str, np.ndarray] = field(default_factory=dict)
    answers: np.ndarray | None = None
    sentences: tuple[tuple[str, ...], ...] = ()


def gathered(
    frames: list[tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]], sentences: Iterable[Iterable[str]]
) -> Aids:
    """Of each frame its state (K), its points by camera (n, 3) and its answers (tasks, 7 + G)."""
    states, points, answers = zip(*frames, strict=True)
    by_camera = {camera: np.stack([shown[camera] for shown in points]) for camera in points[0]}
    return Aids(np.stack(states), by_camera, np.stack(answers), tuple(map(tuple, sentences)))


def sources(name: str | None) -> str:
    """Of the world's own code, which says what the aids are: answers of an expert that has learned better are others.

    Raises ValueError as load_aids."""
    world = load_aids(name)
    if world is None:
        return ""
    own = Path(world.__file__)
    files = sorted(own.parent.glob("*.py")) if world.__package__ else [own]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def load_aids(name: str | None) -> ModuleType | None:
    """The module of that name. Raises ValueError where it is none that brings aids."""
    if name is None:
        return None
    try:
        found = import_module(name)
    except ImportError as error:
        raise ValueError(
            f"--aids {name}: {error}; name a Python module, such as deer_lab.worlds.tabletop.aids"
        ) from error
    if not (hasattr(found, "TOPIC") and hasattr(found, "aids")):
        raise ValueError(f"--aids {name}: the module lacks TOPIC or aids(texts); deer_lab/data/aids.py explains them")
    return found
