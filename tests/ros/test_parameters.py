"""Thresholds and budgets change while the node runs; what is wrong is refused and changes nothing."""

import hashlib
import json
import math
import shutil

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from programs import BUNDLE, policy

AT_ONCE = [1e9] * 5  # every delta agrees
NEVER = [-1.0] * 5  # none does


def test_thresholds_are_reloaded_without_a_restart(pair, pictures):
    _, peer = pair(gate__thresholds=NEVER)
    decision = peer.begin("push the button", pictures)
    assert (decision["exit"], decision["reason"]) == ("5", "cap")
    assert peer.set_parameters(gate__thresholds=AT_ONCE) == []
    decision = peer.decide(pictures)
    assert (decision["exit"], decision["reason"]) == ("0", "agreed")
    assert int(decision["epoch"]) == int(peer.decide(pictures)["epoch"]), "an epoch outlives a reload"
    assert peer.set_parameters(gate__thresholds=[-1.0, -1.0, 1e9, 1e9, 1e9]) == []
    assert peer.decide(pictures)["exit"] == "2"


def test_every_exit_visited_is_in_the_record(pair, pictures):
    _, peer = pair(gate__thresholds=[-1.0, -1.0, 1e9, 1e9, 1e9])
    decision = peer.begin("push the button", pictures)
    assert len(decision.numbers("deltas")) == len(decision.numbers("stage_ms")) == 3
    assert decision.numbers("thresholds") == [-1.0, -1.0, 1e9]
    assert all(math.isfinite(delta) and delta >= 0 for delta in decision.numbers("deltas"))


@pytest.mark.parametrize(
    ("name", "bad", "word"),
    [
        ("gate.thresholds", [0.1, math.nan, 0.1, 0.1, 0.1], "finite"),
        ("gate.thresholds", [0.1, 0.1], "6 exits"),
        ("gate.metric", "manhattan", "rms"),
        ("gate.deadline", -1.0, "gate.deadline"),
        ("max_frame_age", -0.5, "max_frame_age"),
        ("max_frame_age", math.nan, "max_frame_age"),
        ("budget.peak", -1.0, "budget.peak"),
        ("gripper.hysteresis", 0.9, "gripper.hysteresis"),
    ],
)
def test_a_bad_value_is_refused_and_the_old_one_stays(pair, pictures, name, bad, word):
    node, peer = pair(gate__thresholds=AT_ONCE)
    assert peer.begin("push the button", pictures)["exit"] == "0"
    before = peer.parameter(name)
    refusals = peer.set_parameters(**{name.replace(".", "__"): bad})
    assert len(refusals) == 1 and word in refusals[0]
    assert peer.parameter(name) == before
    node.check()
    decision = peer.decide(pictures)
    assert (decision["verdict"], decision["exit"]) == ("act", "0")


def test_a_value_of_the_wrong_type_is_refused(pair):
    _, peer = pair()
    assert len(peer.set_parameters(gate__thresholds="deep")) == 1
    assert len(peer.set_parameters(no_such_parameter=1)) == 1


def test_a_bad_value_at_the_start_ends_the_node_with_one_sentence(domain, tmp_path):
    node = policy(tmp_path, domain, max_frame_age=-1.0)
    assert node.process.wait(timeout=60) == 1
    assert "max_frame_age" in node.said() and "panicked" not in node.said()


def calibrated_toy(folder, samples=100):
    """A copy of the toy whose calibration knows only huge deltas, and the cost [GFLOP] of its first and last exit."""
    bundle = shutil.copytree(BUNDLE, folder / "calibrated")
    manifest = (bundle / "manifest.json").read_bytes()
    parts = json.loads(manifest)["parts"]
    table = {
        "schema": 1,
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "exits": json.loads(manifest)["exits"],
        "deltas": [[1e6 + sample for sample in range(samples)] for _ in range(6)],
    }
    (bundle / "calibration.json").write_text(json.dumps(table))
    head, once = parts["head"]["macs"], parts["head_state"]["macs"]
    first = parts["stages"][0]["macs"] + once + 2 * head
    return bundle, 1e-9 * first, 1e-9 * (sum(stage["macs"] for stage in parts["stages"]) + once + 7 * head)


def test_an_average_budget_is_solved_and_swapped_in_while_the_node_runs(pair, pictures, tmp_path):
    bundle, first, full = calibrated_toy(tmp_path)
    _, peer = pair(bundle=str(bundle), budget__average=2 * full)
    assert peer.begin("push the button", pictures)["exit"] == "5", "what allows full depth is full depth"
    assert peer.set_parameters(budget__average=1.05 * first) == []
    assert peer.decide(pictures)["exit"] == "0"
    refusals = peer.set_parameters(budget__average=0.5 * first)
    assert len(refusals) == 1 and "nearest that can is" in refusals[0]
    assert peer.decide(pictures)["exit"] == "0"


def test_an_average_budget_without_a_calibration_is_refused(pair):
    _, peer = pair()
    refusals = peer.set_parameters(budget__average=1.0)
    assert len(refusals) == 1 and "deer_vla calibrate" in refusals[0]


def test_other_exits_than_the_calibrations_are_reported_as_drift(pair, pictures, tmp_path):
    bundle, first, _ = calibrated_toy(tmp_path, samples=1500)
    _, peer = pair(bundle=str(bundle), gate__thresholds=AT_ONCE)
    peer.begin("push the button", pictures)
    for _ in range(240):
        peer.decide(pictures)
    assert peer.until_reported(["Compute", f"{first:.6f}"]).level == DiagnosticStatus.OK, "it was to stop at once"
    # Every delta of the calibration is above these limits, every delta of the toy below them.
    assert peer.set_parameters(gate__thresholds=[1e5] * 5) == []
    for _ in range(240):
        peer.decide(pictures)
    status = peer.until_reported(["Compute", "the calibration expects", "budget.hold"])
    assert status.level == DiagnosticStatus.WARN


def test_a_held_average_changes_the_thresholds_until_the_budget_is_met(pair, pictures, tmp_path):
    bundle, first, full = calibrated_toy(tmp_path, samples=1500)
    budget = 0.5 * (first + full)
    _, peer = pair(bundle=str(bundle), budget__average=budget, budget__hold=True)
    before = peer.begin("push the button", pictures).numbers("thresholds")
    for _ in range(245):
        decision = peer.decide(pictures)
    assert decision["exit"] == "0", "the toy's deltas are smaller than the calibration's, so it stops too early"
    assert decision.numbers("thresholds")[0] < before[0], "and is asked to go deeper"
