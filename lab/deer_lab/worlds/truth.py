"""The true state of a desk as numbers: what a policy must see in the pictures, and may be asked while it trains."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deer_lab.worlds.rotation import matrix_from_euler

FIXTURES = ("drawer", "slider", "button", "switch", "led", "lightbulb", "opening")
REACH = 0.12  # [m]: what is further from the fingertips counts as so far, so that the near is asked for finely


class Desk(Protocol):
    """The state of a desk with FIXTURES and a hand (tabletop.state.State, calvin.state.State)."""

    tcp_position: tuple[float, float, float]
    tcp_euler: tuple[float, float, float]
    gripper_open: bool


@dataclass(frozen=True)
class Seen:
    """A block: position [3] m, heading [rad], whether it is held, and in how many headings of a turn it looks alike."""

    position: tuple[float, float, float]
    yaw: float
    held: bool
    alike: int = 2

    def heading(self, from_yaw: float = 0.0) -> tuple[float, float]:
        """The heading from another one, so multiplied that what looks alike is equal, as (cos, sin)."""
        turned = self.alike * (self.yaw - from_yaw)
        return math.cos(turned), math.sin(turned)


def truth(state: Desk, blocks: Iterable[Seen]) -> np.ndarray:
    """float32 (18 + 11 per block): per block position [m], heading as (cos, sin) and whether it is held;
    the hand's position [m] and yaw as (cos, sin); drawer, slider, button, switch, lights and fingers; whether open;
    per block, as the hand's own camera sees it, position from the fingertips [m] and heading as (cos, sin); and how
    far the hand is tilted from the vertical towards x and y [rad].
    """
    hand, hand_yaw = np.array(state.tcp_position), state.tcp_euler[2]
    cos, sin = math.cos(hand_yaw), math.sin(hand_yaw)
    numbers: list[float] = []
    beside: list[float] = []
    for block in blocks:
        numbers += [*block.position, *block.heading(), float(block.held)]
        x, y, z = block.position - hand
        offset = np.array([cos * x + sin * y, cos * y - sin * x, z])
        beside += [*np.clip(offset, -REACH, REACH), *block.heading(hand_yaw)]
    numbers += [*hand, cos, sin]
    numbers += [float(getattr(state, name)) for name in FIXTURES]
    fingers = matrix_from_euler(np.array(state.tcp_euler))[:, 2]
    return np.array([*numbers, float(state.gripper_open), *beside, *fingers[:2]], np.float32)
