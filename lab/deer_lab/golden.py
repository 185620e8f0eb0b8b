"""tests/data/toy_golden.safetensors: what PyTorch gives, for the engine to reproduce.

    picture.{static_200x200,gripper_84x84,static_96x128}.rgb   uint8 (height, width, 3), as a camera gives it;
                                                     the first two smooth, the third with edges
    picture.….tensor (1, 3, S, S)                    the same as the named camera's rule prepares it
    text.ids (1, T) int64                            of the rollout's first instruction, the template around it
    {vision_static,…,head}.in.* and .out.*           every tensor of a graph by its name there;
                                                     the head has two rows: probe, then exit 0
    rollout.static, rollout.gripper                  uint8 (steps, S, S, 3): already of the size the network takes
    rollout.exit (steps) int64                       exit taken
    rollout.deltas (steps, exits)                    delta of every exit visited, -1 beyond the one taken
    rollout.arm (steps, 6), rollout.gripper_open (steps, 1)   the actions, before scaling to physical units
    rollout.h, rollout.c (L, 1, H)                   the LSTM state after the last step

The header's metadata holds `instructions`, a JSON object from the step before which an instruction is given (and the
state cleared) to its text: {"0": "…", "20": "…"}. Thresholds are those of the bundle's thresholds.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from deer_lab.export import run_graph, signature_of
from deer_lab.graphs import graphs_of
from deer_lab.model import Policy, part_names
from deer_lab.reference import GatedPolicy, Step, preprocess

STEPS = 40
CHANGE_AT = 20  # step before which the instruction changes
MARGIN = 1e-4  # no delta of the rollout is nearer to its threshold, so rounding cannot change an exit
SMOOTH = (("static", 200, 200), ("gripper", 84, 84))  # camera, height, width
EDGED = (("static", 96, 128),)
Pictures = Callable[[int, int, int, int], np.ndarray]  # count, seed, height, width -> uint8 frames


def write_golden(
    path: Path,
    policy: Policy,
    thresholds: list[float],
    instructions: tuple[str, str],
    ids: Callable[[str], Tensor],
    pictures: Pictures,
    seed: int,
) -> list[Step]:
    """Writes the file and returns the steps of its rollout.

    Raises ValueError where a delta stands so near to its threshold that rounding could change an exit.
    """
    prompts = [ids(text) for text in instructions]
    tensors = {"text.ids": prompts[0], **picture_tensors(policy, pictures, seed)}
    tensors |= part_tensors(policy, prompts[0], tensors)
    steps, rollout = rollout_tensors(GatedPolicy(policy, thresholds), prompts, pictures, seed)
    tensors |= rollout
    path.parent.mkdir(parents=True, exist_ok=True)
    given = json.dumps({"0": instructions[0], str(CHANGE_AT): instructions[1]})
    # one entry of metadata only: the library writes several in an order that changes from run to run
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"instructions": given})
    path.chmod(0o644)  # the library lets only its owner read it
    return steps


def waves(height: int, width: int) -> np.ndarray:
    """A picture without edges: uint8 (height, width, 3)."""
    y, x = np.meshgrid(np.linspace(0, 2, height), np.linspace(0, 3, width), indexing="ij")
    return (127.5 + 120 * np.sin(np.stack([2 * x + y, x - 2 * y, 3 * x * y], axis=-1))).astype(np.uint8)


def picture_tensors(policy: Policy, pictures: Pictures, seed: int) -> dict[str, Tensor]:
    cameras = {camera.role: camera for camera in policy.config.cameras}
    shown = [(role, waves(height, width)) for role, height, width in SMOOTH]
    shown += [(role, pictures(1, seed + height, height, width)[0]) for role, height, width in EDGED]
    tensors = {}
    for role, picture in shown:
        name = f"picture.{role}_{picture.shape[0]}x{picture.shape[1]}"
        tensors[f"{name}.rgb"] = torch.from_numpy(picture)
        tensors[f"{name}.tensor"] = preprocess(picture, cameras[role])
    return tensors


@torch.no_grad()
def part_tensors(policy: Policy, prompt: Tensor, pictures: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every part once, fed in turn as in a step."""
    random = torch.Generator().manual_seed(0)
    sample = {role: pictures[f"picture.{role}_{height}x{width}.tensor"] for role, height, width in SMOOTH}
    sample["ids"] = prompt
    for name, cleared in zip("hc", policy.initial_state()):
        sample[name] = torch.rand(cleared.shape, generator=random) - 0.5
    tensors: dict[str, Tensor] = {}
    for part in part_names(policy.config):
        for name, module in graphs_of(policy.config, part, policy.part(part)):
            names = signature_of(policy.config, name)
            outputs = run_graph(module, names, sample)
            tensors |= {f"{name}.in.{key}": value.clone() for key, value in names.taken(sample).items()}
            tensors |= {f"{name}.out.{key}": value.clone() for key, value in outputs.items()}
            sample |= names.given(outputs)
            if name == "stage_00":
                candidates = outputs["feature"]
            if name.startswith("stage_"):
                sample["feature"] = candidates
    return tensors


def rollout_tensors(
    gated: GatedPolicy, prompts: list[Tensor], pictures: Pictures, seed: int
) -> tuple[list[Step], dict[str, Tensor]]:
    cameras = gated.policy.config.cameras
    clips = [pictures(STEPS, seed + i, camera.size, camera.size) for i, camera in enumerate(cameras)]
    steps = []
    for index, shots in enumerate(zip(*clips)):
        if index % CHANGE_AT == 0:
            gated.begin(prompts[index // CHANGE_AT])
        steps.append(gated.step(*(preprocess(shot, camera) for shot, camera in zip(shots, cameras))))
    refuse_close_calls(steps, gated.thresholds)
    exits = len(gated.thresholds)
    deltas = [[*step.deltas, *[-1.0] * (exits - len(step.deltas))] for step in steps]
    return steps, {
        **{f"rollout.{camera.role}": torch.from_numpy(clip) for camera, clip in zip(cameras, clips)},
        "rollout.exit": torch.tensor([step.exit for step in steps]),
        "rollout.deltas": torch.tensor(deltas),
        "rollout.arm": torch.stack([step.arm for step in steps]),
        "rollout.gripper_open": torch.stack([step.gripper for step in steps]),
        "rollout.h": gated.h,
        "rollout.c": gated.c,
    }


def refuse_close_calls(steps: list[Step], thresholds: list[float]) -> None:
    for index, step in enumerate(steps):
        for exit, (value, threshold) in enumerate(zip(step.deltas, thresholds)):
            if abs(value - threshold) < MARGIN:
                raise ValueError(
                    f"step {index}, exit {exit}: delta {value:.6f} is within {MARGIN} of its threshold {threshold}, "
                    "so rounding could change the exit; take another seed"
                )
