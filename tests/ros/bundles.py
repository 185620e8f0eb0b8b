"""Copies of the toy bundle that say or do something else."""

import hashlib
import json
import shutil
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from programs import BUNDLE


def without_numbers(folder: Path) -> Path:
    """A copy of the toy bundle whose head gives an arm action that is not a number; every hash is right."""
    shutil.copytree(BUNDLE, folder)
    path = folder / "head.onnx"
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        node.output[:] = ["arm_before" if name == "arm" else name for name in node.output]
    nan = helper.make_tensor("not_a_number", TensorProto.FLOAT, [1], [float("nan")])
    model.graph.initializer.append(nan)
    model.graph.node.append(helper.make_node("Add", ["arm_before", "not_a_number"], ["arm"]))
    onnx.save(model, path)
    sign(folder, path)
    return folder


def sign(folder: Path, changed: Path) -> None:
    """Puts a changed file's hash and size where the bundle states them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    before = manifest["files"][changed.name]["bytes"]
    data = changed.read_bytes()
    manifest["files"][changed.name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    part = manifest["parts"][changed.stem]
    part["bytes"] += len(data) - before
    state(folder, manifest)


def cut(folder: Path, side: int, crop: list[int]) -> Path:
    """A copy of the toy bundle that learned from that crop of the static camera's square pictures."""
    shutil.copytree(BUNDLE, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["embodiment"]["cameras"][0] |= {"width": side, "height": side, "crop": crop}
    state(folder, manifest)
    return folder


def state(folder: Path, manifest: dict) -> None:
    """Writes a bundle's manifest anew, and its hash where others name it."""
    manifest_path = folder / "manifest.json"
    manifest_path.write_text(json.dumps(manifest, indent=2))
    thresholds_path = folder / "thresholds.json"
    if thresholds_path.exists():
        thresholds = json.loads(thresholds_path.read_text())
        thresholds["manifest_sha256"] = hashlib.sha256(manifest_path.read_bytes()).hexdigest()
        thresholds_path.write_text(json.dumps(thresholds, indent=2))
