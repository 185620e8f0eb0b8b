"""A scene in CALVIN's words, which the tabletop and CALVIN itself share: where a door, a light and each block are."""

import dataclasses
from dataclasses import dataclass

import numpy as np

BLOCKS = ("red_block", "blue_block", "pink_block")


@dataclass(frozen=True)
class InitialState:
    """`seed` settles what the words leave open: exact poses of blocks and arm."""

    led: bool = False
    lightbulb: bool = False
    slider: str = "left"  # "left" or "right"
    drawer: str = "closed"  # "closed" or "open"
    red_block: str = "table"  # blocks: "table", "drawer", "slider_left" or "slider_right"
    blue_block: str = "table"
    pink_block: str = "table"
    seed: int = 0


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
