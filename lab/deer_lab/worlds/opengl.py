"""What has to happen before a process draws its first picture."""

from importlib import import_module
from importlib.util import find_spec


def prepare() -> None:
    """Loads Triton where it is installed. Must run before OpenGL is loaded.

    Mesa brings an LLVM and Triton another. Triton's survives Mesa's; the other way round the process ends with a
    segmentation fault, and PyTorch imports Triton at a time of its own: with the first optimiser, compiler or export.
    """
    if find_spec("triton"):
        import_module("triton")
