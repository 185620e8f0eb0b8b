"""A world of one number: a point on a line, five places to bring it to, and pictures that show where it is."""

import json
from dataclasses import dataclass

import numpy as np

from deer_lab.data.aids import Aids
from deer_lab.worlds.action import POSITION_SCALE, checked
from deer_lab.worlds.world import Chain, Fingers, Phrasings

PLACES = {"one": 0.1, "two": 0.2, "three": 0.3, "four": 0.4, "five": 0.5}  # [m]
NEAR = 0.01  # [m]


@dataclass(frozen=True)
class Initial:
    """`x` [m], and a seed that moves it a little."""

    x: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class State:
    x: float
    joints: tuple[float, ...]


class Line:
    """`lazy`: a scene where nothing moves."""

    control_hz = 10.0
    joint_names = ("slide",)
    fingers = Fingers(("finger",), 0.03)
    initial_type = Initial
    expert_steps = 40

    def __init__(self, scene):
        self.name = f"{__name__}:{scene}" if scene else __name__
        self.tasks = {f"go_to_{place}": Phrasings(f"go to {place}", (f"move to {place}",), ()) for place in PLACES}
        self._lazy = scene == "lazy"
        self.reset(Initial())

    def reset(self, initial):
        if not 0 <= initial.x <= 1:
            raise ValueError(f"initial state: x is {initial.x}, must lie in 0..1")
        self.x = initial.x + 1e-3 * np.random.default_rng(initial.seed).random()

    def step(self, action):
        self.x += 0.0 if self._lazy else float(checked(action)[0]) * POSITION_SCALE

    def pictures(self):
        level = int(np.clip(255 * self.x, 0, 255))
        return {"static": np.full((200, 200, 3), level, np.uint8), "gripper": np.full((84, 84, 3), level, np.uint8)}

    def state(self):
        return State(self.x, (self.x,))

    def done(self, task, before, after):
        return self.possible(task, before) and not self.possible(task, after)

    def close(self):
        pass

    def chains(self):
        return [Chain(Initial(seed=n), tuple(list(self.tasks)[n:] + list(self.tasks)[:n])) for n in range(5)]

    def group_of(self, task):
        return task

    def possible(self, task, state):
        return abs(state.x - self._goal(task)) > NEAR

    def begin(self, task, rng):
        self.reset(Initial(float(rng.uniform(0, 0.05)), int(rng.integers(2**31))))

    def expert(self, task, state):
        return np.r_[np.clip((self._goal(task) - state.x) / POSITION_SCALE, -1, 1), np.zeros(5), 1.0]

    def _goal(self, task):
        return PLACES[task.removeprefix("go_to_")]


TOPIC = "/state"


def aids(texts):
    """States as JSON, a frame each -> state (T, 1)."""
    return Aids(np.array([[json.loads(text)["x"]] for text in texts], np.float32))


def open_world(scene=""):
    if scene not in ("", "lazy"):
        raise ValueError(f"the line has no scene {scene!r}")
    return Line(scene)
