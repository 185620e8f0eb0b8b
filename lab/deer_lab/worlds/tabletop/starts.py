"""Random states from which a task can begin."""

import dataclasses

import numpy as np

from deer_lab.worlds.action import OPEN
from deer_lab.worlds.tabletop import expert
from deer_lab.worlds.tabletop.layout import BLOCKS
from deer_lab.worlds.tabletop.state import InitialState
from deer_lab.worlds.tabletop.tasks import TASKS
from deer_lab.worlds.world import World

MAX_STEPS = 160  # control periods until an attempt of the expert counts as failed
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


def random_initial(rng: np.random.Generator) -> InitialState:
    """A scene in words, each thing drawn on its own; blocks are on the table half of the time."""
    places = ["table", "drawer", "slider_left", "slider_right"]
    blocks: dict[str, str] = {}
    for block in rng.permutation(BLOCKS):
        taken = list(blocks.values())
        room = [place for place in places if place == "table" or place not in taken]
        chances = np.array([3.0 if place == "table" else 1.0 for place in room])
        blocks[str(block)] = str(rng.choice(room, p=chances / chances.sum()))
    return InitialState(
        led=bool(rng.integers(2)),
        lightbulb=bool(rng.integers(2)),
        slider=str(rng.choice(["left", "right"])),
        drawer=str(rng.choice(["closed", "open"])),
        **blocks,
        seed=int(rng.integers(2**31)),
    )


def suited(initial: InitialState, task: str) -> InitialState:
    """`initial` with the few words changed that `task` cannot do without."""
    words: dict[str, object] = {}
    colour_block = next((block for block in BLOCKS if f"_{block}_" in task), None)
    if task in ("place_in_drawer", "push_into_drawer") or (task.endswith("_drawer") and task.startswith("lift")):
        words["drawer"] = "open"
    if task.endswith(("_table", "_left", "_right")) and colour_block:
        words[colour_block] = "table"
    if task.startswith("lift") and task.endswith("_drawer"):
        words[colour_block] = "drawer"
        words |= {b: "table" for b in BLOCKS if b != colour_block and getattr(initial, b) == "drawer"}
    if task.startswith("lift") and task.endswith("_slider"):
        bay = "slider_right" if initial.slider == "left" else "slider_left"
        words |= {b: "table" for b in BLOCKS if getattr(initial, b) == bay} | {colour_block: bay}
    return dataclasses.replace(initial, **words)


def do(world: World, task: str) -> bool:
    """Lets the expert do `task`; whether it succeeded within MAX_STEPS."""
    before = state = world.state()
    for _ in range(MAX_STEPS):
        world.step(expert.act(task, state))
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
                lifts = [task for task in LIFTS if TASKS[task].possible(world.state())]
                if not lifts:
                    break
                first = str(rng.choice(lifts))
            if not TASKS[first].possible(world.state()) or not do(world, first):
                break
            if first == "stack_block":
                for _ in range(RETREAT_STEPS):
                    world.step(np.array([0, 0, 1, 0, 0, 0, OPEN]))
        if TASKS[task].possible(world.state()):
            return initial
    raise RuntimeError(f"no state found where {task} can begin")
