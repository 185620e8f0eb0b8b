"""CALVIN's long-horizon protocol, as it is counted in every world: five tasks in a row, until the first failure."""

import dataclasses
import json
from collections.abc import Container
from pathlib import Path

import numpy as np

from deer_lab.worlds.world import Chain

LENGTH = 5  # tasks of a chain
MAX_STEPS = 360  # control periods a task may take
BOOTSTRAP_DRAWS = 2000


def write_chains(chains: list[Chain], path: Path, seed: int) -> None:
    """One chain a line."""
    lines = [json.dumps({"initial": dataclasses.asdict(chain.initial), "tasks": chain.tasks}) for chain in chains]
    path.write_text(f'{{"seed": {seed}, "chains": [\n' + ",\n".join(lines) + "\n]}\n")


def read_chains(path: Path, initial_type: type, tasks: Container[str]) -> list[Chain]:
    """Raises FileNotFoundError, or ValueError where a chain asks for what is not among `tasks`."""
    chains = []
    for i, entry in enumerate(json.loads(path.read_text())["chains"]):
        unknown = [task for task in entry["tasks"] if task not in tasks]
        if unknown:
            raise ValueError(f"chain {i} asks for {', '.join(unknown)}, which this world does not know: {path}")
        chains.append(Chain(initial_type(**entry["initial"]), tuple(entry["tasks"])))
    return chains


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of `values` [N]."""
    if len(values) == 0:
        return float("nan"), float("nan")
    means = rng.choice(values, (BOOTSTRAP_DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def proportion(successes: int, attempts: int) -> tuple[float, float]:
    """95 % interval of a rate, Wilson's (1927, 10.2307/2276774): unlike a bootstrap's it has a width where all or none
    succeeded."""
    if attempts == 0:
        return float("nan"), float("nan")
    rate, z2 = successes / attempts, 1.959964**2
    middle = (rate + z2 / (2 * attempts)) / (1 + z2 / attempts)
    half = (z2 * (rate * (1 - rate) + z2 / (4 * attempts)) / attempts) ** 0.5 / (1 + z2 / attempts)
    return max(0.0, middle - half), min(1.0, middle + half)


def summary(succeeded: list[int], seed: int = 0) -> dict[str, object]:
    """Success rates of 1 to 5 in a row and the average length, each with its interval over chains.

    `succeeded` [N]: how many tasks of each chain were done before the first failure.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array(succeeded, dtype=float)
    rates = []
    for k in range(1, LENGTH + 1):
        done = int((lengths >= k).sum())
        rates.append({"in_a_row": k, "rate": done / len(lengths), "interval": proportion(done, len(lengths))})
    average = {"average_length": float(lengths.mean()), "interval": interval(lengths, rng)}
    return {"chains": len(lengths), **average, "rates": rates}
