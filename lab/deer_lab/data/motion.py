"""Velocities and poses as the policy's relative actions."""

from __future__ import annotations

import numpy as np


def euler_of(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors [rad] (T, 3) -> (roll, pitch, yaw) [rad] about the fixed axes x, y, z (T, 3)."""
    half = np.linalg.norm(vectors, axis=1, keepdims=True) / 2
    w = np.cos(half[:, 0])
    x, y, z = (vectors / 2 * np.sinc(half / np.pi)).T
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1, 1))
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.stack([roll, pitch, yaw], axis=1)


def relative(twists: np.ndarray, seconds: float, scales: np.ndarray) -> np.ndarray:
    """Velocities (T, 6) [m/s, rad/s] held for `seconds` -> relative actions (T, 6) in units of `scales` (6), each cut
    to -1..1. A turn is a rotation vector per second before and fixed-axes roll, pitch, yaw after."""
    moved = np.concatenate([twists[:, :3] * seconds, euler_of(twists[:, 3:] * seconds)], axis=1)
    return np.clip(moved / scales, -1, 1)
