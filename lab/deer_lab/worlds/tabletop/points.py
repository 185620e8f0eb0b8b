"""Where things of the tabletop appear in the pictures."""

import numpy as np

from deer_lab.worlds.eye import Eye, look
from deer_lab.worlds.rotation import matrix_from_euler
from deer_lab.worlds.tabletop.state import State

HANDLES = ("drawer_handle", "slider_handle", "lever")
DRAWER_SHOWS = 0.1  # [m]: opened less, it hides what lies in it
EYES = {  # of scene.xml; and of arm.xml, from the fingertips in their frame
    "static": Eye((0.47, -1.14, 1.12), (1, 0, 0), (0, 0.66, 0.75), 36),
    "gripper": Eye((0.1, 0, 0.03 - 0.1034), (0, 1, 0), (0.883, 0, 0.469), 75),
}


def seen(state: State) -> dict[str, np.ndarray]:
    """Per camera float32 [7, 3] as `look` gives it: the blocks, the fingertips, the HANDLES."""
    blocks = [block for _, block in sorted(state.blocks.items())]
    hand = np.array(state.tcp_position)
    points = np.array([*(block.position for block in blocks), hand, *(state.points[name] for name in HANDLES)])
    frames = {"static": (np.zeros(3), np.eye(3)), "gripper": (hand, matrix_from_euler(np.array(state.tcp_euler)))}
    found = {camera: look(EYES[camera], *frame, points) for camera, frame in frames.items()}
    for number, block in enumerate(blocks):
        if block.on == "drawer" and state.drawer < DRAWER_SHOWS:
            for places in found.values():
                places[number, 2] = 0
    return found
