"""The true state of a scene as numbers: what a policy must see in the pictures, and may be asked while it trains."""

import math

import numpy as np

from deer_lab.tabletop.rotation import yaw_of

FIXTURES = ("drawer", "slider", "button", "switch", "led", "lightbulb", "opening")


def truth(state: dict) -> np.ndarray:
    """State.as_dict() -> float32 (31): per block position [m], doubled yaw as (cos, sin) and whether it is held;
    the hand's position [m] and yaw as (cos, sin); drawer, slider, button, switch, lights and fingers; whether open.
    """
    numbers: list[float] = []
    for _, block in sorted(state["blocks"].items()):
        yaw = 2 * yaw_of(block["quaternion"])  # a block turned by half a turn looks the same
        numbers += [*block["position"], math.cos(yaw), math.sin(yaw), float(block["held"])]
    yaw = state["tcp_euler"][2]
    numbers += [*state["tcp_position"], math.cos(yaw), math.sin(yaw)]
    numbers += [float(state[name]) for name in FIXTURES]
    return np.array([*numbers, float(state["gripper_open"])], np.float32)
