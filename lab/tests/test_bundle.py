"""A training run becomes a bundle, or says why it does not."""

import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from deer_lab import bundle
from deer_lab.bundle import from_run, make_bundle
from deer_lab.config import CONFIGS, config_text
from deer_lab.export import ExportError
from deer_lab.model import Policy
from deer_lab.plan import PlanLimits
from deer_lab.tokenizer import make_tokenizer
from deer_lab.worlds.judge.torch_policy import OnnxNetwork, TorchPolicy

CONFIG = CONFIGS["toy"]


def random_run(folder, policy=None):
    """A training run's folder."""
    torch.manual_seed(5)
    folder.mkdir()
    policy = policy or Policy(CONFIG)
    about = {"config": config_text(policy.config), "stage": "head", "step": "7"}
    save_file(policy.state_dict(), folder / "policy.safetensors", about)
    make_tokenizer(CONFIG.vocabulary, ["open the drawer"]).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def run(tmp_path):
    return random_run(tmp_path / "run")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with the bundle that was made of it."""
    run = random_run(tmp_path_factory.mktemp("finished") / "run")
    make_bundle(from_run(run), run / "bundle", "mine", "MIT")
    return run


def test_a_runs_weights_become_a_bundle_that_runs_at_full_depth(finished):
    out = finished / "bundle"
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["name"], manifest["license"]) == ("mine", "MIT")
    assert "7 steps of stage head" in manifest["description"]
    thresholds = json.loads((out / "thresholds.json").read_text())["thresholds"]
    assert all(limit < 0 for limit in thresholds[:-1])
    assert thresholds[-1] is None


class Pictures:
    """A world of which only pictures are asked, and how often: others at each look, the same for the same seed."""

    control_hz = 30.0

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self.drawn = 0

    def pictures(self) -> dict[str, np.ndarray]:
        self.drawn += 1
        sizes = {"static": 200, "gripper": 84}
        return {camera: self._rng.integers(0, 256, (size, size, 3), np.uint8) for camera, size in sizes.items()}


def test_a_run_is_judged_as_its_bundle_and_acts_as_pytorch_does(finished, run):
    def acted(policy, exit_number: int) -> np.ndarray:
        policy.stop_at(exit_number)
        policy.begin("open_drawer", "open the drawer", [0])
        world = Pictures()
        actions = np.array([policy.act(world) for _ in range(3)])
        assert [taken.exit for taken in policy.taken] == [exit_number] * 3
        return actions

    in_torch, in_onnx = TorchPolicy.from_run(run), TorchPolicy.from_run(finished)
    assert isinstance(in_onnx._gated.policy, OnnxNetwork)
    for exit_number in (1, 5):
        np.testing.assert_allclose(acted(in_torch, exit_number), acted(in_onnx, exit_number), atol=1e-4)


@torch.no_grad()
def test_a_skipped_step_carries_out_what_was_foreseen_in_torch_and_as_a_bundle(tmp_path):
    policy = Policy(replace(CONFIG, head=replace(CONFIG.head, ahead=4)))
    for layer, outputs in ((policy.head.arm[-1], [0.1] * 6), (policy.head.foreseen, np.repeat([0.2, 0.3, 0.4], 7))):
        layer.weight.zero_()
        layer.bias.copy_(torch.as_tensor(outputs))
    run = random_run(tmp_path / "run", policy)
    limits = PlanLimits(skip_delta=0.2, skip_change=1.0, max_age=9, max_skips=9)
    for network in (Policy, OnnxNetwork):
        judged = TorchPolicy.from_run(run, limits=limits)
        assert isinstance(judged._gated.policy, network)
        judged._open_above = 0.2  # the gripper's probability is about a half
        judged.begin("open_drawer", "open the drawer", [0])
        world = Pictures()
        arms = np.arctanh([judged.act(world)[:6] for _ in range(12)])
        skipped = [taken.skipped for taken in judged.taken]
        first = skipped.index(True)
        assert skipped[first : first + 4] == [True, True, True, False]
        np.testing.assert_allclose(arms[first : first + 4, 0], [0.2, 0.3, 0.4, 0.1], atol=1e-4)
        assert world.drawn == skipped.count(False)  # no picture decided here
        make_bundle(from_run(run), run / "bundle", "mine", "MIT")


def test_a_bundle_of_earlier_weights_is_not_judged_for_the_run(run):
    (run / "bundle").mkdir()
    (run / "bundle" / "manifest.json").write_text("{}")
    os.utime(run / "bundle" / "manifest.json", (0, 0))
    assert isinstance(TorchPolicy.from_run(run)._gated.policy, Policy)


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
    assert "is not there" in capsys.readouterr().err


def test_random_weights_follow_from_the_seed(run):
    first, again = (bundle.with_random_weights("toy", 3, run / "tokenizer.json").part("head") for _ in range(2))
    assert torch.equal(first.arm[1].weight, again.arm[1].weight)
