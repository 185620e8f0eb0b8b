"""Worlds by name, as `--world` gives them: NAME or NAME:SCENE.

A NAME without a dot is a package of `deer_lab.worlds`; with one it is any module that Python finds. Either has
`open_world(scene)`.
"""

import argparse
import functools
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from deer_lab.worlds.world import World

DEFAULT = "tabletop"
OURS = ("tabletop", "calvin")


def package_of(name: str) -> ModuleType:
    """The module behind a world's name, which loads no simulator. Raises ValueError where there is none."""
    module = name.partition(":")[0]
    path = module if "." in module else f"{__package__}.{module}"
    try:
        known = "." in module or module in OURS
        package = import_module(path) if known and find_spec(path) else None
    except ModuleNotFoundError:
        package = None
    if not hasattr(package, "open_world"):
        raise ValueError(f"no world {module!r}: give {', '.join(OURS)}, or a Python module that has open_world(scene)")
    return package


def open_world(name: str) -> World:
    """A world. Raises ValueError, which says how to mend it, for an unknown one and where one lacks what it needs."""
    return package_of(name).open_world(name.partition(":")[2])


@functools.cache
def own_world(name: str) -> World:
    """This process's world of that name."""
    return open_world(name)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Gives a program the option --world."""
    parser.add_argument(
        "--world", default=DEFAULT, metavar="NAME[:SCENE]", help=f"{' or '.join(OURS)} ({DEFAULT}), or a Python module"
    )
    parser.add_argument(
        "--calvin",
        type=calvin_folder,
        metavar="FOLDER",
        help="calvin_env as cloned; else CALVIN_ENV says where",
    )


def calvin_folder(folder: str) -> str:
    """Sets CALVIN_ENV, so that every process that this one starts, wherever, knows it too."""
    os.environ["CALVIN_ENV"] = str(Path(folder).expanduser().absolute())
    return folder
