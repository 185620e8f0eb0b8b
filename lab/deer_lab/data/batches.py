"""Which windows a step of training sees, and what is said in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch.utils.data import Sampler

from deer_lab.manifest import About
from deer_lab.reference import prompt_ids


@dataclass
class StepSampler(Sampler[list[tuple[int, int | None]]]):
    """Each step's windows by seed, process and step alone, so that training goes on exactly where it stopped; beside
    those that are relabelled a seed."""

    windows: int
    batch: int
    relabel: float
    seed: int
    rank: int
    steps: range

    def __iter__(self):
        for step in self.steps:
            random = np.random.default_rng([self.seed, self.rank, step])
            numbers = random.integers(self.windows, size=self.batch).tolist()
            seeds = random.integers(2**32, size=self.batch).tolist()
            other = random.random(self.batch) < self.relabel
            yield [(number, seed if o else None) for number, seed, o in zip(numbers, seeds, other)]

    def __len__(self) -> int:
        return len(self.steps)


class Prompts:
    """Instructions as token ids, all filled up to the longest."""

    def __init__(self, tokenizer: Tokenizer, instructions: list[str], max_tokens: int) -> None:
        rows = [prompt_ids(tokenizer, About.template, text, max_tokens)[0] for text in instructions]
        longest = max(map(len, rows))
        self.mask = torch.stack([torch.arange(longest) < len(row) for row in rows])
        self.ids = torch.stack([F.pad(row, (0, longest - len(row))) for row in rows])
