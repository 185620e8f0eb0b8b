"""What the expert would do in a state, whichever task it were asked: one frame of a demonstration teaches many tasks.

The expert has no memory, so its answer to a state does not depend on how the arm came there (hindsight relabelling in
the sense of Andrychowicz et al. 2017, with the expert at hand to say what would have been right).
"""

import numpy as np

from deer_lab.worlds.tabletop import expert
from deer_lab.worlds.tabletop.motion import Goal, steer, yaw_error
from deer_lab.worlds.tabletop.state import State
from deer_lab.worlds.tabletop.tasks import TASKS

SENTENCES = [(task.phrasings.validation, *task.phrasings.train) for task in TASKS.values()]  # in the answers' order


GOAL_DIMS = 4
NEAR = 0.03  # [m]: offsets to a goal are linear within and logarithmic beyond


def answers(state: dict) -> np.ndarray:
    """State.as_dict() -> float16 (34, 11): per task the action, arm in -1..1, gripper 1 open or 0 closed, and where it
    leads, as `ahead` gives it; NaN where the task cannot begin."""
    known = State.from_dict(state)
    found = np.full((len(TASKS), 7 + GOAL_DIMS), np.nan, np.float16)
    for row, (name, task) in zip(found, TASKS.items(), strict=True):
        if task.possible(known):
            goal = expert.goal_of(name, known)
            action = steer(known, goal)
            row[:] = *action[:6], action[6] > 0, *ahead(known, goal)
    return found


def ahead(state: State, goal: Goal) -> np.ndarray:
    """A goal as the hand has it before it: x, y, z (about 1 for 0.3 m) and how far to turn [rad].

    An action says little of it: the hand rises in the same way whatever it will go to.
    """
    offset = np.arcsinh((goal.position - state.tcp_position) / NEAR) / 3
    return np.r_[offset, yaw_error(state, goal.yaw)]
