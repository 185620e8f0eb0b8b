"""A policy to a model bundle: the folder that `deer_vla` runs (its contract: models/README.md).

Parts are made, exported, checked against PyTorch and dropped one after the other, so the peak memory is that of
the largest part and not of the model. Nothing stands under the final name until all of it is right.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deer_lab.config import PolicyConfig
from deer_lab.graphs import Signature, graphs_of, make_graph, same_graph, signature
from deer_lab.manifest import About, Part, write_manifest
from deer_lab.model import part_names
from deer_lab.whole import merge_stages

OPSET = 20
TOLERANCE = 1e-4  # largest difference from PyTorch; relative to the largest output where that exceeds 1
NARROW_TOLERANCE = 5e-2  # of a part in half precision: tells what overflows from what is rounded
Sample = dict[str, Tensor]

# they tell what they skip, and nothing they skip is needed here: check_graph has the last word
for chatty in ("torch.onnx", "onnxscript", "onnx_ir"):
    logging.getLogger(chatty).setLevel(logging.ERROR)


class ExportError(Exception):
    """The bundle was not written."""


@torch.no_grad()
def export_bundle(
    config: PolicyConfig,
    part: Callable[[str], nn.Module],
    about: About,
    folder: Path,
    *,
    whole: bool = True,
    narrow: Callable[[Path], None] | None = None,
    progress: Callable[[str], None] = print,
) -> str:
    """Writes a bundle, all but its thresholds.json, into the empty `folder`; returns the sha256 of manifest.json.

    `part` gives the parts by name (model.part_names). Each is asked for once, in the order of the data, and not kept.
    `narrow` makes a graph that was checked smaller, in its place; it is checked again, within NARROW_TOLERANCE.

    Raises ExportError where ONNX Runtime and PyTorch disagree by more than TOLERANCE.
    """
    if not 1 < about.macs_tokens <= config.max_tokens:
        raise ExportError(f"macs_tokens is {about.macs_tokens}: give 2 to {config.max_tokens} (the longest prompt)")
    # two, so that the axes which vary are seen to vary
    samples = [first_inputs(config, about.macs_tokens, rows=1), first_inputs(config, 1, rows=2)]
    parts: dict[str, Part] = {}
    for name in part_names(config):
        module = part(name).eval()
        for graph, made in graphs_of(config, name, module):
            made.eval()
            parts[graph] = parts.get(same_graph(config, graph)) or export_graph(
                config, name, graph, made, samples, folder, about.macs_tokens, narrow
            )
            advance(graph, config, made, samples)
            progress(f"{graph}: {parts[graph].parameters:,} parameters, {parts[graph].macs:,} multiply-accumulates")
            del made
        del module
        gc.collect()  # the exporter leaves cycles that hold the weights
    if whole:
        parts["whole"] = export_whole(parts, samples, folder)
    (folder / "tokenizer.json").write_text(about.tokenizer)
    return write_manifest(config, about, parts, folder)


def export_graph(
    config: PolicyConfig,
    name: str,
    graph: str,
    module: nn.Module,
    samples: list[Sample],
    folder: Path,
    tokens: int,
    narrow: Callable[[Path], None] | None,
) -> Part:
    """One graph of the part `name`, compared with PyTorch."""
    names, path = signature_of(config, graph), folder / f"{graph}.onnx"
    write_graph(module, names, samples[-1 if graph == "head" else 0], path)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    inputs = [names.taken(sample) for sample in samples]
    outputs = [run_graph(module, names, sample) for sample in samples]
    check_graph(path, inputs, outputs)
    if narrow:
        narrow(path)
        check_graph(path, inputs, outputs, NARROW_TOLERANCE)
    size = path.stat().st_size + path.with_suffix(".data").stat().st_size
    return Part(path.name, parameters, size, count_macs(config, name, graph, tokens))


def signature_of(config: PolicyConfig, graph: str) -> Signature:
    return signature([camera.role for camera in config.cameras], config.max_tokens, graph, config.head.ahead)


def first_inputs(config: PolicyConfig, tokens: int, rows: int) -> Sample:
    """Random pictures, a random prompt of `tokens` ids and an LSTM state; `rows` candidates go to the head."""
    random = torch.Generator().manual_seed(0)
    state = (config.head.layers, 1, config.head.width)
    sample = {c.role: torch.randn(1, 3, c.size, c.size, generator=random) for c in config.cameras}
    sample["ids"] = torch.randint(config.vocabulary, (1, tokens), generator=random)
    sample["h"] = torch.rand(state, generator=random) - 0.5
    sample["c"] = torch.rand(state, generator=random) - 0.5
    sample["rows"] = torch.tensor(rows)
    return sample


def advance(graph: str, config: PolicyConfig, module: nn.Module, samples: list[Sample]) -> None:
    """What a graph gives becomes what the next is given; the stages' features are kept for the whole graph."""
    names = signature_of(config, graph)
    for sample in samples:
        sample |= names.given(run_graph(module, names, sample))
        if graph == "embed":
            sample["prompt"] = sample["hidden"]
        if graph.startswith("stage_"):
            sample[f"feature_{graph[-2:]}"] = sample["feature"]
            sample["feature"] = sample["feature"][-1:].expand(int(sample["rows"]), -1)


def run_graph(module: nn.Module, names: Signature, sample: Sample) -> Sample:
    outputs = module(*names.arguments(sample))
    return dict(zip(names.outputs, outputs if isinstance(outputs, tuple) else (outputs,)))


def write_graph(module: nn.Module, names: Signature, sample: Sample, path: Path) -> None:
    """X.onnx with the graph and X.data with its weights; neither says when, where or with which version it was made."""
    axes = {
        name: {axis: torch.export.Dim(label, min=1, max=most)} for name, (axis, label, most) in names.dynamic.items()
    }
    program = torch.onnx.export(
        module,
        names.arguments(sample),
        input_names=names.inputs,
        output_names=names.outputs,
        dynamic_shapes=names.arguments({name: axes.get(name, {}) for name in names.inputs}) if axes else None,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    ClearMetadataAndDocStringPass()(program.model)
    onnx_ir.save(program.model, path, external_data=path.with_suffix(".data").name)
    proto = onnx.load(path, load_external_data=False)
    proto.producer_name, proto.producer_version = "deer_lab", ""
    proto.graph.name = path.stem
    del proto.graph.value_info[:]
    path.write_bytes(proto.SerializeToString(deterministic=True))


def count_macs(config: PolicyConfig, name: str, graph: str, tokens: int) -> int:
    """Multiply-accumulates of one run of a graph: matrix products, attention and convolutions, one row in the head.

    Counted on shapes alone, so the largest model costs neither memory nor time.
    """
    names, inputs = signature_of(config, graph), first_inputs(config, tokens, rows=1)
    for camera in config.cameras:
        tokens_each = config.media_tokens // len(config.cameras)
        inputs[f"media_{camera.role}"] = torch.empty(1, tokens_each, config.encoder.width)
    inputs["gates"] = torch.empty(config.head.layers, 4 * config.head.width)
    inputs["hidden"] = torch.empty(1, tokens, config.decoder.width)
    inputs["feature"] = torch.empty(1, config.decoder.width)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        module = make_graph(config, name, graph).eval().requires_grad_(False)
        module(*names.arguments({name: value.to("meta") for name, value in inputs.items()}))
    return counter.get_total_flops() // 2  # the counter takes a multiply-accumulate for two


def open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of what a processor computes in single precision
    options.add_session_config_entry("session.disable_prepacking", "1")  # no second copy of the weights
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # one run does not hold the cores
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def check_graph(path: Path, inputs: list[Sample], expected: list[Sample], tolerance: float = TOLERANCE) -> None:
    """Raises ExportError unless ONNX Runtime gives what PyTorch gave, for every sample."""
    session = open_session(path)
    for sample, wanted in zip(inputs, expected):
        found = session.run(list(wanted), {name: value.numpy() for name, value in sample.items()})
        for (name, reference), value in zip(wanted.items(), found):
            limit = tolerance * max(1.0, float(reference.abs().max()))
            difference = float(np.abs(value - reference.numpy()).max())
            if not difference <= limit:  # not-a-number fails too
                raise ExportError(
                    f"{path.name}, output {name!r}: ONNX Runtime differs from PyTorch by {difference:.1e}, "
                    f"allowed are {limit:.1e}; nothing was written"
                )


def export_whole(parts: dict[str, Part], samples: list[Sample], folder: Path) -> Part:
    """All stages as one graph over the stages' own weight files, to compare the staged run with."""
    stages = [part for name, part in parts.items() if name.startswith("stage_")]
    path = folder / "whole.onnx"
    merge_stages([folder / stage.file for stage in stages], path)
    outputs = [f"feature_{k:02}" for k in range(len(stages))]
    media = [name for name in samples[0] if name.startswith("media_")]
    inputs = [{"hidden": sample["prompt"], **{name: sample[name] for name in media}} for sample in samples]
    check_graph(path, inputs, [{name: sample[name] for name in outputs} for sample in samples])
    weights = sum((folder / stage.file).with_suffix(".data").stat().st_size for stage in stages)
    return Part(
        file=path.name,
        parameters=sum(stage.parameters for stage in stages),
        bytes=path.stat().st_size + weights,
        macs=sum(stage.macs for stage in stages),
    )


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of the bundle `out` when the block ends well; READMEs in `out` are kept."""
    if out.exists() and any(out.iterdir()) and not (out / "manifest.json").is_file():
        raise ExportError(f"{out} holds files but no manifest.json, so it is no bundle: empty it or name another")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.parent / f".{out.name}-{secrets.token_hex(4)}"
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(remove)  # Ctrl-C may come before the caller's block, and so ours, is entered
    try:
        folder.mkdir()
        yield folder
        for readme in out.glob("*.md"):
            shutil.copy2(readme, folder)
        shutil.rmtree(out, ignore_errors=True)
        os.replace(folder, out)
    finally:
        remove()
        atexit.unregister(remove)
