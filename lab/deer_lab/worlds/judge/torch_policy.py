"""The network as a policy, in process: what training judges by, without a node in between.

It does what deer_vla_node does with the same numbers (deer_lab.reference), the gripper's hysteresis included, so that
on the same chains both take the same exits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer
from torch import Tensor

from deer_lab.config import PolicyConfig
from deer_lab.graphs import same_graph
from deer_lab.manifest import About
from deer_lab.model import Policy
from deer_lab.plan import Picture, PlanLimits, Planner, Situation
from deer_lab.reference import GatedPolicy, preprocess, prompt_ids
from deer_lab.worlds.action import CLOSED, OPEN
from deer_lab.worlds.judge.policies import Taken
from deer_lab.worlds.world import World

GRIPPER_HYSTERESIS = 0.1  # the node's default: config/policy.yaml
GRIPPER_REST = 4  # decisions after a command before the gripper rests, as src/motion/gripper.rs
MAX_AGE_PERIODS = 6  # the node's default for max_frame_age


class OnnxPart:
    """A part of a bundle, called like the module it was made from."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [given.name for given in self._session.get_inputs()]
        # "actions" gives the node once more what arm and gripper say
        self._outputs = [given.name for given in self._session.get_outputs() if given.name != "actions"]

    def __call__(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        values = {name: value.numpy() for name, value in zip(self._inputs, inputs, strict=True)}
        outputs = tuple(map(torch.from_numpy, self._session.run(self._outputs, values)))
        return outputs if len(outputs) > 1 else outputs[0]


class OnnxStage:
    """A stage's graph, called like model.Stage."""

    def __init__(self, part: OnnxPart) -> None:
        self._part = part

    def __call__(self, hidden: Tensor, media: list[Tensor]) -> tuple[Tensor, ...]:
        hidden, rows = self._part(hidden, *media)
        return hidden, rows[-1:], *rows[:-1, None]  # stage 0 gives the probe before its own


class OnnxNetwork:
    """A bundle's parts where a `Policy` has its modules, for GatedPolicy: several times as fast on one core."""

    def __init__(self, bundle: Path, config: PolicyConfig) -> None:
        self.config = config

        def graph(name: str) -> OnnxPart:
            return OnnxPart(bundle / f"{same_graph(config, name)}.onnx")

        self._eyes = [graph(f"vision_{camera.role}") for camera in config.cameras]
        self.embed, self._head_state, self._head = graph("embed"), graph("head_state"), graph("head")
        self.stages = [OnnxStage(graph(f"stage_{k:02}")) for k in range(len(config.decoder.exits))]

    def see(self, camera: int, image: Tensor) -> Tensor:
        return self._eyes[camera](image)

    def joined(self, media: list[Tensor]) -> list[Tensor]:
        return media

    def head(self, feature: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        return self._head(feature, self._head_state(h), c)

    initial_state = Policy.initial_state

    def eval(self) -> OnnxNetwork:
        return self


class TorchPolicy:
    """A network stopped at the first exit that agrees with the one before it."""

    def __init__(
        self,
        policy: Policy | OnnxNetwork,
        thresholds: list[float],
        tokenizer: Path,
        open_above: float = 0.5,
        limits: PlanLimits | None = None,
    ) -> None:
        """`thresholds`: one an exit but the last; `tokenizer`: the bundle's tokenizer.json; `limits`: what is spared,
        nothing without them."""
        self._gated = GatedPolicy(policy, thresholds)
        self._cameras, self._max_tokens = policy.config.cameras, policy.config.max_tokens
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._open_above = open_above
        self._planner = Planner(len(self._cameras), limits or PlanLimits())
        self._drawn: dict[str, np.ndarray] | None = None
        self.taken: list[Taken] = []
        self.exits = len(policy.stages)

    @classmethod
    def from_run(
        cls, run: Path, thresholds: Sequence[float] | None = None, limits: PlanLimits | None = None
    ) -> TorchPolicy:
        """The policy of a training run's folder, as its bundle in RUN/bundle where that was made of it since.

        Without `thresholds`, one an exit but the last, at full depth.
        """
        torch.set_num_threads(1)  # worlds run side by side, and a small network gains nothing from more
        policy = Policy.of_run(run)
        made = run / "bundle" / "manifest.json"
        if made.is_file() and made.stat().st_mtime >= (run / "policy.safetensors").stat().st_mtime:
            policy = OnnxNetwork(run / "bundle", policy.config)
        given = list(thresholds or [-1.0] * (len(policy.stages) - 1))
        return cls(policy, given, run / "tokenizer.json", limits=limits)

    def stop_at(self, exit_number: int) -> None:
        """Every step ends at this exit from now on. Raises ValueError where there is none."""
        if not 0 <= exit_number < self.exits:
            raise ValueError(f"exit {exit_number}: there are exits 0 to {self.exits - 1}")
        self._gated.thresholds = [-1.0] * exit_number + [float("inf")] * (self.exits - exit_number)

    def begin(self, task: str, instruction: str, seed: list[int]) -> None:
        """See tabletop.policies.Policy.begin."""
        self.taken, self._gripper, self._now, self._since, self._margin = [], None, 0, 0, 0.0
        self._planner.clear()
        self._gated.begin(prompt_ids(self._tokenizer, About.template, instruction, self._max_tokens))

    def act(self, world: World) -> np.ndarray:
        """See tabletop.policies.Policy.act."""
        # A plan that goes by no picture is made before any is drawn: that is most of a skipped step's time.
        late = self._planner.limits.blind and self._drawn is not None
        pictures = self._drawn if late else world.pictures()
        began = time.perf_counter()  # to draw them is the world's work
        plan = self._planner.plan(*self._seen(world, pictures))
        if late and not plan.skip:
            drawing = time.perf_counter()
            pictures = world.pictures()
            began += time.perf_counter() - drawing
        self._drawn = pictures
        if not plan.skip:
            for index, (camera, planned) in enumerate(zip(self._cameras, plan.cameras)):
                if planned.look:
                    self._gated.look(index, preprocess(pictures[camera.role], camera))
            self._step = self._gated.decide()
        ran = self._step.arm.numpy().ravel().astype(float)
        arm = self._planner.instead() if plan.skip else ran
        self._planner.done(plan, arm, self._step.ahead.numpy().astype(float))
        self._grip(float(self._step.gripper))
        milliseconds = (time.perf_counter() - began) * 1e3
        looked = tuple(camera.look for camera in plan.cameras)
        self.taken.append(Taken(self._step.exit, milliseconds, milliseconds, looked, plan.skip, plan.because))
        return np.r_[arm, self._gripper]

    def _seen(self, world: World, pictures: dict[str, np.ndarray]) -> tuple[list[Picture], Situation]:
        """The pictures, timed one period after the last; in a world that waits nothing holds the arm."""
        self._now += round(1e9 / world.control_hz)
        rests = None
        if self._since >= GRIPPER_REST and self._margin > GRIPPER_HYSTERESIS:
            low, high = self._open_above - GRIPPER_HYSTERESIS, self._open_above + GRIPPER_HYSTERESIS
            rests = (high, 1.0) if self._gripper == OPEN else (0.0, low)
        oldest = self._now - round(MAX_AGE_PERIODS * 1e9 / world.control_hz)
        situation = Situation(1 / world.control_hz, oldest, gripper_rests=rests)
        return [(self._now, pictures[camera.role]) for camera in self._cameras], situation

    def _grip(self, probability: float) -> None:
        margin, before = probability - self._open_above, self._gripper
        if before is None or abs(margin) > GRIPPER_HYSTERESIS:
            self._gripper = OPEN if margin > 0 else CLOSED
        self._margin = margin if self._gripper == OPEN else -margin
        self._since = 0 if self._gripper != before else self._since + 1
