"""CALVIN as a world: its simulator, cameras, actions and oracle behind the World interface."""

import numpy as np

from deer_lab.worlds import action as actions
from deer_lab.worlds import starts
from deer_lab.worlds.calvin import chains, expert, simulator
from deer_lab.worlds.calvin.initial import ROBOT, CalvinState, scene_of
from deer_lab.worlds.calvin.phrasings import phrasings
from deer_lab.worlds.calvin.simulator import Simulator
from deer_lab.worlds.calvin.state import State, oracle_info
from deer_lab.worlds.calvin.tasks import possible
from deer_lab.worlds.words import InitialState
from deer_lab.worlds.world import Chain, Fingers


class Calvin:
    """One of CALVIN's scenes behind the World interface."""

    control_hz = float(simulator.CONTROL_HZ)
    joint_names = simulator.ARM_JOINTS + simulator.FINGER_JOINTS
    fingers = Fingers(simulator.FINGER_JOINTS, 0.04)
    initial_type = CalvinState
    expert_steps = 240

    def __init__(self, scene: str = "D", renderer: str = "tiny") -> None:
        """Raises ValueError for an unknown scene or renderer, and where anything is missing."""
        self.name = f"calvin:{scene}" if renderer == "tiny" else f"calvin:{scene}:{renderer}"
        self.tasks = phrasings()
        self._scene = scene
        self._simulator = Simulator(scene, renderer)
        self._shown: dict[str, np.ndarray] | None = (
            None  # drawn once a period, for to draw takes fifty times the physics
        )
        self.reset(CalvinState())

    def reset(self, initial: InitialState) -> None:
        """See World.reset."""
        self._simulator.reset(ROBOT, scene_of(initial))
        self._shown = None

    def step(self, action: np.ndarray) -> None:
        """See World.step."""
        self._simulator.step(actions.checked(action))
        self._shown = None

    def pictures(self) -> dict[str, np.ndarray]:
        """See World.pictures."""
        self._shown = self._shown or self._simulator.pictures()
        return dict(self._shown)

    def state(self) -> State:
        """See World.state."""
        return self._simulator.state()

    def done(self, task: str, before: State, after: State) -> bool:
        """See World.done."""
        return self._simulator.achieved(task, oracle_info(before), oracle_info(after))

    def chains(self) -> list[Chain]:
        """See World.chains."""
        return chains.load()

    def group_of(self, task: str) -> str:
        """See World.group_of."""
        return str(chains.group_of(task))

    def possible(self, task: str, state: State) -> bool:
        """See World.possible."""
        return possible(task, state)

    def begin(self, task: str, rng: np.random.Generator) -> None:
        """See World.begin."""
        starts.begin(self, task, rng)

    def expert(self, task: str, state: State) -> np.ndarray:
        """See World.expert. Raises ValueError in the scenes whose furniture the expert does not know."""
        if self._scene != expert.SCENE:
            raise ValueError(
                f"the scripted expert knows scene {expert.SCENE} alone: give --world calvin:{expert.SCENE}"
            )
        return expert.act(task, state)

    def close(self) -> None:
        """See World.close."""
        self._simulator.close()
