"""Published weight files, read without running anything that is in them.

An Archive knows the shapes of all its tensors and maps them from disk only while some of them are read, so a file may
be larger than memory.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from deer_lab.export import ExportError
from deer_lab.importers.torchscript import is_torchscript, read_torchscript

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WHOLE = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class CheckpointError(ExportError):
    """A published file cannot be read, or does not hold what it should."""


@dataclass(frozen=True)
class Archive:
    """Named tensors. `place` is how messages call it; `get` gives those that are asked for, mapped from disk."""

    place: str
    shapes: dict[str, tuple[int, ...]]
    get: Callable[[Iterable[str]], dict[str, Tensor]]

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Copies in single precision; the map is given back."""
        return {name: value.to(torch.float32, copy=True) for name, value in self.get(names).items()}

    def same(self, one: str, other: str) -> bool:
        """Whether two names stand for the same numbers."""
        first, second = self.get([one, other]).values()
        return first.data_ptr() == second.data_ptr() or torch.equal(first, second)


def load_pickled(path: Path) -> object:
    """What torch.save wrote, tensors mapped from disk; tensors and plain values alone. Raises CheckpointError."""
    try:
        return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"(?:GLOBAL|global|class) (\S+)", str(error))
        reason = f"it wants to use {wanted[1]}" if wanted else str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} is refused: {reason}. A checkpoint needs tensors, numbers and texts; whatever else is pickled "
            "could run a program"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def tensors_in(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's state, with or without entries around it; DDP's prefix taken off."""
    if isinstance(content, dict):
        content = next((content[key] for key in ("model_state_dict", "state_dict") if key in content), content)
    found = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, dict) else {}
    if not found:
        raise CheckpointError(f"{path} holds no named tensors")
    return {name.removeprefix("module."): value for name, value in found.items()}


def of_pickled(path: Path) -> Archive:
    """Of a .pt, .pth or .bin file."""
    load = read_torchscript if is_torchscript(path) else load_pickled

    def get(names: Iterable[str]) -> dict[str, Tensor]:
        state = tensors_in(load(path), path)
        return {name: state[name] for name in names}

    try:
        shapes = {name: tuple(value.shape) for name, value in tensors_in(load(path), path).items()}
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is refused: {error}") from error
    return Archive(path.name, shapes, get)


def of_safetensors(path: Path) -> Archive:
    def get(names: Iterable[str]) -> dict[str, Tensor]:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in names}

    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    return Archive(path.name, shapes, get)


def of_folder(folder: Path) -> Archive:
    """Of a model's folder as Hugging Face lays it out, in one file or several."""
    index = next((folder / name for name in INDEXES if (folder / name).is_file()), None)
    if index:
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        files = [name for name in WHOLE if (folder / name).is_file()][:1]
    if not files:
        raise CheckpointError(f"{folder} holds no weights: expected one of {', '.join((*WHOLE, *INDEXES))}")
    # an index names files; it may not lead out of its folder
    parts = [open_archive(folder / Path(name).name) for name in files]
    owner = {name: part for part in parts for name in part.shapes}

    def get(names: Iterable[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        wanted = list(names)
        for part in parts:
            found |= part.get([name for name in wanted if owner[name] is part])
        return {name: found[name] for name in wanted}

    return Archive(folder.name, {name: part.shapes[name] for name, part in owner.items()}, get)


def open_archive(path: Path) -> Archive:
    """Whatever stands there. Raises CheckpointError."""
    if path.is_dir():
        return of_folder(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is not there")
    return of_safetensors(path) if path.suffix == ".safetensors" else of_pickled(path)
