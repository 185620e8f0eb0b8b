"""Thresholds from the deltas that an evaluation left in a checkpoint, as the published code solves them."""

import json
import math

import pytest

torch = pytest.importorskip("torch")

from deer_lab.config import CONFIGS
from deer_lab.importers.archives import CheckpointError
from deer_lab.importers.limits import limits_for, shares, solve, sure_rows, usable, write_limits

B3, B9 = CONFIGS["openflamingo_3b"], CONFIGS["openflamingo_9b"]


def published(deltas, wanted):
    """The published assignment step by step: walk the samples in order of their deltas until the share is counted."""
    exits, samples = deltas.shape
    taken, limits = [False] * samples, [-1e8] * exits
    for k in range(len(wanted) - 1):
        count, share = 0, math.floor(samples * wanted[k])
        for sample in deltas[k].argsort().tolist():
            if not taken[sample]:
                count += 1
                if count == share:
                    limits[k] = float(deltas[k][sample])
                    break
        taken = [was or float(delta) <= limits[k] for was, delta in zip(taken, deltas[k])]
    return limits[: len(wanted) - 1]


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1.0, 1.5])
def test_limits_are_those_of_the_published_assignment(ratio):
    random = torch.Generator().manual_seed(0)
    for samples in (5, 61, 400):
        deltas = torch.rand(6, samples, generator=random).mul(20).round() / 20  # many alike
        wanted = ratio ** torch.arange(1, 7)
        wanted = wanted / wanted.sum()
        found = limits_for(deltas, shares(B3, ratio, 6))
        assert [limit if limit >= 0 else -1e8 for limit in found] == published(deltas, wanted)


def test_shares_are_counted_in_single_precision_as_published():
    """r 0.8, three exits, 61 samples: 25 of them end at the first, and in double precision 24."""
    deltas = torch.arange(61.0).repeat(3, 1)
    wanted = shares(B3, 0.8, 3)
    assert wanted.dtype == torch.float32
    assert limits_for(deltas, wanted) == [24, 44]


def test_the_readmes_shares():
    percent = (100 * shares(B3, 0.8, 6)).tolist()
    assert percent == pytest.approx([27.1, 21.7, 17.3, 13.9, 11.1, 8.9], abs=0.06)


def test_the_9bs_first_exit_sees_no_picture_and_has_no_share():
    found = shares(B9, 1.0, 6)
    assert found.tolist() == pytest.approx([0, *[0.2] * 5])
    assert limits_for(torch.rand(6, 50), found)[0] < 0


@pytest.mark.parametrize(("config", "layers", "exits"), [(B3, 12, 6), (B3, 4, 2), (B9, 12, 6), (B9, 8, 4)])
def test_the_published_sizes_have_so_many_exits(config, layers, exits):
    assert usable(config, layers) == exits


def test_a_table_of_fewer_layers_is_sure_of_all_rows_but_its_last():
    """max_layer 4 leaves rows for layers 1, 3 and 4, and the last is no exit of the whole network."""
    assert len(sure_rows(torch.rand(3, 9), 6)) == 2
    assert len(sure_rows(torch.rand(6, 9), 6)) == 6


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.rand(7, 9), "7 rows for 6 exits"),
        (torch.rand(9), "no table"),
        ([1, 2], "no table"),
        (torch.full((6, 2), math.nan), "no deltas"),
    ],
)
def test_a_table_that_is_none_is_refused(values, message):
    with pytest.raises(CheckpointError, match=message):
        sure_rows(values, 6)


def test_both_files_are_written_for_the_bundle(tmp_path):
    values = torch.rand(6, 50)
    said = write_limits(solve(values, B3, 0.8, 4), B3, "ab" * 32, tmp_path)
    calibration = json.loads((tmp_path / "calibration.json").read_text())
    assert torch.equal(torch.tensor(calibration["deltas"]), values)
    assert calibration["exits"] == [1, 3, 5, 7, 9, 11] and calibration["manifest_sha256"] == "ab" * 32
    thresholds = json.loads((tmp_path / "thresholds.json").read_text())
    first, cap, *rest = thresholds["thresholds"]
    assert first == limits_for(values, shares(B3, 0.8, 2))[0] and cap == 1e8
    assert rest == [-1.0, -1.0, -1.0, None]
    assert "50 cached samples" in said and "2 exits" in said


def test_a_table_of_fewer_layers_gives_the_thresholds_it_is_sure_of_and_no_calibration(tmp_path):
    said = write_limits(solve(torch.rand(3, 50), B3, 1.0, 4), B3, "ab" * 32, tmp_path)
    assert "sure of 2 of 6 exits" in said and not (tmp_path / "calibration.json").exists()
    assert json.loads((tmp_path / "thresholds.json").read_text())["calibration_sha256"] is None
    with pytest.raises(CheckpointError, match="sure of 2 exits, and 6 are asked for"):
        solve(torch.rand(3, 50), B3, 1.0, 12)


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(CheckpointError, match="give a number above 0"):
        solve(torch.rand(6, 50), B3, ratio, None)
