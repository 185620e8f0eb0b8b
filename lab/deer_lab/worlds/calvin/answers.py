"""The expert's answers to every task in CALVIN's scene D."""

import numpy as np

from deer_lab.worlds.answers import Answer, offset, table
from deer_lab.worlds.calvin import expert
from deer_lab.worlds.calvin.motion import steer, turn_left
from deer_lab.worlds.calvin.phrasings import phrasings
from deer_lab.worlds.calvin.state import State
from deer_lab.worlds.calvin.tasks import NAMES, possible

SENTENCES = [said.train for said in phrasings().values()]  # in the answers' order
GOAL_DIMS = 5


def answers(state: State) -> np.ndarray:
    """float16 (34, 12), as answers.table has it; where an action leads: the offset to the goal, and how far pitch and
    yaw have to turn [rad]."""
    return table((answer(task, state) if possible(task, state) else None for task in NAMES), GOAL_DIMS)


def answer(task: str, state: State) -> Answer:
    """What the expert does, and where that leads."""
    goal = expert.goal_of(task, state)
    return steer(state, goal), np.r_[offset(goal.position, state.tcp_position), turn_left(state, goal)[1:]]
