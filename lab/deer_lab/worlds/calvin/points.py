"""Where things of CALVIN's scene D appear in the pictures."""

import numpy as np

from deer_lab.worlds.calvin.expert import BUTTON, drawer_handle, slider_handle, switch_bar
from deer_lab.worlds.calvin.state import State, surface_of
from deer_lab.worlds.calvin.tasks import bay_open
from deer_lab.worlds.eye import Eye, look
from deer_lab.worlds.rotation import matrix_from_euler

DRAWER_SHOWS = 0.1  # [m]: opened less, it hides what lies in it
EYES = {  # of calvin_env's cameras; the gripper's, in its URDF, from the fingertips in their frame
    "static": Eye((2.87146, -2.1666, 2.55516), (0.723245, 0.514123, -0.46108), (-0.03026, 0.69061, 0.72259), 10),
    "gripper": Eye((-0.1, 0, -0.14), (-0.0008, 1, 0), (0.96356, 0.00077, -0.2675), 75),
}


def seen(state: State) -> dict[str, np.ndarray]:
    """Per camera float32 [8, 3] as `look` gives it: the blocks, the fingertips, the handles, the switch, the button."""
    hand, blocks = np.array(state.tcp_position), sorted(state.blocks)
    fixtures = (drawer_handle(state), slider_handle(state), switch_bar(state), BUTTON)
    points = np.array([*(state.blocks[name].position for name in blocks), hand, *fixtures])
    frames = {"static": (np.zeros(3), np.eye(3)), "gripper": (hand, matrix_from_euler(np.array(state.tcp_euler)))}
    found = {camera: look(EYES[camera], *frame, points) for camera, frame in frames.items()}
    for number, name in enumerate(blocks):
        if hidden(state, name):
            for places in found.values():
                places[number, 2] = 0
    return found


def hidden(state: State, name: str) -> bool:
    """Whether a block is behind the sliding door or in the closed drawer."""
    match surface_of(state, name):
        case "slider":
            return not bay_open(state, state.blocks[name].position[0])
        case "drawer":
            return state.drawer < DRAWER_SHOWS
    return False
