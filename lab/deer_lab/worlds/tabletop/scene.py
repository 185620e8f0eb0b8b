"""The simulated desk and arm: physics, inverse kinematics and pictures. The only module that names MuJoCo."""

import ctypes.util
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deer_lab.worlds import opengl
from deer_lab.worlds.rotation import vector_from_matrix


def choose_renderer() -> None:
    """Sets MUJOCO_GL where it is unset: EGL, else OSMesa. Must run before MuJoCo is imported."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa: one thread a process is faster than several here
    if "MUJOCO_GL" in os.environ:
        return
    for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        if ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = name
            return
    raise ImportError("no headless OpenGL found: install libegl1 and libgl1-mesa-dri (or libosmesa6)")


choose_renderer()
opengl.prepare()

import mujoco  # noqa: E402 (MUJOCO_GL had to be set first)

CONTROL_HZ = 30.0
SUBSTEPS = 20  # physics steps of one control period; scene.xml says how long one is: 1/600 s
FIXTURES = ("drawer", "slider", "button", "switch")
SITES = ("drawer_handle", "slider_handle", "button", "lever")
ARM_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("panda_finger_joint1", "panda_finger_joint2")
CAMERA_SIZES = {"static": 200, "gripper": 84}  # pixels, square
FINGER_OPEN = 0.04  # [m], each finger
IK_ITERATIONS, IK_DAMPING, IK_POSTURE_GAIN, IK_MAX_STEP = 4, 1e-4, 0.05, 0.2
BULB_ON_ABOVE = 0.05  # [m] of the switch
BUTTON_PRESSED_ABOVE, BUTTON_RELEASED_BELOW = 0.008, 0.005  # [m]
LED_COLOURS = {True: (0.1, 1.0, 0.1, 1.0), False: (0.16, 0.22, 0.16, 1.0)}
BULB_COLOURS = {True: (1.0, 1.0, 0.25, 1.0), False: (0.32, 0.31, 0.24, 1.0)}
SURFACES = {"table": "table", "drawer_floor": "drawer", "shelf": "slider"}


@dataclass(frozen=True)
class Pose:
    """position [3] in metres and rotation [3, 3], both in the world frame (axes parallel to the arm's base)."""

    position: np.ndarray
    rotation: np.ndarray


class Scene:
    """MuJoCo's model and data under names; advances by one control period, reads what the judge may see."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(Path(__file__).with_name("scene.xml")))
        self.data = mujoco.MjData(self.model)
        self._ik = mujoco.MjData(self.model)
        self._tcp = self.model.site("tcp").id
        self._led, self._bulb = self.model.geom("led").id, self.model.geom("bulb").id
        self._home = self.model.key("home").qpos[:7].copy()
        self._painter: Painter | None = None
        self._geom_names = [self.model.geom(i).name for i in range(self.model.ngeom)]
        self.reset()

    def reset(self, led: bool = False) -> None:
        """Home keyframe; moves nothing else. `led` is the state of the light before any press."""
        mujoco.mj_resetDataKeyframe(self.model, self.data, self.model.key("home").id)
        self.led, self._button_down = led, False
        self.forward()

    def forward(self) -> None:
        """Makes poses, contacts and lights follow from the joints set by hand."""
        mujoco.mj_forward(self.model, self.data)
        self._arm_goal = self.data.qpos[:7].copy()
        self._update_lights()

    def set_joint(self, name: str, value: np.ndarray | float) -> None:
        """Puts a joint at `value`: metres, radians, or (x, y, z, qw, qx, qy, qz) for a block. Call forward() after."""
        self.data.joint(name).qpos[:] = value

    def joint(self, name: str) -> np.ndarray:
        """The joint's position: [1] in metres or radians, [7] for a block."""
        return self.data.joint(name).qpos.copy()

    def site(self, name: str) -> np.ndarray:
        """Position [3] of a named point in metres."""
        return self.data.site(name).xpos.copy()

    @property
    def tcp(self) -> Pose:
        """Where the point between the fingertips is, measured."""
        return Pose(self.data.site_xpos[self._tcp].copy(), self.data.site_xmat[self._tcp].reshape(3, 3).copy())

    @property
    def bulb(self) -> bool:
        """Whether the light bulb is on."""
        return bool(self.data.joint("switch").qpos[0] > BULB_ON_ABOVE)

    def advance(self, target: Pose, gripper_open: bool) -> None:
        """One control period towards the TCP pose `target`, fingers opening or closing."""
        self._arm_goal = self._solve(target)
        self.data.ctrl[:7] = self._arm_goal
        self.data.ctrl[7:9] = FINGER_OPEN if gripper_open else 0.0
        mujoco.mj_step(self.model, self.data, SUBSTEPS)
        button = self.data.joint("button").qpos[0]
        if button > BUTTON_PRESSED_ABOVE and not self._button_down:
            self._button_down, self.led = True, not self.led
        elif button < BUTTON_RELEASED_BELOW:
            self._button_down = False
        self._update_lights()

    def _solve(self, target: Pose) -> np.ndarray:
        """Joint angles [7] towards `target`: damped least squares from the last solution, posture in the null space."""
        model, ik = self.model, self._ik
        ik.qpos[:] = self.data.qpos
        ik.qpos[:7] = self._arm_goal
        turn, move = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        for _ in range(IK_ITERATIONS):
            mujoco.mj_kinematics(model, ik)
            mujoco.mj_comPos(model, ik)
            mujoco.mj_jacSite(model, ik, move, turn, self._tcp)
            jacobian = np.vstack([move[:, :7], turn[:, :7]])
            rotation = ik.site_xmat[self._tcp].reshape(3, 3)
            error = np.r_[target.position - ik.site_xpos[self._tcp], vector_from_matrix(target.rotation @ rotation.T)]
            inverse = np.linalg.solve(jacobian @ jacobian.T + IK_DAMPING * np.eye(6), jacobian).T  # [7, 6]
            posture = IK_POSTURE_GAIN * (self._home - ik.qpos[:7])
            step = inverse @ error + posture - inverse @ (jacobian @ posture)
            step = np.clip(step, -IK_MAX_STEP, IK_MAX_STEP)
            ik.qpos[:7] = np.clip(ik.qpos[:7] + step, model.jnt_range[:7, 0], model.jnt_range[:7, 1])
        return ik.qpos[:7].copy()

    def _update_lights(self) -> None:
        self.model.geom_rgba[self._led] = LED_COLOURS[self.led]
        self.model.geom_rgba[self._bulb] = BULB_COLOURS[self.bulb]

    def touching(self, block: str) -> frozenset[str]:
        """Names of the geoms a block touches (unnamed ones left out)."""
        pairs = self.data.contact.geom  # [contacts, 2]
        own = self.model.geom(block).id
        others = pairs[(pairs == own).any(axis=1)].sum(axis=1) - own
        return frozenset(self._geom_names[other] for other in others) - {""}

    def render(self, camera: str) -> np.ndarray:
        """RGB picture uint8 [H, W, 3] of the "static" or "gripper" camera."""
        if self._painter is None:
            self._painter = Painter(self.model)
        return self._painter.paint(self.data, camera, CAMERA_SIZES[camera])

    def close(self) -> None:
        """Frees the OpenGL context."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None


class Painter:
    """Pictures of any size from one OpenGL context: going to and fro between two would cost as much as a picture."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        size = max(CAMERA_SIZES.values())
        self._opengl = mujoco.GLContext(size, size)
        self._opengl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=2 * model.ngeom)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def paint(self, data: mujoco.MjData, camera: str, size: int) -> np.ndarray:
        """RGB uint8 [size, size, 3] of what `camera` sees."""
        self._camera.fixedcamid = self._model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._option, None, self._camera, everything, self._scene)
        self._opengl.make_current()
        view = mujoco.MjrRect(0, 0, size, size)
        mujoco.mjr_render(view, self._scene, self._context)
        pixels = np.empty((size, size, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, view, self._context)
        return pixels[::-1].copy()  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Frees the context; the painter cannot be used any more."""
        self._opengl.make_current()
        self._context.free()
        self._opengl.free()
