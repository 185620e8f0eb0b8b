"""CALVIN's long-horizon protocol, as it is counted in every world: five tasks in a row, until the first failure."""

import numpy as np

LENGTH = 5  # tasks of a chain
MAX_STEPS = 360  # control periods a task may take
BOOTSTRAP_DRAWS = 2000


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of `values` [N]."""
    if len(values) == 0:
        return float("nan"), float("nan")
    means = rng.choice(values, (BOOTSTRAP_DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def summary(succeeded: list[int], seed: int = 0) -> dict[str, object]:
    """Success rates of 1 to 5 in a row and the average length, each with its interval over chains.

    `succeeded` [N]: how many tasks of each chain were done before the first failure.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array(succeeded, dtype=float)
    rates = []
    for k in range(1, LENGTH + 1):
        done = (lengths >= k).astype(float)
        rates.append({"in_a_row": k, "rate": float(done.mean()), "interval": interval(done, rng)})
    average = {"average_length": float(lengths.mean()), "interval": interval(lengths, rng)}
    return {"chains": len(lengths), **average, "rates": rates}
