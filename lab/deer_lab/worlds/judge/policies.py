"""What acts in a world, and the policies that need no model: the expert, one that stands still, one at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deer_lab.worlds.action import OPEN
from deer_lab.worlds.world import World


@dataclass(frozen=True)
class Taken:
    """One step of a network with exits: the exit taken, milliseconds of the language model and of the whole step.

    `looked`: at which cameras, all where it is empty; `skipped`: the network was not asked, the last action went on;
    `because`: the rule that forbade to spare anything (plan_because of ~/decision).
    """

    exit: int
    llm_ms: float
    total_ms: float
    looked: tuple[bool, ...] = ()
    skipped: bool = False
    because: str | None = None


class Policy(Protocol):
    """Something that acts in a world. It may look at the pictures; only the expert may look at the true state.

    `taken`: the steps since `begin`, where there is a network.
    """

    taken: Sequence[Taken]

    def begin(self, task: str, instruction: str, seed: list[int]) -> None:
        """A new task begins: forget everything. `seed` settles all chance until the next call."""

    def act(self, world: World) -> np.ndarray:
        """The next action [7]."""


class Expert:
    """The world's scripted expert, told the task's name and shown the true state."""

    taken: Sequence[Taken] = ()

    def begin(self, task: str, instruction: str, seed: list[int]) -> None:
        """See Policy.begin."""
        self._task = task

    def act(self, world: World) -> np.ndarray:
        """See Policy.act."""
        return world.expert(self._task, world.state())


class Nothing:
    """Stands still with open fingers."""

    taken: Sequence[Taken] = ()

    def begin(self, task: str, instruction: str, seed: list[int]) -> None:
        """See Policy.begin."""

    def act(self, world: World) -> np.ndarray:
        """See Policy.act."""
        return np.array([0, 0, 0, 0, 0, 0, OPEN])


class Random:
    """Each number uniform in -1..1 at every step."""

    taken: Sequence[Taken] = ()

    def begin(self, task: str, instruction: str, seed: list[int]) -> None:
        """See Policy.begin."""
        self._rng = np.random.default_rng(seed)

    def act(self, world: World) -> np.ndarray:
        """See Policy.act."""
        return self._rng.uniform(-1, 1, 7)


POLICIES: dict[str, type[Policy]] = {"expert": Expert, "nothing": Nothing, "random": Random}
