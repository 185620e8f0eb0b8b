"""Training goes on from published files: DeeR's own, and OpenFlamingo's as its authors began."""

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from deer_lab import bundle, train
from deer_lab.bundle import from_run
from deer_lab.config import find_config
from deer_lab.importers import deer, openflamingo
from deer_lab.importers.synthetic import write_openflamingo

HEAD_WIDTH = 32
FROZEN = (".clip.", ".block.")  # CLIP and the language model's own layers


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """CALVIN's format in miniature."""
    folder, random = tmp_path_factory.mktemp("calvin") / "training", np.random.default_rng(0)
    (folder / "lang_annotations").mkdir(parents=True)
    for number in range(16):
        np.savez(
            folder / f"episode_{number:07d}.npz",
            rgb_static=random.integers(0, 256, (200, 200, 3), np.uint8),
            rgb_gripper=random.integers(0, 256, (84, 84, 3), np.uint8),
            rel_actions=np.append(random.uniform(-1, 1, 6), 1.0),
        )
    content = {"language": {"ann": ["open the drawer", "go"], "task": ["a", "b"]}, "info": {"indx": [(0, 7), (8, 15)]}}
    np.save(folder / "lang_annotations" / "auto_lang_ann.npy", content)
    return folder


def trained(monkeypatch, tmp_path, split, run, *more):
    """Two steps from a run's folder; the weights before and after."""
    words = ["--stage", "adapt", "--steps", "2", "--batch", "1", "--window", "4", "--warmup", "0", "--threads", "1"]
    words += ["--config", str(run / "config.json"), "--init", str(run), "--out", str(tmp_path / "trained")]
    words += ["--calvin", str(split), "--cache", str(tmp_path / "cache"), *more]
    monkeypatch.setattr(sys, "argv", ["train", *words])
    assert train.main() == 0
    return (load_file(folder / "policy.safetensors") for folder in (run, tmp_path / "trained"))


def assert_adapted(before, after):
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert not [name for name in moved if any(part in name for part in FROZEN)]
    assert all(any(part in name for name in moved) for part in ("resamplers", "embed", ".cross."))


@pytest.fixture(scope="module")
def run_3b(small_3b, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "start"
    assert deer.main([*small_3b.words, "--run", str(run)]) == 0
    return run


def test_deers_own_weights_are_trained_on(run_3b, split, tmp_path, monkeypatch):
    before, after = trained(monkeypatch, tmp_path, split, run_3b)
    assert_adapted(before, after)
    kept, learned = (load_file(run / "auxiliary.safetensors") for run in (run_3b, tmp_path / "trained"))
    name = "auxiliary.2.arm.9.bias"
    assert 0 < (kept[name] - learned[name]).abs().max() < 1e-3


def test_auxiliary_heads_stand_at_their_exits(small_3b, run_3b):
    state = torch.load(small_3b.checkpoint, weights_only=True)["model_state_dict"]
    kept = load_file(run_3b / "auxiliary.safetensors")
    for number, theirs in enumerate(("lm_exit_modules.0", "lm_exit_modules.1", "lm_head")):
        assert torch.equal(kept[f"auxiliary.{number}.arm.9.bias"], state[f"module.{theirs}.actions.mlp.9.bias"])


def test_a_run_has_the_weights_of_the_bundle_and_a_configuration_of_its_own(small_3b, run_3b):
    args = deer.arguments().parse_args([*small_3b.words, "--out", "unused"])
    network, _ = deer.read_checkpoint(args, lambda _: None)
    source = from_run(run_3b)
    assert source.config == network.config and "A configuration of its own" in source.description
    found, wanted = source.part("stage_01").state_dict(), network.pieces
    key = "layers.3.block.qkv.weight"
    piece = wanted[f"stages.1.{key}"]
    assert torch.equal(found[key], piece.archive.read([piece.key])[piece.key])
    assert find_config(json.dumps(json.loads((run_3b / "config.json").read_text()))) == network.config


def test_a_run_is_not_written_over_another(small_3b, run_3b, capsys):
    assert deer.main([*small_3b.words, "--run", str(run_3b)]) == 1
    assert "holds a run already" in capsys.readouterr().err


def test_openflamingos_files_are_where_training_begins(small_9b, split, tmp_path, monkeypatch):
    write_openflamingo(small_9b.size, small_9b.folder)
    words = ["--checkpoint", str(small_9b.folder / "openflamingo.pt"), *small_9b.parts, "--head-width", str(HEAD_WIDTH)]
    run = tmp_path / "start"
    assert openflamingo.main([*words, "--layers", "8", "--run", str(run)]) == 0
    before, after = trained(monkeypatch, tmp_path, split, run, "--init-part", "language")
    assert not [name for name in before if name.startswith("head.")]
    assert_adapted(before, after)
    frozen = torch.load(small_9b.folder / "language_model" / "pytorch_model.bin", weights_only=True)
    assert torch.equal(after["stages.3.layers.7.block.up.weight"], frozen["transformer.blocks.7.ffn.up_proj.weight"])
    assert bundle.from_run(tmp_path / "trained").config.decoder.exits == (1, 3, 5, 7)


def test_openflamingos_parts_are_asked_for_by_name(small_9b, tmp_path, capsys):
    words = ["--checkpoint", str(small_9b.folder / "openflamingo.pt"), "--layers", "8", "--run", str(tmp_path / "run")]
    assert openflamingo.main(words) == 1
    asked = capsys.readouterr().err
    assert all(option in asked for option in ("--language-model:", "--clip:", "--tokenizer:"))
