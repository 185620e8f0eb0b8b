"""What a step need not do: the twin of src/network/plan.rs and glance.rs, for networks in process.

Before a step, each camera is looked at or kept (its last media serve once more), and the whole step may be skipped
(what the last step that ran foresaw for it is carried out; where the network does not foresee, that step's own action).
tests/contracts/plan.json holds both sides to the same decisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

TREMBLE = 0.2  # as a share of the action's scale
SIDE, PATCH = 64, 8  # samples across and down, and how many of them make a patch's side
NOTHING = np.empty((0, 7))  # foreseen


def glance(picture: np.ndarray) -> np.ndarray:
    """RGB bytes (height, width, 3) -> 64 x 64 of its pixels, evenly spread."""
    rows, columns = ((2 * np.arange(SIDE) + 1) * side // (2 * SIDE) for side in picture.shape[:2])
    return picture[rows[:, None], columns]


def change(now: np.ndarray, before: np.ndarray) -> float:
    """How much the patch that changed most did: the mean absolute difference of its bytes, 0 to 1."""
    difference = np.abs(now.astype(np.int64) - before)
    patches = difference.reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH * 3)
    return float(patches.sum(axis=(1, 3)).max() / (255 * 3 * PATCH * PATCH))


def turned(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two translations or rotations point apart, and are long enough to have a direction."""
    return before @ after < 0 and min(before @ before, after @ after) > TREMBLE**2


def rms(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(a - b))))


@dataclass(frozen=True)
class PlanLimits:
    """As the parameters plan.*: 0 in keep_change or skip_delta is never."""

    keep_change: float = 0.0
    skip_delta: float = 0.0
    skip_change: float = 0.1
    max_age: int = 4  # control periods
    max_skips: int = 3
    first_steps: int = 4

    @property
    def blind(self) -> bool:
        """Whether plans are the same whatever the pictures show."""
        return self.keep_change <= 0 and self.skip_change >= 1

    @classmethod
    def of(cls, assignments: Iterable[str]) -> PlanLimits:
        """From the node's parameters, each as plan.NAME:=VALUE. Raises ValueError."""
        given = {}
        for assignment in assignments:
            name, _, value = assignment.partition(":=")
            kind = cls.__annotations__.get(name.removeprefix("plan."))
            if not name.startswith("plan.") or kind is None:
                known = ", ".join(f"plan.{name}" for name in cls.__annotations__)
                raise ValueError(f"{assignment}: a run in process knows {known}")
            given[name.removeprefix("plan.")] = {"float": float, "int": int}[kind](value)
        return cls(**given)


@dataclass(frozen=True)
class Situation:
    """Beside the pictures: the control period [s], the oldest picture that may be acted on [ns], whether the last
    action was carried out and nothing has held the arm since, and from where to where the probability of open leaves
    the gripper as it is; None unless it rests."""

    period_secs: float
    oldest: int
    steady: bool = True
    gripper_rests: tuple[float, float] | None = (0.0, 1.0)


@dataclass(frozen=True)
class PlannedCamera:
    """`seen` is when the picture was taken whose media are acted on [ns], `age` how old that is in periods."""

    look: bool
    seen: int
    age: int
    change: float | None


@dataclass(frozen=True)
class Plan:
    """`delta`: how far the last action that the network gave lies from what a skip would have carried out instead;
    `foreseen`: the actions that were given with it for the periods after."""

    skip: bool
    skips: int
    cameras: tuple[PlannedCamera, ...]
    delta: float | None
    because: str | None
    foreseen: int = 0
    glances: tuple[tuple[np.ndarray, tuple[int, int]], ...] = field(default=(), repr=False, compare=False)


Picture = tuple[int, np.ndarray]  # when it was taken [ns], and RGB bytes (height, width, 3)


class Planner:
    def __init__(self, cameras: int, limits: PlanLimits) -> None:
        self.limits, self._cameras = limits, cameras
        self.clear()

    def clear(self) -> None:
        """An epoch begins."""
        self._encoded: list[tuple[np.ndarray, tuple[int, int], int] | None] = [None] * self._cameras
        self._actions: list[np.ndarray] = []
        self._foreseen = NOTHING
        self._delta: float | None = None
        self._steps = self._skips = 0

    def plan(self, pictures: list[Picture], situation: Situation) -> Plan:
        limits, because, foreseen = self.limits, self._forbids(situation), len(self._foreseen)
        if limits.keep_change <= 0 and limits.skip_delta <= 0:
            looks = tuple(PlannedCamera(True, stamp, 0, None) for stamp, _ in pictures)
            return Plan(False, 0, looks, None, None, foreseen)
        glances = [(glance(picture), picture.shape[:2]) for _, picture in pictures]
        changes, ages = [], []
        for (stamp, _), (now, size), encoded in zip(pictures, glances, self._encoded, strict=True):
            known = encoded and (change(now, encoded[0]) if encoded[1] == size else 1.0)
            usable = encoded is not None and situation.oldest <= encoded[2] <= stamp
            changes.append(known)
            ages.append(round((stamp - encoded[2]) * 1e-9 / situation.period_secs) if usable else None)
        young = [age is not None and age <= limits.max_age for age in ages]
        skip = (
            because is None
            and limits.skip_delta > 0
            and self._skips < min(limits.max_skips, foreseen or limits.max_skips)
            and self._delta is not None
            and self._delta <= limits.skip_delta
            and all(fresh and known <= limits.skip_change for fresh, known in zip(young, changes))
        )
        cameras = []
        for (stamp, _), encoded, known, age, fresh in zip(pictures, self._encoded, changes, ages, young):
            keep = because is None and limits.keep_change > 0 and fresh and known <= limits.keep_change
            look = not (skip or keep)
            cameras.append(PlannedCamera(look, stamp if look else encoded[2], 0 if look else age, known))
        skips = self._skips + 1 if skip else 0
        return Plan(skip, skips, tuple(cameras), self._delta, because, foreseen, tuple(glances))

    def instead(self) -> np.ndarray | None:
        """The six arm outputs that go on where the step is skipped: those foreseen for it, or for as near to it as any
        were; without any the last action's."""
        if len(self._foreseen):
            return self._foreseen[min(self._skips, len(self._foreseen) - 1), :6]
        return self._actions[-1] if self._actions else None

    def done(self, plan: Plan, arm: np.ndarray, foreseen: np.ndarray = NOTHING) -> None:
        """The plan was carried out, with these six arm outputs. `foreseen` (K-1, 7), where the network ran: arm outputs
        and the probability of open of the periods after."""
        instead = self.instead()
        self._steps += 1
        self._skips = plan.skips
        if plan.skip:
            return
        self._delta = None if instead is None else rms(np.asarray(arm), instead)
        self._foreseen = np.asarray(foreseen)
        for index, (camera, (now, size)) in enumerate(zip(plan.cameras, plan.glances)):
            if camera.look:
                self._encoded[index] = (now, size, camera.seen)
        self._actions = [*self._actions, np.asarray(arm)][-2:]

    def _forbids(self, situation: Situation) -> str | None:
        if self._steps < self.limits.first_steps:
            return "first steps"
        if not situation.steady:
            return "after a hold"
        if situation.gripper_rests is None:
            return "gripper"
        lowest, highest = situation.gripper_rests
        if any(not lowest <= probability <= highest for probability in self._foreseen[self._skips :, 6]):
            return "gripper is about to change"
        return "turned" if self._turns() else None

    def _turns(self) -> bool:
        """Whether the last two actions point apart, or what is foreseen for the step and what goes on before it."""
        if len(self._actions) < 2:
            return True
        coming = [self._actions[-1], *self._foreseen[:, :6]][self._skips : self._skips + 2]
        pairs = [self._actions, coming] if len(coming) == 2 else [self._actions]
        return any(turned(before[part], after[part]) for before, after in pairs for part in (slice(3), slice(3, 6)))
