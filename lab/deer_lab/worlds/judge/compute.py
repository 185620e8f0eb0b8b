"""What a step costs, by the exit it ends at: multiply-accumulates from the bundle's manifest, milliseconds as measured.

Two figures stand side by side everywhere: the language model's (stages and head), which the exits save, and the whole
model's, vision included.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from deer_lab.worlds.judge.policies import Taken


class Compute:
    """Costs of a bundle's steps."""

    def __init__(self, bundle: Path) -> None:
        """Reads the manifest. Raises FileNotFoundError."""
        parts = json.loads((bundle / "manifest.json").read_text())["parts"]
        self._stages = [part["macs"] for part in parts["stages"]]
        once = parts.get("head_state", {}).get("macs", 0)
        self._head, self._head_state = parts["head"]["macs"], once
        vision = parts["vision"]
        eyes = vision if isinstance(vision, list) else [vision]  # a bundle of schema 1 has one for all cameras
        self._eyes = [eye["macs"] for eye in eyes]

    @property
    def exits(self) -> int:
        """How many there are."""
        return len(self._stages)

    def llm_macs(self, exit_taken: int) -> int:
        """Stages up to the exit, a head row for each of them and one for the probe."""
        return sum(self._stages[: exit_taken + 1]) + self._head_state + self._head * (exit_taken + 2)

    def macs(self, step: Taken) -> tuple[int, int]:
        """Of the language model, and of the whole model: nothing where the step was skipped, no eye that kept still."""
        if step.skipped:
            return 0, 0
        llm, looked = self.llm_macs(step.exit), step.looked or (True,) * len(self._eyes)
        eyes = zip(self._eyes, looked) if len(looked) == len(self._eyes) else [(sum(self._eyes), True)]
        return llm, llm + sum(macs for macs, look in eyes if look)

    def summary(self, steps: Sequence[Taken]) -> dict[str, object] | None:
        """Means over `steps` and how often each exit was taken; None without steps."""
        if not steps:
            return None
        count = len(steps)
        llm, whole = (sum(macs) / count for macs in zip(*map(self.macs, steps)))
        return {
            "steps": count,
            "exits": [sum(step.exit == k and not step.skipped for step in steps) for k in range(len(self._stages))],
            "skipped": sum(step.skipped for step in steps),
            "llm_gmac": llm * 1e-9,
            "whole_gmac": whole * 1e-9,
            "llm_share_of_full_depth": llm / self.llm_macs(len(self._stages) - 1),
            "llm_ms": sum(step.llm_ms for step in steps) / count,
            "step_ms": sum(step.total_ms for step in steps) / count,
        }
