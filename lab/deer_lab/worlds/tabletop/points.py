"""Where things appear in the pictures, from the true state: what keypoints are taught while a policy trains."""

import math
from dataclasses import dataclass

import numpy as np

from deer_lab.worlds.rotation import matrix_from_euler

HANDLES = ("drawer_handle", "slider_handle", "lever")
DRAWER_SHOWS = 0.1  # [m]: opened less, it hides what lies in it
NEAREST = 0.02  # [m] before a camera


@dataclass(frozen=True)
class Eye:
    """A camera of scene.xml or arm.xml: position [m], directions of the picture's right and up, vertical view [deg]."""

    position: tuple[float, float, float]
    right: tuple[float, float, float]
    up: tuple[float, float, float]
    view: float


EYES = {
    "static": Eye((0.47, -1.14, 1.12), (1, 0, 0), (0, 0.66, 0.75), 36),
    "gripper": Eye((0.1, 0, 0.03 - 0.1034), (0, 1, 0), (0.883, 0, 0.469), 75),  # from the fingertips, in their frame
}


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


def seen(state: dict) -> dict[str, np.ndarray]:
    """State.as_dict() -> per camera float32 [7, 3] as `look` gives it: the blocks, the fingertips, the HANDLES."""
    blocks = [block for _, block in sorted(state["blocks"].items())]
    hand = np.array(state["tcp_position"])
    points = np.array([*(block["position"] for block in blocks), hand, *(state["points"][name] for name in HANDLES)])
    frames = {"static": (np.zeros(3), np.eye(3)), "gripper": (hand, matrix_from_euler(np.array(state["tcp_euler"])))}
    found = {camera: look(EYES[camera], *frame, points) for camera, frame in frames.items()}
    for number, block in enumerate(blocks):
        if block["on"] == "drawer" and state["drawer"] < DRAWER_SHOWS:
            for places in found.values():
                places[number, 2] = 0
    return found
