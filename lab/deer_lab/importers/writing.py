"""A network whose parameters stand in published files: as a bundle, or as a run's folder to train on from."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer
from tqdm import tqdm

from deer_lab.config import PolicyConfig, config_text
from deer_lab.export import export_bundle, replacing
from deer_lab.graphs import graph_names
from deer_lab.halves import halve
from deer_lab.importers.archives import CheckpointError
from deer_lab.importers.pieces import Piece, part_maker, read_pieces, wanted_shapes
from deer_lab.manifest import About, write_thresholds
from deer_lab.model import part_names

NEVER = -1.0


@dataclass(frozen=True)
class Network:
    """What was read: `pieces` of the policy's parameters, `auxiliary` of the heads that only training needs."""

    config: PolicyConfig
    pieces: dict[str, Piece]
    tokenizer: Tokenizer
    description: str
    license: str
    made_by: str
    auxiliary: dict[str, Piece] = field(default_factory=dict)


def write_bundle(
    network: Network, out: Path, name: str, precision: str, after: Callable[[str, Path], None] | None = None
) -> None:
    """The bundle `out`, at full depth unless `after` (given the manifest's sha256 and the folder) writes thresholds."""
    about = About(name, network.license, network.description, network.made_by, network.tokenizer.to_str(pretty=True))
    narrow = (lambda path: halve(path, path)) if precision == "fp16" else None
    names = [graph for name in part_names(network.config) for graph in graph_names(network.config, name)]
    with replacing(out) as folder, tqdm(total=len(names), unit="part", dynamic_ncols=True) as bar:

        def progress(text: str) -> None:
            bar.write(text)
            bar.update()

        part = part_maker(network.config, network.pieces)
        # `whole` would have all stages in memory at once, and only a benchmark reads it
        sha256 = export_bundle(network.config, part, about, folder, whole=False, narrow=narrow, progress=progress)
        write_thresholds([NEVER] * (len(network.config.decoder.exits) - 1), sha256, 0, folder)
        if after:
            after(sha256, folder)


def write_run(network: Network, out: Path) -> None:
    """policy.safetensors, auxiliary.safetensors, tokenizer.json and config.json, as deer_lab.train leaves a run."""
    if (out / "policy.safetensors").exists():
        raise CheckpointError(f"{out} holds a run already: name another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    text = config_text(network.config)
    about = {"config": text, "stage": "import", "step": "0"}
    shapes = {name: shape for name, shape in wanted_shapes(network.config).items() if name in network.pieces}
    write_tensors(out / "policy.safetensors", network.pieces, shapes, about)
    heads = {name: shapes[f"head.{name.split('.', 2)[2]}"] for name in network.auxiliary}
    if heads:
        write_tensors(out / "auxiliary.safetensors", network.auxiliary, heads, about)
    network.tokenizer.save(str(out / "tokenizer.json"))
    whole = text if text.startswith("{") else json.dumps({"name": text})
    (out / "config.json").write_text(json.dumps(json.loads(whole), indent=2) + "\n")


def write_tensors(
    path: Path, pieces: dict[str, Piece], shapes: dict[str, tuple[int, ...]], about: dict[str, str]
) -> None:
    """A safetensors file in single precision, one group of tensors after the other.

    The library's own writer takes all tensors at once, which is more than the memory that large models are read with.
    """
    header: dict[str, dict] = {"__metadata__": about}
    at = 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    beside = path.with_name(f".{path.name}")
    bar = tqdm(total=at, unit="B", unit_scale=True, desc=path.name, dynamic_ncols=True)
    with beside.open("wb") as file, bar:
        file.write(struct.pack("<Q", len(text)) + text)
        for group in groups(list(shapes)):
            values = read_pieces({name: pieces[name] for name in group})
            for name in group:
                bar.update(file.write(values[name].contiguous().numpy().tobytes()))
    os.replace(beside, path)


def groups(names: list[str]) -> list[list[str]]:
    """Names that stand beside each other and begin alike: a layer, a head, the vision."""
    found: dict[str, list[str]] = {}
    for name in names:
        parts = name.split(".")
        found.setdefault(".".join(parts[:4] if parts[0] == "stages" else parts[:2]), []).append(name)
    return list(found.values())
