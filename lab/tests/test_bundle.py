"""A training run becomes a bundle, or says why it does not."""

import json
import sys

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from deer_lab import bundle
from deer_lab.bundle import from_run, make_bundle
from deer_lab.config import CONFIGS
from deer_lab.export import ExportError
from deer_lab.model import Policy
from deer_lab.tokenizer import make_tokenizer

CONFIG = CONFIGS["toy"]


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(5)
    folder = tmp_path / "run"
    folder.mkdir()
    save_file(
        Policy(CONFIG).state_dict(), folder / "policy.safetensors", {"config": "toy", "stage": "head", "step": "7"}
    )
    make_tokenizer(CONFIG.vocabulary, ["open the drawer"]).save(str(folder / "tokenizer.json"))
    return folder


def test_a_runs_weights_become_a_bundle_that_runs_at_full_depth(run, tmp_path):
    out = tmp_path / "mine"
    make_bundle(from_run(run), out, "mine", "MIT")
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["name"], manifest["license"]) == ("mine", "MIT")
    assert "7 steps of stage head" in manifest["description"]
    thresholds = json.loads((out / "thresholds.json").read_text())["thresholds"]
    assert all(limit < 0 for limit in thresholds[:-1])
    assert thresholds[-1] is None


def test_each_part_has_the_runs_own_weights(run):
    weights = load_file(run / "policy.safetensors")
    found = from_run(run).part("stage_03").state_dict()
    assert found.keys() == {name.removeprefix("stages.3.") for name in weights if name.startswith("stages.3.")}
    assert all(torch.equal(value, weights[f"stages.3.{name}"]) for name, value in found.items())


def spoil(run, change) -> None:
    weights = load_file(run / "policy.safetensors")
    metadata = change(weights) or {"config": "toy"}
    save_file(weights, run / "policy.safetensors", metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"config": "huge"}, "configuration 'huge'; known are"),
        (lambda w: w.pop("head.arm.1.weight") is None and None, "lacks head.arm.1.weight"),
        (lambda w: w.update({"embed.table.weight": torch.zeros(3, 2)}), r"embed.table.weight is \(3, 2\), expected"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_nothing_is_written(run, tmp_path, change, message):
    spoil(run, change)
    with pytest.raises(ExportError, match=message):
        make_bundle(from_run(run), tmp_path / "out", "out", "MIT")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_larger_than_the_models_vocabulary_is_refused(run, tmp_path):
    sentences = [f"word{i} thing{i}" for i in range(400)]
    make_tokenizer(CONFIG.vocabulary + 50, sentences).save(str(run / "tokenizer.json"))
    with pytest.raises(ExportError, match="tokens, the model embeds 367"):
        make_bundle(from_run(run), tmp_path / "out", "out", "MIT")


def test_the_command_line_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bundle", str(tmp_path), "--out", str(tmp_path / "out")])
    assert bundle.main() == 1
    assert "cannot be read" in capsys.readouterr().err


def test_random_weights_follow_from_the_seed(run):
    first, again = (bundle.with_random_weights("toy", 3, run / "tokenizer.json").part("head") for _ in range(2))
    assert torch.equal(first.arm[1].weight, again.arm[1].weight)
