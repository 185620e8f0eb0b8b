"""Plans as training draws them: which steps of a window are skipped, and how old the media of each camera are.

A step that is skipped is not shown to the network at all: its memory goes from one step that ran to the next, as on the
robot. Letters in shape comments: B windows, T steps of a window, C cameras, K actions that a step gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """How plans are drawn. Each window has a chance of its own, from 0 up to the one given, so that windows in which
    every camera is looked at in every step stay common."""

    keep: float = 0.0  # a camera's media are kept in a step, at most
    oldest: int = 8  # control periods that media may be old
    skip: float = 0.0  # a step is skipped, at most
    longest: int = 3  # steps skipped in a row


@dataclass(frozen=True)
class Plans:
    """`steps` (B, T): the steps that run, in order, the last one repeated to fill up; `runs` (B, T): 1 where one stands
    there, 0 where it only fills up; `seen` (B, T, C): the step whose picture each camera's media are of."""

    steps: Tensor
    runs: Tensor
    seen: Tensor


def draw_plans(draws: Draws, windows: int, steps: int, cameras: int, device: torch.device) -> Plans:
    """Plans for a batch. The first step of a window always runs and looks."""
    skip = draws.skip * torch.rand(windows, 1, device=device)
    keep = draws.keep * torch.rand(windows, 1, device=device)
    runs = ~repeated(torch.rand(windows, steps, device=device) < skip, draws.longest)
    looks = torch.rand(windows, steps, cameras, device=device) >= keep[..., None]
    seen = torch.zeros(windows, steps, cameras, dtype=torch.long, device=device)
    for step in range(1, steps):
        before = seen[:, step - 1]
        look = runs[:, step, None] & (looks[:, step] | (step - before >= draws.oldest))
        seen[:, step] = torch.where(look, step, before)
    order = runs.logical_not().int().argsort(dim=1, stable=True)  # those that run first, in their order
    count = runs.sum(1, keepdim=True)
    place = torch.arange(steps, device=device).expand(windows, -1)
    order = order.gather(1, torch.minimum(place, count - 1))
    return Plans(order, (place < count).float(), at(seen, order))


def repeated(wanted: Tensor, longest: int) -> Tensor:
    """`wanted` (B, T), but never in the first step and never more than `longest` in a row."""
    row = torch.zeros_like(wanted[:, 0], dtype=torch.long)
    found = torch.zeros_like(wanted)
    for step in range(1, wanted.shape[1]):
        found[:, step] = wanted[:, step] & (row < longest)
        row = torch.where(found[:, step], row + 1, 0)
    return found


def at(values: Tensor, steps: Tensor) -> Tensor:
    """The values (B, T, …) of the steps (B, T)."""
    return values[torch.arange(len(steps), device=steps.device)[:, None], steps]


def aged(media: Tensor, plans: Plans) -> Tensor:
    """The media (B, T, M, D) as the steps that run find them: each camera's share of the M rows as old as planned."""
    shares = media.chunk(plans.seen.shape[-1], dim=2)
    return torch.cat([at(share, plans.seen[..., camera]) for camera, share in enumerate(shares)], dim=2)


def ahead(values: Tensor, periods: int) -> Tensor:
    """What comes 1 to `periods` steps after each: (B, T, …) -> (B, T, periods, …), 0 beyond the window."""
    later = [torch.cat((values[:, n:], torch.zeros_like(values[:, :n])), dim=1) for n in range(1, periods + 1)]
    return torch.stack(later, dim=2)


def planned(batch: dict[str, Tensor], plans: Plans, periods: int) -> dict[str, Tensor]:
    """A batch as the steps that run see it. `ahead` (B, T, K-1, 7) and `ahead_weight` (B, T, K-1) are added: the
    demonstrated actions of the periods after each step, skipped or not. A window that is taught another task than it
    shows (`goals` known) has none: its later frames are not where that task would have led."""
    batch = dict(batch)
    if periods:
        shown = batch["weight"]
        if "goals" in batch:
            shown = shown * batch["goals"].isnan().any(-1)
        batch["ahead"], batch["ahead_weight"] = ahead(batch["actions"], periods), ahead(shown, periods)
    for name in ("actions", "weight", "state", "goals", "ahead", "ahead_weight"):
        if name in batch:
            batch[name] = at(batch[name], plans.steps)
    batch["weight"] = batch["weight"] * plans.runs
    if periods:
        batch["ahead_weight"] = batch["ahead_weight"] * plans.runs[..., None]
    return batch
