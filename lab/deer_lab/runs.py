"""The files of a training run's folder, read with a sentence about what is wrong where they cannot be.

python -m deer_lab.runs RUN --on BASE --out OUT    # keeps of a run what differs from another, in half precision
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

WEIGHTS, TOKENIZER = "policy.safetensors", "tokenizer.json"


class RunError(ValueError):
    """A run that cannot be used; the message names the file and how to mend it."""


def find_weights(run: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """In which file each of the policy's tensors is, and what is said of them: configuration, stage, step.

    A run may hold only what differs from the run `on`, a folder as seen from its own. Raises RunError.
    """
    path = run / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            names, about = list(file.keys()), file.metadata() or {}
    except FileNotFoundError as error:
        raise RunError(f"{path} is not there; name the folder of a training run") from error
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}; train again, or copy the run again") from error
    below = find_weights(run / about["on"])[0] if "on" in about else {}
    return below | dict.fromkeys(names, path), about


def digest(run: Path) -> str:
    """Of the weights that the run has now, those of the run that it is kept on included; not of the files, in which
    safetensors orders what is said of them as it happens. Raises RunError."""
    found, hasher = read_weights(run)[0], hashlib.sha256()
    for name in sorted(found):
        value = found[name]
        hasher.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        hasher.update(value.contiguous().reshape(-1).view(torch.uint8).numpy())
    return hasher.hexdigest()


def read_weights(run: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The policy's tensors by name, and what is said of them. Raises RunError."""
    places, about = find_weights(run)
    return read_tensors(places, places), about


def read_tensors(places: dict[str, Path], names: Iterable[str]) -> dict[str, Tensor]:
    """Some of the tensors that `find_weights` found."""
    names, found = list(names), {}
    for path in {places[name] for name in names}:
        with safe_open(path, "pt") as file:
            found |= {name: file.get_tensor(name) for name in names if places[name] == path}
    return found


def keep_difference(run: Path, base: Path, out: Path) -> int:
    """Leaves in `out` a run that holds of `run` what differs from `base`, in half precision; how many tensors.

    Raises RunError."""
    (own, about), (other, _) = read_weights(run), read_weights(base)
    kept = {name: value.half() for name, value in own.items() if not same(value, other.get(name))}
    out.mkdir(parents=True, exist_ok=True)
    save_file(kept, out / WEIGHTS, about | {"on": os.path.relpath(base, out)})
    for name in (TOKENIZER, "embodiment.json"):
        shutil.copy2(run / name, out)
    return len(kept)


def same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and torch.equal(one.float(), other.float())


def read_tokenizer(run: Path) -> Tokenizer:
    """The tokenizer that it was trained with. Raises RunError."""
    path = run / TOKENIZER
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise RunError(f"{path} is no tokenizer: {error}; copy it from where the run was trained") from error


def main() -> int:
    """Exit codes: 0 done, 2 a run that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--on", type=Path, required=True, help="folder of the run that it differs from")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        print(f"{keep_difference(args.run, args.on, args.out)} tensors differ: {args.out}")
    except RunError as error:
        print(f"runs: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
