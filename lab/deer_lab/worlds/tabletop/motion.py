"""How the hand goes to a goal: rise, cross the desk, come down; as a function of where it is now."""

import math
from dataclasses import dataclass

import numpy as np

from deer_lab.worlds.action import POSITION_SCALE, ROTATION_SCALE
from deer_lab.worlds.rotation import euler_from_matrix, matrix_from_euler
from deer_lab.worlds.tabletop.layout import DOWN
from deer_lab.worlds.tabletop.state import State

GAIN = 0.35  # share of the error made good in one control period; more would swing, as the arm lags by 0.04 s
CLEARANCE = 0.13  # [m] above the goal while the hand is not above it yet
CABINET_Y, CABINET_TRAVEL = 0.20, 0.43  # [m] beyond this y the hand travels at this height or higher
FUNNEL_RADIUS, FUNNEL_SLOPE = 0.012, 2.5  # [m], [m/m]: the hand comes down as it comes near
TURN_SPEED = 0.9  # of the fastest action


@dataclass(frozen=True)
class Goal:
    """Where the fingertips should go next. `straight`: directly there; else over the obstacles and down upon it."""

    position: np.ndarray
    gripper: float
    yaw: float = 0.0
    straight: bool = False
    speed: float = 0.7  # of the fastest action: 0.42 m/s


def steer(state: State, goal: Goal) -> np.ndarray:
    """The action [7] that brings the hand closer to `goal`."""
    tcp = np.array(state.tcp_position)
    error = goal.position - tcp if goal.straight else funnel(state, goal)
    move = GAIN * error / POSITION_SCALE
    move *= goal.speed / max(goal.speed, float(np.linalg.norm(move)))
    rotation = matrix_from_euler(np.array(state.tcp_euler))
    target = matrix_from_euler(np.array([0, 0, goal.yaw])) @ DOWN
    turn = np.clip(GAIN * euler_from_matrix(target @ rotation.T) / ROTATION_SCALE, -TURN_SPEED, TURN_SPEED)
    return np.r_[move, turn, goal.gripper]


def funnel(state: State, goal: Goal) -> np.ndarray:
    """The way [3] to `goal` that rises before it crosses the desk and comes down only above the goal."""
    tcp = np.array(state.tcp_position)
    error = goal.position - tcp
    away = float(np.linalg.norm(error[:2])) + 0.05 * abs(yaw_error(state, goal.yaw))
    climb = min(CLEARANCE, max(0.0, FUNNEL_SLOPE * (away - FUNNEL_RADIUS)))
    height = goal.position[2] + climb
    if max(tcp[1], goal.position[1]) > CABINET_Y and away > 0.05:
        height = max(height, CABINET_TRAVEL)
    error[2] = height - tcp[2]
    error[:2] *= np.clip(1.0 - (error[2] - 0.02) / 0.04, 0.0, 1.0)  # too low to cross: rise first
    return error


def yaw_error(state: State, yaw: float) -> float:
    """How far the hand must still turn about the vertical [rad], -pi..pi."""
    return math.remainder(yaw - state.tcp_euler[2], math.tau)


def near(state: State, position: np.ndarray, across: float, height: float) -> bool:
    """Whether the fingertips are within `across` [m] of `position` in the plane and `height` [m] above or below."""
    error = np.array(state.tcp_position) - position
    return math.hypot(error[0], error[1]) < across and abs(error[2]) < height
