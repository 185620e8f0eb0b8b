"""What training minimises (DeeR-VLA, arXiv 2411.02359, section 3.3, with the details of its published code).

Letters in shape comments: E exits, B windows, T steps of a window, W decoder width, P prompt tokens.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deer_lab.config import ARM_DIMS
from deer_lab.draws import Draws, aged, draw_plans, planned
from deer_lab.model import GatedCrossBlock, Policy


@dataclass(frozen=True)
class Objective:
    """Which terms there are, and their weights; the defaults are the paper's."""

    auxiliary: bool = True  # a head of its own at every exit, for training only
    sampling: str = "random"  # what the shared head is shown: "random" (s1 and s2), or "window" (one exit a window)
    huber_delta: float = 1.0  # below it the arm's loss is quadratic
    gripper_weight: float = 0.01
    state_weight: float = 0.0  # of the true state read from the media; needs recordings of it
    point_weight: float = 0.02  # of the keypoints on the things they are taught, beside the state's
    goal_weight: float = 0.0  # of where the expert is heading, read from every exit's feature; needs relabelled windows
    ahead_weight: float = 0.5  # of the actions that a step foresees, beside its own


def action_loss(arm: Tensor, logits: Tensor, actions: Tensor, weight: Tensor, objective: Objective) -> Tensor:
    """Huber over the arm's six numbers + gripper_weight x binary cross-entropy, averaged over the weighted steps.

    `arm` (B, T, 6), `logits` (B, T, 1) of the gripper being open, `actions` (B, T, 7), `weight` (B, T); or any other
    number of axes before the last.
    """
    delta = objective.huber_delta
    pose = F.huber_loss(arm, actions[..., :ARM_DIMS], reduction="none", delta=delta).mean(-1)
    grip = F.binary_cross_entropy_with_logits(logits[..., 0], actions[..., ARM_DIMS], reduction="none")
    return ((pose + objective.gripper_weight * grip) * weight).sum() / weight.sum().clamp(min=1)


def point_loss(heat: Tensor, cell: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of the first n keypoints with the cells around their things, whose mean place is the true one.

    `heat` (B, keypoints, side^2) logits, `cell` (B, n, 2) column and row, may lie between cells, `weight` (B, n).
    """
    side = round(heat.shape[-1] ** 0.5)
    near = (1 - (cell.clamp(0, side - 1)[..., None] - torch.arange(side, device=cell.device)).abs()).clamp(min=0)
    columns, rows = near.unbind(2)
    wanted = (rows[..., :, None] * columns[..., None, :]).flatten(2)
    loss = -(wanted * heat[:, : cell.shape[1]].log_softmax(-1)).sum(-1)
    return (loss * weight).sum() / weight.sum().clamp(min=1)


def each_step(exits: int, windows: int, steps: int, device: torch.device) -> Tensor:
    """Sampling s1: an exit for every step, all independent and equally likely: (B, T)."""
    return torch.randint(exits, (windows, steps), device=device)


def two_segments(exits: int, windows: int, steps: int, device: torch.device) -> Tensor:
    """Sampling s2: every window is cut at one place, 1 to T, and each side has one exit of its own: (B, T)."""
    cut = int(torch.randint(1, steps + 1, ()))
    sides = torch.randint(exits, (windows, 2), device=device)
    return sides.repeat_interleave(torch.tensor([cut, steps - cut], device=device), dim=1)


def one_exit(exits: int, windows: int, steps: int, device: torch.device) -> Tensor:
    """No change of exit within a window: (B, T)."""
    return torch.randint(exits, (windows, 1), device=device).expand(-1, steps)


def pick(features: Tensor, exits: Tensor) -> Tensor:
    """The features (E, B, T, W) of the chosen exits (B, T): (B, T, W)."""
    return features.gather(0, exits[None, :, :, None].expand(1, -1, -1, features.shape[-1]))[0]


class Trainee(nn.Module):
    """The policy with what only training needs: a head at every exit, readouts of the true state and of the goal."""

    def __init__(
        self,
        policy: Policy,
        objective: Objective,
        state_width: int = 0,
        goal_width: int = 0,
        draws: Draws | None = None,
        teacher: Policy | None = None,
    ) -> None:
        """`teacher`: whose actions, at full depth with every picture, are learned in place of the demonstrated ones."""
        super().__init__()
        config = policy.config
        self._teacher = (
            teacher and teacher.eval().requires_grad_(False),
        )  # in a tuple it is no part of what is trained
        self.policy, self.objective, self.draws = policy, objective, draws or Draws()
        self.exits = len(config.decoder.exits)
        many = objective.auxiliary and self.exits > 1  # one exit has the shared head to itself
        self.auxiliary = nn.ModuleList(fresh(policy.head) for _ in range(self.exits if many else 0))
        self.readout = nn.Linear(config.media_tokens * config.encoder.width, state_width) if state_width else None
        asked = self.exits if goal_width and objective.goal_weight else 0
        self.goals = nn.ModuleList(nn.Linear(config.decoder.width, goal_width) for _ in range(asked))

    def part(self, stage: str) -> list[nn.Module]:
        """The modules that learn in a stage of training: "vision", "language", "joint", "adapt" or "head"."""
        policy, heads = self.policy, [self.policy.head, *self.auxiliary]
        if stage == "vision":
            return [policy.vision, self.readout]
        if stage == "adapt":
            crosses = [module for module in policy.stages.modules() if isinstance(module, GatedCrossBlock)]
            return [*policy.vision.resamplers, policy.embed, *crosses, *heads, self.goals]
        language = [policy.embed, *policy.stages, *heads, self.goals]
        asked = [self.readout] if self.readout and self.objective.state_weight else []
        return {"language": language, "joint": [policy.vision, *language, *asked], "head": heads}[stage]

    def enter(self, stage: str) -> None:
        """Lets learn what learns in this stage, and nothing else."""
        self.stage = stage
        self.requires_grad_(False)
        for module in self.part(stage):
            module.requires_grad_(True)

    def features(self, media: Tensor, ids: Tensor, mask: Tensor, steps: int, policy: Policy | None = None) -> Tensor:
        """(B*T, M, D), prompts (B, P) and which of their tokens are real (B, P) -> (E, B, T, W), of another `policy`
        where one is given.

        Short prompts and long ones go by themselves, so that less is computed on what only fills up.
        """
        order = mask.sum(1).argsort()
        windows = media.unflatten(0, (-1, steps))
        policy = policy or self.policy
        halves = [features_of(policy, windows[rows], ids[rows], mask[rows]) for rows in order.chunk(2)]
        return torch.cat(halves, dim=1)[:, order.argsort()]

    def forward(self, batch: dict[str, Tensor], images: list[Tensor]) -> dict[str, Tensor]:
        """Every term of the loss by name; `images`: per camera (B*T, 3, S, S). What is minimised is their sum."""
        stage, weight = self.stage, self.objective.state_weight
        with torch.set_grad_enabled(torch.is_grad_enabled() and stage in ("vision", "joint", "adapt")):
            media, heats = self.see(batch, images)
        if stage == "vision":
            return self.state_terms(media, heats, batch)
        if self._teacher[0]:
            batch = batch | {"actions": self.taught(media, batch)}
        windows, steps = batch["weight"].shape
        plans = draw_plans(self.draws, windows, steps, len(self.policy.config.cameras), media.device)
        run = planned(batch, plans, self.policy.config.head.ahead - 1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and stage != "head"):
            shown = aged(media.unflatten(0, (-1, steps)), plans).flatten(0, 1)
            features = self.features(shown, batch["ids"], batch["mask"], steps)
        terms = self.action_terms(features, run)
        if self.goals and stage != "head":
            terms["goal"] = self.objective.goal_weight * self.goal_loss(features, run)
        if weight and self.readout and stage == "joint":
            found = self.state_terms(media, heats, batch)
            terms |= {name: weight * loss for name, loss in found.items()}
        return terms

    @torch.no_grad()
    def taught(self, media: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """What the teacher does in each step of the windows: (B, T, 7), six arm outputs and the probability of open."""
        teacher, steps = self._teacher[0].to(media.device), batch["weight"].shape[1]
        arm, gripper = teacher.head.window(self.features(media, batch["ids"], batch["mask"], steps, teacher)[-1])
        return torch.cat((arm, gripper.sigmoid()), dim=-1)

    def see(self, batch: dict[str, Tensor], images: list[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        """Media (B*T, M, D) and heats as Vision.look gives them, or the media that the batch brings."""
        if "media" in batch:
            return batch["media"].flatten(0, 1).float(), []
        return self.policy.vision.look(*images)

    def action_terms(self, features: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The auxiliary heads each on their own exit, the shared head on sampled exits."""

        def loss(head: nn.Module, feature: Tensor) -> Tensor:
            x, objective = head.remember(feature), self.objective
            own = action_loss(head.arm(x).tanh(), head.gripper(x), batch["actions"], batch["weight"], objective)
            if head.foreseen is None:
                return own
            later = action_loss(*head.foreseen.logits(x), batch["ahead"], batch["ahead_weight"], objective)
            return own + objective.ahead_weight * later

        shape = (self.exits, *features.shape[1:3], features.device)
        drawn = {"s1": each_step, "s2": two_segments} if self.objective.sampling == "random" else {"window": one_exit}
        if self.exits == 1:
            drawn = {"window": one_exit}
        terms = {name: loss(self.policy.head, pick(features, draw(*shape))) for name, draw in drawn.items()}
        return terms | {f"auxiliary_{k}": loss(head, features[k]) for k, head in enumerate(self.auxiliary)}

    def goal_loss(self, features: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Huber between where the expert is heading and what a linear map reads from each exit's feature, their mean;
        over the windows that know it."""
        known = batch["goals"].isfinite().all(-1) * batch["weight"]
        wanted = batch["goals"].nan_to_num()
        read = torch.stack([goal(feature) for goal, feature in zip(self.goals, features)])
        error = F.huber_loss(read, wanted.expand_as(read), reduction="none", delta=0.1).mean((0, -1))
        return (error * known).sum() / known.sum().clamp(min=1)

    def state_terms(self, media: Tensor, heats: list[Tensor | None], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Huber between the true state and what a linear map reads from the media; and how far the keypoints are from
        the things that they are taught."""
        wanted, weight = batch["state"].flatten(0, 1), batch["weight"].flatten()
        loss = F.huber_loss(self.readout(media.flatten(1)), wanted, reduction="none", delta=0.3).mean(-1)
        terms = {"state": (loss * weight).sum() / weight.sum()}
        for camera, encoder, heat in zip(self.policy.config.cameras, self.policy.vision.encoders, heats):
            points = batch.get(f"{camera.role}_points")
            if points is not None and heat is not None:
                keypoints = encoder.keypoints
                cell = (points[..., :2].flatten(0, 1) - keypoints.first) / keypoints.pitch
                within = points[..., 2].flatten(0, 1) * weight[:, None]
                terms[f"{camera.role}_points"] = self.objective.point_weight * point_loss(heat, cell, within)
        return terms

    @torch.no_grad()
    def errors(self, batch: dict[str, Tensor], images: list[Tensor]) -> dict[str, Tensor]:
        """How far the shared head is from the demonstrations when every step stops at one exit: per exit (E).

        "arm": mean absolute error; "gripper": share of steps on the wrong side.
        """
        media, _ = self.see(batch, images)
        features = self.features(media, batch["ids"], batch["mask"], batch["weight"].shape[1])
        found = [self.policy.head.window(feature) for feature in features]
        weight, wanted = batch["weight"], batch["actions"]

        def mean(error: Tensor) -> Tensor:
            return (error * weight).sum() / weight.sum()

        return {
            "arm": torch.stack([mean((arm - wanted[..., :ARM_DIMS]).abs().mean(-1)) for arm, _ in found]),
            "gripper": torch.stack(
                [mean(((logit[..., 0] > 0) != (wanted[..., ARM_DIMS] > 0.5)).float()) for _, logit in found]
            ),
        }


def features_of(policy: Policy, media: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """What a policy's exits show: (B, T, M, D), (B, P), (B, P) -> (E, B, T, W)."""
    steps = media.shape[1]
    longest = 2 * math.ceil(int(mask.sum(1).max()) / 2)  # few shapes: each is compiled by itself
    media, ids, mask = media.flatten(0, 1), ids[:, :longest], mask[:, :longest]
    hidden = policy.embed(ids).repeat_interleave(steps, 0)
    mask = mask.repeat_interleave(steps, 0)
    found = []
    for stage in policy.stages:
        hidden, feature, *_ = stage(hidden, media, mask)
        found.append(feature.unflatten(0, (-1, steps)))
    return torch.stack(found)


def fresh(head: nn.Module) -> nn.Module:
    """A head of the same shape with weights of its own."""
    head = copy.deepcopy(head)
    for module in head.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return head
