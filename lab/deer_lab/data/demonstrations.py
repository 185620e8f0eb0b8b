"""Demonstrations as the command line names them, and the shards that are made of them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from deer_lab.config import PolicyConfig
from deer_lab.data import calvin, rosbag
from deer_lab.data.aids import load_aids
from deer_lab.data.shards import make_shards


def add_demonstrations(parser: argparse.ArgumentParser) -> None:
    """The options that say where demonstrations are."""
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, nargs="+", help="rosbags, or folders of them")
    data.add_argument("--calvin", type=Path, help="a split in CALVIN's own format, such as task_D_D/training")
    parser.add_argument("--aids", help="module of a simulated world that reads its true state from its rosbags")
    parser.add_argument("--cache", type=Path, default=Path("out/shards"), help="folder of what is made from them")


def find_shards(args: argparse.Namespace, config: PolicyConfig) -> list[Path]:
    """What the demonstrations were made into, or are made into now. Raises DataError, ValueError."""
    load_aids(args.aids)  # a wrong name is told before the work begins
    roles = [camera.role for camera in config.cameras]
    parts = calvin.parts(args.calvin) if args.calvin else rosbag.parts(rosbag.find_bags(args.data), roles, args.aids)
    return make_shards(parts, config.cameras, args.cache, os.cpu_count() or 1)
