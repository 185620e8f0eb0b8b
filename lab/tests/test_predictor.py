"""The predictor: what both sides compute alike (tests/contracts/predictor.json), and what a fit is good for."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deer_lab.predictor import INPUTS, Regressor, Table, comparison, fit_all, split

CONTRACT = json.loads((Path(__file__).parents[2] / "tests" / "contracts" / "predictor.json").read_text())
EXITS, EPISODES, SAMPLES = 3, 10, 60


def table(tmp_path: Path, name: str = "signs.json", seed: int = 0) -> Path:
    """Signs of which the change tells the distance, and the delta next to nothing; the age never varies."""
    rng = np.random.default_rng(seed)
    shape = (EXITS, EPISODES * SAMPLES)
    change = np.exp(rng.normal(-1, 0.5, shape))
    delta, before, norm, margin = (np.exp(rng.normal(-3, 0.5, shape)) for _ in range(4))
    errors = 0.1 * change**2 * np.exp(rng.normal(0, 0.1, shape))
    errors[-1] = 0.0
    path = tmp_path / name
    entry = {"schema": 1, "manifest_sha256": hashlib.sha256(b"{}").hexdigest(), "recordings_sha256": name}
    entry |= {"episodes": [SAMPLES] * EPISODES, "inputs": list(INPUTS), "errors": errors.tolist()}
    entry["signs"] = np.stack([delta, before, norm, change, margin, np.zeros(shape)], 1).tolist()
    path.write_text(json.dumps(entry))
    return path


def program(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "deer_lab.predictor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_distances_are_those_that_rust_computes():
    exits = [Regressor(**entry) for entry in CONTRACT["predictor"]["exits"]]
    for case in CONTRACT["cases"]:
        found = exits[case["exit"]].distance(np.array([case["signs"]]))[0]
        assert found == pytest.approx(case["distance"], rel=1e-6)


def test_a_sign_that_is_no_number_gives_no_distance():
    regressor = Regressor(**CONTRACT["predictor"]["exits"][0])
    signs = np.full((2, len(INPUTS)), 0.1)
    signs[1, 2] = np.nan
    assert np.isnan(regressor.distance(signs)).tolist() == [False, True]


def test_what_tells_the_distance_is_found_and_judged_on_recordings_not_fitted_on(tmp_path):
    fitted, held_out = split(Table.read(table(tmp_path)), None)
    assert (len(fitted.episodes), len(held_out.episodes)) == (8, 2)
    for predicted, delta in comparison(fit_all(fitted, 0), held_out):
        assert predicted > 0.9
        assert abs(delta) < 0.3


def test_a_sign_that_never_varied_counts_for_nothing(tmp_path):
    regressor = fit_all(Table.read(table(tmp_path)), 0)[0]
    young, old = np.full((1, len(INPUTS)), 0.2), np.full((1, len(INPUTS)), 0.2)
    old[0, INPUTS.index("age")] = 7
    assert regressor.distance(young) == regressor.distance(old)


def test_the_program_writes_the_same_predictor_again_and_says_how_it_ranks(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    signs, other = table(tmp_path), table(tmp_path, "other.json", seed=1)
    done = program(tmp_path, signs, "--held-out", other)
    assert done.returncode == 0, done.stderr
    assert "predicted  delta" in done.stdout and "age never varied" in done.stdout
    first = (tmp_path / "predictor.json").read_text()
    assert len(json.loads(first)["exits"]) == EXITS - 1
    assert program(tmp_path, signs, "--held-out", other).returncode == 0
    assert (tmp_path / "predictor.json").read_text() == first


def test_a_table_of_another_bundle_or_none_is_refused_with_the_command_that_makes_one(tmp_path):
    (tmp_path / "manifest.json").write_text("[]")
    done = program(tmp_path, table(tmp_path))
    assert done.returncode == 1 and "not of the bundle" in done.stderr
    done = program(tmp_path, tmp_path / "manifest.json")
    assert done.returncode == 1 and "--signs" in done.stderr
