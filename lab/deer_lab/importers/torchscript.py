"""The tensors of a TorchScript archive (OpenAI publishes CLIP as one), without loading its program.

`torch.load` refuses such archives where only weights are admitted, and `torch.jit.load` compiles the code in them. But
the weights are an ordinary pickle, data.pkl, of objects whose attributes are tensors and further objects.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

KINDS = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "BoolStorage": np.bool_,
}


class Module:
    """Stands for any of the archive's own classes: what they hold is read, what they do is not."""


def rebuild(storage: np.ndarray, offset: int, shape: tuple, stride: tuple, *_: object) -> Tensor:
    return torch.from_numpy(storage).as_strided(shape, stride, offset)


def parameter(data: Tensor, *_: object) -> Tensor:
    return data


def typed_list(values: list) -> list:
    return values


ADMITTED: dict[tuple[str, str], Callable] = {
    ("torch._utils", "_rebuild_tensor_v2"): rebuild,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch.jit._pickle", f"build_{kind}list"): typed_list for kind in ("int", "double", "bool", "tensor")},
}


class Restricted(pickle.Unpickler):
    """Unpickles tensors and the objects that hold them; a pickle may otherwise run any program."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self.path, self.files = path, {name.split("/", 1)[1]: name for name in archive.namelist() if "/" in name}
        self.archive = archive
        super().__init__(archive.open(self.files["data.pkl"]))

    def find_class(self, module: str, name: str) -> object:
        if module.split(".")[0] == "__torch__":
            return Module
        if module == "torch" and name in KINDS:
            return name
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}, which weights do not need")
        return ADMITTED[module, name]

    def persistent_load(self, about: tuple) -> np.ndarray:
        """A storage, mapped from disk: the archive's files are stored as they are."""
        _, kind, key, _, count = about
        entry = self.archive.getinfo(self.files[f"data/{key}"])
        if entry.compress_type != zipfile.ZIP_STORED:
            raise pickle.UnpicklingError("its weights are compressed")
        with self.path.open("rb") as file:
            file.seek(entry.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
        start = entry.header_offset + 30 + name + extra
        return np.memmap(self.path, KINDS[kind], "c", start, (count,)) if count else np.empty(0, KINDS[kind])


def is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Every tensor by the path of attributes that leads to it. Raises pickle.UnpicklingError."""
    with zipfile.ZipFile(path) as archive:
        try:
            top = Restricted(archive, path).load()
        except (KeyError, TypeError, ValueError, AttributeError, EOFError) as error:
            raise pickle.UnpicklingError(f"its data.pkl does not read: {error!r}") from error
    found: dict[str, Tensor] = {}
    waiting = [("", top)]
    while waiting:
        prefix, module = waiting.pop()
        for name, value in vars(module).items():
            if isinstance(value, Module):
                waiting.append((f"{prefix}{name}.", value))
            elif isinstance(value, Tensor):
                found[prefix + name] = value
    return found
