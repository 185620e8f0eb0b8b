"""The exporter: what it writes, what it counts and what it refuses to write."""

import copy
import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

from deer_lab.config import CONFIGS, Camera, ConvConfig, DecoderConfig, HeadConfig, PolicyConfig, ResamplerConfig
from deer_lab.export import ExportError, count_macs, export_bundle, replacing
from deer_lab.graphs import graph_names
from deer_lab.manifest import About
from deer_lab.model import Policy, part_names
from deer_lab.vision import Eye, Vision
from deer_lab.whole import merge_stages

torch.set_num_threads(1)
CONFIG = PolicyConfig(
    cameras=(Camera("static", 16), Camera("gripper", 8)),
    encoder=ConvConfig(width=8, channels=(8, 8)),
    resampler=ResamplerConfig(latents=3, depth=1, heads=2, head_width=4),
    decoder=DecoderConfig(width=8, heads=2, exits=(1, 2), cross_heads=2, cross_head_width=4, gate_init=1.0),
    head=HeadConfig(layers=2, width=8),
    vocabulary=40,
    max_tokens=8,
    share_encoder=False,
)
ABOUT = About(name="tiny", license="MIT", description="A tiny one.", made_by="a test", tokenizer="{}", macs_tokens=5)


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    return Policy(CONFIG).eval().requires_grad_(False)


@dataclass
class Lender:
    """Gives copies of a policy's parts, and counts which of those given before are still held."""

    policy: Policy
    given: list[weakref.ref] = field(default_factory=list)
    held: list[int] = field(default_factory=list)

    def part(self, name: str) -> nn.Module:
        gc.collect()
        self.held.append(sum(module() is not None for module in self.given))
        copied = copy.deepcopy(self.policy.part(name))
        self.given.append(weakref.ref(copied))
        return copied


@pytest.fixture(scope="module")
def lender(policy):
    return Lender(policy)


@pytest.fixture(scope="module")
def bundle(lender, tmp_path_factory):
    with replacing(tmp_path_factory.mktemp("models") / "tiny") as folder:
        export_bundle(CONFIG, lender.part, ABOUT, folder, progress=quiet)
    return folder.parent / "tiny"


@pytest.fixture(scope="module")
def manifest(bundle):
    return json.loads((bundle / "manifest.json").read_text())


def run(bundle: Path, file: str, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    session = InferenceSession(bundle / file, providers=["CPUExecutionProvider"])
    outputs = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return {out.name: torch.from_numpy(value) for out, value in zip(session.get_outputs(), outputs)}


def seen(media: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"media_static": media[0], "media_gripper": media[1]}


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, atol=1e-5)


def test_every_graph_has_the_tensors_of_the_contract(bundle):
    tokens, state, gates = [1, "T", 8], [2, 1, 8], [2, 32]
    seen = {"hidden": tokens, "media_static": [1, 3, 8], "media_gripper": [1, 3, 8]}
    contract = {
        "vision_static.onnx": ({"image": [1, 3, 16, 16]}, ["media"]),
        "vision_gripper.onnx": ({"image": [1, 3, 8, 8]}, ["media"]),
        "embed.onnx": ({"ids": [1, "T"]}, ["hidden"]),
        "stage_00.onnx": (seen, ["hidden_next", "feature"]),
        "stage_01.onnx": (seen, ["hidden_next", "feature"]),
        "head_state.onnx": ({"h": state}, ["gates"]),
        "head.onnx": (
            {"feature": ["N", 8], "gates": gates, "c": state},
            ["arm", "gripper", "actions", "h_next", "c_next"],
        ),
        "whole.onnx": (seen, ["feature_00", "feature_01"]),
    }
    for file, (inputs, outputs) in contract.items():
        session = InferenceSession(bundle / file, providers=["CPUExecutionProvider"])
        assert {value.name: value.shape for value in session.get_inputs()} == inputs, file
        assert [value.name for value in session.get_outputs()] == outputs, file


@pytest.mark.parametrize("tokens", [1, 2, 8])
def test_prompts_of_any_length_give_what_pytorch_gives(bundle, policy, tokens):
    ids = torch.arange(tokens)[None]
    hidden = run(bundle, "embed.onnx", ids=ids)["hidden"]
    assert torch.equal(hidden, policy.embed(ids))
    media = torch.randn(2, 1, 3, 8)
    for index, stage in enumerate(policy.stages):
        outputs = run(bundle, f"stage_{index:02}.onnx", hidden=hidden, **seen(media))
        after, feature, *probe = stage(hidden, torch.cat(tuple(media), dim=1))
        assert close(outputs["hidden_next"], after)
        assert close(outputs["feature"], torch.cat([*probe, feature]))
        hidden = outputs["hidden_next"]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_any_number_of_candidates_gives_what_pytorch_gives(bundle, policy, rows):
    feature, (h, c) = torch.randn(rows, 8), torch.randn(2, 2, 1, 8)
    gates = run(bundle, "head_state.onnx", h=h)["gates"]
    outputs = run(bundle, "head.onnx", feature=feature, gates=gates, c=c)
    arm, gripper, h_next, c_next = policy.head(feature, h, c)
    assert close(outputs["arm"], arm) and close(outputs["gripper"], gripper)
    assert close(outputs["actions"], torch.cat((arm, gripper), dim=1)[:, None])
    assert close(outputs["h_next"], h_next[:, -1:]) and close(outputs["c_next"], c_next[:, -1:])


def test_a_head_that_foresees_gives_the_actions_of_the_periods_after_and_the_manifest_says_how_many(tmp_path, manifest):
    torch.manual_seed(1)
    config = replace(CONFIG, head=replace(CONFIG.head, ahead=4))
    policy = Policy(config).eval().requires_grad_(False)
    export_bundle(config, policy.part, ABOUT, tmp_path, progress=quiet)
    assert json.loads((tmp_path / "manifest.json").read_text())["ahead"] == 4 and "ahead" not in manifest
    feature, (h, c) = torch.randn(3, 8), torch.randn(2, 2, 1, 8)
    outputs = run(tmp_path, "head.onnx", feature=feature, gates=run(tmp_path, "head_state.onnx", h=h)["gates"], c=c)
    assert outputs["ahead"].shape == (3, 3, 7)
    assert close(outputs["ahead"], policy.head(feature, h, c)[4])
    assert outputs["ahead"][..., 6].min() >= 0, "a probability"


def test_the_whole_graph_gives_what_the_stages_give_in_turn(bundle):
    hidden, media = torch.randn(1, 7, 8), seen(torch.randn(2, 1, 3, 8))
    whole = run(bundle, "whole.onnx", hidden=hidden, **media)
    first = run(bundle, "stage_00.onnx", hidden=hidden, **media)
    second = run(bundle, "stage_01.onnx", hidden=first["hidden_next"], **media)
    assert close(whole["feature_00"], first["feature"])
    assert close(whole["feature_01"], second["feature"])


def weights(path: Path) -> set[tuple[tuple[str, str], ...]]:
    graph = onnx.load(path, load_external_data=False).graph
    return {tuple((entry.key, entry.value) for entry in value.external_data) for value in graph.initializer} - {()}


def test_the_whole_graph_reads_the_weights_of_the_stages(bundle):
    stages = weights(bundle / "stage_00.onnx") | weights(bundle / "stage_01.onnx")
    assert {dict(place)["location"] for place in stages} == {"stage_00.data", "stage_01.data"}
    assert weights(bundle / "whole.onnx") == stages
    assert not (bundle / "whole.data").exists()


def test_graphs_say_nothing_of_where_they_were_made(bundle):
    for path in bundle.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        assert (model.producer_version, model.doc_string, len(model.metadata_props)) == ("", "", 0)
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
        assert b".py" not in path.read_bytes()


def test_the_manifest_lists_every_file_with_its_hash(bundle, manifest):
    listed = {path.name for path in bundle.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == listed
    for name, entry in manifest["files"].items():
        content = (bundle / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_the_manifest_says_what_each_part_costs(bundle, policy, manifest):
    parts = manifest["parts"]
    entries = [*parts["vision"], parts["embed"], *parts["stages"], parts["head_state"], parts["head"]]
    named = [(name, graph) for name in part_names(CONFIG) for graph in graph_names(CONFIG, name)]
    for (name, graph), entry in zip(named, entries, strict=True):
        files = [bundle / entry["file"], bundle / f"{graph}.data"]
        assert entry["file"] == f"{graph}.onnx"
        assert entry["bytes"] == sum(file.stat().st_size for file in files)
        assert entry["macs"] == count_macs(CONFIG, name, graph, 5)
    head = sum(parameter.numel() for parameter in policy.head.parameters())
    biases = 2 * 4 * 8  # one of two biases a layer: head_state holds their sum
    assert parts["head_state"]["parameters"] + parts["head"]["parameters"] == head - biases
    for sum_of in ("parameters", "macs"):
        assert parts["whole"][sum_of] == sum(stage[sum_of] for stage in parts["stages"])
    stage_data = sum((bundle / f"stage_0{k}.data").stat().st_size for k in (0, 1))
    assert parts["whole"]["bytes"] == (bundle / "whole.onnx").stat().st_size + stage_data


def test_the_manifest_says_what_goes_in_and_out(manifest):
    assert manifest["schema"] == 2
    assert manifest["media"] == {"tokens": 3, "width": 8}
    assert [(camera["role"], camera["size"]) for camera in manifest["cameras"]] == [("static", 16), ("gripper", 8)]
    assert {(camera["resize"], camera["crop"]) for camera in manifest["cameras"]} == {("bicubic", "center")}
    assert (manifest["width"], manifest["exits"], manifest["lstm"]) == (8, [1, 2], {"layers": 2, "hidden": 8})
    robot = manifest["embodiment"]
    assert robot["arm"][0] == {"name": "x", "unit": "m", "scale": 0.02, "frame": "base"}
    assert [axis["name"] for axis in robot["arm"]] == ["x", "y", "z", "roll", "pitch", "yaw"]
    assert [(camera["role"], camera["width"]) for camera in robot["cameras"]] == [("static", 200), ("gripper", 84)]


def test_the_same_weights_give_the_same_bytes(bundle, policy, manifest, tmp_path):
    export_bundle(CONFIG, policy.part, ABOUT, tmp_path, whole=False, progress=quiet)
    merge_stages([tmp_path / "stage_00.onnx", tmp_path / "stage_01.onnx"], tmp_path / "whole.onnx")
    for path in bundle.iterdir():
        assert path.name == "manifest.json" or path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    without_whole = copy.deepcopy(manifest)
    del without_whole["parts"]["whole"], without_whole["files"]["whole.onnx"]
    assert json.loads((tmp_path / "manifest.json").read_text()) == without_whole


def test_a_part_is_dropped_before_the_next_is_asked_for(bundle, lender):
    assert lender.held == [0] * len(part_names(CONFIG))


class OtherWhenExported(Vision):
    def eye(self, index):
        class Other(Eye):
            def forward(self, image):
                media = super().forward(image)
                return media * (1 + 2e-4) if torch.compiler.is_exporting() else media

        return Other(self.encoders[index], self.resamplers[0])


def without_numbers() -> Vision:
    vision = Vision(CONFIG)
    vision.encoders[0].position.data[0] = torch.nan
    return vision


@pytest.mark.parametrize(
    ("vision", "complaint"),
    [(OtherWhenExported(CONFIG), "vision_static.onnx.*media.* differs"), (without_numbers(), "differs .* by nan")],
)
def test_a_bundle_that_differs_from_pytorch_is_not_written(policy, tmp_path, vision, complaint):
    def part(name: str) -> nn.Module:
        return vision if name == "vision" else policy.part(name)

    with pytest.raises(ExportError, match=complaint), replacing(tmp_path / "tiny") as folder:
        export_bundle(CONFIG, part, ABOUT, folder, progress=quiet)
    assert not any(tmp_path.iterdir())


def test_a_failure_leaves_the_bundle_that_stood_there(bundle, tmp_path):
    old = shutil.copytree(bundle, tmp_path / "tiny")
    with pytest.raises(KeyboardInterrupt), replacing(old) as folder:
        (folder / "manifest.json").write_text("half")
        raise KeyboardInterrupt
    assert (old / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_stop_in_the_very_moment_that_the_new_folder_is_made_leaves_nothing(tmp_path, monkeypatch):
    make = os.mkdir

    def stopped(path, *more, **named):
        make(path, *more, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "mkdir", stopped)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "tiny"):
        pass
    assert not any(tmp_path.iterdir())


def test_a_program_that_ends_before_the_block_is_entered_leaves_nothing(tmp_path):
    lines = "from pathlib import Path", "from deer_lab.export import replacing", "new = replacing(Path('tiny'))"
    code = "\n".join([*lines, "print(new.__enter__().is_dir())", "raise KeyboardInterrupt"])
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (ended.stdout, ended.returncode != 0) == ("True\n", True), ended.stderr
    assert not any(tmp_path.iterdir())


def test_a_new_bundle_replaces_the_old_but_not_its_readme(bundle, tmp_path):
    old = shutil.copytree(bundle, tmp_path / "tiny")
    (old / "README.md").write_text("results")
    with replacing(old) as folder:
        (folder / "manifest.json").write_text("new")
    assert {path.name: path.read_text() for path in old.iterdir()} == {"manifest.json": "new", "README.md": "results"}


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(ExportError, match=r"no manifest.json"), replacing(tmp_path):
        pass
    assert (tmp_path / "photo.jpg").exists()


def test_more_tokens_than_a_prompt_may_have_are_refused(policy, tmp_path):
    about = About(name="tiny", license="MIT", description="", made_by="", tokenizer="{}", macs_tokens=9)
    with pytest.raises(ExportError, match="macs_tokens is 9: give 2 to 8"):
        export_bundle(CONFIG, policy.part, about, tmp_path, progress=quiet)


def layer_3b(tokens: int) -> int:
    """One layer by hand: every weight once per token it meets, plus scores and weighted sums of the attentions."""
    width, inner, media = 2048, 512, 128
    cross = tokens * width * inner * 2 + media * 1024 * 2 * inner + 2 * tokens * media * inner
    block = tokens * 4 * width * width + 2 * tokens * tokens * width
    feed_forwards = 2 * tokens * 8 * width * width
    return cross + block + feed_forwards


@pytest.mark.parametrize(("tokens", "published"), [(12, 1.17e9), (13, 1.25e9), (14, 1.34e9)])
def test_the_layers_of_the_3b_model_cost_what_they_should(tokens, published):
    config = CONFIGS["openflamingo_3b"]
    assert layer_3b(tokens) == pytest.approx(published, abs=0.005e9)
    for stage in ("stage_00", "stage_05"):
        assert count_macs(config, stage, stage, tokens) == 2 * layer_3b(tokens)


def test_the_other_parts_of_the_3b_model_cost_what_they_should():
    config = CONFIGS["openflamingo_3b"]
    lstms = 4 * 1024 * ((2048 + 1024) + 3 * (1024 + 1024))
    mlps = 2 * (1024 * 1024 + 1024 * 512) + 512 * 7
    once = 4 * 4 * 1024 * 1024
    assert count_macs(config, "head", "head_state", 13) == once
    assert count_macs(config, "head", "head", 13) == lstms + mlps - once
    assert count_macs(config, "vision", "vision_gripper", 13) == pytest.approx(81.0e9 + 11.5e9 / 2, rel=2e-3)
    assert count_macs(config, "embed", "embed", 13) == 0


def test_cameras_that_look_through_the_same_weights_share_a_graph(policy, tmp_path):
    cameras = (Camera("left", 16), Camera("right", 16))
    config = replace(CONFIG, cameras=cameras, share_encoder=True, share_resampler=True)
    export_bundle(config, Policy(config).eval().part, ABOUT, tmp_path, whole=False, progress=quiet)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [part["file"] for part in manifest["parts"]["vision"]] == ["vision_left.onnx"] * 2
    assert not (tmp_path / "vision_right.onnx").exists()
