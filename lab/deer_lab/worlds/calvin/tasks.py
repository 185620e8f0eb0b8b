"""CALVIN's 34 tasks by name, in its own order, and from where each can begin."""

import itertools

from deer_lab.worlds.calvin.state import State, held_block, stacked_block, surface_of

COLOURS = ("red", "blue", "pink")
NAMES = (
    *(f"rotate_{colour}_block_{side}" for colour, side in itertools.product(COLOURS, ("right", "left"))),
    *(f"push_{colour}_block_{side}" for colour, side in itertools.product(COLOURS, ("right", "left"))),
    *("move_slider_left", "move_slider_right", "open_drawer", "close_drawer"),
    *(f"lift_{colour}_block_{place}" for colour, place in itertools.product(COLOURS, ("table", "slider", "drawer"))),
    *("place_in_slider", "place_in_drawer", "stack_block", "unstack_block"),
    *("turn_on_lightbulb", "turn_off_lightbulb", "turn_on_led", "turn_off_led", "push_into_drawer"),
)
DOOR_TRAVEL = {"slider": 0.17, "drawer": 0.14}  # [m] that must be left to move; the oracle asks for 0.15 and 0.12
WAYS = {"slider": 0.28, "drawer": 0.22}  # [m] from end to end


def bay_open(state: State, x: float) -> bool:
    """Whether the sliding door leaves the shelf at `x` free: moved to the left it stands before the left half."""
    return (x > -0.1) == (state.slider > 0.5 * WAYS["slider"])


def possible(task: str, state: State) -> bool:
    """Whether `task` can begin in `state`. Raises KeyError for an unknown task."""
    held = held_block(state)
    places = task.startswith("place") or task == "stack_block"
    if task not in NAMES:
        raise KeyError(task)
    if (held is not None) != places:
        return False
    surfaces = {name: surface_of(state, name) for name in state.blocks}
    match task.split("_"):
        case ["rotate" | "push", colour, "block", _]:
            return surfaces[f"{colour}_block"] == "table" and f"{colour}_block" not in surfaces.values()
        case ["lift", colour, "block", surface]:
            name = f"{colour}_block"
            free = {"drawer": state.drawer > 0.12, "slider": bay_open(state, state.blocks[name].position[0])}
            return surfaces[name] == surface and name not in surfaces.values() and free.get(surface, True)
        case ["open" | "close" | "move", *rest]:
            thing = "slider" if "slider" in rest else "drawer"
            forth = task in ("open_drawer", "move_slider_left")
            left = WAYS[thing] - getattr(state, thing) if forth else getattr(state, thing)
            return left > DOOR_TRAVEL[thing]
        case ["turn", on_off, light]:
            return getattr(state, light) != (on_off == "on")
        case ["unstack", "block"]:
            return stacked_block(state) is not None
        case ["push", "into", "drawer"]:
            return state.drawer > 0.12 and "table" in surfaces.values() and "drawer" not in surfaces.values()
        case ["place", "in", "drawer"]:
            return state.drawer > 0.12
        case ["stack", "block"]:
            return "table" in surfaces.values()
    return True
