"""A scripted expert: from the true state and a task to the next action.

It has no memory. Every phase follows from the state, and shows in the pictures: where the hand is, how far the fingers
are open, where block, door or light are. So it never waits on a clock, it recovers from whatever happened, and it can
say what should be done in a state that a learned policy has come into.
"""

import math
from collections.abc import Callable

import numpy as np

from deer_lab.worlds.action import CLOSED, OPEN
from deer_lab.worlds.rotation import yaw_of
from deer_lab.worlds.tabletop.layout import (
    DRAWER_FLOOR,
    DRAWER_Y,
    HALF_HEIGHTS,
    SHELF_HEIGHT,
    SHELF_X,
    SHELF_Y,
    TABLE_HEIGHT,
)
from deer_lab.worlds.tabletop.motion import Goal, near, steer, yaw_error
from deer_lab.worlds.tabletop.state import Block, State
from deer_lab.worlds.tabletop.tasks import (
    COLOURS,
    TASKS,
    bay_open,
    blocks_above_free_drawer,
    held_block,
    is_covered,
    stacked_block,
)
from deer_lab.worlds.words import BLOCKS

PUSH_SPEED = 0.4  # of the fastest action
PUSH_HEIGHT = 0.215  # [m] of the fingertips' middle while a block is pushed over the table
HALF_SIZES = {"red_block": (0.019, 0.019), "blue_block": (0.036, 0.02), "pink_block": (0.027, 0.02)}  # [m] in x, y
OPEN_ABOVE = 0.075  # [m] between the fingers
NEAR_THING, CLEAR_OF_THING, LEAVE_FOR = 0.06, 0.055, 0.07  # [m] across, [m] above, [m] from the thing to the goal
FINGER_DEPTH = 0.012  # [m], half the fingers' extent in the direction of a push

LEFT, RIGHT, AWAY, TOWARDS = (-1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, -1.0)  # x, y as the camera sees them


def act(task: str, state: State) -> np.ndarray:
    """The expert's action [7] for `task` in `state`. Raises KeyError for an unknown task."""
    return steer(state, goal_of(task, state))


def goal_of(task: str, state: State) -> Goal:
    """Where the expert would go next. Raises KeyError for an unknown task."""
    return leave_first(state, PLANS[task](state), task)


def leave_first(state: State, goal: Goal, task: str) -> Goal:
    """Lets go of what the task does not want, and rises from what the goal is not near, before `goal` is gone to."""
    wanted = wanted_block(task, state)
    tcp = np.array(state.tcp_position)
    if any(block.held and name != wanted for name, block in state.blocks.items()):
        return Goal(tcp, OPEN, state.tcp_euler[2], straight=True)
    things = [np.array(block.position) for name, block in state.blocks.items() if name != wanted]
    for thing in [*things, np.array(state.points["drawer_handle"])]:
        beside = np.linalg.norm((tcp - thing)[:2]) < NEAR_THING and tcp[2] - thing[2] < CLEAR_OF_THING
        if beside and not goal.straight and np.linalg.norm((goal.position - thing)[:2]) > LEAVE_FOR:
            gripper = OPEN if state.opening > 0.03 else goal.gripper
            return Goal(tcp + (0, 0, 0.1), gripper, state.tcp_euler[2], straight=True)
    return goal


def wanted_block(task: str, state: State) -> str | None:
    """The block that may be in the hand during `task`."""
    if task in ("place_in_slider", "place_in_drawer", "stack_block", "unstack_block"):
        return next((name for name, block in state.blocks.items() if block.held), None)
    named = next((f"{colour}_block" for colour in COLOURS if f"_{colour}_block_" in task), None)
    return None if task.startswith("push") else named


# Blocks


def grasp_yaw(state: State, block: Block, middle: float | None = None) -> float:
    """The hand's yaw [rad] across the block's short side that is nearest to `middle` (or to the hand's own)."""
    middle = float(np.clip(state.tcp_euler[2], -1.2, 1.2)) if middle is None else middle
    return middle + math.remainder(yaw_of(block.quaternion) - middle, math.pi)


def grasp(state: State, name: str, middle: float | None = None) -> Goal:
    """Opens, comes down around the block, closes."""
    block = state.blocks[name]
    spot = np.array(block.position) + (0, 0, 0.012 if block.on == "drawer" else 0.0)
    closing = state.opening < OPEN_ABOVE  # once the fingers move, they may move the block, and it may have been turned
    yaw = grasp_yaw(state, block, None if closing else middle)
    across, height = (0.02, 0.015) if closing else (0.011, 0.01)
    if near(state, spot, across, height) and abs(yaw_error(state, yaw)) < (0.4 if closing else 0.15):
        return Goal(spot, CLOSED, yaw, straight=True)
    return Goal(spot, OPEN, yaw if middle is None else grasp_yaw(state, block, middle))


def lift(name: str) -> Callable[[State], Goal]:
    """Grasps a block and raises it."""

    def plan(state: State) -> Goal:
        if not state.blocks[name].held:
            return grasp(state, name)
        return Goal(np.array(state.tcp_position) + (0, 0, 0.1), CLOSED, state.tcp_euler[2], straight=True)

    return plan


def turn(name: str, sign: int) -> Callable[[State], Goal]:
    """Grasps a block and turns it where it stands; sign +1: counterclockwise seen from above."""

    def plan(state: State) -> Goal:
        if not state.blocks[name].held:
            return grasp(state, name, middle=-0.5 * sign)
        lifted = state.blocks[name].position[2] - TABLE_HEIGHT - HALF_HEIGHTS[name]
        down = np.array([0, 0, 2 * max(lifted, 0.0) + 0.002])  # keeps it on the table
        return Goal(state.tcp_position - down, CLOSED, state.tcp_euler[2] + 0.3 * sign, straight=True)

    return plan


def push(name: str, direction: tuple[float, float]) -> Callable[[State], Goal]:
    """Comes down behind a block and pushes it over the table along `direction` (a unit vector in x, y)."""
    along = np.array([*direction, 0.0])
    across = np.array([-direction[1], direction[0], 0.0])

    def plan(state: State) -> Goal:
        block = state.blocks[name]
        centre, yaw = np.array([*block.position[:2], PUSH_HEIGHT]), yaw_of(block.quaternion)
        turned = yaw - math.atan2(direction[1], direction[0])
        extent = HALF_SIZES[name][0] * abs(math.cos(turned)) + HALF_SIZES[name][1] * abs(math.sin(turned))
        offset = np.array(state.tcp_position) - centre
        behind, aside = -float(offset @ along), float(offset @ across)
        if 0 < behind < extent + 0.06 and abs(aside) < 0.018 and abs(offset[2]) < 0.015:
            ahead = np.array(state.tcp_position) + 0.1 * along - aside * across
            return Goal(np.array([*ahead[:2], PUSH_HEIGHT]), CLOSED, straight=True, speed=PUSH_SPEED)
        return Goal(centre - (extent + FINGER_DEPTH + 0.015) * along, CLOSED)

    return plan


def place(state: State, target: np.ndarray) -> Goal:
    """Carries the block in hand so that its bottom comes to `target` [3], and lets go."""
    name = held_block(state) or next((name for name, block in state.blocks.items() if block.held), None)
    if name is None:  # lost: take the nearest again
        tcp = np.array(state.tcp_position)
        return grasp(state, min(BLOCKS, key=lambda n: float(np.linalg.norm(state.blocks[n].position - tcp))))
    block = state.blocks[name]
    offset = np.array(state.tcp_position) - block.position  # from the block to the fingertips
    spot = target + offset + (0, 0, HALF_HEIGHTS[name] + 0.002)
    yaw = grasp_yaw_of_hand(state)
    settled = near(state, spot, 0.012, 0.01) or (block.on and np.linalg.norm((block.position - target)[:2]) < 0.02)
    return Goal(spot, OPEN if settled else CLOSED, yaw, straight=bool(settled))


def grasp_yaw_of_hand(state: State) -> float:
    """The hand's yaw nearest to its own of those where the fingers move along y."""
    return math.pi * round(state.tcp_euler[2] / math.pi)


def place_in_drawer(state: State) -> Goal:
    """Into the half of the drawer that is free."""
    taken = [block.position[0] for block in state.blocks.values() if block.on == "drawer" and not block.held]
    x = max((0.48, 0.42, 0.54), key=lambda x: min([abs(x - other) for other in taken], default=0.0))
    return place(state, np.array([x, DRAWER_Y - state.drawer, DRAWER_FLOOR]))


def place_in_slider(state: State) -> Goal:
    """Onto the shelf where the door is not."""
    x = next((x for x in SHELF_X.values() if bay_open(state, x)), SHELF_X["slider_left"])
    return place(state, np.array([x, SHELF_Y, SHELF_HEIGHT]))


def stack(state: State) -> Goal:
    """Onto the nearest block on the table that carries none."""
    held = held_block(state)
    tcp = np.array(state.tcp_position)
    lower = [n for n in BLOCKS if n != held and not state.blocks[n].held and state.blocks[n].on == "table"]
    free = [n for n in lower if not is_covered(state, n)] or lower
    if not free:
        return place(state, tcp)
    name = min(free, key=lambda n: float(np.linalg.norm((state.blocks[n].position - tcp)[:2])))
    return place(state, np.array(state.blocks[name].position) + (0, 0, HALF_HEIGHTS[name]))


def unstack(state: State) -> Goal:
    """Lifts the upper block of the stack."""
    name = stacked_block(state) or next((name for name, block in state.blocks.items() if block.held), BLOCKS[0])
    return lift(name)(state)


def push_into_drawer(state: State) -> Goal:
    """Pushes the block nearest to the front edge over it."""
    return push((blocks_above_free_drawer(state) or BLOCKS)[0], TOWARDS)(state)


# Fixtures


def pull_drawer(state: State) -> Goal:
    """Closes the fingers around the handle and pulls."""
    handle = np.array(state.points["drawer_handle"])
    if near(state, handle, 0.015, 0.012) or (state.opening < OPEN_ABOVE and near(state, handle, 0.03, 0.02)):
        if state.opening < 0.02:
            return Goal(handle - (0, 0.1, 0), CLOSED, straight=True)
        return Goal(handle, CLOSED, straight=True)
    return Goal(handle, OPEN)


def shove(point: str, direction: tuple[float, float], reach: float, drop: float = 0.0) -> Callable[[State], Goal]:
    """Comes down behind a handle or lever with closed fingers and pushes it along `direction`.

    `reach` [m]: how far aside of the point the push still works; `drop` [m]: how far below it the fingertips go.
    """
    along = np.array([*direction, 0.0])
    across = np.array([-direction[1], direction[0], 0.0])

    def plan(state: State) -> Goal:
        centre = np.array(state.points[point]) - (0, 0, drop)
        offset = np.array(state.tcp_position) - centre
        behind, aside = -float(offset @ along), float(offset @ across)
        if 0 < behind < 0.07 and abs(aside) < reach and abs(offset[2]) < 0.015:
            return Goal(centre + (0.1 - behind) * along, CLOSED, straight=True)
        return Goal(centre - 0.042 * along, CLOSED)

    return plan


def press(led: bool) -> Callable[[State], Goal]:
    """Presses the button; rises first where it is down and the light still is not as wanted."""

    def plan(state: State) -> Goal:
        button = np.array(state.points["button"])
        if state.button > 0.0075 and state.led != led:
            return Goal(np.array(state.tcp_position) + (0, 0, 0.05), CLOSED, straight=True)
        return Goal(button - (0, 0, 0.008), CLOSED)

    return plan


PLANS: dict[str, Callable[[State], Goal]] = {
    "open_drawer": pull_drawer,
    "close_drawer": shove("drawer_handle", AWAY, reach=0.035),
    "move_slider_left": shove("slider_handle", LEFT, reach=0.03),
    "move_slider_right": shove("slider_handle", RIGHT, reach=0.03),
    "turn_on_led": press(True),
    "turn_off_led": press(False),
    "turn_on_lightbulb": shove("lever", AWAY, reach=0.014, drop=0.008),
    "turn_off_lightbulb": shove("lever", TOWARDS, reach=0.014, drop=0.008),
    "place_in_slider": place_in_slider,
    "place_in_drawer": place_in_drawer,
    "push_into_drawer": push_into_drawer,
    "stack_block": stack,
    "unstack_block": unstack,
}
for _block in BLOCKS:
    PLANS |= {f"push_{_block}_left": push(_block, LEFT), f"push_{_block}_right": push(_block, RIGHT)}
    PLANS |= {f"rotate_{_block}_left": turn(_block, +1), f"rotate_{_block}_right": turn(_block, -1)}
    PLANS |= {f"lift_{_block}_{surface}": lift(_block) for surface in ("table", "slider", "drawer")}
assert PLANS.keys() == TASKS.keys()
