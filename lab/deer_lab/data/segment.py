"""What every kind of demonstration becomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deer_lab.data.aids import Aids
from deer_lab.embodiment import Embodiment


class DataError(Exception):
    """Demonstrations that cannot be used; the message names the file and how to mend it."""


@dataclass(frozen=True)
class Segment:
    """The T frames of one instruction, one control period apart and without gaps.

    `pictures`: by camera role T times uint8 RGB (H, W, 3). `motion`: (T, 6), what the arm was told to move until the
    next frame, [m] and [rad] as deer_lab.data.motion has it. `gripper`: (T), the position that it was told, in the
    embodiment's unit. `aids`: what a simulated world knows besides, where it was recorded and asked for.
    """

    instruction: str
    pictures: dict[str, list[np.ndarray]]
    motion: np.ndarray
    gripper: np.ndarray
    aids: Aids | None = None

    def __len__(self) -> int:
        return len(self.motion)

    def actions(self, embodiment: Embodiment) -> np.ndarray:
        """What a policy is taught: float32 (T, 7), arm in -1..1 of the embodiment's scales, gripper 1 open or 0."""
        scales = np.array([axis.scale for axis in embodiment.arm])
        opened = [embodiment.gripper.is_open(float(position)) for position in self.gripper]
        return np.c_[np.clip(self.motion / scales, -1, 1), opened].astype(np.float32)
