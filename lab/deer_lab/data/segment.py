"""What every kind of demonstration becomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deer_lab.data.aids import Aids


class DataError(Exception):
    """Demonstrations that cannot be used; the message names the file and how to mend it."""


@dataclass(frozen=True)
class Segment:
    """The T frames of one instruction, in order and without gaps.

    `pictures`: by camera role T times uint8 RGB (H, W, 3). `actions`: float32 (T, 7), arm in -1..1, gripper 1 open or 0
    closed. `aids`: what a simulated world knows besides, where it was recorded and asked for.
    """

    instruction: str
    pictures: dict[str, list[np.ndarray]]
    actions: np.ndarray
    aids: Aids | None = None
