"""The desk's chains of five tasks in one scene, after CALVIN's long-horizon protocol: drawn and kept in a file.

A chain is an initial state in words and five tasks, each possible after the one before. Like CALVIN's, the five come
from five different groups, so a chain does not push the same block to and fro. Whether a task is possible is decided
in words too (`Words` below), without physics.

    python -m deer_lab.worlds.tabletop.chains     # writes chains.json anew: the same seed gives the same file
"""

import dataclasses
from pathlib import Path

import numpy as np

from deer_lab.worlds.judge.protocol import LENGTH, read_chains, write_chains
from deer_lab.worlds.tabletop.tasks import TASKS
from deer_lab.worlds.words import BLOCKS, InitialState
from deer_lab.worlds.world import Chain

FILE = Path(__file__).with_name("chains.json")
SEED, COUNT = 0, 1000


# An initial state's words; a block may also be in the "hand", "aside" on the
# table where it was pushed to, part of a "stack" or somewhere "unknown".
Words = dict[str, str | bool]


def group_of(task: str) -> str:
    """Tasks of one group do not meet in a chain."""
    if task.startswith(("push_", "rotate_")) and task != "push_into_drawer":
        return "move"
    if task.startswith("lift_"):
        return "lift_" + task.rsplit("_", 1)[1]
    for word in ("slider", "led", "lightbulb"):
        if word in task and not task.startswith("place"):
            return "light" if word != "slider" else "slider"
    return {"open_drawer": "drawer", "close_drawer": "drawer"}.get(task, task.split("_")[0])


def open_bay(words: Words) -> str:
    """The half of the cabinet that the door leaves free."""
    return "slider_right" if words["slider"] == "left" else "slider_left"


def after(task: str, words: Words) -> Words | None:
    """What `words` become by `task`; None where it cannot be done, or not surely."""
    held = next((block for block in BLOCKS if words[block] == "hand"), None)
    on_table = [block for block in BLOCKS if words[block] in ("table", "aside")]
    named = next((block for block in BLOCKS if f"_{block}_" in task), None)
    places = task in ("place_in_slider", "place_in_drawer", "stack_block")
    if (held is not None) != places:
        return None
    change: dict[str, str | bool] | None = None
    match task.split("_"):
        case ["open" | "close", "drawer"]:
            wanted = "open" if task == "open_drawer" else "closed"
            change = {"drawer": wanted} if words["drawer"] != wanted else None
        case ["move", "slider", side]:
            change = {"slider": side} if words["slider"] != side else None
        case ["turn", on_off, light]:
            change = {light: on_off == "on"} if words[light] != (on_off == "on") else None
        case ["push" | "rotate", _, "block", _]:
            aside = {named: "aside"} if task.startswith("push") else {}
            change = aside if words[named] == "table" else None
        case ["lift", _, "block", place]:
            where = {"table": ("table", "aside"), "drawer": ("drawer",), "slider": (open_bay(words),)}[place]
            reachable = place != "drawer" or words["drawer"] == "open"
            change = {named: "hand"} if words[named] in where and reachable else None
        case ["place", "in", "slider"]:
            bay = open_bay(words)
            change = {held: bay} if bay not in words.values() else None
        case ["place", "in", "drawer"]:
            inside = [block for block in BLOCKS if words[block] == "drawer"]
            change = {held: "drawer"} if words["drawer"] == "open" and len(inside) < 2 else None
        case ["stack", "block"]:  # which block it stands on is not known
            change = {block: "stack" for block in (held, *on_table)} if on_table else None
        case ["unstack", "block"]:  # the upper block may be in the hand or beside the lower one
            stack = [block for block in BLOCKS if words[block] == "stack"]
            change = {block: "unknown" for block in stack} if stack else None
        case ["push", "into", "drawer"]:  # surely possible only where one block is meant and none lies below
            free = words["drawer"] == "open" and not {"drawer", "aside"} & set(words.values())
            change = {on_table[0]: "unknown"} if free and len(on_table) == 1 else None  # perhaps against its wall
    return None if change is None else words | change


def draw(rng: np.random.Generator) -> Chain:
    """One chain. A group is drawn with the square root of how many of its tasks are possible, so none prevails."""
    while True:
        initial = draw_initial(rng)
        words: Words = {name: value for name, value in dataclasses.asdict(initial).items() if name != "seed"}
        tasks: list[str] = []
        while len(tasks) < LENGTH:
            used = {group_of(task) for task in tasks}
            possible: dict[str, list[str]] = {}
            for task in TASKS:
                if group_of(task) not in used and after(task, words) is not None:
                    possible.setdefault(group_of(task), []).append(task)
            if not possible:
                break
            groups = sorted(possible)
            weights = np.sqrt([len(possible[group]) for group in groups])
            group = str(rng.choice(groups, p=weights / weights.sum()))
            tasks.append(str(rng.choice(possible[group])))
            words = after(tasks[-1], words)
        if len(tasks) == LENGTH:
            return Chain(initial, tuple(tasks))


def draw_initial(rng: np.random.Generator) -> InitialState:
    """CALVIN's initial states: one or two blocks on the table, the others in the cabinet."""
    one_on_table, two_on_table = ("slider_left", "slider_right", "table"), ("slider_left", "table", "table")
    places = rng.permutation(one_on_table if rng.integers(2) else two_on_table)
    if "slider_right" not in places and rng.integers(2):
        places = np.where(places == "slider_left", "slider_right", places)
    return InitialState(
        led=bool(rng.integers(2)),
        lightbulb=bool(rng.integers(2)),
        slider=str(rng.choice(["left", "right"])),
        drawer=str(rng.choice(["closed", "open"])),
        **dict(zip(BLOCKS, map(str, places), strict=True)),
        seed=int(rng.integers(2**31)),
    )


def draw_all(seed: int = SEED, count: int = COUNT) -> list[Chain]:
    """The fixed chains."""
    rng = np.random.default_rng(seed)
    return [draw(rng) for _ in range(count)]


def load(path: Path = FILE) -> list[Chain]:
    """Raises FileNotFoundError, or ValueError where a chain names what this world lacks."""
    return read_chains(path, InitialState, TASKS)


if __name__ == "__main__":
    write_chains(draw_all(), FILE, SEED)
    print(f"wrote {COUNT} chains to {FILE}")
