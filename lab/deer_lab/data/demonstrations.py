"""Demonstrations as the command line names them, and the shards that are made of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deer_lab.config import Camera, PolicyConfig
from deer_lab.data import calvin, lerobot, rosbag
from deer_lab.data.aids import load_aids
from deer_lab.data.segment import DataError
from deer_lab.data.shards import Part, make_shards
from deer_lab.data.source import Crop, Said, read_crops
from deer_lab.embodiment import CALVIN, FILE, Embodiment


def add_demonstrations(parser: argparse.ArgumentParser) -> None:
    """The options that say where demonstrations are."""
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data",
        type=Path,
        nargs="+",
        help="rosbags or folders of them, LeRobot data sets (v3.0), splits in CALVIN's own format",
    )
    data.add_argument("--calvin", type=Path, help="a split in CALVIN's own format, such as task_D_D/training")
    add_source(parser)
    parser.add_argument("--aids", help="module of a simulated world that reads its true state from its rosbags")
    parser.add_argument("--cache", type=Path, default=Path("out/shards"), help="folder of what is made from them")


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that say what is what in them, and whose they are."""
    parser.add_argument("--source", type=Path, help="file that says what is what in them (config/source.yaml)")
    parser.add_argument("--sentence", help="what was said, where the recordings do not tell")
    for role in ("static", "gripper"):
        parser.add_argument(
            f"--{role}", metavar="TOPIC", help=f"of the {role} camera: a bag's topic, or a data set's feature"
        )
    parser.add_argument("--clock", choices=("header", "log"), help="of rosbags: when a picture was taken, or recorded")
    parser.add_argument(
        "--embodiment",
        type=Path,
        help=f"the robot: a JSON file, a bundle or a run ({FILE}); CALVIN's where none is named",
    )


def said_of(args: argparse.Namespace) -> Said:
    """What those options say."""
    topics = tuple((role, topic) for role in ("static", "gripper") if (topic := getattr(args, role)))
    return Said(args.source, args.sentence, topics, args.clock)


def find_embodiment(named: Path | None, run: Path | None = None) -> Embodiment:
    """The one that is named, else the run's, else CALVIN's. Raises EmbodimentError."""
    if named is None and run is not None and (run / FILE).is_file():
        named = run
    return Embodiment.read(named) if named else CALVIN


def find_trained(args: argparse.Namespace) -> Embodiment:
    """The robot to train for: its cameras are cut as the demonstrations are, unless --embodiment says how.

    Raises DataError, EmbodimentError.
    """
    embodiment = find_embodiment(args.embodiment, args.init)
    own = {camera.role for camera in embodiment.cameras if camera.crop and args.embodiment}
    said = [crops_of(place, said_of(args)) for place in args.data or ()]
    for role in {role for cuts in said for role in cuts} - own:
        crops = {cuts.get(role) for cuts in said}
        if crops == {None}:
            continue
        if len(crops) > 1:
            raise DataError(
                f"pictures of the {role} camera are cut differently, {' or '.join(map(str, crops))}: say in the "
                "--embodiment what is to be cut out of what the robot's camera sends (cameras[].crop)"
            )
        embodiment = embodiment.with_crop(role, *crops)
    told = own | {role for cuts in said for role, crop in cuts.items() if crop}
    for camera in embodiment.cameras:
        if camera.crop and camera.role not in told:
            print(
                f"note: nothing says how these pictures of the {camera.role} camera are cut, so none is; on the robot "
                f"{list(camera.crop)} is cut out as {args.init} learned it. A --source file or an --embodiment says "
                "otherwise (cameras[].crop)",
                file=sys.stderr,
            )
    return embodiment


def crops_of(place: Path, said: Said) -> dict[str, Crop]:
    """By camera role, how the demonstrations in a place are cut. Raises DataError."""
    if calvin.is_split(place):
        return {}
    path = said.file_for(place / lerobot.OWN_SOURCE) if lerobot.is_dataset(place) else said.source
    return read_crops(path) if path else {}


def find_parts(
    places: list[Path], cameras: tuple[Camera, ...], embodiment: Embodiment, said: Said, aids: str | None = None
) -> list[Part]:
    """What becomes a shard each. Raises DataError, ValueError."""
    load_aids(aids)  # a wrong name is told before the work begins
    roles, parts = [camera.role for camera in cameras], []
    for place in places:
        if lerobot.is_dataset(place):
            parts += lerobot.parts(place, roles, embodiment, said)
        elif calvin.is_split(place):
            parts += calvin.parts(place, roles, embodiment)
        else:
            parts += rosbag.parts(rosbag.find_bags(place), cameras, embodiment.control_hz, said, aids)
    return parts


def find_shards(args: argparse.Namespace, config: PolicyConfig, embodiment: Embodiment) -> list[Path]:
    """What the demonstrations were made into, or are made into now. Raises DataError, ValueError."""
    parts = find_parts(args.data or [args.calvin], config.cameras, embodiment, said_of(args), args.aids)
    return make_shards(parts, config.cameras, embodiment, args.cache, os.cpu_count() or 1)
