"""CALVIN's 1000 evaluation chains, drawn by its own rules from its own seeds.

python -m deer_lab.worlds.calvin.chains     # writes chains.json anew: always the same file
"""

import itertools
from pathlib import Path

import numpy as np

from deer_lab.worlds.calvin.tasks import NAMES
from deer_lab.worlds.judge.protocol import LENGTH, read_chains, write_chains
from deer_lab.worlds.words import BLOCKS, InitialState
from deer_lab.worlds.world import Chain

FILE = Path(__file__).with_name("chains.json")
COUNT = 1000
SLIDER = ("slider_right", "slider_left")

# An initial state's words, lights as 0 or 1, and "grasped": 1 while a block is held. A block may also be "grasped",
# in the "drawer", "stacked_top" or "stacked_bottom".
Words = dict[str, str | int]


def group_of(task: str) -> int:
    """CALVIN's category of a task; a chain has no two of one category."""
    kind, *rest = task.split("_")
    match kind:
        case "rotate":
            return 1
        case "push":
            return 9 if task == "push_into_drawer" else 1
        case "lift":
            return {"table": 4, "slider": 5, "drawer": 6}[rest[-1]]
        case "turn":
            return 8
        case _:
            return {"move": 2, "open": 3, "close": 3, "place": 7, "stack": 10, "unstack": 11}[kind]


def after(task: str, words: Words) -> list[Words]:
    """What `words` become by `task`, once for each way in which it can be meant; nothing where it cannot be done."""
    places = task.startswith("place") or task == "stack_block"
    if words["grasped"] != places:
        return []
    return [words | change for change in changes(task, words)]


def changes(task: str, words: Words) -> list[Words]:
    """What each way of doing `task` changes, the hand being as the task wants it."""
    held = [block for block in BLOCKS if words[block] == "grasped"]
    on_table = [block for block in BLOCKS if words[block] == "table"]
    match task.split("_"):
        case ["rotate" | "push", colour, "block", _]:
            return [{}] if words[f"{colour}_block"] == "table" else []
        case ["move", "slider", side]:
            return [{"slider": side}] if words["slider"] != side else []
        case ["open" | "close" as verb, "drawer"]:
            wanted = "open" if verb == "open" else "closed"
            return [{"drawer": wanted}] if words["drawer"] != wanted else []
        case ["turn", on_off, light]:
            return [{light: int(on_off == "on")}] if words[light] != (on_off == "on") else []
        case ["lift", colour, "block", surface]:
            free = "slider_left" if words["slider"] == "right" else "slider_right"
            reachable = surface != "drawer" or words["drawer"] == "open"
            found = words[f"{colour}_block"] == {"slider": free}.get(surface, surface)
            return [{f"{colour}_block": "grasped", "grasped": 1}] if found and reachable else []
        case ["place", "in", "slider"]:
            return [{block: f"slider_{words['slider']}", "grasped": 0} for block in held]
        case ["place", "in", "drawer"]:
            return [{block: "drawer", "grasped": 0} for block in held if words["drawer"] == "open"]
        case ["stack", "block"]:
            pairs = itertools.product(held, on_table)
            return [{upper: "stacked_top", lower: "stacked_bottom", "grasped": 0} for upper, lower in pairs]
        case ["unstack", "block"]:
            stack = [block for block in BLOCKS if str(words[block]).startswith("stacked")]
            return [dict.fromkeys(stack, "table")] if len(stack) == 2 else []
        case ["push", "into", "drawer"]:
            others = sum(words[block] in SLIDER for block in BLOCKS) == 2
            return [{block: "drawer"} for block in on_table if others and words["drawer"] == "open"]
    raise KeyError(task)


def initial_words() -> list[Words]:
    """Every initial state, in CALVIN's order: one or two blocks on the table, the others in the cabinet."""
    places = ("table", *SLIDER)
    found = []
    for led, bulb, slider, drawer in itertools.product((0, 1), (0, 1), ("right", "left"), ("closed", "open")):
        for blocks in itertools.product(places, repeat=len(BLOCKS)):
            if blocks.count("table") in (1, 2) and all(blocks.count(half) < 2 for half in SLIDER):
                fixtures = {"led": led, "lightbulb": bulb, "slider": slider, "drawer": drawer}
                found.append(fixtures | dict(zip(BLOCKS, blocks, strict=True)) | {"grasped": 0})
    return found


def can_be_done(tasks: list[str], words: Words) -> bool:
    """Whether the tasks, of as many categories, follow from one another without a doubt."""
    if len({group_of(task) for task in tasks}) < len(tasks):
        return False
    for task in tasks:
        ways = after(task, words)
        if len(ways) != 1:
            return False
        words = ways[0]
    return True


def draw_from(words: Words, count: int, seed: int) -> list[tuple[str, ...]]:
    """`count` chains that begin in `words`: draws of five tasks, those that can be done."""
    rng, found = np.random.RandomState(seed), []
    while len(found) < count:
        tasks = rng.choice(NAMES, size=LENGTH, replace=False).tolist()
        if can_be_done(tasks, words):
            found.append(tuple(tasks))
    return found


def draw_all(count: int = COUNT) -> list[Chain]:
    """The chains, as many from each initial state as from any other, shuffled with seed 0."""
    starts = initial_words()
    drawn = []
    for number, (words, share) in enumerate(zip(starts, np.array_split(range(count), len(starts)), strict=True)):
        drawn += [Chain(initial_of(words), tasks) for tasks in draw_from(words, len(share), number)]
    np.random.RandomState(0).shuffle(drawn)
    return drawn


def initial_of(words: Words) -> InitialState:
    """The words as an initial state; seed 0 leaves the rest to CALVIN's own seeding (initial.py)."""
    named = {name: value for name, value in words.items() if name != "grasped"}
    return InitialState(**named | {light: bool(words[light]) for light in ("led", "lightbulb")})


def load() -> list[Chain]:
    """The 1000 chains."""
    return read_chains(FILE, InitialState, NAMES)


if __name__ == "__main__":
    write_chains(draw_all(), FILE, 0)
    print(f"wrote {COUNT} chains to {FILE}")
