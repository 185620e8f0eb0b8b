"""Which tensor of which file each parameter of the network is: all found and nothing left over, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deer_lab.config import PolicyConfig
from deer_lab.importers.archives import Archive, CheckpointError
from deer_lab.importers.names import LAYER, UNUSED, HeadNames, published_names, third_of
from deer_lab.model import Policy, make_part

SHOWN = 10  # of each kind of trouble


@dataclass(frozen=True)
class Source:
    """A file to take parameters from, and which of its keys nobody needs."""

    archive: Archive
    unused: re.Pattern = UNUSED
    layers_beyond: bool = False  # its language model may be deeper than the network's


@dataclass(frozen=True)
class Piece:
    """One parameter: a tensor of a file, or one third of it."""

    archive: Archive
    key: str
    third: int | None = None

    def cut(self, value: Tensor) -> Tensor:
        return value if self.third is None else value.chunk(3)[self.third]


def wanted_shapes(config: PolicyConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in Policy(config).state_dict().items()}


def find_pieces(
    config: PolicyConfig, sources: list[Source], head: HeadNames, without: tuple[str, ...] = ()
) -> dict[str, Piece]:
    """A piece for every parameter but those that begin with one of `without`; sources that come first are asked first.

    Raises CheckpointError with what is missing, unknown, of another shape, or twice there and not the same.
    """
    pieces: dict[str, Piece] = {}
    troubles: dict[str, list[str]] = {"missing": [], "unknown": [], "of another shape": [], "twice and different": []}
    used: dict[int, set[str]] = {index: set() for index in range(len(sources))}
    for name, shape in wanted_shapes(config).items():
        if name.startswith(without):
            continue
        theirs = published_names(name, head)
        for index, source in enumerate(sources):
            there = [key for key in theirs if key in source.archive.shapes]
            used[index].update(there)
            if not there or name in pieces:
                continue
            piece = pieces[name] = Piece(source.archive, there[0], third_of(name, there[0]))
            found = source.archive.shapes[piece.key]
            expected = shape if piece.third is None else (3 * shape[0], *shape[1:])
            if found != expected:
                troubles["of another shape"].append(f"{piece.key} is {found}, expected {expected}")
            troubles["twice and different"] += [k for k in there[1:] if not source.archive.same(piece.key, k)]
        if name not in pieces:
            troubles["missing"].append(theirs[0])
    for index, source in enumerate(sources):
        left = source.archive.shapes.keys() - used[index]
        troubles["unknown"] += sorted(key for key in left if not known(key, source, config.decoder.exits[-1]))
    refuse(troubles, " and ".join(source.archive.place for source in sources))
    return pieces


def known(key: str, source: Source, last: int) -> bool:
    """Whether nobody needs this key."""
    layer = LAYER.match(key)
    return bool(source.unused.match(key)) or (source.layers_beyond and bool(layer) and int(layer[1]) > last)


def refuse(troubles: dict[str, list[str]], places: str) -> None:
    if not any(troubles.values()):
        return
    lines = [f"{places} do not hold this network, and nothing was written:"]
    for kind, names in troubles.items():
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            lines.append(f"  {kind} ({len(names)}): {', '.join(names[:SHOWN])}{more}")
    raise CheckpointError("\n".join(lines))


def read_pieces(pieces: dict[str, Piece]) -> dict[str, Tensor]:
    """The tensors; each file is mapped once and given back."""
    found: dict[str, Tensor] = {}
    for archive in {id(piece.archive): piece.archive for piece in pieces.values()}.values():
        mine = {name: piece for name, piece in pieces.items() if piece.archive is archive}
        values = archive.read({piece.key for piece in mine.values()})
        found |= {name: piece.cut(values[piece.key]) for name, piece in mine.items()}
    return found


def prefix_of(part: str) -> str:
    """Of a part's parameters in the whole policy."""
    return f"stages.{int(part.removeprefix('stage_'))}." if part.startswith("stage_") else f"{part}."


def part_maker(config: PolicyConfig, pieces: dict[str, Piece]) -> Callable[[str], nn.Module]:
    """Gives a part of the network with its weights, made when it is asked for."""

    def part(name: str) -> nn.Module:
        prefix = prefix_of(name)
        mine = {key: piece for key, piece in pieces.items() if key.startswith(prefix)}
        with torch.device("meta"):  # no memory for weights that are replaced
            module = make_part(config, name)
        state = {key.removeprefix(prefix): value for key, value in read_pieces(mine).items()}
        module.load_state_dict(state, assign=True)
        return materialised(module)

    return part


def materialised(module: nn.Module) -> nn.Module:
    """Buffers that no file holds (positions that count from 0) are made anew; everything else is there."""
    for owner in module.modules():
        for name, buffer in list(owner.named_buffers(recurse=False)):
            if buffer.is_meta:
                owner.register_buffer(name, torch.arange(buffer.shape[-1]).expand(buffer.shape), persistent=False)
    return module
