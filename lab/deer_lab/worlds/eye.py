"""Where a camera shows what stands where: what keypoints are taught while a policy trains."""

import math
from dataclasses import dataclass

import numpy as np

NEAREST = 0.02  # [m] before a camera


@dataclass(frozen=True)
class Eye:
    """A camera in the frame it is fixed to: position [m], the picture's right and up, its vertical view [deg]."""

    position: tuple[float, float, float]
    right: tuple[float, float, float]
    up: tuple[float, float, float]
    view: float


def look(eye: Eye, origin: np.ndarray, rotation: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [n, 3] in the world as float32 [n, 3]: x to the right and y down, -1..1 in the picture; 1 if within it.

    `origin` [3] and `rotation` [3, 3] place the frame that `eye` is given in.
    """
    right, up = np.array(eye.right, float), np.array(eye.up) / np.linalg.norm(eye.up)
    offset = (points - origin) @ rotation - eye.position
    ahead = offset @ np.cross(up, right)
    plane = np.stack((offset @ right, -(offset @ up)), axis=1)
    place = plane / (np.maximum(ahead, NEAREST) * math.tan(math.radians(eye.view) / 2))[:, None]
    within = (ahead > NEAREST) & (np.abs(place) < 1).all(axis=1)
    return np.c_[np.clip(place, -1, 1), within].astype(np.float32)
