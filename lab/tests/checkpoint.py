"""Published checkpoints that something was done to, and what the importer makes of them."""

import pytest
import torch

from deer_lab.importers import deer
from deer_lab.importers.archives import CheckpointError


def read(files, *more, words=None, say=lambda text: None):
    """The network of a command line, without writing."""
    args = deer.arguments().parse_args([*(words or files.words), "--out", "unused", *more])
    return deer.read_checkpoint(args, say)[0]


def changed(files, tmp_path, change, name="deer.pth"):
    """The words of a command line whose checkpoint was changed."""
    content = torch.load(files.checkpoint, weights_only=True)
    content = change(content) or content
    torch.save(content, tmp_path / name)
    return ["--checkpoint", str(tmp_path / name), *files.parts]


def refusal(files, words):
    """What is said of a command line that is refused."""
    with pytest.raises(CheckpointError) as caught:
        read(files, words=words)
    return str(caught.value)


def state_of(content):
    """A checkpoint's tensors."""
    return content["model_state_dict"]
