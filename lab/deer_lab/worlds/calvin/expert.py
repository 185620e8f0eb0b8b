"""A scripted expert for CALVIN's scene D: from the true state and a task to the next action.

It has no memory: every phase follows from where things and hand are, and how far the fingers are open. So it never
waits on a clock, recovers from whatever happened, and can say what should be done wherever a learner has come to.
"""

import math
from collections.abc import Callable

import numpy as np

from deer_lab.worlds.action import CLOSED, OPEN
from deer_lab.worlds.calvin.motion import HOME_YAW, Goal, funnel, near, steer, turn_left
from deer_lab.worlds.calvin.state import ROBOT, State, held_block, stacked_block, surface_of
from deer_lab.worlds.calvin.tasks import COLOURS, NAMES, bay_open
from deer_lab.worlds.words import BLOCKS

SCENE = "D"
Plan = Callable[[State], Goal]

HALF_SIZES = {"red_block": (0.028, 0.02), "blue_block": (0.02, 0.02), "pink_block": (0.04, 0.02)}  # [m]
HALF_HEIGHT = 0.02
TABLE_HEIGHT, DRAWER_FLOOR, SHELF_Y = 0.44, 0.3425, 0.092  # [m]
ROOM = 0.09  # [m] between the middles of two blocks
BAYS, DRAWER_ENDS = ((0.01, 0.1), (-0.3, -0.18)), (0.09, 0.25)  # [m], between which x blocks lie well
TILT = -0.6  # [rad] of the hand before the cabinet, whose front leans back, and beyond FAR_X
FAR_X = 0.31  # [m]
BUTTON = np.array([-0.12, -0.12, 0.487])  # its top, up
BUTTON_WAY = (0.2, 0.07)  # [m] before it and beside it, where a block would come upon it
FRONT = -0.16  # [m] y of a block that is nearer to the front edge than to go round the button behind it
PANEL = np.array([0.0, 0.5, 0.866])  # up the cabinet's front
OPEN_ABOVE = 0.075  # [m] between the fingers
RIGHT, TOWARDS = np.array([1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0])  # as the viewer has them
PUSH_SPEED = 0.4


def act(task: str, state: State) -> np.ndarray:
    """The expert's action [7] for `task` in `state`. Raises KeyError for an unknown task."""
    return steer(state, goal_of(task, state))


def goal_of(task: str, state: State) -> Goal:
    """Where the expert would go next. Raises KeyError for an unknown task."""
    return leave_first(state, PLANS[task](state), task)


def leave_first(state: State, goal: Goal, task: str) -> Goal:
    """Lets go of what the task does not want, and leaves what the goal is not near, before `goal` is gone to."""
    tcp = np.array(state.tcp_position)
    wanted = wanted_block(task, state)
    if any(gripped(state, name) for name in BLOCKS if name != wanted):
        up = tcp + (0, 0, 0.04)  # fingers that press upon the table cannot open: CALVIN opens them with little force
        return Goal(up, OPEN, state.tcp_euler[2], state.tcp_euler[1], straight=True)
    away = float(np.linalg.norm((goal.position - tcp)[:2]))
    if goal.straight or away < 0.06:
        return goal
    gripper = goal.gripper if state.opening < 0.03 or (wanted and gripped(state, wanted)) else OPEN
    along = goal.position[0] - tcp[0]
    if tcp[1] > -0.06 and tcp[2] < 0.66 and abs(along) > 0.02:  # at the cabinet: out of it, then along its front
        # Both bit by bit: to and fro is what a learner cannot follow.
        out = np.clip((abs(along) - 0.02) / 0.03, 0.0, 1.0) * np.clip((away - 0.06) / 0.02, 0.0, 1.0)
        share = np.clip(-tcp[1] / 0.04, 0.0, 1.0)
        way = share * np.array([along, -0.08 - tcp[1], 0.0]) + (1 - share) * np.array([0, -0.1, 0.06])
        way = out * way + (1 - out) * funnel(state, goal)
        _, pitch, yaw = np.array(state.tcp_euler) + (1 - out) * turn_left(state, goal)
        return Goal(tcp + way, gripper, yaw, pitch, straight=True)
    things = [np.array(block.position) for name, block in state.blocks.items() if name != wanted]
    for thing in [*things, drawer_handle(state)]:
        if np.linalg.norm((tcp - thing)[:2]) < 0.07 and tcp[2] - thing[2] < 0.055:
            return Goal(tcp + (0, 0, 0.1), gripper, state.tcp_euler[2], state.tcp_euler[1], straight=True)
    return goal


def wanted_block(task: str, state: State) -> str | None:
    """The block that may be in the hand during `task`."""
    if task in ("place_in_slider", "place_in_drawer", "stack_block", "unstack_block"):
        return next((name for name in BLOCKS if gripped(state, name)), None)
    named = next((f"{colour}_block" for colour in COLOURS if f"_{colour}_block_" in task), None)
    return None if task.startswith("push") else named


def gripped(state: State, name: str) -> bool:
    """Whether the fingers are closed around a block."""
    block = state.blocks[name]
    close = np.linalg.norm(np.subtract(block.position, state.tcp_position)) < 0.045
    return ROBOT in block.touching and bool(close) and 0.025 < state.opening < OPEN_ABOVE


def pitch_at(position: np.ndarray) -> float:
    """How the hand is held over the table [rad]: tilted where it could not reach otherwise."""
    return TILT if position[0] > FAR_X else 0.0


def yaw_of(state: State, name: str) -> float:
    """A block's heading [rad] in the plane."""
    x, y, z, w = state.blocks[name].quaternion
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


# Blocks


def grasp(state: State, name: str, middle: float = HOME_YAW) -> Goal:
    """Opens, goes in around the block across its short side, closes."""
    spot, surface = np.array(state.blocks[name].position), surface_of(state, name)
    pitch = TILT if surface == "slider" else pitch_at(spot)
    turn = math.pi / 2 if name == "blue_block" else math.pi  # a cube has two short sides
    closing = state.opening < OPEN_ABOVE
    yaw = middle + math.remainder(yaw_of(state, name) - middle, turn)
    if closing:  # it may have been turned since
        yaw = state.tcp_euler[2] + math.remainder(yaw_of(state, name) - state.tcp_euler[2], turn)
    if surface == "slider":
        yaw = HOME_YAW
    across, height = (0.025, 0.02) if closing else (0.016, 0.014)
    if near(state, spot, across, height) and abs(turn_left(state, Goal(spot, OPEN, yaw, pitch))[2]) < 0.2:
        return Goal(spot, CLOSED, yaw, pitch, straight=True)
    return Goal(spot, OPEN, yaw, pitch)


def lift(name: str) -> Plan:
    """Grasps a block and takes it up, out of the cabinet where it is there."""

    def plan(state: State) -> Goal:
        if not gripped(state, name):
            return grasp(state, name)
        inside = state.tcp_position[1] > 0.0
        way = np.array([0, -0.06, 0.1]) if inside else np.array([0, 0, 0.1])
        yaw, pitch = state.tcp_euler[2], state.tcp_euler[1]
        return Goal(np.array(state.tcp_position) + way, CLOSED, yaw, pitch, straight=True)

    return plan


def turn(name: str, sign: int) -> Plan:
    """Grasps a block and turns it where it stands; sign +1: counterclockwise seen from above."""

    def plan(state: State) -> Goal:
        if not gripped(state, name):
            return grasp(state, name, HOME_YAW - 0.5 * sign)
        lifted = state.blocks[name].position[2] - TABLE_HEIGHT - HALF_HEIGHT
        down = np.array([0, 0, 2 * max(lifted, 0.0)])  # keeps it on the table
        yaw = state.tcp_euler[2] + 0.3 * sign
        return Goal(state.tcp_position - down, CLOSED, yaw, straight=True)

    return plan


def past_button(block: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Where to push a block that shall go left or right: around the button, which it would ride up on."""
    way = BUTTON - block
    if abs(direction[1]) > 0.5 or not 0 < way @ direction < BUTTON_WAY[0] or abs(way[1]) > BUTTON_WAY[1]:
        return direction
    along = direction + (0, 0.7 if block[1] > FRONT else -0.7, 0)
    return along / np.linalg.norm(along)


def push(name: str, direction: np.ndarray) -> Plan:
    """Comes down behind a block and pushes it over the table along a unit vector."""

    def plan(state: State) -> Goal:
        centre = np.array([*state.blocks[name].position[:2], TABLE_HEIGHT + 0.018])
        along = past_button(centre, direction)
        across = np.array([-along[1], along[0], 0.0])
        turned = yaw_of(state, name) - math.atan2(along[1], along[0])
        extent = HALF_SIZES[name][0] * abs(math.cos(turned)) + HALF_SIZES[name][1] * abs(math.sin(turned))
        offset = np.array(state.tcp_position) - centre
        behind, aside = -float(offset @ along), float(offset @ across)
        if 0 < behind < extent + 0.07 and abs(aside) < 0.022 and abs(offset[2]) < 0.03:
            ahead = np.array(state.tcp_position) + 0.1 * along - aside * across
            pitch = state.tcp_euler[1]
            return Goal(np.array([*ahead[:2], centre[2]]), CLOSED, pitch=pitch, straight=True, speed=PUSH_SPEED)
        spot = centre - (extent + 0.035) * along
        return Goal(spot, CLOSED, pitch=pitch_at(spot))

    return plan


def place(state: State, target: np.ndarray, pitch: float = 0.0, within: tuple[float, float] = (0.015, 0.013)) -> Goal:
    """Carries the block in hand so that its bottom comes to `target` [3], lets go and leaves.

    It lets go `within` so much [m] across and up or down: where that is too little, a learner that comes less close
    hovers between "in" and "out".
    """
    name, tcp, yaw = carried(state), np.array(state.tcp_position), HOME_YAW
    block = state.blocks[name]
    if not gripped(state, name) and held_block(state) != name:
        fallen = block.position[2] < target[2] + HALF_HEIGHT - 0.02
        if not fallen and np.linalg.norm((block.position - target)[:2]) < 0.05:  # it lies there: leave it
            return Goal(tcp + (0, -0.05 if pitch else 0, 0.1), OPEN, yaw, pitch, straight=True)
        return grasp(state, name)
    spot = target + (tcp - block.position) + (0, 0, HALF_HEIGHT + 0.004)
    rests = any(touched != ROBOT for touched in block.touching)
    settled = near(state, spot, *within) or (rests and np.linalg.norm((block.position - target)[:2]) < 0.03)
    if settled:  # and out, for fingers that press upon something do not open
        return Goal(tcp + (0, -0.01 if pitch else 0, 0.02), OPEN, yaw, pitch, straight=True)
    return Goal(spot, CLOSED, yaw, pitch)


def carried(state: State) -> str:
    """The block in hand, or the one that was: the nearest."""
    tcp = np.array(state.tcp_position)
    nearest = min(BLOCKS, key=lambda name: float(np.linalg.norm(state.blocks[name].position - tcp)))
    return next((name for name in BLOCKS if gripped(state, name)), held_block(state) or nearest)


def nearest_room(state: State, surface: str, ends: tuple[float, float]) -> float:
    """The x [m] between `ends` on a surface that has room, or most of it, and is nearest to the block in hand.

    A place that is the same wherever the block is would send a learner that came to another one back, and it would sway
    before the surface.
    """
    held = carried(state)
    here = state.blocks[held].position[0]
    there = [name for name in BLOCKS if name != held and surface_of(state, name) == surface]
    taken = [state.blocks[name].position[0] for name in there]
    beside = [x + side for x in taken for side in (-ROOM, ROOM)]
    choices = [float(np.clip(x, *ends)) for x in (here, *beside)]
    room = {x: round(min([ROOM, *(abs(x - other) for other in taken)]), 3) for x in choices}
    return max(choices, key=lambda x: (room[x], -abs(x - here)))


def place_in_drawer(state: State) -> Goal:
    """Into the part of the drawer where no block is."""
    x = nearest_room(state, "drawer", DRAWER_ENDS)
    return place(state, np.array([x, -0.06 - state.drawer, DRAWER_FLOOR]), within=(0.025, 0.03))


def place_in_slider(state: State) -> Goal:
    """Onto the shelf where neither the door is nor a block."""
    x = nearest_room(state, "slider", next(bay for bay in BAYS if bay_open(state, sum(bay) / 2)))
    return place(state, np.array([x, SHELF_Y - 0.01, TABLE_HEIGHT]), TILT, within=(0.025, 0.02))


def stack(state: State) -> Goal:
    """Onto the nearest block on the table."""
    held, tcp = held_block(state), np.array(state.tcp_position)
    lower = [n for n in BLOCKS if n != held and not gripped(state, n) and surface_of(state, n) == "table"]
    if not lower:
        return place(state, tcp)
    name = min(lower, key=lambda n: float(np.linalg.norm((state.blocks[n].position - tcp)[:2])))
    return place(state, np.array(state.blocks[name].position) + (0, 0, HALF_HEIGHT))


def unstack(state: State) -> Goal:
    """Lifts the upper block of the stack."""
    name = next((name for name in BLOCKS if gripped(state, name)), stacked_block(state) or BLOCKS[0])
    return lift(name)(state)


def push_into_drawer(state: State) -> Goal:
    """Pushes the block nearest to the front edge over it."""
    on_table = [name for name in BLOCKS if surface_of(state, name) == "table"] or list(BLOCKS)
    return push(min(on_table, key=lambda name: state.blocks[name].position[1]), TOWARDS)(state)


# Fixtures


def drawer_handle(state: State) -> np.ndarray:
    """The middle of the drawer's bar [3]."""
    return np.array([0.18, -0.246 - state.drawer, 0.36])


def slider_handle(state: State) -> np.ndarray:
    """The middle of the door's bar [3]."""
    return np.array([0.04 - state.slider, 0.012, 0.57])


def switch_bar(state: State) -> np.ndarray:
    """The near half of the switch's bar [3], which the arm reaches better."""
    return np.array([0.265, 0.012, 0.523]) + state.switch * PANEL


def shove(point: Callable[[State], np.ndarray], direction: np.ndarray, before: float, pitch: float = 0.0) -> Plan:
    """Goes in `before` [m] behind a bar with closed fingers and pushes it along `direction`, a unit vector."""

    def plan(state: State) -> Goal:
        centre = point(state)
        offset = np.array(state.tcp_position) - centre
        behind = -float(offset @ direction)
        if 0 < behind < before + 0.03 and np.linalg.norm(offset + behind * direction) < 0.025:
            return Goal(centre + (0.1 - behind) * direction, CLOSED, pitch=pitch, straight=True)
        return Goal(centre - before * direction, CLOSED, pitch=pitch)

    return plan


def press(led: bool) -> Plan:
    """Presses the button; rises first where it is down and the light still is not as wanted."""

    def plan(state: State) -> Goal:
        if state.button > 0.009 and state.led != led:
            return Goal(np.array(state.tcp_position) + (0, 0, 0.05), CLOSED, straight=True)
        return Goal(BUTTON - (0, 0, 0.02), CLOSED)

    return plan


PLANS: dict[str, Plan] = {
    "open_drawer": shove(drawer_handle, TOWARDS, 0.035),
    "close_drawer": shove(drawer_handle, -TOWARDS, 0.05),
    "move_slider_left": shove(slider_handle, -RIGHT, 0.05),
    "move_slider_right": shove(slider_handle, RIGHT, 0.05),
    "turn_on_led": press(True),
    "turn_off_led": press(False),
    "turn_on_lightbulb": shove(switch_bar, PANEL, 0.045, TILT),
    "turn_off_lightbulb": shove(switch_bar, -PANEL, 0.045, TILT),
    "place_in_slider": place_in_slider,
    "place_in_drawer": place_in_drawer,
    "push_into_drawer": push_into_drawer,
    "stack_block": stack,
    "unstack_block": unstack,
}
for _block in BLOCKS:
    PLANS |= {f"push_{_block}_left": push(_block, -RIGHT), f"push_{_block}_right": push(_block, RIGHT)}
    PLANS |= {f"rotate_{_block}_left": turn(_block, +1), f"rotate_{_block}_right": turn(_block, -1)}
    PLANS |= {f"lift_{_block}_{surface}": lift(_block) for surface in ("table", "slider", "drawer")}
assert PLANS.keys() == set(NAMES)
