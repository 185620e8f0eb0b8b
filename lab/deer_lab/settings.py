"""How training goes: its settings, the learning rate, and what goes on where another stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deer_lab.losses import Trainee
from deer_lab.model import GatedCrossBlock


@dataclass(frozen=True)
class Settings:
    """How to train. Rates are per step of all processes together."""

    config: str
    stage: str
    steps: int
    batch: int = 4  # windows a process and step
    window: int = 12  # frames
    lr: float = 1e-4
    head_lr: float = 2.5e-5
    warmup: int = 2500  # steps from 0 to the full rate
    schedule: str = "constant"  # or "cosine": down to 0 at the last step
    weight_decay: float = 0.1  # on the weights of the cross-attention alone
    clip: float = 1.0  # largest norm of the gradient
    static_shift: float = 10 / 224  # random shift of a window's pictures, up to this share of their side
    gripper_shift: float = 4 / 224
    precision: str = "no"  # mixed precision: "no", "fp16" or "bf16"
    teacher: str = ""  # folder of a run: what it does at full depth with every picture is learned, not what was shown
    relabel: float = 0.0  # share of windows that are taught another task that could be done there (--aids)
    compile: bool = False  # let PyTorch compile vision and stages: minutes first, then faster
    seed: int = 0


def parameter_groups(trainee: Trainee, settings: Settings) -> list[dict]:
    """Weight decay on the cross-attention's matrices alone; the heads have a rate of their own."""
    matrices = {
        id(parameter)
        for module in trainee.modules()
        if isinstance(module, GatedCrossBlock)
        for parameter in module.parameters()
        if parameter.dim() > 1
    }
    heads = {id(parameter) for head in (trainee.policy.head, *trainee.auxiliary) for parameter in head.parameters()}
    learning = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    groups = [
        {
            "params": [p for p in learning if id(p) in matrices],
            "lr": settings.lr,
            "weight_decay": settings.weight_decay,
        },
        {"params": [p for p in learning if id(p) not in matrices | heads], "lr": settings.lr, "weight_decay": 0.0},
        {"params": [p for p in learning if id(p) in heads], "lr": settings.head_lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def rate(step: int, settings: Settings) -> float:
    """The share of the full learning rate at a step."""
    share = min(1.0, (step + 1) / max(1, settings.warmup))
    if settings.schedule == "cosine":
        share *= 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return share


def differences(before: dict, now: dict) -> list[str]:
    """What keeps `now` from going on where `before` stopped, two train.json: such as "lr". It may ask for more steps,
    unless the rates follow their number. A run from before a group of them was kept is taken to have had the same."""
    free = ("steps",) if now["settings"]["schedule"] == "constant" else ()
    return [
        name
        for group, values in now.items()
        for name, value in values.items()
        if name not in free and before.get(group, values).get(name) != value
    ]
