"""Demonstrations in rosbags, read by `deer_vla frames`: what the robot itself would have seen, by its own rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np

from deer_lab.config import Camera
from deer_lab.data.aids import Aids, load_aids, sources
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import Part, files_state
from deer_lab.data.source import Said
from deer_lab.program import find_program

STORED = (".mcap", ".db3")
APART = 2.5  # control periods: frames further apart do not follow one another (a camera may have half the rate)


def parts(
    bags: list[Path], cameras: tuple[Camera, ...], control_hz: float, said: Said, aids: str | None = None
) -> list[Part]:
    """A shard for each bag. `aids` names the module of a world (deer_lab.data.aids)."""
    told = f"{control_hz} {said.identity()} {aids} {sources(aids)}"
    return [
        Part(
            bag.name,
            f"{bag.resolve()} {files_state(files_of(bag))} {told}",
            partial(bag_segments, bag, cameras, control_hz, said, aids),
        )
        for bag in bags
    ]


def files_of(bag: Path) -> list[Path]:
    """A bag's files."""
    return [path for path in bag.iterdir() if path.is_file()] if bag.is_dir() else [bag]


def bag_segments(
    bag: Path, cameras: tuple[Camera, ...], control_hz: float, said: Said, aids: str | None = None
) -> Iterator[Segment]:
    """The segments of one rosbag, pictures as small as the policy sees them, or as they are where a camera's size is 0;
    where frames are missing, a new one begins. Raises DataError with what deer_vla says of the bag.
    """
    world = load_aids(aids)
    with TemporaryDirectory(prefix="frames-") as folder:
        out = Path(folder) / "frames"
        sizes = ",".join(f"{camera.role}={camera.size}" if camera.size else camera.role for camera in cameras)
        words = ["--cameras", sizes, "--rate", f"{control_hz:g}", *said.words()]
        words += ["--text", world.TOPIC] if world else []
        run_frames(bag, words, out)
        found = json.loads((out / "frames.json").read_text())
        pictures = {camera["role"]: np.load(out / camera["file"], mmap_mode="r") for camera in found["cameras"]}
        tell(bag, found)
        for steps in runs(found["steps"], control_hz):
            rows = [step["set"] for step in steps]
            yield Segment(
                found["sentences"][steps[0]["sentence"]],
                {role: [shots[row] for row in rows] for role, shots in pictures.items()},
                np.array([step["motion"] for step in steps], float),
                np.array([step["gripper"] for step in steps], float),
                aids_of(world, steps),
            )


def run_frames(bag: Path, words: list[str], out: Path) -> None:
    """`deer_vla frames`. Raises DataError."""
    program = find_program()
    if program is None:
        raise DataError(
            f"{bag}: rosbags are read by deer_vla, which is not there: build it (cargo build --release), or name it in "
            "DEER_VLA"
        )
    command = [program, "frames", bag, *words, "--out", out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.split("deer_vla: ")[-1]  # notes and guesses go before
        raise DataError(f"{bag}: {' '.join(said.split())}")


def tell(bag: Path, found: dict) -> None:
    """Prints what was guessed and what is no step. Raises DataError where nothing can be learned."""
    steps, left_out = found["steps"], [f"{n['times']} {n['topic']}: {n['reason']}" for n in found["left_out"]]
    lacking = [f"{sum(s[name] is None for s in steps)} steps without {name}" for name in ("motion", "gripper")]
    lacking = [words for words in lacking if not words.startswith("0 ")]
    said = "; ".join([*found["notes"], *left_out, *lacking])
    left_out = [f"left out: {'; '.join([*left_out, *lacking])}"] if left_out or lacking else []
    if not any(step["motion"] is not None and step["gripper"] is not None for step in steps):
        raise DataError(
            f"{bag}: no step to learn from, which needs pictures of every camera, a sentence, a motion and the "
            f"gripper's position: {said or 'no pictures'}; say what is what in a --source file (config/source.yaml)"
        )
    for words in (*found["guessed"], *found["notes"], *left_out):
        print(f"{bag}: {words}", file=sys.stderr)


def runs(steps: list[dict], control_hz: float) -> Iterator[list[dict]]:
    """Steps that can be learned from, together while they follow one another under one sentence."""
    run: list[dict] = []
    for step in steps:
        usable = step["motion"] is not None and step["gripper"] is not None
        gap = step["stamp_ns"] - run[-1]["stamp_ns"] if run else 0
        follows = run and step["epoch"] == run[-1]["epoch"] and gap <= APART * 1e9 / control_hz
        if run and not (usable and follows):
            yield run
            run = []
        if usable:
            run.append(step)
    if run:
        yield run


def aids_of(world: ModuleType | None, steps: list[dict]) -> Aids | None:
    """What the world's own messages make of the frames; None where none were recorded."""
    texts = [step.get("texts", {}).get(world.TOPIC) for step in steps] if world else [None]
    return None if None in texts else world.aids(texts)


def find_bags(place: Path) -> list[Path]:
    """The file `place`, or the bags at and below it, in order. Raises DataError where there is none."""
    if place.is_file():
        return [place]
    found = sorted(Path(folder) for folder, _, files in walk(place) if any(map(is_bag, files)))
    if not found:
        raise DataError(f"{place}: no rosbag here, no LeRobot data set and no split of CALVIN; record some first")
    return found


def is_bag(name: str) -> bool:
    """Whether a file's name says that its folder is a bag."""
    return name == "metadata.yaml" or Path(name.removesuffix(".zstd")).suffix in STORED


def walk(place: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk without hidden folders: a recording that is being written lies in one."""
    for folder, below, files in os.walk(place):
        below[:] = [name for name in below if not name.startswith(".")]
        yield folder, below, files
