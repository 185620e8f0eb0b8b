"""A run's losses: losses.jsonl, TensorBoard, and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np
from torch.utils.tensorboard import SummaryWriter

matplotlib.use("agg")
import matplotlib.pyplot as plt

MEAN_OVER = 50  # steps that one entry stands for


class Curves:
    """Collects the terms of the loss step by step."""

    def __init__(self, out: Path, step: int) -> None:
        """Goes on after `step`; what an interrupted run wrote beyond it is dropped."""
        self._log = out / "losses.jsonl"
        self._entries = [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []
        self._entries = [entry for entry in self._entries if entry["step"] <= step]
        self._log.write_text("".join(json.dumps(entry) + "\n" for entry in self._entries))
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step)
        self._picture = out / "losses.png"
        self._gathered: list[dict[str, float]] = []

    def add(self, step: int, terms: dict[str, float], rate: float) -> None:
        """The terms of one step; every MEAN_OVER steps their mean is written down."""
        self._gathered.append(terms)
        if step % MEAN_OVER == 0:
            means = {name: float(np.mean([each[name] for each in self._gathered])) for name in terms}
            self._gathered = []
            self._write({"step": step, "rate": rate, "terms": means})

    def add_validation(self, step: int, errors: dict[str, list[float]]) -> None:
        """Errors per exit on what is not trained on."""
        self._write({"step": step, "validation": errors})

    def _write(self, entry: dict) -> None:
        self._entries.append(entry)
        with self._log.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        for name, value in entry.get("terms", {}).items():
            self._board.add_scalar(f"loss/{name}", value, entry["step"])
        for name, values in entry.get("validation", {}).items():
            for exit_number, value in enumerate(values):
                self._board.add_scalar(f"validation_{name}/exit_{exit_number}", value, entry["step"])

    def line(self) -> str:
        """The newest figures in a few words."""
        terms = [entry for entry in self._entries if "terms" in entry]
        checks = [entry for entry in self._entries if "validation" in entry]
        text = f"loss {sum(terms[-1]['terms'].values()):.4f}" if terms else "loss …"
        if checks:
            errors = checks[-1]["validation"]
            text += f", held out: arm {errors['arm'][-1]:.3f}, gripper {errors['gripper'][-1]:.1%}"
        return text

    def draw(self) -> None:
        """losses.png: the loss by term, and the errors on what is held out by exit."""
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
        terms = [entry for entry in self._entries if "terms" in entry]
        for name in terms[-1]["terms"] if terms else ():
            left.plot([e["step"] for e in terms], [e["terms"][name] for e in terms], label=name, linewidth=1)
        checks = [entry for entry in self._entries if "validation" in entry]
        for exit_number in range(len(checks[-1]["validation"]["arm"]) if checks else 0):
            errors = [entry["validation"]["arm"][exit_number] for entry in checks]
            right.plot([entry["step"] for entry in checks], errors, label=f"exit {exit_number}", linewidth=1)
        for axes, title in ((left, "loss by term"), (right, "held out: mean absolute arm error")):
            axes.set(title=title, xlabel="step", yscale="log")
            if axes.lines:
                axes.legend(fontsize="small")
        figure.savefig(self._picture, dpi=110)
        plt.close(figure)
