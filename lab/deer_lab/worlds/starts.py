"""Random states from which one of CALVIN's 34 tasks can begin, on any desk that has CALVIN's words."""

import numpy as np

from deer_lab.worlds.action import OPEN
from deer_lab.worlds.words import BLOCKS, InitialState, random_initial, suited
from deer_lab.worlds.world import World

MORE_STEPS = 40  # of an attempt than the expert needs, until it counts as failed
TRIES = 200
LIFTS = tuple(f"lift_{block}_table" for block in BLOCKS)
RETREAT_STEPS = 6  # upwards, 2 cm each
# What has to be done first, by the expert, so that the task can begin; "lift" is any block from the table.
BEFORE = {
    "place_in_slider": ("lift",),
    "place_in_drawer": ("lift",),
    "stack_block": ("lift",),
    "unstack_block": ("lift", "stack_block"),
}


def do(world: World, task: str) -> bool:
    """Lets the expert do `task`; whether it succeeded."""
    before = state = world.state()
    for _ in range(world.expert_steps + MORE_STEPS):
        world.step(world.expert(task, state))
        state = world.state()
        if world.done(task, before, state):
            return True
    return False


def begin(world: World, task: str, rng: np.random.Generator) -> InitialState:
    """Brings `world` into a random state where `task` is possible; returns the initial state it came from.

    Raises RuntimeError where none was found in TRIES attempts.
    """
    for _ in range(TRIES):
        initial = suited(random_initial(rng), task)
        world.reset(initial)
        for first in BEFORE.get(task, ()):
            if first == "lift":
                lifts = [task for task in LIFTS if world.possible(task, world.state())]
                if not lifts:
                    break
                first = str(rng.choice(lifts))
            if not world.possible(first, world.state()) or not do(world, first):
                break
            if first == "stack_block":
                for _ in range(RETREAT_STEPS):
                    world.step(np.array([0, 0, 1, 0, 0, 0, OPEN]))
        if world.possible(task, world.state()):
            return initial
    raise RuntimeError(f"no state found where {task} can begin")
