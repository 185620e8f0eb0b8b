"""One relative action and the velocity command it stands for.

An action is [7] in CALVIN's normalisation: x, y, z in units of 0.02 m, roll, pitch, yaw in units of 0.05 rad about the
fixed axes x, y, z of the base frame, each clipped to -1..1; the last number opens the gripper where it is above 0 and
closes it otherwise. A velocity command is the same motion per second, its rotation as a rotation vector.
"""

import numpy as np

from deer_lab.worlds.rotation import (
    euler_from_matrix,
    matrix_from_euler,
    matrix_from_vector,
    vector_from_matrix,
)

POSITION_SCALE = 0.02  # [m] of one unit in x, y, z
ROTATION_SCALE = 0.05  # [rad] of one unit in roll, pitch, yaw
OPEN, CLOSED = 1.0, -1.0


def checked(action: np.ndarray) -> np.ndarray:
    """`action` as seven floats, the first six clipped to -1..1. Raises ValueError for another shape or a NaN."""
    action = np.asarray(action, dtype=float)
    if action.shape != (7,) or not np.isfinite(action).all():
        raise ValueError(f"an action is seven finite numbers, got shape {action.shape}: {action}")
    return np.r_[np.clip(action[:6], -1, 1), OPEN if action[6] > 0 else CLOSED]


def twist_from_action(action: np.ndarray, control_hz: float) -> np.ndarray:
    """Action [7] -> velocities [6]: m/s and rad/s in the base frame."""
    turn = vector_from_matrix(matrix_from_euler(action[3:6] * ROTATION_SCALE))
    return np.r_[action[:3] * POSITION_SCALE, turn] * control_hz


def action_from_twist(twist: np.ndarray, gripper_open: bool, control_hz: float) -> np.ndarray:
    """Velocities [6] held for one control period -> action [7], clipped to what one period may move.

    Rounded to the single precision in which a network gives it: so a policy does the same through a node as in process.
    """
    euler = euler_from_matrix(matrix_from_vector(twist[3:] / control_hz))
    arm = np.r_[twist[:3] / control_hz / POSITION_SCALE, euler / ROTATION_SCALE]
    return np.r_[np.clip(arm.astype(np.float32).astype(float), -1, 1), OPEN if gripper_open else CLOSED]
