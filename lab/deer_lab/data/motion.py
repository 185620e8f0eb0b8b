"""Velocities, displacements and poses, each for T moments at once.

A displacement is what one control period moves: x, y, z [m], then roll, pitch, yaw [rad] about fixed axes, so that
R = Rz(yaw) Ry(pitch) Rx(roll). Rotations are unit quaternions (w, x, y, z), (T, 4).
"""

from __future__ import annotations

import numpy as np


def from_vectors(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors [rad] (T, 3) -> rotations."""
    half = np.linalg.norm(vectors, axis=1, keepdims=True) / 2
    return np.concatenate([np.cos(half), vectors / 2 * np.sinc(half / np.pi)], axis=1)


def to_vectors(rotations: np.ndarray) -> np.ndarray:
    """Rotations -> rotation vectors [rad] (T, 3), no longer than pi."""
    rotations = np.where(rotations[:, :1] < 0, -rotations, rotations)
    sine = np.linalg.norm(rotations[:, 1:], axis=1, keepdims=True)
    angle = 2 * np.arctan2(sine, rotations[:, :1])
    return rotations[:, 1:] * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)


def from_euler(euler: np.ndarray) -> np.ndarray:
    """(roll, pitch, yaw) [rad] (T, 3) -> rotations."""
    axes = np.eye(3)
    roll, pitch, yaw = (from_vectors(euler[:, [i]] * axes[i]) for i in range(3))
    return product(yaw, product(pitch, roll))


def to_euler(rotations: np.ndarray) -> np.ndarray:
    """Rotations -> (roll, pitch, yaw) [rad] (T, 3)."""
    w, x, y, z = rotations.T
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1, 1))
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.stack([roll, pitch, yaw], axis=1)


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rotations one after the other: first `right`, then `left`."""
    (a, b, c, d), (e, f, g, h) = left.T, right.T
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=1,
    )


def displacements(twists: np.ndarray, seconds: float) -> np.ndarray:
    """Velocities [m/s, rad/s] (T, 6), turns as rotation vectors, each held for `seconds` -> displacements (T, 6)."""
    return np.concatenate([twists[:, :3] * seconds, to_euler(from_vectors(twists[:, 3:] * seconds))], axis=1)


def velocities(moved: np.ndarray, seconds: float) -> np.ndarray:
    """Displacements (T, 6) -> the velocities that make them in `seconds` each."""
    return np.concatenate([moved[:, :3], to_vectors(from_euler(moved[:, 3:]))], axis=1) / seconds


def differences(positions: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Poses (T, 3) and (T, 4), in the frame of the displacements -> what leads from each to the next (T - 1, 6)."""
    turned = product(rotations[1:], rotations[:-1] * (1, -1, -1, -1))
    return np.concatenate([np.diff(positions, axis=0), to_euler(turned)], axis=1)


def joined(moved: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Displacements (T, 6) -> those from each moment of `first` (N) to the next, and from its last to the end."""
    groups = np.split(moved, first[1:])
    together = np.zeros((len(groups), 6))
    for row, group in zip(together, groups):
        turned = np.array([[1.0, 0, 0, 0]])
        for rotation in from_euler(group[:, 3:]):
            turned = product(rotation[None], turned)
        row[:] = *group[:, :3].sum(0), *to_euler(turned)[0]
    return together
