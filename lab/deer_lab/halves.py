"""A graph in half precision: weights and arithmetic, inputs and outputs as they were.

The weights go by one after another, so a part may be larger than what a protobuf message or the memory holds.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data
from onnx.helper import make_tensor_value_info
from onnx.shape_inference import infer_shapes_path
from onnxruntime.transformers.float16 import convert_float_to_float16

ALIGNMENT = 4096  # of a tensor's place in the file
LARGEST = float(np.finfo(np.float16).max)


def halve(source: Path, out: Path) -> None:
    """Writes `out` (X.onnx, and X.data beside it) from `source`; they may be the same."""
    model, stored = halved_graph(source, out)
    data = out.with_suffix(".data")
    beside = data.with_name(f".{data.name}")
    with source.with_suffix(".data").open("rb") as old, beside.open("wb") as new:
        for tensor in model.graph.initializer:
            if tensor.name in stored:
                raw = read_tensor(old, stored[tensor.name], tensor.data_type == TensorProto.FLOAT16)
                new.seek(-(-new.tell() // ALIGNMENT) * ALIGNMENT)
                place(tensor, data.name, new.tell(), new.write(raw))
    os.replace(beside, data)
    out.write_bytes(model.SerializeToString(deterministic=True))


def halved_graph(source: Path, out: Path) -> tuple[ModelProto, dict[str, ExternalDataInfo]]:
    """The graph without the weights that lie beside it, and where they lie.

    The converter would read those weights, so it sees inputs in their place.
    """
    shaped = out.with_name(f".{out.name}")
    infer_shapes_path(source, shaped)
    model = onnx.load(shaped, load_external_data=False)
    shaped.unlink()
    graph = model.graph
    kept = [value.name for value in (*graph.input, *graph.output)]
    weights = {tensor.name: tensor for tensor in graph.initializer if uses_external_data(tensor)}
    stored = {name: ExternalDataInfo(tensor) for name, tensor in weights.items()}
    inline = [tensor for tensor in graph.initializer if tensor.name not in weights]
    graph.input.extend(make_tensor_value_info(t.name, t.data_type, t.dims) for t in weights.values())
    del graph.initializer[:]
    graph.initializer.extend(inline)
    graph = convert_float_to_float16(model, keep_io_types=kept, disable_shape_infer=True).graph
    inputs = [value for value in graph.input if value.name not in weights]
    for value in graph.input:
        if value.name in weights:
            kind = value.type.tensor_type.elem_type
            graph.initializer.add(
                name=value.name, data_type=kind, dims=weights[value.name].dims, data_location=TensorProto.EXTERNAL
            )
    del graph.input[:]
    graph.input.extend(inputs)
    return model, stored


def read_tensor(file, info: ExternalDataInfo, half: bool) -> bytes:
    """The bytes of a tensor; rounded to half precision where asked, what is too large to the largest number."""
    file.seek(info.offset or 0)
    raw = file.read(info.length) if info.length is not None else file.read()
    if not half:
        return raw
    numbers = np.frombuffer(raw, np.float32)
    return np.clip(numbers, -LARGEST, LARGEST).astype(np.float16).tobytes()


def place(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    """Says where a tensor's bytes lie."""
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
