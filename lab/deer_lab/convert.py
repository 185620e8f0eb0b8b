"""Turns recordings of one kind into another: rosbags, LeRobot data sets and CALVIN's own files come in.

    python -m deer_lab.convert recordings --to lerobot out/data_set
    python -m deer_lab.convert data_set --to bag out/bags --source source.yaml
    python -m deer_lab.convert task_D_D/validation --to bag out/bags       # then deer_vla calibrate … out/bags

A sentence of a recording becomes an episode of a LeRobot data set (v3.0), or a rosbag of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from deer_lab.config import Camera
from deer_lab.data.demonstrations import add_source, find_embodiment, find_parts, said_of
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import Part

KINDS = ("lerobot", "bag")


def each(parts: list[Part]) -> Iterator[Segment]:
    """The segments of all parts, one after the other."""
    for part in tqdm(parts, desc="recordings", unit="part", dynamic_ncols=True):
        yield from part.segments()


def camera(text: str) -> Camera:
    """ROLE=SIZE, or ROLE alone, whose pictures are left as they are."""
    role, _, size = text.partition("=")
    return Camera(role, int(size or 0))


def convert(args: argparse.Namespace) -> str:
    """Does it, and says what was written. Raises DataError, ValueError."""
    kind, out = args.to[0], Path(args.to[1])
    if kind not in KINDS:
        raise ValueError(f"--to {kind}: known are {', '.join(KINDS)}")
    embodiment = find_embodiment(args.embodiment)
    segments = each(find_parts(args.places, tuple(args.cameras), embodiment, said_of(args)))
    if kind == "lerobot":
        from deer_lab.data.lerobot_writer import write_dataset  # only here: bags alone need no encoder

        return f"{out}: {write_dataset(segments, embodiment, [camera.role for camera in args.cameras], out)} episodes"
    from deer_lab.data.bag_writer import write_bag

    number = -1
    for number, segment in enumerate(segments):
        write_bag(segment, embodiment, out / f"episode_{number:06d}")
    if number < 0:
        raise DataError(f"{args.places[0]}: no frame that has pictures of every camera, an instruction and an action")
    return f"{out}: {number + 1} bags"


def main() -> int:
    """Exit codes: 0 done, 2 wrong arguments or data."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("places", type=Path, nargs="+", help="rosbags or folders of them, LeRobot data sets, CALVIN")
    parser.add_argument("--to", nargs=2, required=True, metavar=("KIND", "OUT"), help=" or ".join(KINDS))
    parser.add_argument(
        "--cameras",
        nargs="+",
        type=camera,
        default=[Camera("static", 0), Camera("gripper", 0)],
        metavar="ROLE[=SIZE]",
        help="the cameras; with a size what comes of rosbags is square, so many pixels wide and high",
    )
    add_source(parser)
    args = parser.parse_args()
    try:
        print(convert(args))
    except (DataError, ValueError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
