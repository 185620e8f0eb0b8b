"""The command line from a checkpoint that was evaluated to a bundle in half precision with the published thresholds."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deer_lab.export import open_session
from deer_lab.importers import deer

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "deer_vla"
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


@pytest.fixture(scope="module")
def bundle(small_3b, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    content = torch.load(small_3b.checkpoint, weights_only=True)
    content["values"] = torch.rand(3, 40, generator=torch.Generator().manual_seed(0))
    torch.save(content, folder / "evaluated.pth")
    words = ["--checkpoint", str(folder / "evaluated.pth"), *small_3b.parts, "--out", str(folder / "bundle")]
    assert deer.main([*words, "--precision", "fp16", "--ratio", "0.8", "--layers", "6"]) == 0
    return folder / "bundle"


def manifest_of(bundle):
    return json.loads((bundle / "manifest.json").read_text())


def test_the_manifest_carries_licences_attribution_and_what_was_changed(bundle):
    manifest = manifest_of(bundle)
    # no published language model is so small
    assert manifest["license"] == "CC-BY-4.0 AND LicenseRef-language-model AND MIT"
    for words in ("Yue et al.", "Yang130/DeeR-VLA, CC-BY-4.0", "OpenFlamingo (MIT)", "rounded to half precision"):
        assert words in manifest["description"]


def test_pictures_and_prompt_are_the_published_ones(bundle):
    manifest = manifest_of(bundle)
    assert [camera["role"] for camera in manifest["cameras"]] == ["static", "gripper"]
    for camera in manifest["cameras"]:
        assert (camera["resize"], camera["crop"], camera["size"]) == ("bicubic", "center", 56)
        assert (camera["mean"], camera["std"]) == (MEAN, STD)
    assert manifest["text"]["template"] == "<image>{instruction}<|endofchunk|><|endoftext|>"
    assert manifest["text"]["max_tokens"] == 32
    assert [axis["scale"] for axis in manifest["embodiment"]["arm"]] == [0.02] * 3 + [0.05] * 3
    robot = manifest["embodiment"]
    assert robot["control_hz"] == 30 and robot["gripper"]["open_above"] == 0.5


def test_weights_are_half_as_large_and_inputs_stay_single(bundle):
    manifest = manifest_of(bundle)
    stage = manifest["parts"]["stages"][1]
    assert stage["bytes"] < 2.2 * stage["parameters"]
    assert {node.type for node in open_session(bundle / "stage_01.onnx").get_inputs()} == {"tensor(float)"}


def test_thresholds_and_calibration_belong_to_the_bundle(bundle):
    thresholds, calibration = (json.loads((bundle / f"{n}.json").read_text()) for n in ("thresholds", "calibration"))
    assert np.array(calibration["deltas"]).shape == (3, 40)
    assert thresholds["manifest_sha256"] == calibration["manifest_sha256"]
    assert thresholds["thresholds"][-1] is None and min(thresholds["thresholds"][:-1]) > 0


@pytest.mark.skipif(not PROGRAM.is_file(), reason=f"{PROGRAM} is not built: cargo build")
def test_deer_vla_reads_both_and_solves_the_same(bundle):
    subprocess.run([PROGRAM, "check", bundle], check=True, timeout=300, capture_output=True)
    words = ["--calibration", bundle / "calibration.json", "--shares", "exp", "--ratio", "0.8"]
    solved = subprocess.run([PROGRAM, "solve", *words], check=True, timeout=60, capture_output=True, text=True)
    ours = json.loads((bundle / "thresholds.json").read_text())["thresholds"]
    assert json.loads(solved.stdout)["thresholds"][:-1] == pytest.approx(ours[:-1], abs=1e-7)


def test_a_ratio_without_an_evaluation_is_refused(small_3b, tmp_path, capsys):
    assert deer.main([*small_3b.words, "--out", str(tmp_path / "out"), "--ratio", "0.8"]) == 1
    assert "holds no `values` of an evaluation" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
