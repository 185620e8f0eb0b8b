"""Evaluations on the same chains, side by side: what each gains or loses against the first.

    python -m deer_lab.worlds.judge.pairs out/full_depth out/gate out/plan --bundle models/tabletop

What counts is the work a task takes: tasks done in a row, control periods and multiply-accumulates of the whole model
per task done. Intervals are 95 %, bootstrapped over the chains as pairs, so that a hard chain is hard for both.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deer_lab.worlds.judge.compute import Compute
from deer_lab.worlds.judge.policies import Taken

DRAWS = 10_000
COLUMNS = ("plan", "tasks in a row", "difference", "ran (had to)")
COLUMNS += ("periods a task", "ratio", "GMAC a task", "ratio", "ms a task", "ratio")


@dataclass(frozen=True)
class Judged:
    """By chain [N]: tasks done, control periods, giga multiply-accumulates and milliseconds of the whole model; control
    periods at which the network ran, and those at which a rule of the plan forbade anything less."""

    name: str
    done: np.ndarray
    steps: np.ndarray
    gmac: np.ndarray
    ms: np.ndarray
    ran: np.ndarray
    forbidden: np.ndarray


def read(folder: Path, compute: Compute) -> tuple[list[int], Judged]:
    """The chains' numbers, and what came of each. Raises FileNotFoundError, KeyError, and ValueError where they were
    not judged with a bundle of so many exits."""
    results = json.loads((folder / "results.json").read_text())
    chains, cost = results["chains"], (results.get("compute") or {}).get("all_steps")
    if cost and len(cost["exits"]) != compute.exits:
        raise ValueError(f"{folder} has steps of {len(cost['exits'])} exits, its bundle has {compute.exits}")
    steps = [[Taken(**t) for outcome in chain["outcomes"] for t in outcome["taken"]] for chain in chains]
    columns = (
        [chain["succeeded"] for chain in chains],
        [sum(outcome["steps"] for outcome in chain["outcomes"]) for chain in chains],
        [1e-9 * sum(compute.macs(step)[1] for step in taken) for taken in steps],
        [sum(step.total_ms for step in taken) for taken in steps],
        [sum(not step.skipped for step in taken) for taken in steps],
        [sum(step.because is not None for step in taken) for taken in steps],
    )
    return [chain["chain"] for chain in chains], Judged(folder.name, *(np.array(c, dtype=float) for c in columns))


def compare(first: Judged, other: Judged) -> dict[str, tuple[float, float, float]]:
    """Other against first: value and 95 % interval of the difference in tasks done a chain, and of the ratios of
    control periods, multiply-accumulates and milliseconds per task done."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(first.done), size=(DRAWS, len(first.done)))
    rows = np.vstack((np.arange(len(first.done)), draws))  # the chains themselves, then what could have been drawn

    def per_task(judged: Judged, what: str) -> np.ndarray:
        return getattr(judged, what)[rows].sum(1) / np.maximum(judged.done[rows].sum(1), 1)

    found = {"length": (other.done - first.done)[rows].mean(1)}
    for what in ("steps", "gmac", "ms"):
        found[what] = per_task(other, what) / per_task(first, what)
    return {what: (values[0], *np.percentile(values[1:], (2.5, 97.5))) for what, values in found.items()}


def main() -> int:
    """Exit codes: 0 done, 1 the evaluations are not of the same chains, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="folder of an evaluation: what the others are compared with")
    parser.add_argument("others", type=Path, nargs="*")
    parser.add_argument(
        "--bundle",
        type=Path,
        nargs="+",
        required=True,
        help="says what a step costs: one for all, or one for each folder",
    )
    args = parser.parse_args()
    folders = (args.first, *args.others)
    bundles = args.bundle * (len(folders) if len(args.bundle) == 1 else 1)
    if len(bundles) != len(folders):
        parser.error(f"{len(bundles)} bundles for {len(folders)} folders: give one, or one for each")
    try:
        found = [read(folder, Compute(bundle)) for folder, bundle in zip(folders, bundles)]
    except (FileNotFoundError, KeyError, ValueError) as error:
        print(f"pairs: {error}: give folders that `evaluate` has finished, and their bundles", file=sys.stderr)
        return 2
    chains, judged = zip(*found)
    if any(numbers != chains[0] for numbers in chains):
        print("pairs: the evaluations are not of the same chains", file=sys.stderr)
        return 1
    first = judged[0]
    print(f"{len(chains[0])} chains; ratios and differences against {first.name}\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for one in judged:
        against = compare(first, one)
        cells = [one.name, f"{one.done.mean():.2f}", "{:+.2f} [{:+.2f}, {:+.2f}]".format(*against["length"])]
        cells.append(f"{one.ran.sum() / one.steps.sum():.0%} ({one.forbidden.sum() / one.steps.sum():.0%})")
        for what, form in (("steps", ".1f"), ("gmac", ".3f"), ("ms", ".0f")):
            value = getattr(one, what).sum() / max(one.done.sum(), 1)
            cells += [f"{value:{form}}", "{:.2f} [{:.2f}, {:.2f}]".format(*against[what])]
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
