"""What LeRobot keeps of every feature: least, largest, mean, deviation, quantiles."""

from __future__ import annotations

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
PICTURES = 16  # of an episode's, evenly, are looked at
APART = 4  # pixels


def statistics(values: np.ndarray) -> dict[str, list]:
    """Of (N, D) per column."""
    values = values.astype(float)
    found = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    found |= {name: np.quantile(values, share, axis=0) for name, share in QUANTILES.items()}
    return {name: value.tolist() for name, value in found.items()} | {"count": [len(values)]}


def of_pictures(values: np.ndarray) -> dict[str, list]:
    """Of pixels (N, 3) in 0..1: a number a channel, shaped as a picture (3, 1, 1)."""
    found = statistics(values)
    return {name: value if name == "count" else [[[part]] for part in value] for name, value in found.items()}


class Sample:
    """What statistics of a whole data set are made of: all its numbers, some of its pixels."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._pixels: dict[str, list[np.ndarray]] = {}

    def add(self, numbers: dict[str, np.ndarray]) -> dict[str, dict]:
        """An episode's, (T) or (T, D) each; their statistics."""
        columns = {name: values.reshape(len(values), -1) for name, values in numbers.items()}
        for name, values in columns.items():
            self._numbers.setdefault(name, []).append(values)
        return {name: statistics(values) for name, values in columns.items()}

    def add_pictures(self, key: str, pictures: list[np.ndarray]) -> dict[str, list]:
        """An episode's of one camera; their statistics."""
        some = pictures[:: max(1, len(pictures) // PICTURES)]
        pixels = np.concatenate([picture[::APART, ::APART].reshape(-1, 3) for picture in some])
        self._pixels.setdefault(key, []).append(pixels)
        return of_pictures(pixels / 255)

    def result(self) -> dict[str, dict]:
        """meta/stats.json."""
        numbers = {name: statistics(np.concatenate(parts)) for name, parts in self._numbers.items()}
        return numbers | {name: of_pictures(np.concatenate(parts) / 255) for name, parts in self._pixels.items()}
