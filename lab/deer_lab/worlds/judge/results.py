"""What all jobs of an evaluation come to: the figures of results.json, and as a person wants to see them."""

import itertools
from collections.abc import Iterable

import numpy as np

from deer_lab.worlds.judge import protocol
from deer_lab.worlds.judge.compute import Compute
from deer_lab.worlds.judge.jobs import Judged
from deer_lab.worlds.judge.policies import Taken


def task_table(names: Iterable[str], entries: list[dict]) -> dict[str, dict]:
    """Attempts, successes and mean steps to success of every task of `names` that was tried."""
    table = {}
    outcomes = [outcome for entry in entries for outcome in entry["outcomes"]]
    for task in names:
        tried = [outcome for outcome in outcomes if outcome["task"] == task]
        if tried:
            success = np.array([outcome["success"] for outcome in tried], dtype=float)
            steps = [outcome["steps"] for outcome in tried if outcome["success"]]
            table[task] = {
                "attempts": len(tried),
                "successes": int(success.sum()),
                "rate": float(success.mean()),
                "interval": protocol.proportion(int(success.sum()), len(tried)),
                "mean_steps": float(np.mean(steps)) if steps else None,
                "most_steps": max(steps, default=None),
            }
    return table


def compute_of(judged: Judged, entries: list[dict]) -> dict | None:
    """Mean cost of a step over all steps and over those of successful tasks; None where no bundle says what exits cost
    (a training run's own is RUN/bundle)."""
    bundle = judged.run / "bundle" if judged.run else judged.bundle
    if bundle is None or not (bundle / "manifest.json").is_file():
        return None
    compute = Compute(bundle)
    outcomes = [outcome for entry in entries for outcome in entry["outcomes"]]
    steps = [[Taken(**taken) for taken in outcome["taken"]] for outcome in outcomes]
    successful = [taken for taken, outcome in zip(steps, outcomes, strict=True) if outcome["success"]]
    return {
        "all_steps": compute.summary(list(itertools.chain(*steps))),
        "successful_tasks": compute.summary(list(itertools.chain(*successful))),
    }


def print_table(results: dict) -> None:
    """The figures a person wants to see."""
    for task, row in results["tasks"].items():
        low, high = row["interval"]
        steps = "" if row["mean_steps"] is None else f"  {row['mean_steps']:6.1f} steps, at most {row['most_steps']}"
        tried = f"{row['successes']:4d} of {row['attempts']:4d}"
        print(f"{task:26s} {tried}  {row['rate']:6.1%} [{low:.1%}, {high:.1%}]{steps}")
    if results["protocol"] == "chains":
        for row in results["summary"]["rates"]:
            low, high = row["interval"]
            print(f"{row['in_a_row']} in a row  {row['rate']:6.1%} [{low:.1%}, {high:.1%}]")
        low, high = results["summary"]["interval"]
        print(f"average length {results['summary']['average_length']:.2f} of 5 [{low:.2f}, {high:.2f}]")
    if results["compute"] and (cost := results["compute"]["all_steps"]):
        print(
            f"{cost['steps']} steps, exits {cost['exits']}: language model {cost['llm_gmac']:.4f} GMAC "
            f"({cost['llm_share_of_full_depth']:.0%} of full depth) {cost['llm_ms']:.2f} ms, "
            f"whole model {cost['whole_gmac']:.4f} GMAC {cost['step_ms']:.2f} ms a step"
        )
