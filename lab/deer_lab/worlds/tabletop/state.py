"""The desk's true state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Block:
    """Where a block is: position [3] m, quaternion (w, x, y, z), what carries it, whether the fingers hold it.

    `on` names "table", "drawer", "slider" or the block below; empty while nothing but the fingers touches it.
    """

    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    on: str
    held: bool


@dataclass(frozen=True)
class State:
    """The true state of a scene. Lengths in metres, angles in radians, poses in the world frame."""

    led: bool
    lightbulb: bool
    slider: float  # 0 left .. 0.20 right
    drawer: float  # 0 closed .. 0.20 open
    button: float  # 0 up .. 0.012 pressed
    switch: float  # 0 off .. 0.07 on
    blocks: Mapping[str, Block]  # by "red_block", "blue_block", "pink_block"
    tcp_position: tuple[float, float, float]
    tcp_euler: tuple[float, float, float]  # roll, pitch, yaw
    opening: float  # between the fingers, 0 .. 0.08
    gripper_open: bool  # what the gripper was told last
    joints: tuple[float, ...]  # arm [7] and fingers [2]
    points: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)  # handles and the button

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "State":
        """What dataclasses.asdict gave, JSON or not in between."""
        return cls(**{**state, "blocks": {name: Block(**block) for name, block in state["blocks"].items()}})
