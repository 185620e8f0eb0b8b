"""What the expert would do in a state, whichever task it were asked: one frame of a demonstration teaches many tasks.

The expert has no memory, so its answer to a state does not depend on how the arm came there (hindsight relabelling in
the sense of Andrychowicz et al. 2017, with the expert at hand to say what would have been right).
"""

import numpy as np

from deer_lab.tabletop import expert
from deer_lab.tabletop.tasks import TASKS
from deer_lab.tabletop.world import State

SENTENCES = [(task.phrasings.validation, *task.phrasings.train) for task in TASKS.values()]  # in the answers' order


def answers(state: dict) -> np.ndarray:
    """State.as_dict() -> float16 (34, 7): per task the action, arm in -1..1, gripper 1 open or 0 closed; NaN where the
    task cannot begin."""
    known = State.from_dict(state)
    found = np.full((len(TASKS), 7), np.nan, np.float16)
    for row, (name, task) in zip(found, TASKS.items(), strict=True):
        if task.possible(known):
            action = expert.act(name, known)
            row[:] = *action[:6], action[6] > 0
    return found
