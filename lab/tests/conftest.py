"""Published files in miniature, and the bundles that are made of them: made once for all tests that ask."""

from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Published:
    """Files in the published layout, and where their bundle and run are written."""

    size: object
    folder: Path
    checkpoint: Path

    @property
    def parts(self) -> list[str]:
        """The command line's options that name the parts beside the checkpoint."""
        names = {"clip": "ViT-L-14.pt", "tokenizer": "gpt-neox-20b", "language-model": "language_model"}
        return [word for name, file in names.items() for word in (f"--{name}", str(self.folder / file))]

    @property
    def words(self) -> list[str]:
        return ["--checkpoint", str(self.checkpoint), *self.parts]


def published(name: str, folder: Path) -> Published:
    from deer_lab.importers.synthetic import SIZES, write_published

    return Published(SIZES[name], folder, write_published(SIZES[name], folder))


@pytest.fixture(scope="session")
def small_3b(tmp_path_factory):
    pytest.importorskip("torch")
    return published("small-3b", tmp_path_factory.mktemp("small_3b"))


@pytest.fixture(scope="session")
def small_9b(tmp_path_factory):
    pytest.importorskip("torch")
    return published("small-9b", tmp_path_factory.mktemp("small_9b"))
