"""CALVIN's own simulator, the user's `calvin_env`: found, composed, stepped, looked at. The only module that names it.

Its environment is used piece by piece: `step` there draws both pictures and gathers every contact each time, which
costs forty times the physics.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deer_lab.worlds import opengl
from deer_lab.worlds.calvin.state import PARTS, ROBOT, Block, State

FOLDER = "CALVIN_ENV"  # environment variable: the folder of calvin_env
RENDERERS = ("tiny", "egl")  # Bullet's own on the CPU, or OpenGL
SCENES = tuple("ABCD")
PHYSICS_HZ, CONTROL_HZ = 240, 30
ARM_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("panda_finger_joint1", "panda_finger_joint2")


def find_folder() -> Path:
    """The user's calvin_env. Raises ValueError, which says how to get one."""
    named = os.environ.get(FOLDER)
    if not named:
        raise ValueError(
            f"CALVIN's simulator is not named: git clone https://github.com/mees/calvin_env, then {FOLDER}=calvin_env "
            "or --calvin calvin_env"
        )
    folder = Path(named).expanduser().resolve()
    if not (folder / "calvin_env" / "envs" / "play_table_env.py").is_file():
        raise ValueError(f"{folder} is no calvin_env: name the folder that git clone made of mees/calvin_env")
    if not (folder / ".git").exists():
        raise ValueError(f"{folder} is no git checkout, which calvin_env asks of itself: clone it with git")
    return folder


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What CALVIN and Bullet print goes to stderr, for stdout is where results are printed."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def compose(folder: Path, scene: str, renderer: str) -> tuple[Any, Any]:
    """CALVIN's environment and its oracle, of its own configuration. Raises ValueError where a package is missing."""
    sys.path.insert(0, str(folder))
    try:
        import calvin_env.envs.play_table_env  # noqa: F401 (so that what it lacks is told by name)
        import hydra
        import hydra_plugins.hydra_colorlog  # noqa: F401 (its configuration names it)
    except ImportError as error:
        raise ValueError(f"calvin_env cannot run ({error}): pip install -e 'lab[sim,calvin]'") from error
    overrides = ["cameras=static_and_gripper", f"scene=calvin_scene_{scene}"]
    with hydra.initialize_config_dir(str(folder / "conf"), version_base="1.1"):
        settings = hydra.compose("config_data_collection", overrides=overrides)
    egl = renderer == "egl"
    if egl:
        opengl.prepare()
    environment = hydra.utils.instantiate(settings.env, use_vr=False, use_scene_info=True, use_egl=egl)
    for owner in (environment, environment.p):
        type(owner).__del__ = lambda _: None  # it would print, whenever it is collected; `close` does the same
    return environment, hydra.utils.instantiate(settings.tasks)


class Simulator:
    """One of CALVIN's scenes; several in one process share Bullet's memory but not a world."""

    def __init__(self, scene: str, renderer: str = "tiny") -> None:
        """Raises ValueError for an unknown scene or renderer, and where anything is missing."""
        if scene not in SCENES:
            raise ValueError(f"CALVIN has no scene {scene!r}: give --world calvin:{', calvin:'.join(SCENES)}")
        if renderer not in RENDERERS:
            raise ValueError(f"CALVIN has no renderer {renderer!r}: give --world calvin:{scene} or calvin:{scene}:egl")
        folder = find_folder()
        with quiet():
            self._env, self._oracle = compose(folder, scene, renderer)

    def reset(self, robot: np.ndarray, scene: np.ndarray) -> None:
        """Starts anew from robot_obs [15] and scene_obs [24]; equal arguments give equal worlds, to the bit.

        CALVIN's own reset leaves traces of what went before, up to 3e-3: so the scene is loaded anew.
        """
        env, bullet = self._env, self._env.p
        bullet.resetSimulation(physicsClientId=env.cid)
        bullet.setPhysicsEngineParameter(deterministicOverlappingPairs=1, physicsClientId=env.cid)
        bullet.setTimeStep(1.0 / PHYSICS_HZ, physicsClientId=env.cid)
        env.seed(0)
        env.scene.np_random = env.np_random  # where blocks are while they are loaded
        env.load()
        env.scene.reset(scene)
        env.robot.reset(robot)
        env.robot.gripper_action = int(robot[14])  # CALVIN leaves the last order of what went before
        bullet.stepSimulation(physicsClientId=env.cid)
        self._names = {env.robot.robot_uid: ROBOT, env.scene.fixed_objects[0].uid: "table"}
        self._names |= {block.uid: named(block) for block in env.scene.movable_objects}

    def step(self, action: np.ndarray) -> None:
        """One control period along an action [7], the gripper's number exactly 1 or -1."""
        env = self._env
        env.robot.apply_action(action)
        for _ in range(PHYSICS_HZ // CONTROL_HZ):
            env.p.stepSimulation(physicsClientId=env.cid)
        env.scene.step()

    def pictures(self) -> dict[str, np.ndarray]:
        """RGB uint8 by camera."""
        return {camera.name: np.ascontiguousarray(camera.render()[0], np.uint8) for camera in self._env.cameras}

    def state(self) -> State:
        """The true state now."""
        env = self._env
        robot, contacts = env.robot.get_observation()
        slider, drawer, button, switch, bulb, led = env.scene.get_obs()[:6]
        fingers = [env.p.getJointState(env.robot.robot_uid, i, physicsClientId=env.cid)[0] for i in (9, 11)]
        return State(
            led=bool(led),
            lightbulb=bool(bulb),
            **{"slider": float(slider), "drawer": float(drawer), "button": float(button), "switch": float(switch)},
            blocks={named(block): self._block(block.get_info()) for block in env.scene.movable_objects},
            tcp_position=floats(robot[:3]),
            tcp_euler=floats(robot[3:6]),
            opening=float(robot[6]),
            gripper_open=bool(robot[14] > 0),
            joints=floats([*robot[7:14], *fingers]),
            touching=self._touching(contacts["contacts"]),
        )

    def _block(self, info: dict[str, Any]) -> Block:
        velocity = floats([*info["current_lin_vel"], *info["current_ang_vel"]])
        touching = self._touching(info["contacts"])
        return Block(floats(info["current_pos"]), floats(info["current_orn"]), velocity, touching)

    def _touching(self, contacts: list[tuple]) -> tuple[str, ...]:
        """The names of the other bodies of contacts, each once, in order."""
        parts = {number: part for part, number in PARTS.items()}
        found = {(contact[2], contact[4]) for contact in contacts}
        bodies = [(self._names.get(body, "floor"), parts.get(link, "")) for body, link in found]
        return tuple(sorted({f"{body}:{part}" if body == "table" else body for body, part in bodies}))

    def achieved(self, task: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """CALVIN's oracle about two infos (state.oracle_info). Raises KeyError for an unknown task."""
        return bool(self._oracle.tasks[task](start_info=before, end_info=after))

    def close(self) -> None:
        """Ends Bullet's server."""
        self._env.p.disconnect(physicsClientId=self._env.cid)


def named(block: Any) -> str:
    """CALVIN's block_red is our red_block."""
    return f"{block.name.removeprefix('block_')}_block"


def floats(values: Any) -> tuple[float, ...]:
    """Plain numbers."""
    return tuple(map(float, values))
