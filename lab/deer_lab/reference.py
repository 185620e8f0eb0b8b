"""What `deer_vla` must reproduce, in PyTorch and Pillow: pictures, prompt, and the gated step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from deer_lab.config import ARM_DIMS, Camera
from deer_lab.data.fit import fit
from deer_lab.model import Policy

NOTHING = torch.empty(0, ARM_DIMS + 1)  # foreseen


def preprocess(picture: np.ndarray, camera: Camera) -> Tensor:
    """RGB bytes (height, width, 3) -> (1, 3, S, S): fitted and normalised."""
    pixels = fit(picture, camera).astype(np.float32) / 255
    normal = (pixels - np.float32(camera.mean)) / np.float32(camera.std)
    return torch.from_numpy(normal.transpose(2, 0, 1).copy())[None]


def prompt_ids(tokenizer: Tokenizer, template: str, instruction: str, max_tokens: int) -> Tensor:
    """(1, T) with T <= max_tokens."""
    text = template.replace("{instruction}", instruction.strip())
    return torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids[:max_tokens]])


def delta(arm: Tensor, before: Tensor) -> float:
    """Root mean square of the difference over the six arm outputs."""
    return float((arm - before).square().mean().sqrt())


@dataclass(frozen=True)
class Step:
    """`exit` was taken; `deltas` has one entry per exit visited. `arm` is (6), `gripper` (1), `ahead` (K-1, 7)."""

    exit: int
    deltas: tuple[float, ...]
    arm: Tensor
    gripper: Tensor
    ahead: Tensor = NOTHING  # of the periods after: six arm outputs and the probability of open


class GatedPolicy:
    """The policy stopped, at every step, at the first exit that agrees with the one before it."""

    def __init__(self, policy: Policy, thresholds: list[float]) -> None:
        """`thresholds`: one per exit but the last, which always stops."""
        exits = len(policy.stages)
        if len(thresholds) != exits - 1:
            raise ValueError(f"{len(thresholds)} thresholds for {exits} exits: give one per exit but the last")
        self.policy = policy.eval()
        self.thresholds = [*thresholds, float("inf")]

    @torch.no_grad()
    def begin(self, ids: Tensor) -> None:
        """A new instruction: the state is cleared."""
        self.prompt = self.policy.embed(ids)
        self.h, self.c = self.policy.initial_state()
        self.media: list[Tensor | None] = [None] * len(self.policy.config.cameras)

    @torch.no_grad()
    def look(self, camera: int, image: Tensor) -> None:
        """One camera's picture (1, 3, S, S); every step sees it until the camera's next."""
        self.media[camera] = self.policy.see(camera, image)

    def step(self, *images: Tensor) -> Step:
        """On a picture of every camera."""
        for camera, image in enumerate(images):
            self.look(camera, image)
        return self.decide()

    @torch.no_grad()
    def decide(self) -> Step:
        """On what was looked at last."""
        hidden, media = self.prompt, self.policy.joined(self.media)
        before, deltas = None, []
        for stage, threshold in zip(self.policy.stages, self.thresholds):
            hidden, feature, *probe = stage(hidden, media)
            arm, gripper, h, c, *ahead = self.policy.head(torch.cat([*probe, feature]), self.h, self.c)
            deltas.append(delta(arm[-1], arm[0] if probe else before))
            before = arm[-1]
            if deltas[-1] <= threshold:
                break
        self.h, self.c = h[:, -1:], c[:, -1:]  # the state of the exit taken
        return Step(len(deltas) - 1, tuple(deltas), arm[-1], gripper[-1], ahead[0][-1] if ahead else NOTHING)
