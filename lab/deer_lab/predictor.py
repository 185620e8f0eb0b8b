"""How far from full depth is an exit's action? Fits the bundle's predictor, for `gate.metric: predicted`.

    deer_vla calibrate models/mine recordings --out out/fit.json --signs out/signs.json
    python -m deer_lab.predictor models/mine out/signs.json

Per exit a small regressor from what the exit shows anyway to the distance of its action from full depth's, in
logarithms: a linear map, and a few tanh units that are drawn by chance and weighed by the same least squares.
`src/network/predictor.rs` is its twin; tests/contracts/predictor.json holds both to the same numbers.

What it is worth is how well it ranks moments beside the plain delta: that is printed, from recordings that were not
fitted on. Where it ranks no better, leave the metric as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

SCHEMA = 1
INPUTS = ("delta", "delta_before", "norm", "change", "margin", "age")
OFFSETS = np.array([1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1.0])  # so that nothing is not infinitely far from little
FARTHEST = 4.0  # standard deviations: what is stranger is taken for no stranger
UNITS = 16
RIDGE = 1e-2  # a sample, in units of the standardised signs
LEAST_DISTANCE = 1e-3  # below which full depth itself is no more exact


class PredictorError(Exception):
    """What cannot be fitted, and why."""


@dataclass(frozen=True)
class Regressor:
    """Of one exit: `mean` and `scale` of the signs' logarithms, `linear` weights and what is added; a unit has weights,
    what is added, and its own weight."""

    mean: list[float]
    scale: list[float]
    linear: list[float]
    units: list[list[float]]

    def distance(self, signs: np.ndarray) -> np.ndarray:
        """Of signs (samples, 6): root mean square over the six arm outputs; not a number where a sign is none."""
        z = standard(signs, np.array(self.mean), np.array(self.scale))
        units = np.array(self.units).reshape(-1, len(INPUTS) + 2)
        bent = np.tanh(z @ units[:, :-2].T + units[:, -2]) @ units[:, -1]
        distance = np.exp(z @ np.array(self.linear[:-1]) + self.linear[-1] + bent)
        return np.where(np.isfinite(signs).all(1), distance, np.nan)


@dataclass(frozen=True)
class Table:
    """signs.json: `signs` (exits, inputs, samples), `errors` (exits, samples), samples a recording."""

    sha256: str
    manifest_sha256: str
    episodes: np.ndarray
    signs: np.ndarray
    errors: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Table:
        """Raises PredictorError."""
        try:
            text = path.read_bytes()
            table = json.loads(text)
            inputs = tuple(table["inputs"])
            if table["schema"] != SCHEMA or inputs != INPUTS:
                raise PredictorError(f"{path} has inputs {inputs}, expected {INPUTS}; calibrate again with --signs")
            arrays = [np.array(table[name], float) for name in ("episodes", "signs", "errors")]
            return cls(hashlib.sha256(text).hexdigest(), table["manifest_sha256"], arrays[0].astype(int), *arrays[1:])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PredictorError(f"{path} is no table of signs: {error}; calibrate with --signs makes one") from error

    def of(self, recordings: np.ndarray) -> Table:
        """The recordings with these numbers alone."""
        chosen = np.isin(np.repeat(np.arange(len(self.episodes)), self.episodes), recordings)
        episodes = self.episodes[recordings]
        return Table(self.sha256, self.manifest_sha256, episodes, self.signs[..., chosen], self.errors[:, chosen])


def standard(signs: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.clip((np.log(signs + OFFSETS) - mean) / scale, -FARTHEST, FARTHEST)


def fit(signs: np.ndarray, errors: np.ndarray, rng: np.random.Generator) -> Regressor:
    """Of signs (samples, 6) and errors (samples,). A sign that never varies has no weight."""
    logarithms = np.log(signs + OFFSETS)
    mean, scale = logarithms.mean(0), logarithms.std(0)
    varies = scale > 1e-6
    scale = np.where(varies, scale, 1.0)
    weights = rng.normal(0, 1, (UNITS, len(INPUTS))) * varies
    added = rng.normal(0, 1, UNITS)
    z = standard(signs, mean, scale) * varies
    columns = np.concatenate([z, np.tanh(z @ weights.T + added), np.ones((len(z), 1))], 1)
    penalty = RIDGE * len(z) * np.eye(columns.shape[1])
    penalty[-1, -1] = 0.0
    wanted = np.log(np.maximum(errors, LEAST_DISTANCE))
    solved = np.linalg.solve(columns.T @ columns + penalty, columns.T @ wanted)
    outer = solved[len(INPUTS) : -1]
    units = np.concatenate([weights, added[:, None], outer[:, None]], 1)
    linear = [*(solved[: len(INPUTS)] * varies), solved[-1]]
    return Regressor(mean.tolist(), scale.tolist(), [float(value) for value in linear], units.tolist())


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of values without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def fit_all(table: Table, seed: int) -> list[Regressor]:
    """One an exit but the last, which is full depth."""
    rng = np.random.default_rng(seed)
    return [fit(signs.T, errors, rng) for signs, errors in zip(table.signs[:-1], table.errors[:-1])]


def comparison(regressors: list[Regressor], held_out: Table) -> list[tuple[float, float]]:
    """Per exit the rank correlation with the true distance: the prediction's and the plain delta's."""
    rows = zip(regressors, held_out.signs, held_out.errors)
    return [
        (rank_correlation(regressor.distance(signs.T), errors), rank_correlation(signs[0], errors))
        for regressor, signs, errors in rows
    ]


def split(table: Table, other: Path | None) -> tuple[Table, Table]:
    """What is fitted on, and what is judged on: another table, or every fifth recording. Raises PredictorError."""
    if other:
        held_out = Table.read(other)
        if held_out.manifest_sha256 != table.manifest_sha256:
            raise PredictorError(f"{other} is of another bundle than the first table; calibrate one bundle")
        if held_out.sha256 == table.sha256:
            raise PredictorError(f"{other} is what is fitted on; hold out other recordings")
        return table, held_out
    if len(table.episodes) < 5:
        raise PredictorError(f"{len(table.episodes)} recordings are too few to hold one of five out; record more")
    numbers = np.arange(len(table.episodes))
    return table.of(numbers[numbers % 5 != 4]), table.of(numbers[numbers % 5 == 4])


def main() -> int:
    """Exit codes: 0 done, 1 refused with the reason, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="the bundle's folder")
    parser.add_argument("signs", type=Path, help="what `deer_vla calibrate --signs` wrote")
    parser.add_argument("--held-out", type=Path, help="the same of other recordings; otherwise every fifth recording")
    parser.add_argument("--seed", type=int, default=0, help="draws the units")
    parser.add_argument("--out", type=Path, help="otherwise predictor.json in the bundle")
    args = parser.parse_args()
    out = args.out or args.bundle / "predictor.json"
    try:
        table = Table.read(args.signs)
        manifest = args.bundle / "manifest.json"
        if not manifest.is_file() or hashlib.sha256(manifest.read_bytes()).hexdigest() != table.manifest_sha256:
            raise PredictorError(f"{args.signs} is not of the bundle {args.bundle}; calibrate that one with --signs")
        fitted, held_out = split(table, args.held_out)
    except PredictorError as error:
        print(f"predictor: {error}", file=sys.stderr)
        return 1
    regressors = fit_all(fitted, args.seed)
    print(f"rank correlation with the distance to full depth, on {held_out.errors.shape[1]} samples not fitted on:")
    print("exit  predicted  delta")
    for exit_number, (predicted, delta) in enumerate(comparison(regressors, held_out)):
        print(f"{exit_number:4}  {predicted:9.3f}  {delta:5.3f}")
    for name in (name for i, name in enumerate(INPUTS) if np.ptp(fitted.signs[:, i]) == 0):
        print(f"{name} never varied: it counts for nothing")
    entry = {"schema": SCHEMA, "manifest_sha256": table.manifest_sha256, "signs_sha256": table.sha256}
    entry |= {"inputs": list(INPUTS), "exits": [asdict(regressor) for regressor in regressors]}
    out.write_text(json.dumps(entry) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
