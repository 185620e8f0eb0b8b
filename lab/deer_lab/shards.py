"""Demonstrations as the command line names them, rosbags or CALVIN's files, and the shards that are made of them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from deer_lab.calvin import shard_calvin
from deer_lab.config import PolicyConfig
from deer_lab.data import find_bags, shard_bags


def add_demonstrations(parser: argparse.ArgumentParser) -> None:
    """The options that say where demonstrations are."""
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, nargs="+", help="rosbags, or folders of them")
    data.add_argument("--calvin", type=Path, help="a split in CALVIN's own format, such as task_D_D/training")
    parser.add_argument("--cache", type=Path, default=Path("out/shards"), help="folder of what is made from the bags")


def find_shards(args: argparse.Namespace, config: PolicyConfig) -> list[Path]:
    """What the demonstrations were made into, or are made into now."""
    if args.calvin:
        return shard_calvin(args.calvin, config.cameras, args.cache)
    return shard_bags(find_bags(args.data), config.cameras, args.cache, os.cpu_count() or 1)
