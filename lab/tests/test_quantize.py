"""A bundle's variants are bundles with the same contract."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from deer_lab import quantize
from deer_lab.export import ExportError, open_session
from deer_lab.halves import halve

TOY = Path(__file__).parents[2] / "models" / "toy"
LIMITS = {"fp16": 5e-3, "int8": 0.2, "int4": 0.6}  # of a part's largest output, with the toy's random weights


@pytest.fixture(scope="module", params=sorted(quantize.VARIANTS))
def variant(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("variants") / request.param
    return request.param, out, quantize.quantize(TOY, request.param, out)


def test_every_part_gives_nearly_what_it_gave_and_not_exactly(variant):
    to, _, found = variant
    assert list(found) == [
        *("vision_static", "vision_gripper", "embed"),
        *(f"stage_{k:02}" for k in range(6)),
        *("head_state", "head"),
    ]
    assert max(found.values()) < LIMITS[to]
    assert max(found.values()) > 1e-6


def test_the_manifest_names_the_variants_own_files(variant):
    to, out, _ = variant
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["name"] == f"toy-{to}"
    assert f"--to {to}" in manifest["made_by"]
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == entry["sha256"], name
    stage = manifest["parts"]["stages"][0]
    assert stage["bytes"] == sum((out / f"stage_00.{kind}").stat().st_size for kind in ("onnx", "data"))
    assert stage["macs"] == json.loads((TOY / "manifest.json").read_text())["parts"]["stages"][0]["macs"]


def test_inputs_and_outputs_stay_as_they_were(variant):
    _, out, _ = variant
    for path in sorted(TOY.glob("*.onnx")):
        ours, theirs = (open_session(place / path.name) for place in (TOY, out))
        for nodes in ("get_inputs", "get_outputs"):
            described = [[(n.name, n.type, n.shape) for n in getattr(s, nodes)()] for s in (ours, theirs)]
            assert described[0] == described[1], path.name


def test_the_whole_graph_is_the_variants_stages(variant):
    _, out, _ = variant
    manifest = json.loads((out / "manifest.json").read_text())
    values = quantize.first_inputs(out, manifest)
    embedded = open_session(out / "embed.onnx").run(None, {"ids": values["ids"]})[0]
    media = {
        f"media_{role}": open_session(out / f"vision_{role}.onnx").run(None, {"image": values[role]})[0]
        for role in ("static", "gripper")
    }
    hidden, features = embedded, []
    for k in range(6):
        hidden, feature = open_session(out / f"stage_{k:02}.onnx").run(None, {"hidden": hidden, **media})
        features.append(feature)
    whole = open_session(out / "whole.onnx").run(None, {"hidden": embedded, **media})
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(whole, features, strict=True))


def test_thresholds_come_along_under_the_new_name(variant):
    _, out, _ = variant
    old, new = (json.loads((place / "thresholds.json").read_text()) for place in (TOY, out))
    assert new["thresholds"] == old["thresholds"]
    assert new["manifest_sha256"] == hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()


def test_int8_weights_take_less_than_half_the_space_of_the_stages(tmp_path):
    quantize.quantize(TOY, "int8", tmp_path / "x")
    assert (tmp_path / "x" / "stage_03.data").stat().st_size < 0.5 * (TOY / "stage_03.data").stat().st_size


def test_a_variant_that_gives_no_numbers_is_refused(tmp_path, monkeypatch):
    def spoilt(path, out):
        halve(path, out)
        weights = out.with_suffix(".data")
        weights.write_bytes(np.full(weights.stat().st_size // 2, np.nan, np.float16).tobytes())

    monkeypatch.setitem(quantize.VARIANTS, "fp16", spoilt)
    with pytest.raises(ExportError, match="not finite"):
        quantize.quantize(TOY, "fp16", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_is_no_bundle_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["quantize", str(tmp_path), "--to", "fp16", "--out", str(tmp_path / "x")])
    assert quantize.main() == 1
    assert "is no bundle" in capsys.readouterr().err
