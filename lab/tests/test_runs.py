"""Runs that hold only what differs from another."""

import json

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from deer_lab.config import CONFIGS, desk
from deer_lab.deepen import deepen, deepened
from deer_lab.model import Policy
from deer_lab.program import ROOT
from deer_lab.runs import RunError, digest, keep_difference, read_weights


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


def test_a_deeper_network_begins_with_the_actions_of_the_one_it_was_made_of(tmp_path):
    torch.manual_seed(0)
    shallow, deep = (Policy(CONFIGS[name]).eval() for name in ("calvin", "calvin_static_24"))
    deep.load_state_dict(deepened(shallow.state_dict(), shallow.config, deep.config))
    media = torch.randn(2, shallow.config.media_tokens, shallow.config.encoder.width)
    ids = torch.randint(shallow.config.vocabulary, (2, 7))

    def last_feature(policy):
        hidden = policy.embed(ids)
        for stage in policy.stages:
            hidden, feature, *_ = stage(hidden, media)
        return feature

    before = last_feature(deep)
    assert torch.equal(last_feature(shallow), before)
    with torch.no_grad():
        deep.stages[0].layers["23"].block.down.weight += 0.1
    assert not torch.equal(last_feature(deep), before), "the added layers take part"


def test_a_deeper_run_of_one_that_is_kept_as_a_difference_stands_alone_and_is_the_same_each_time(tmp_path):
    (tmp_path / "base").mkdir()
    shallow = Policy(CONFIGS["calvin"])
    about = {"config": "calvin", "stage": "language", "step": "3"}
    for name in ("base", "further"):
        (tmp_path / name).mkdir(exist_ok=True)
        save_file(shallow.state_dict(), tmp_path / name / "policy.safetensors", about)
        (tmp_path / name / "tokenizer.json").write_text("{}")
        (tmp_path / name / "embodiment.json").write_text("{}")
    keep_difference(tmp_path / "further", tmp_path / "base", tmp_path / "kept" / "small")
    found = set()
    for number in range(5):  # safetensors orders what it says of a file by chance
        deepen(tmp_path / "kept" / "small", "calvin_static_24", tmp_path / f"deep_{number}")
        found.add(digest(tmp_path / f"deep_{number}"))
    assert len(found) == 1
    Policy.of_run(tmp_path / "deep_0")


def test_layers_that_do_not_divide_are_refused(runs):
    policy = Policy(CONFIGS["toy"])
    with pytest.raises(ValueError, match="12 layers do not become 18"):
        deepened(policy.state_dict(), policy.config, desk(18))
    with pytest.raises(ValueError, match="differ in more than depth"):
        deepen(runs / "base", "tabletop_static_24", runs / "deep")
