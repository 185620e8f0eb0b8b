"""The expert's answers to every task of the tabletop."""

import numpy as np

from deer_lab.worlds.answers import Answer, offset, table
from deer_lab.worlds.tabletop import expert
from deer_lab.worlds.tabletop.motion import Goal, steer, yaw_error
from deer_lab.worlds.tabletop.state import State
from deer_lab.worlds.tabletop.tasks import TASKS

SENTENCES = [task.phrasings.train for task in TASKS.values()]  # in the answers' order
GOAL_DIMS = 4


def answers(state: State) -> np.ndarray:
    """float16 (34, 11), as answers.table has it; where an action leads, as `ahead` gives it."""
    found = (answer(name, state) if task.possible(state) else None for name, task in TASKS.items())
    return table(found, GOAL_DIMS)


def answer(task: str, state: State) -> Answer:
    """What the expert does, and where that leads."""
    goal = expert.goal_of(task, state)
    return steer(state, goal), ahead(state, goal)


def ahead(state: State, goal: Goal) -> np.ndarray:
    """The offset to a goal, and how far the hand has to turn [rad]."""
    return np.r_[offset(goal.position, state.tcp_position), yaw_error(state, goal.yaw)]
