"""Runs that hold only what differs from another."""

import json

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from deer_lab.config import CONFIGS
from deer_lab.model import Policy
from deer_lab.program import ROOT
from deer_lab.runs import RunError, keep_difference, read_weights


@pytest.fixture
def runs(tmp_path):
    """A run, and one that went on from it with another head."""
    torch.manual_seed(0)
    policy = Policy(CONFIGS["toy"])
    for name in ("base", "further"):
        folder = tmp_path / name
        folder.mkdir()
        save_file(
            {k: v.half() for k, v in policy.state_dict().items()}, folder / "policy.safetensors", {"config": "toy"}
        )
        (folder / "tokenizer.json").write_text("{}")
        (folder / "embodiment.json").write_text(json.dumps({"of": name}))
        policy.head = Policy(CONFIGS["toy"]).head
    return tmp_path


def test_a_run_that_holds_only_what_differs_is_read_whole(runs):
    count = keep_difference(runs / "further", runs / "base", runs / "kept" / "small")
    whole, about = read_weights(runs / "further")
    assert 0 < count < len(whole)
    found, again = read_weights(runs / "kept" / "small")
    assert found.keys() == whole.keys() and all(torch.equal(found[name], whole[name]) for name in whole)
    assert again == about | {"on": "../../base"}
    Policy.of_run(runs / "kept" / "small")
    small, large = (runs / name / "policy.safetensors" for name in ("kept/small", "further"))
    assert small.stat().st_size < 0.5 * large.stat().st_size


def test_a_run_whose_base_is_gone_says_which(runs):
    keep_difference(runs / "further", runs / "base", runs / "kept")
    (runs / "base" / "policy.safetensors").unlink()
    with pytest.raises(RunError, match="base"):
        read_weights(runs / "kept")


@pytest.mark.parametrize("run", sorted((ROOT / "lab" / "weights").iterdir()), ids=lambda run: run.name)
def test_weights_that_are_shipped_are_whole_in_any_clone(run):
    _, about = read_weights(run)
    assert about.get("on") in (None, "../tabletop"), "what it differs from lies beside it"
    assert Policy.of_run(run).stages
