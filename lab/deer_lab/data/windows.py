"""Windows of consecutive frames out of shards: what a network is trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from deer_lab.config import ARM_DIMS


class Windows:
    """Windows of `length` consecutive frames that lie within one instruction, from any frame that leaves room.

    An instruction of fewer frames gives one window, its last frame repeated and `weight` 0 there.

    Where the recordings have the expert's answers to every task, a window can be asked for as if another had been said,
    and what was said is taught as the expert answers now: an expert that learned better needs no new recordings.
    """

    def __init__(self, shards: list[Path], roles: list[str], length: int) -> None:
        self.roles, self.length = roles, length
        self._shards, self._files = shards, {}
        starts, states = [], []
        numbers: dict[str, int] = {}  # of the instructions, each once
        self.pointed = [f"{role}_points" for role in roles]
        self.has_answers = True
        for number, shard in enumerate(shards):
            with safe_open(shard, "np") as file:
                ends = np.cumsum(file.get_tensor("lengths"))
                texts = json.loads(file.metadata()["instructions"])
                states += [file.get_tensor("state")] if "state" in file.keys() else []  # noqa: SIM118 (no mapping)
                self.pointed = [name for name in self.pointed if name in file.keys()]  # noqa: SIM118
                self.has_answers &= "answers" in file.keys()  # noqa: SIM118
                said = json.loads(file.metadata()["sentences"]) if self.has_answers else []
                self.goal_width = file.get_slice("answers").get_shape()[2] - ARM_DIMS - 1 if self.has_answers else 0
            for begin, end, text in zip(np.r_[0, ends[:-1]], ends, texts):
                first = np.arange(begin, max(begin + 1, end - length + 1))
                entry = np.full((len(first), 4), (number, 0, end, numbers.setdefault(text, len(numbers))))
                entry[:, 1] = first
                starts.append(entry)
        # per task the numbers of what may be said for it
        self._sentences = [[numbers.setdefault(text, len(numbers)) for text in sentences] for sentences in said]
        self._task_of = {number: task for task, said in enumerate(self._sentences) for number in said}
        self.instructions = list(numbers)
        self._starts = np.concatenate(starts)  # per window: shard, first frame, end of the instruction, its number
        self.has_state = len(states) == len(shards)
        if self.has_state:
            every = np.concatenate(states)
            self._mean, self._std = every.mean(0), np.maximum(every.std(0), 1e-3)
            self.state_width = every.shape[1]

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int | tuple[int, int | None]) -> dict[str, Tensor | int]:
        """By camera role uint8 (T, S, S, 3); actions (T, 7); weight (T); instruction: its number.

        Where they were recorded, state (T, K) and by role ROLE_points (T, n, 3); goals (T, G) where the recordings have
        answers, NaN where no other task is drawn. A second number in `index` is the seed by which another task is drawn
        of those that could begin in every frame, where there are any.
        """
        index, seed = index if isinstance(index, tuple) else (index, None)
        shard, first, end, instruction = self._starts[index]
        if shard not in self._files:
            self._files[shard] = safe_open(self._shards[shard], "pt")
        file, last = self._files[shard], min(first + self.length, end)
        wanted = [*self.roles, *self.pointed, "actions", *(["state"] if self.has_state else [])]
        window = {name: padded(file.get_slice(name)[first:last], self.length) for name in wanted}
        if self.has_state:
            window["state"] = (window["state"] - torch.from_numpy(self._mean)) / torch.from_numpy(self._std)
        window["weight"] = (torch.arange(self.length) < last - first).float()
        window["instruction"] = int(instruction)
        if self.has_answers:
            window["goals"] = torch.full((self.length, self.goal_width), torch.nan)
            answers = file.get_slice("answers")[first:last].float()
            window["actions"] = self._answered(answers, int(instruction), window["actions"])
            if seed is not None:
                window |= self._otherwise(answers, np.random.default_rng(seed))
        return window

    def _answered(self, answers: Tensor, instruction: int, recorded: Tensor) -> Tensor:
        """Of what was said: of `answers` (T, tasks, 11), and as `recorded` where a task under way could not begin."""
        if instruction not in self._task_of:
            return recorded
        found = padded(answers[:, self._task_of[instruction], : ARM_DIMS + 1], self.length)
        return torch.where(found.isfinite(), found, recorded)

    def _otherwise(self, answers: Tensor, random: np.random.Generator) -> dict[str, Tensor | int]:
        """Actions, goals and instruction of a task drawn of those that have `answers` (T, tasks, 11) throughout."""
        able = torch.isfinite(answers).all(2).all(0).nonzero()[:, 0].tolist()
        if not able:
            return {}
        task = int(random.choice(able))
        actions, goals = padded(answers[:, task], self.length).split((ARM_DIMS + 1, self.goal_width), dim=1)
        return {
            "actions": actions,
            "goals": goals,
            "instruction": int(random.choice(self._sentences[task])),
        }


def padded(frames: Tensor, length: int) -> Tensor:
    """The last of `frames` repeated until there are `length`."""
    return torch.cat([frames, frames[-1:].expand(length - len(frames), *frames.shape[1:])])
