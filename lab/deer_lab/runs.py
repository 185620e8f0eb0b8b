"""The files of a training run's folder, read with a sentence about what is wrong where they cannot be."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

WEIGHTS, TOKENIZER = "policy.safetensors", "tokenizer.json"


class RunError(ValueError):
    """A run that cannot be used; the message names the file and how to mend it."""


def read_weights(run: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The policy's tensors by name, and what is said of them: configuration, stage, step. Raises RunError."""
    path = run / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
        return load_file(path), about
    except FileNotFoundError as error:
        raise RunError(f"{path} is not there; name the folder of a training run") from error
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}; train again, or copy the run again") from error


def read_tokenizer(run: Path) -> Tokenizer:
    """The tokenizer that it was trained with. Raises RunError."""
    path = run / TOKENIZER
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise RunError(f"{path} is no tokenizer: {error}; copy it from where the run was trained") from error
