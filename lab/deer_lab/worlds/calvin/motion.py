"""How the hand goes to a goal in CALVIN's scene: back, across, and in along its fingers; a function of where it is now.

CALVIN adds an action's turn to the Euler angles of the hand, so a turn here is a difference of Euler angles.
"""

import math
from dataclasses import dataclass

import numpy as np

from deer_lab.worlds.action import POSITION_SCALE, ROTATION_SCALE
from deer_lab.worlds.calvin.state import State
from deer_lab.worlds.rotation import matrix_from_euler

HOME_YAW = math.pi / 2  # [rad]: the fingers move along x
GAIN = 0.35  # share of the error made good in one control period
CLEARANCE = 0.12  # [m] before the goal, against the fingers' direction, while the hand is not in line with it yet
FUNNEL_RADIUS, FUNNEL_SLOPE = 0.012, 2.5  # [m], [m/m]: the hand goes in as it comes in line
TRAVEL = 0.56  # [m]: the fingertips cross the desk at this height or higher
TURN_SPEED = 0.8  # of the fastest action


@dataclass(frozen=True)
class Goal:
    """Where the fingertips should go next, and how the hand is held there.

    `pitch` [rad]: below 0 the fingers point away from the viewer. `straight`: directly there.
    """

    position: np.ndarray
    gripper: float
    yaw: float = HOME_YAW
    pitch: float = 0.0
    straight: bool = False
    speed: float = 0.7  # of the fastest action: 0.42 m/s


def steer(state: State, goal: Goal) -> np.ndarray:
    """The action [7] that brings the hand closer to `goal`."""
    error = goal.position - state.tcp_position if goal.straight else funnel(state, goal)
    move = GAIN * error / POSITION_SCALE
    move *= goal.speed / max(goal.speed, float(np.linalg.norm(move)))
    turn = np.clip(GAIN * turn_left(state, goal) / ROTATION_SCALE, -TURN_SPEED, TURN_SPEED)
    return np.r_[move, turn, goal.gripper]


def turn_left(state: State, goal: Goal) -> np.ndarray:
    """How far roll, pitch and yaw must still turn [3], each within -pi..pi."""
    wanted = (math.pi, goal.pitch, goal.yaw)
    return np.array([math.remainder(w - now, math.tau) for w, now in zip(wanted, state.tcp_euler, strict=True)])


def back(goal: Goal) -> np.ndarray:
    """The direction [3] against the fingers of a hand that is held as the goal wants it."""
    return -matrix_from_euler(np.array([math.pi, goal.pitch, goal.yaw]))[:, 2]


def funnel(state: State, goal: Goal) -> np.ndarray:
    """The way [3] to `goal` that goes back before it crosses the desk, and in only in line with the goal."""
    error, out = goal.position - state.tcp_position, back(goal)
    along = float(error @ out)
    aside = error - along * out
    away = float(np.linalg.norm(aside)) + 0.05 * float(np.linalg.norm(turn_left(state, goal)))
    climb = min(CLEARANCE, max(0.0, FUNNEL_SLOPE * (away - FUNNEL_RADIUS)))
    along += climb
    if away > 0.06:
        along = max(along, TRAVEL - state.tcp_position[2])
    return aside * np.clip(1.0 - (along - 0.02) / 0.04, 0.0, 1.0) + along * out


def near(state: State, position: np.ndarray, across: float, height: float) -> bool:
    """Whether the fingertips are within `across` [m] of `position` in the plane and `height` [m] above or below."""
    error = np.array(state.tcp_position) - position
    return math.hypot(error[0], error[1]) < across and abs(error[2]) < height
