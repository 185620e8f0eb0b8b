"""What any simulated world offers to the node, the recorder, the evaluator and training.

A world is reset to an initial state, moved by relative actions, looked at through two cameras and judged by its own
oracle. Everything that uses a world uses this interface and nothing else. `catalog.py` opens worlds by their names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

CAMERAS = ("static", "gripper")


@dataclass(frozen=True)
class Phrasings:
    """The sentences of one task: `validation` is what evaluation says, which may be among `train`, what is trained on;
    `test` is never trained on."""

    validation: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def __iter__(self):
        return iter(dict.fromkeys((self.validation, *self.train, *self.test)))


@dataclass(frozen=True)
class Chain:
    """Where it starts, as the world's `initial_type`, and what is asked, in order."""

    initial: Any
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Fingers:
    """How the gripper is commanded and reported: its joints, and where each of them stands when it is open [m].

    Closed is 0; the half between them parts the two.
    """

    joints: tuple[str, ...]
    open: float


class State(Protocol):
    """A scene's true state: a dataclass of the world's own, of numbers, strings and containers that JSON knows."""

    joints: tuple[float, ...]  # in the order of World.joint_names


class World(Protocol):
    """One scene with one arm.

    An action is what `action.py` describes: [7], relative, added to a running target pose in the base frame.
    """

    name: str  # as --world names it
    control_hz: float
    joint_names: tuple[str, ...]
    fingers: Fingers
    tasks: Mapping[str, Phrasings]
    initial_type: type  # a frozen dataclass of words and numbers with defaults; `seed` settles what they leave open

    def reset(self, initial: Any) -> None:
        """Starts anew from an `initial_type`; equal arguments give equal worlds, to the bit. Raises ValueError."""

    def step(self, action: np.ndarray) -> None:
        """Moves one control period. Raises ValueError where `action` is not seven finite numbers."""

    def pictures(self) -> dict[str, np.ndarray]:
        """RGB uint8 by camera: "static" [200, 200, 3] and "gripper" [84, 84, 3]."""

    def state(self) -> State:
        """The true state now."""

    def done(self, task: str, before: State, after: State) -> bool:
        """The oracle: whether `task` was accomplished between two states. Raises KeyError for an unknown task."""

    def close(self) -> None:
        """Frees what the renderer holds."""

    # What is asked, and how it is shown

    expert_steps: int  # control periods in which the expert does any task that it can do

    def chains(self) -> list[Chain]:
        """The fixed chains of five tasks that policies are judged on, always the same."""

    def group_of(self, task: str) -> str:
        """Tasks of one group do not meet in a recording."""

    def possible(self, task: str, state: State) -> bool:
        """Whether `task` can begin in `state`."""

    def begin(self, task: str, rng: np.random.Generator) -> None:
        """Brings the world into a random state where `task` is possible. Raises RuntimeError where it found none."""

    def expert(self, task: str, state: State) -> np.ndarray:
        """What a scripted expert, who has no memory, does next: an action [7]. Raises KeyError for an unknown task."""
