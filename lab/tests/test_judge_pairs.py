"""Evaluations side by side: what a step costs under a plan, and what one plan gains against another."""

import dataclasses
import json

import numpy as np
import pytest

from deer_lab.worlds.judge.compute import Compute
from deer_lab.worlds.judge.pairs import Judged, compare, main
from deer_lab.worlds.judge.policies import Taken

PARTS = {
    "stages": [{"macs": 100}, {"macs": 100}],
    "head": {"macs": 2},
    "head_state": {"macs": 1},
    "vision": [{"macs": 1000}, {"macs": 500}],
}


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"parts": PARTS}))
    return tmp_path


def test_a_skipped_step_costs_nothing_and_a_kept_camera_no_encoder(bundle):
    compute = Compute(bundle)
    steps = [Taken(0, 1, 1), Taken(1, 1, 1, looked=(False, True)), Taken(1, 1, 1, skipped=True)]
    assert [compute.macs(step) for step in steps] == [(105, 1605), (207, 707), (0, 0)]
    summary = compute.summary(steps)
    assert summary["exits"] == [1, 1] and summary["skipped"] == 1
    assert summary["whole_gmac"] == pytest.approx((1605 + 707) / 3e9)
    assert summary["llm_gmac"] == pytest.approx((105 + 207) / 3e9)


def test_a_plan_is_compared_chain_by_chain():
    done, steps = np.array([5.0, 5, 0, 5]), np.array([100.0, 100, 360, 100])
    first = Judged("first", done, *[steps] * 5)
    same = compare(first, first)
    assert same["length"] == (0, 0, 0) and same["gmac"] == (1, 1, 1)
    half = compare(first, dataclasses.replace(first, name="half", gmac=steps / 2))
    assert half["gmac"] == pytest.approx((0.5, 0.5, 0.5))  # of pairs: no chance in it
    worse = compare(first, dataclasses.replace(first, name="worse", done=done - 1))
    assert worse["length"] == (-1, -1, -1) and worse["steps"][0] == pytest.approx(15 / 11)


def test_evaluations_of_other_chains_are_not_compared(bundle, capsys, monkeypatch):
    for name, numbers in (("a", [0, 1]), ("b", [1, 2])):
        step = {"exit": 0, "llm_ms": 1, "total_ms": 1}
        taken = [step | {"because": "first steps"}, step, step | {"skipped": True}, step | {"skipped": True}]
        outcome = {"steps": 4, "taken": taken}
        chains = [{"chain": n, "succeeded": 1, "outcomes": [outcome]} for n in numbers]
        (bundle / name).mkdir()
        (bundle / name / "results.json").write_text(json.dumps({"chains": chains}))
    a, b = str(bundle / "a"), str(bundle / "b")
    monkeypatch.setattr("sys.argv", ["pairs", a, a, "--bundle", str(bundle)])
    assert main() == 0 and "| a | 1.00 | +0.00 [+0.00, +0.00] | 50% (25%) | 4.0 |" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["pairs", a, b, "--bundle", str(bundle)])
    assert main() == 1 and "same chains" in capsys.readouterr().err


def test_what_another_network_did_is_not_counted_at_this_ones_costs(bundle, capsys, monkeypatch, tmp_path):
    deep, step = tmp_path / "deep", {"exit": 0, "llm_ms": 1, "total_ms": 1}
    deep.mkdir()
    (deep / "manifest.json").write_text(json.dumps({"parts": PARTS | {"stages": [{"macs": 5000}]}}))
    for name, exits in (("a", [1, 0]), ("static", [1])):
        (bundle / name).mkdir()
        chain = {"chain": 0, "succeeded": 1, "outcomes": [{"steps": 1, "taken": [step]}]}
        results = {"chains": [chain], "compute": {"all_steps": {"exits": exits}}}
        (bundle / name / "results.json").write_text(json.dumps(results))
    folders = [str(bundle / "a"), str(bundle / "static")]
    monkeypatch.setattr("sys.argv", ["pairs", *folders, "--bundle", str(bundle)])
    assert main() == 2 and "steps of 1 exits, its bundle has 2" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["pairs", *folders, "--bundle", str(bundle), str(deep)])
    assert main() == 0
    cells = capsys.readouterr().out.splitlines()[-1].split(" | ")
    assert cells[0] == "| static" and cells[7] == f"{6505 / 1605:.2f} [{6505 / 1605:.2f}, {6505 / 1605:.2f}]"
