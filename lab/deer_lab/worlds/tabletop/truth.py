"""The true state of a scene as numbers: what a policy must see in the pictures, and may be asked while it trains."""

import math

import numpy as np

from deer_lab.worlds.rotation import matrix_from_euler, yaw_of

FIXTURES = ("drawer", "slider", "button", "switch", "led", "lightbulb", "opening")
REACH = 0.12  # [m]: what is further from the fingertips counts as so far, so that the near is asked for finely


def truth(state: dict) -> np.ndarray:
    """State.as_dict() -> float32 (48): per block position [m], doubled yaw as (cos, sin) and whether it is held;
    the hand's position [m] and yaw as (cos, sin); drawer, slider, button, switch, lights and fingers; whether open;
    per block, as the hand's own camera sees it, position from the fingertips [m] and doubled yaw as (cos, sin); and how
    far the hand is tilted from the vertical towards x and y [rad].
    """
    hand, hand_yaw = np.array(state["tcp_position"]), state["tcp_euler"][2]
    numbers: list[float] = []
    beside: list[float] = []
    for _, block in sorted(state["blocks"].items()):
        yaw = yaw_of(block["quaternion"])
        numbers += [*block["position"], *doubled(yaw), float(block["held"])]
        x, y, z = block["position"] - hand
        cos, sin = math.cos(hand_yaw), math.sin(hand_yaw)
        offset = np.array([cos * x + sin * y, cos * y - sin * x, z])
        beside += [*np.clip(offset, -REACH, REACH), *doubled(yaw - hand_yaw)]
    numbers += [*hand, math.cos(hand_yaw), math.sin(hand_yaw)]
    numbers += [float(state[name]) for name in FIXTURES]
    fingers = matrix_from_euler(np.array(state["tcp_euler"]))[:, 2]
    return np.array([*numbers, float(state["gripper_open"]), *beside, *fingers[:2]], np.float32)


def doubled(yaw: float) -> tuple[float, float]:
    """A block turned by half a turn looks the same."""
    return math.cos(2 * yaw), math.sin(2 * yaw)
