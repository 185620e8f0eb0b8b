"""The policy's modules as a bundle's graphs: an eye a camera, stages with a media input a camera, a head in two.

image ─▶ vision_ROLE ─▶ media_ROLE
ids ─▶ embed ─▶ hidden ─▶ stage_00 ─▶ hidden, feature (2, W): probe, exit 0 ─▶ stage_01 ─▶ hidden, feature (1, W) …
h ─▶ head_state ─▶ gates          once a step: what is the same at every exit
feature, gates, c ─▶ head         arm and gripper of every row, the state after the last row; where it foresees, the
                                  actions of the periods after: ahead (N, K-1, 7); and all that is of a row at once,
                                  which a GPU brings to the host in one copy: actions (N, K, 7)
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deer_lab.config import PolicyConfig
from deer_lab.head import Head
from deer_lab.model import Stage, make_part
from deer_lab.vision import Vision

MAX_ROWS = 16  # candidates in one call of the head


@dataclass(frozen=True)
class Signature:
    """A graph's tensors by name, and per input the axis that varies: its number, name and largest size.

    `reads` and `writes` are what the tensors are called in a step, where one name stands for one thing.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def taken(self, values: dict) -> dict:
        """The inputs, from a step's values."""
        return {name: values[key] for name, key in zip(self.inputs, self.reads or self.inputs)}

    def arguments(self, values: dict) -> tuple:
        """The inputs as the module takes them: a stage its media as one list."""
        inputs = list(self.taken(values).values())
        return (inputs[0], inputs[1:]) if self.inputs[0] == "hidden" else tuple(inputs)

    def among(self, outputs: Container[str]) -> Signature:
        """As a graph has it that may have been exported before heads gave `actions`."""
        return replace(self, outputs=tuple(name for name in self.outputs if name != "actions" or name in outputs))

    def given(self, outputs: dict) -> dict:
        """The outputs, as a step calls them."""
        return {key: outputs[name] for name, key in zip(self.outputs, self.writes or self.outputs)}


def signature(roles: list[str], max_tokens: int, graph: str, ahead: int = 1) -> Signature:
    """Of a graph by its name, in a bundle whose cameras have these roles and whose head gives `ahead` actions."""
    tokens = (1, "T", max_tokens)
    if graph.startswith("vision_"):
        role = graph.removeprefix("vision_")
        return Signature(("image",), ("media",), reads=(role,), writes=(f"media_{role}",))
    if graph == "embed":
        return Signature(("ids",), ("hidden",), {"ids": tokens})
    if graph == "head_state":
        return Signature(("h",), ("gates",))
    if graph == "head":
        outputs = ("arm", "gripper", "actions", "h_next", "c_next", *(["ahead"] if ahead > 1 else []))
        return Signature(("feature", "gates", "c"), outputs, {"feature": (0, "N", MAX_ROWS)})
    inputs = ("hidden", *(f"media_{role}" for role in roles))
    return Signature(inputs, ("hidden_next", "feature"), {"hidden": tokens}, writes=("hidden", "feature"))


def graph_names(config: PolicyConfig, part: str) -> list[str]:
    """The graphs that are made of a part (model.part_names)."""
    if part == "vision":
        return [f"vision_{camera.role}" for camera in config.cameras]
    return ["head_state", "head"] if part == "head" else [part]


def graphs_of(config: PolicyConfig, part: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The graphs of a part with its weights."""
    names = graph_names(config, part)
    if isinstance(module, Vision):
        yield from ((name, module.eye(index)) for index, name in enumerate(names))
    elif isinstance(module, Head):
        yield from zip(names, (HeadState(module), HeadAction(module)))
    else:
        yield names[0], StageGraph(module) if isinstance(module, Stage) else module


def same_graph(config: PolicyConfig, graph: str) -> str:
    """The first camera's graph where all cameras look through the same weights, else the graph itself."""
    shared = config.share_encoder and config.share_resampler and graph.startswith("vision_")
    return f"vision_{config.cameras[0].role}" if shared else graph


def make_graph(config: PolicyConfig, part: str, graph: str) -> nn.Module:
    """A graph by itself, freshly initialised."""
    return next(made for name, made in graphs_of(config, part, make_part(config, part)) if name == graph)


class StageGraph(nn.Module):
    """A stage that takes every camera's media by itself and gives the rows that the head reads."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, hidden: Tensor, media: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(1, T, W), one (1, m, D) a camera -> hidden, feature (1, W); of stage 0 (2, W), the probe first."""
        hidden, feature, *probe = self.stage(hidden, torch.cat(media, dim=1))
        return hidden, torch.cat([*probe, feature]) if probe else feature


class HeadState(nn.Module):
    """The recurrent products of all layers: the same whatever feature follows."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.weights = nn.ParameterList(lstm.weight_hh_l0.detach() for lstm in head.lstms)
        self.biases = nn.ParameterList((lstm.bias_hh_l0 + lstm.bias_ih_l0).detach() for lstm in head.lstms)

    def forward(self, h: Tensor) -> Tensor:
        layers = zip(h.flatten(1).split(1), self.weights, self.biases)
        return torch.cat([F.linear(before, weight, bias) for before, weight, bias in layers])  # (L, 1, H) -> (L, 4 H)


class HeadAction(nn.Module):
    """What is left of the head once its recurrent products are known."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.weights = nn.ParameterList(lstm.weight_ih_l0.detach() for lstm in head.lstms)
        self.norms, self.arm, self.gripper, self.foreseen = head.norms, head.arm, head.gripper, head.foreseen

    def forward(self, feature: Tensor, gates: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        """(N, W), (L, 4 H), (L, 1, H) -> arm (N, 6), gripper (N, 1), actions (N, K, 7), the state after the last row
        2 x (L, 1, H), and where the head foresees ahead (N, K-1, 7)."""
        x, h_next, c_next = feature, [], []
        layers = zip(self.weights, self.norms, gates.split(1), c.flatten(1).split(1))
        for weight, norm, recurrent, before in layers:
            i, f, g, o = torch.addmm(recurrent, x, weight.T).chunk(4, dim=-1)
            after = f.sigmoid() * before + i.sigmoid() * g.tanh()
            h = o.sigmoid() * after.tanh()
            h_next.append(h)
            c_next.append(after)
            x = norm(h)
        last = (torch.cat(rows, dim=1)[-1:].reshape(c.shape) for rows in (h_next, c_next))
        ahead = (self.foreseen(x),) if self.foreseen else ()
        arm, gripper = self.arm(x).tanh(), self.gripper(x).sigmoid()
        actions = torch.cat((torch.cat((arm, gripper), dim=-1).unsqueeze(1), *ahead), dim=1)
        return arm, gripper, actions, *last, *ahead
