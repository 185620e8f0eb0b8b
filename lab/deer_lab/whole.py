"""All stages of a bundle as one ONNX graph, over the stages' own weight files."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto


def merge_stages(stages: list[Path], out: Path) -> None:
    """`hidden, media_… -> feature_00, feature_01, …`; weights stay where they are and are read from there."""
    models = [onnx.load(path, load_external_data=False) for path in stages]
    whole = ModelProto(ir_version=models[0].ir_version, producer_name=models[0].producer_name)
    whole.opset_import.extend(models[0].opset_import)
    whole.graph.name = "whole"
    whole.graph.input.extend(models[0].graph.input)
    media = {value.name: value.name for value in models[0].graph.input if value.name.startswith("media")}
    hidden = "hidden"
    for index, model in enumerate(models):
        prefix = f"stage_{index:02}."
        shared = {"hidden": hidden, "feature": f"feature_{index:02}", "probe": "probe", **media}
        rename(model.graph, prefix, shared)
        hidden = prefix + "hidden_next"
        whole.graph.node.extend(model.graph.node)
        whole.graph.initializer.extend(model.graph.initializer)
        whole.graph.output.extend(output for output in model.graph.output if output.name != hidden)
    whole.graph.output.sort(key=lambda output: output.name != "probe")
    out.write_bytes(whole.SerializeToString(deterministic=True))


def rename(graph: GraphProto, prefix: str, kept: dict[str, str]) -> None:
    """Gives every tensor and node of `graph` the prefix, save the tensors whose new name `kept` says."""

    def new(name: str) -> str:
        return kept.get(name, prefix + name) if name else name  # an empty name is an absent optional input

    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    for value in (*graph.initializer, *graph.output):
        value.name = new(value.name)
