"""The tabletop as a world: initial states in words, relative actions on a running target, the true state."""

import numpy as np

from deer_lab.worlds import action as actions
from deer_lab.worlds import starts
from deer_lab.worlds.rotation import euler_from_matrix, matrix_from_euler, matrix_from_vector, vector_from_matrix
from deer_lab.worlds.tabletop import chains, expert
from deer_lab.worlds.tabletop import scene as scenes
from deer_lab.worlds.tabletop.layout import (
    DOWN,
    DRAWER_FLOOR,
    DRAWER_X,
    DRAWER_Y,
    HALF_HEIGHTS,
    ROWS,
    SHELF_HEIGHT,
    SHELF_X,
    SHELF_Y,
    TABLE_HEIGHT,
    TABLE_X,
)
from deer_lab.worlds.tabletop.scene import Pose, Scene
from deer_lab.worlds.tabletop.state import Block, State
from deer_lab.worlds.tabletop.tasks import TASKS
from deer_lab.worlds.words import BLOCKS, InitialState
from deer_lab.worlds.world import Chain, Fingers, Phrasings

FIXTURE_PLACES = {"drawer": {"closed": 0.0, "open": 0.195}, "slider": {"left": 0.0, "right": 0.2}}
SWITCH_ON, SWITCH_OFF = 0.07, 0.0
MAX_LEAD, MAX_TURN_LEAD = 0.06, 0.3  # [m], [rad]: how far the target may run ahead of the hand
SETTLE_STEPS = 15
HELD_OPENING = 0.02  # [m]; both fingers may touch a block they only push, but then they are closed


class Desk:
    """The tabletop scene behind the World interface."""

    control_hz = scenes.CONTROL_HZ
    joint_names = scenes.ARM_JOINTS + scenes.FINGER_JOINTS
    fingers = Fingers(scenes.FINGER_JOINTS, scenes.FINGER_OPEN)
    initial_type = InitialState
    name = "tabletop"
    expert_steps = 120

    def __init__(self) -> None:
        self._scene = Scene()
        self.tasks: dict[str, Phrasings] = {name: task.phrasings for name, task in TASKS.items()}
        self.reset(InitialState())

    def reset(self, initial: InitialState) -> None:
        """See World.reset. Raises ValueError for a word it does not know or more blocks than a place holds."""
        check_initial(initial)
        rng = np.random.default_rng(initial.seed)
        scene = self._scene
        scene.reset(led=initial.led)
        for name in scenes.ARM_JOINTS:
            scene.set_joint(name, scene.joint(name) + rng.uniform(-0.02, 0.02))
        scene.set_joint("drawer", FIXTURE_PLACES["drawer"][initial.drawer])
        scene.set_joint("slider", FIXTURE_PLACES["slider"][initial.slider])
        scene.set_joint("switch", SWITCH_ON if initial.lightbulb else SWITCH_OFF)
        for block, pose in place_blocks(initial, rng).items():
            scene.set_joint(block, pose)
        scene.forward()
        self._target = Pose(scene.tcp.position, DOWN)
        self._gripper_open = True
        for _ in range(SETTLE_STEPS):
            self.step(np.array([0, 0, 0, 0, 0, 0, actions.OPEN]))

    def step(self, action: np.ndarray) -> None:
        """See World.step."""
        action = actions.checked(action)
        position = self._target.position + action[:3] * actions.POSITION_SCALE
        rotation = matrix_from_euler(action[3:6] * actions.ROTATION_SCALE) @ self._target.rotation
        self._target = near(self._scene.tcp, Pose(position, rotation))
        self._gripper_open = bool(action[6] > 0)
        self._scene.advance(self._target, self._gripper_open)

    def pictures(self) -> dict[str, np.ndarray]:
        """See World.pictures."""
        return {camera: self._scene.render(camera) for camera in scenes.CAMERA_SIZES}

    def state(self) -> State:
        """See World.state."""
        scene, tcp = self._scene, self._scene.tcp
        joints = tuple(float(scene.joint(name)[0]) for name in self.joint_names)
        return State(
            led=scene.led,
            lightbulb=scene.bulb,
            **{name: float(scene.joint(name)[0]) for name in scenes.FIXTURES},
            blocks={name: self._block(name) for name in BLOCKS},
            tcp_position=tuple(map(float, tcp.position)),
            tcp_euler=tuple(map(float, euler_from_matrix(tcp.rotation))),
            opening=self._opening(),
            gripper_open=self._gripper_open,
            joints=joints,
            points={name: tuple(map(float, scene.site(name))) for name in scenes.SITES},
        )

    def _opening(self) -> float:
        return float(sum(self._scene.joint(name)[0] for name in scenes.FINGER_JOINTS))

    def _block(self, name: str) -> Block:
        pose, touching = self._scene.joint(name), self._scene.touching(name)
        on = [surface for geom, surface in scenes.SURFACES.items() if geom in touching]
        below = [other for other in BLOCKS if other in touching and self._scene.joint(other)[2] < pose[2] - 0.02]
        return Block(
            position=tuple(map(float, pose[:3])),
            quaternion=tuple(map(float, pose[3:])),
            on=(on + below + [""])[0],
            held={"left_pad", "right_pad"} <= touching and self._opening() > HELD_OPENING,
        )

    def done(self, task: str, before: State, after: State) -> bool:
        """See World.done."""
        return TASKS[task].done(before, after)

    def chains(self) -> list[Chain]:
        """See World.chains."""
        return chains.load()

    def group_of(self, task: str) -> str:
        """See World.group_of."""
        return chains.group_of(task)

    def possible(self, task: str, state: State) -> bool:
        """See World.possible."""
        return TASKS[task].possible(state)

    def begin(self, task: str, rng: np.random.Generator) -> None:
        """See World.begin."""
        starts.begin(self, task, rng)

    def expert(self, task: str, state: State) -> np.ndarray:
        """See World.expert."""
        return expert.act(task, state)

    def close(self) -> None:
        """See World.close."""
        self._scene.close()


def near(tcp: Pose, target: Pose) -> Pose:
    """`target`, kept so close to the measured `tcp` that it does not run away while the hand is blocked."""
    lead = np.clip(target.position - tcp.position, -MAX_LEAD, MAX_LEAD)
    turn = vector_from_matrix(target.rotation @ tcp.rotation.T)
    angle = float(np.linalg.norm(turn))
    if angle > MAX_TURN_LEAD:
        return Pose(tcp.position + lead, matrix_from_vector(turn / angle * MAX_TURN_LEAD) @ tcp.rotation)
    return Pose(tcp.position + lead, target.rotation)


def check_initial(initial: InitialState) -> None:
    """Raises ValueError naming the first word of `initial` that has no meaning here."""
    allowed = {"slider": ("left", "right"), "drawer": ("closed", "open")}
    allowed |= {block: ("table", "drawer", *SHELF_X) for block in BLOCKS}
    for name, words in allowed.items():
        if getattr(initial, name) not in words:
            raise ValueError(f"initial state: {name} is {getattr(initial, name)!r}, must be one of {', '.join(words)}")
    for place, room in {"drawer": len(DRAWER_X), **dict.fromkeys(SHELF_X, 1)}.items():
        found = [block for block in BLOCKS if getattr(initial, block) == place]
        if len(found) > room:
            raise ValueError(f"initial state: {', '.join(found)} in {place}, which has room for {room}")


def place_blocks(initial: InitialState, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A pose (x, y, z, qw, qx, qy, qz) for every block, drawn from `rng` within what the words say."""
    rows, places = rng.permutation(ROWS), list(rng.permutation(DRAWER_X))
    poses = {}
    for i, block in enumerate(BLOCKS):
        where = getattr(initial, block)
        jitter, yaw = rng.uniform(-0.01, 0.01, 2), rng.uniform(-0.15, 0.15)
        if where == "table":
            spot = (rng.uniform(*TABLE_X), rows[i] + 0.5 * jitter[1], TABLE_HEIGHT)
        elif where == "drawer":
            opening = FIXTURE_PLACES["drawer"][initial.drawer]
            spot, yaw = (places.pop() + jitter[0], DRAWER_Y - opening + jitter[1], DRAWER_FLOOR), 0.5 * yaw
        else:
            spot, yaw = (SHELF_X[where] + jitter[0], SHELF_Y + 0.5 * jitter[1], SHELF_HEIGHT), 0.5 * yaw
        height = spot[2] + HALF_HEIGHTS[block]
        poses[block] = np.array([spot[0], spot[1], height, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
    return poses
