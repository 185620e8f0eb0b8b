"""What the expert would do in a state, whichever task it were asked: one frame of a demonstration teaches many tasks.

The expert has no memory, so its answer to a state does not depend on how the arm came there (hindsight relabelling in
the sense of Andrychowicz et al. 2017, with the expert at hand to say what would have been right).
"""

from collections.abc import Iterable

import numpy as np

NEAR = 0.03  # [m]: offsets to a goal are linear within and logarithmic beyond

Answer = tuple[np.ndarray, np.ndarray]  # an action [7], and where it leads


def table(answers: Iterable[Answer | None], goal_dims: int) -> np.ndarray:
    """float16 (tasks, 7 + goal_dims): per task the action, arm in -1..1, gripper 1 open or 0 closed, and where it
    leads; NaN where the task cannot begin."""
    nothing = np.full(7 + goal_dims, np.nan)
    rows = [np.r_[given[0][:6], given[0][6] > 0, given[1]] if given else nothing for given in answers]
    return np.array(rows, np.float16)


def offset(goal: np.ndarray, hand: tuple[float, float, float]) -> np.ndarray:
    """A goal as the hand has it before it: x, y, z (about 1 for 0.3 m).

    An action says little of it: the hand rises in the same way whatever it will go to.
    """
    return np.arcsinh((goal - hand) / NEAR) / 3
