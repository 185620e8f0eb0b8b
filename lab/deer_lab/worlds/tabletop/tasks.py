"""The 34 tasks of CALVIN on this desk: what is said, what must have changed, from where it can begin.

An oracle looks at the state before and after, as CALVIN's does, and asks for a change: what was already so does not
count. Left and right, and turning left and right, are as the static camera and a person above the desk see them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from deer_lab.worlds.phrasings import SENTENCES, phrasings_of
from deer_lab.worlds.rotation import matrix_from_quaternion, yaw_of
from deer_lab.worlds.tabletop.state import Block, State
from deer_lab.worlds.words import BLOCKS
from deer_lab.worlds.world import Phrasings

Oracle = Callable[[State, State], bool]
Precondition = Callable[[State], bool]

FIXTURE_TRAVEL = 0.165  # [m] of 0.20 m that a door or drawer must have moved
PUSH_DISTANCE = 0.08  # [m]
TURN_ANGLE = math.radians(60)
MAX_TILT = math.radians(30)
MAX_TURN_SHIFT = 0.10  # [m] a block may move while it is turned
DRAWER_X = 0.48  # [m], the drawer's middle
LIFT_HEIGHT = {"table": 0.05, "slider": 0.03, "drawer": 0.05}  # [m]
COLOURS = tuple(block.removesuffix("_block") for block in BLOCKS)


@dataclass(frozen=True)
class Task:
    """One thing to do. `possible` says whether it can begin in a state, `done` whether two states show it done."""

    name: str
    phrasings: Phrasings
    possible: Precondition
    done: Oracle


def held_block(state: State) -> str | None:
    """The block that is in the hand and off every surface, if any."""
    return next((name for name, block in state.blocks.items() if block.held and not block.on), None)


def stacked_block(state: State) -> str | None:
    """A block that stands on another block, if any."""
    return next((name for name, block in state.blocks.items() if block.on in BLOCKS), None)


def is_covered(state: State, name: str) -> bool:
    """Whether another block stands on this one."""
    return any(block.on == name for block in state.blocks.values())


def hand_free(state: State) -> bool:
    """Whether the fingers carry nothing; they may still be closed around a block that stands somewhere."""
    return held_block(state) is None


def bay_open(state: State, x: float) -> bool:
    """Whether the sliding door leaves the shelf at `x` free: the door's centre runs from 0.40 to 0.60."""
    return abs(x - (0.40 + state.slider)) > 0.15


def blocks_above_free_drawer(state: State) -> list[str]:
    """Blocks on the table that would not fall onto another block if pushed towards the drawer, the nearest first."""
    inside = [block.position[0] for block in state.blocks.values() if block.on == "drawer"]

    def falls_free(block: Block) -> bool:
        x = block.position[0]
        return block.on == "table" and abs(x - DRAWER_X) < 0.1 and all(abs(x - other) > 0.08 for other in inside)

    found = [name for name, block in state.blocks.items() if falls_free(block)]
    return sorted(found, key=lambda name: state.blocks[name].position[1])


def slider_task(sign: int) -> tuple[Precondition, Oracle]:
    """sign +1: to the right."""
    return (
        lambda s: hand_free(s) and (s.slider < 0.03 if sign > 0 else s.slider > 0.17),
        lambda a, b: sign * (b.slider - a.slider) > FIXTURE_TRAVEL,
    )


def drawer_task(sign: int) -> tuple[Precondition, Oracle]:
    """sign +1: open."""
    return (
        lambda s: hand_free(s) and (s.drawer < 0.03 if sign > 0 else s.drawer > 0.17),
        lambda a, b: sign * (b.drawer - a.drawer) > FIXTURE_TRAVEL,
    )


def light_task(light: str, on: bool) -> tuple[Precondition, Oracle]:
    """light: the state's field."""
    return (
        lambda s: hand_free(s) and getattr(s, light) != on,
        lambda a, b: getattr(a, light) != on and getattr(b, light) == on,
    )


def push_task(block: str, sign: int) -> tuple[Precondition, Oracle]:
    """sign +1: to the right. The block stays on the table and goes sideways more than away."""

    def done(before: State, after: State) -> bool:
        a, b = before.blocks[block], after.blocks[block]
        dx, dy = b.position[0] - a.position[0], b.position[1] - a.position[1]
        return a.on == b.on == "table" and not b.held and sign * dx > PUSH_DISTANCE and abs(dx) > abs(dy)

    return lambda s: hand_free(s) and s.blocks[block].on == "table" and not is_covered(s, block), done


def turn_task(block: str, sign: int) -> tuple[Precondition, Oracle]:
    """sign +1: to the left, counterclockwise seen from above."""

    def done(before: State, after: State) -> bool:
        a, b = before.blocks[block], after.blocks[block]
        turned = math.remainder(yaw_of(b.quaternion) - yaw_of(a.quaternion), math.tau)
        upright = matrix_from_quaternion(b.quaternion)[2, 2] > math.cos(MAX_TILT)
        near = math.dist(a.position, b.position) < MAX_TURN_SHIFT
        return a.on == b.on == "table" and upright and near and sign * turned > TURN_ANGLE

    return lambda s: hand_free(s) and s.blocks[block].on == "table" and not is_covered(s, block), done


def lift_task(block: str, surface: str) -> tuple[Precondition, Oracle]:
    """The block leaves `surface` in the hand."""

    def possible(state: State) -> bool:
        b = state.blocks[block]
        free = {"table": True, "drawer": state.drawer > 0.15, "slider": bay_open(state, b.position[0])}[surface]
        return hand_free(state) and b.on == surface and free and not is_covered(state, block)

    def done(before: State, after: State) -> bool:
        a, b = before.blocks[block], after.blocks[block]
        raised = b.position[2] - a.position[2] > LIFT_HEIGHT[surface]
        return a.on == surface and b.held and not b.on and raised

    return possible, done


def place_task(surface: str) -> tuple[Precondition, Oracle]:
    """The block in the hand ends on `surface`, released."""

    def possible(state: State) -> bool:
        if held_block(state) is None:
            return False
        inside = [block for block in state.blocks.values() if block.on == surface]
        if surface == "drawer":
            return state.drawer > 0.15 and len(inside) < 2
        return not any(bay_open(state, block.position[0]) for block in inside)

    def done(before: State, after: State) -> bool:
        name = held_block(before)
        return name is not None and after.blocks[name].on == surface and not after.blocks[name].held

    return possible, done


def push_into_drawer() -> tuple[Precondition, Oracle]:
    """Any block goes from the table into the drawer without being carried."""

    def done(before: State, after: State) -> bool:
        pairs = [(before.blocks[name], after.blocks[name]) for name in BLOCKS]
        return any(a.on == "table" and b.on == "drawer" and not b.held for a, b in pairs)

    return lambda s: hand_free(s) and s.drawer > 0.15 and bool(blocks_above_free_drawer(s)), done


def stack_block() -> tuple[Precondition, Oracle]:
    """The block in the hand ends on another block, released."""

    def possible(state: State) -> bool:
        return held_block(state) is not None and any(
            block.on == "table" and not is_covered(state, name) for name, block in state.blocks.items()
        )

    def done(before: State, after: State) -> bool:
        name = held_block(before)
        return name is not None and after.blocks[name].on in BLOCKS and not after.blocks[name].held

    return possible, done


def unstack_block() -> tuple[Precondition, Oracle]:
    """The upper block of a stack is no longer on the lower one, and neither lies on the floor."""

    def done(before: State, after: State) -> bool:
        name = stacked_block(before)
        if name is None:
            return False
        a, b = before.blocks[name], after.blocks[name]
        return b.on != a.on and b.position[2] > 0

    return lambda s: hand_free(s) and stacked_block(s) is not None, done


def all_tasks() -> dict[str, Task]:
    """Every task by name, in the order of the sentences."""
    makers: dict[str, tuple[Precondition, Oracle]] = {
        "open_drawer": drawer_task(+1),
        "close_drawer": drawer_task(-1),
        "move_slider_left": slider_task(-1),
        "move_slider_right": slider_task(+1),
        "turn_on_led": light_task("led", True),
        "turn_off_led": light_task("led", False),
        "turn_on_lightbulb": light_task("lightbulb", True),
        "turn_off_lightbulb": light_task("lightbulb", False),
        "place_in_slider": place_task("slider"),
        "place_in_drawer": place_task("drawer"),
        "push_into_drawer": push_into_drawer(),
        "stack_block": stack_block(),
        "unstack_block": unstack_block(),
    }
    for block in BLOCKS:
        makers |= {
            f"push_{block}_left": push_task(block, -1),
            f"push_{block}_right": push_task(block, +1),
            f"rotate_{block}_left": turn_task(block, +1),
            f"rotate_{block}_right": turn_task(block, -1),
        }
        makers |= {f"lift_{block}_{surface}": lift_task(block, surface) for surface in LIFT_HEIGHT}
    tasks = {}
    for template in SENTENCES:
        for colour in COLOURS if "{colour}" in template else ("",):
            name = template.format(colour=colour)
            tasks[name] = Task(name, phrasings_of(template, colour), *makers[name])
    return tasks


TASKS = all_tasks()
