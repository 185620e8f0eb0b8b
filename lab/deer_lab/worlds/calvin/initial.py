"""Where CALVIN's scene begins: poses that its evaluation draws from the words themselves, or others from a seed.

The arm's 15 numbers and the scene's 24 are those of `calvin_env`: robot_obs (tool position [m], Euler angles [rad],
opening [m], seven joints [rad], gripper 1 open or -1 closed) and scene_obs (slider, drawer, button, switch, light bulb,
LED, then position and Euler angles of the red, the blue and the pink block).
"""

import math
from dataclasses import dataclass

import numpy as np

from deer_lab.worlds.words import BLOCKS, InitialState

ROBOT = np.array(
    [0.02586889, -0.2313129, 0.5712808, 3.09045411, -0.02908596, 1.50013585, 0.07999963]
    + [-1.21779124, 1.03987629, 2.11978254, -2.34205014, -0.87015899, 1.64119093, 0.55344928, 1.0]
)
SLIDER_LEFT, DRAWER_OPEN, SWITCH_ON = 0.28, 0.22, 0.088
SHELF = {
    "slider_left": (-0.240851662, 0.0924044687, 0.460990009),
    "slider_right": (0.070341633, 0.0924044687, 0.460990009),
}
TABLE = ((0.0500000896, -0.120000177, 0.459990009), (0.229995412, -0.11999514, 0.45999001))
DRAWER = ((0.10, -0.07, 0.3625), (0.24, -0.07, 0.3625))  # [m] while it is closed; CALVIN itself never begins there
TURN = (math.pi / 2 - math.pi / 8, math.pi / 2 + math.pi / 8)  # [rad], of the blocks
AWAY, ASIDE = 0.02, 0.06  # [m] by which a seed moves what is on the table, and along it
FNV_PRIME = 0x01000193


@dataclass(frozen=True)
class CalvinState(InitialState):
    """With seed 0 what the words leave open is as in CALVIN's evaluation, which begins with two blocks on the table at
    most."""

    pink_block: str = "slider_left"


def fnv0(data: bytes) -> int:
    """FNV-1 of 32 bits, begun with 0."""
    value = 0
    for byte in data:
        value = (value * FNV_PRIME & 0xFFFFFFFF) ^ byte
    return value


def official_seed(initial: InitialState) -> int:
    """The seed that CALVIN's evaluation makes of the words: pyhash takes a Python string as UTF-16, little-endian."""
    lights = (int(initial.led), int(initial.lightbulb))
    text = f"dict_values({[*lights, initial.slider, initial.drawer, *places_of(initial), 0]})"
    return fnv0(text.encode("utf-16-le"))


def places_of(initial: InitialState) -> list[str]:
    """Where the blocks are, in words."""
    return [getattr(initial, block) for block in BLOCKS]


def check(initial: InitialState) -> None:
    """Raises ValueError naming the first word of `initial` that has no meaning here."""
    allowed = {"slider": ("left", "right"), "drawer": ("closed", "open")}
    allowed |= dict.fromkeys(BLOCKS, ("table", "drawer", *SHELF))
    for name, words in allowed.items():
        if getattr(initial, name) not in words:
            raise ValueError(f"initial state: {name} is {getattr(initial, name)!r}, must be one of {', '.join(words)}")
    places = places_of(initial)
    for place, room in {"drawer": len(DRAWER), **dict.fromkeys(SHELF, 1), "table": 2 + bool(initial.seed)}.items():
        if places.count(place) > room:
            hint = "; with a seed for three" if place == "table" else ""
            raise ValueError(f"initial state: {places.count(place)} blocks in {place}, which has room for {room}{hint}")


def scene_of(initial: InitialState) -> np.ndarray:
    """scene_obs [24] of an initial state; with seed 0 as CALVIN's evaluation draws it. Raises ValueError."""
    check(initial)
    scene = np.zeros(24)
    scene[0] = SLIDER_LEFT if initial.slider == "left" else 0.0
    scene[1] = DRAWER_OPEN if initial.drawer == "open" else 0.0
    scene[3] = SWITCH_ON if initial.lightbulb else 0.0
    scene[4:6] = initial.lightbulb, initial.led
    poses = freely_placed(initial) if initial.seed else officially_placed(initial)
    for i, (position, yaw) in enumerate(poses):
        scene[6 + 6 * i : 12 + 6 * i] = *position, 0.0, 0.0, yaw
    return scene


def officially_placed(initial: InitialState) -> list[tuple[tuple[float, ...], float]]:
    """Position and yaw of each block, in the order of BLOCKS, as CALVIN's evaluation draws them."""
    rng = np.random.RandomState(official_seed(initial))
    table = list(TABLE)
    rng.shuffle(table)
    first, second = table
    # The red block takes the first place, the pink one the second, and the blue one what red leaves.
    spots = {"red_block": first, "blue_block": second if initial.red_block == "table" else first, "pink_block": second}
    places = zip(BLOCKS, places_of(initial), strict=True)
    return [(SHELF.get(place, spots[block]), rng.uniform(*TURN)) for block, place in places]


def freely_placed(initial: InitialState) -> list[tuple[tuple[float, ...], float]]:
    """Likewise, drawn from the seed: elsewhere on the table, and up to three blocks there."""
    rng = np.random.default_rng(initial.seed)
    middles = rng.permutation([-0.0, 0.14, 0.28])
    drawer = list(rng.permutation(len(DRAWER)))
    poses = []
    for middle, place in zip(middles, places_of(initial), strict=True):
        if place == "table":
            aside = rng.uniform(-ASIDE, ASIDE) / 2
            position = (middle + aside, TABLE[0][1] + rng.uniform(-AWAY, AWAY), TABLE[0][2])
        elif place == "drawer":
            x, y, z = DRAWER[drawer.pop()]
            position = (x, y - DRAWER_OPEN * (initial.drawer == "open"), z)
        else:
            position = SHELF[place]
        poses.append((position, rng.uniform(0, math.pi) if place == "table" else rng.uniform(*TURN)))
    return poses
