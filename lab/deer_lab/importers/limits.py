"""When to stop at an exit, as the published code finds it from what an evaluation left in the checkpoint.

`values` holds a delta per exit and sample. Shares of the samples, r^k for the k-th exit, say how many should end at
each; a limit is the delta of the last that does. All in single precision, as published: 0.4 % of the settings have
another limit in double (`deer_vla solve` computes in double).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from deer_lab.config import PolicyConfig
from deer_lab.importers.archives import CheckpointError
from deer_lab.manifest import fingerprint

NEVER, ALWAYS = -1.0, 1e8


def sure_rows(values: object, exits: int) -> Tensor:
    """Deltas (rows, samples) of the exits from the first on. Raises CheckpointError.

    An evaluation under a smaller `max_layer` leaves fewer rows, and its last may be of a layer that is no exit of the
    whole network: it is left out.
    """
    if not isinstance(values, Tensor) or values.dim() != 2 or not values.numel():
        raise CheckpointError("the file's `values` is no table of exits and samples")
    if not (values.isfinite().all() and (values >= 0).all()):
        raise CheckpointError("the file's `values` holds numbers that are no deltas")
    if values.shape[0] > exits:
        raise CheckpointError(f"the file's `values` has {values.shape[0]} rows for {exits} exits")
    rows = exits if values.shape[0] == exits else values.shape[0] - 1
    return values[:rows].float()


def usable(config: PolicyConfig, layers: int) -> int:
    """How many exits stand within the first `layers` layers."""
    found = sum(exit < layers for exit in config.decoder.exits)
    if not found:
        raise CheckpointError(f"--layers {layers} holds no exit: the first stands at layer {config.decoder.exits[0]}")
    return found


def shares(config: PolicyConfig, ratio: float, exits: int) -> Tensor:
    """Of the samples, per exit. The first has none where it sees no picture, before any cross-attention (the 9B's)."""
    found = ratio ** torch.arange(1, exits + 1)
    if config.decoder.exits[0] < config.decoder.cross_every - 1:
        found[0] = 0
    return found / found.sum()


def limits_for(deltas: Tensor, shares: Tensor) -> list[float]:
    """One per exit but the last of the shares."""
    free = torch.ones(deltas.shape[1], dtype=torch.bool)
    limits = []
    for row, share in zip(deltas, shares[:-1]):
        wanted, waiting = math.floor(deltas.shape[1] * share), row[free].sort().values
        limit = float(waiting[wanted - 1]) if 0 < wanted <= len(waiting) else NEVER
        free &= row > limit
        limits.append(limit)
    return limits


@dataclass(frozen=True)
class Solved:
    """The deltas that are sure, and where a ratio is given its limits, one per exit but the last of the network."""

    deltas: Tensor
    limits: list[float] | None
    budget: dict


def solve(values: object, config: PolicyConfig, ratio: float | None, layers: int | None) -> Solved:
    """Raises CheckpointError where the table does not say what is asked for."""
    exits, deepest = len(config.decoder.exits), config.decoder.exits[-1] + 1
    deltas = sure_rows(values, exits)
    if ratio is None:
        return Solved(deltas, None, {})
    if not 0 < ratio < math.inf:
        raise CheckpointError(f"--ratio is {ratio}: give a number above 0")
    count = usable(config, layers or deepest)
    if count > len(deltas) + 1:
        raise CheckpointError(f"the cached table is sure of {len(deltas)} exits, and {count} are asked for")
    limits = limits_for(deltas, shares(config, ratio, count))
    limits = [*limits, ALWAYS, *[NEVER] * exits][: exits - 1]
    return Solved(deltas, limits, {"method": "exp", "ratio": ratio, "cap": count - 1, "layers": layers or deepest})


def write_limits(solved: Solved, config: PolicyConfig, sha256: str, folder: Path) -> str:
    """calibration.json and thresholds.json, as far as the table goes; says in words what was written."""
    exits, rows = len(config.decoder.exits), len(solved.deltas)
    belongs = {"schema": 1, "manifest_sha256": sha256, "metric": "rms"}
    path = folder / "calibration.json"
    if rows == exits:
        table = {"exits": list(config.decoder.exits), "deltas": solved.deltas.tolist()}
        path.write_text(json.dumps(belongs | table) + "\n")
        said = f"calibration.json from {solved.deltas.shape[1]} cached samples, taken for rms as the published default"
    else:
        said = f"no calibration.json: the cached table is sure of {rows} of {exits} exits"
    if solved.limits is None:
        return said
    hashed = fingerprint(path)["sha256"] if path.exists() else None
    entry = belongs | {"thresholds": [*solved.limits, None], "budget": solved.budget}
    entry |= {"calibration_sha256": hashed, "seed": None}
    (folder / "thresholds.json").write_text(json.dumps(entry, indent=2) + "\n")
    return f"{said}; thresholds.json for ratio {solved.budget['ratio']}, {solved.budget['cap'] + 1} exits"
