"""What a vision that learns no more makes of demonstrations: run once over them and kept beside their shards."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from deer_lab.config import PolicyConfig
from deer_lab.pictures import normalised
from deer_lab.runs import read_weights
from deer_lab.vision import Vision

FRAMES = 128  # at once
PREFIX = "vision."  # of the names of its weights


def vision_digest(weights: dict[str, Tensor]) -> str:
    """Of the vision among a policy's weights, by their values: a run that was kept in half precision sees the same."""
    names = sorted(name for name in weights if name.startswith(PREFIX))
    return hashlib.sha256(b"".join(weights[name].float().numpy().tobytes() for name in names)).hexdigest()


def keep_latents(init: Path, config: PolicyConfig, shards: list[Path], accelerator: Accelerator) -> list[Path]:
    """For each shard one with `media` (T, M, D) float16 in place of its pictures, as the vision of the run `init` sees
    them; those that are missing are made, by all processes together."""
    weights, _ = read_weights(init)
    folder = shards[0].parent / f"latents-{vision_digest(weights)[:12]}"
    folder.mkdir(exist_ok=True)
    vision = Vision(config)
    vision.load_state_dict({name.removeprefix(PREFIX): weights[name] for name in weights if name.startswith(PREFIX)})
    vision.eval().to(accelerator.device)
    # every process its share of all: those missing grow fewer while the others begin
    mine = shards[accelerator.process_index :: accelerator.num_processes]
    mine = [shard for shard in mine if not (folder / shard.name).exists()]
    for shard in tqdm(mine, desc="latents", unit="shard", disable=not accelerator.is_main_process, dynamic_ncols=True):
        write_latents(vision, config, shard, folder / shard.name, accelerator.device)
    accelerator.wait_for_everyone()
    return [folder / shard.name for shard in shards]


@torch.no_grad()
def write_latents(vision: Vision, config: PolicyConfig, shard: Path, out: Path, device: torch.device) -> None:
    """Writes one shard's; it appears whole or not at all."""
    roles = [camera.role for camera in config.cameras]
    with safe_open(shard, "pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys() if name not in roles}  # noqa: SIM118
        pictures = [file.get_tensor(role) for role in roles]
    media = []
    for first in range(0, len(pictures[0]), FRAMES):
        shown = (shots[None, first : first + FRAMES].to(device) for shots in pictures)
        media.append(vision(*(normalised(shots, camera) for shots, camera in zip(shown, config.cameras))).half().cpu())
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    save_file(tensors | {"media": torch.cat(media)}, beside, about)
    beside.rename(out)
