"""Thresholds and budgets change while the node runs; what is wrong is refused and changes nothing."""

import math

import pytest
from programs import policy

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
