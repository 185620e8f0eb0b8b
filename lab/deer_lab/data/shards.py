"""Shards: demonstrations as small as the policy sees them, made once.

A shard is a safetensors file of pictures, actions and, where they were recorded, a world's aids. Shards are mapped, not
read: a window costs what it holds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from deer_lab.config import Camera
from deer_lab.data.fit import fit
from deer_lab.data.segment import DataError, Segment
from deer_lab.embodiment import Embodiment


@dataclass(frozen=True)
class Part:
    """What becomes one shard: a bag, some of a data set's episodes.

    `name` begins the shard's file name and stands in messages; `identity` is all that `segments` depends on, so that a
    shard is made anew where it differs. `segments` can be pickled: another process may call it.
    """

    name: str
    identity: str
    segments: Callable[[], Iterator[Segment]]


def files_state(paths: Iterable[Path]) -> str:
    """Another one as soon as one of these files is: by their sizes and when they were written."""
    stats = ((path.name, path.stat()) for path in paths if path.is_file())  # whoever reads one says that it is missing
    found = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    return hashlib.sha256(str(found).encode()).hexdigest()


def make_shards(
    parts: list[Part], cameras: tuple[Camera, ...], embodiment: Embodiment, cache: Path, workers: int = 1
) -> list[Path]:
    """The shards of all parts, in their order; those that are missing are made by `workers` processes."""
    cache.mkdir(parents=True, exist_ok=True)
    make = partial(make_shard, cameras=cameras, embodiment=embodiment, cache=cache)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        shards = pool.map(make, parts, chunksize=4) if workers > 1 else map(make, parts)
        return list(tqdm(shards, total=len(parts), desc="demonstrations", unit="part", dynamic_ncols=True))


def make_shard(part: Part, cameras: tuple[Camera, ...], embodiment: Embodiment, cache: Path) -> Path:
    """The part's shard in `cache`, written where it is not there yet."""
    shown = [(camera.role, camera.size) for camera in cameras]
    key = hashlib.sha256(f"{part.identity} {shown} {embodiment}".encode()).hexdigest()[:12]
    out = cache / f"{part.name}-{key}.safetensors"
    if not out.exists():
        write_shard(part.segments(), cameras, embodiment, out)
    return out


def write_shard(segments: Iterator[Segment], cameras: tuple[Camera, ...], embodiment: Embodiment, out: Path) -> None:
    """Writes all `segments` as one shard; it appears whole or not at all. Raises DataError where there are none."""
    pictures: dict[str, list[np.ndarray]] = {camera.role: [] for camera in cameras}
    kept: list[Segment] = []
    for segment in segments:
        for camera in cameras:
            pictures[camera.role] += [fit(picture, camera) for picture in segment.pictures[camera.role]]
        kept.append(replace(segment, pictures={}))
    if not kept:
        raise DataError(f"{out.stem}: no frame that has pictures of every camera, an instruction and an action")
    about = {"instructions": json.dumps([segment.instruction for segment in kept])}
    tensors = {role: np.stack(shots) for role, shots in pictures.items()}
    tensors["actions"] = np.concatenate([segment.actions(embodiment) for segment in kept])
    tensors["lengths"] = np.array([len(segment) for segment in kept])
    if all(segment.aids for segment in kept):
        tensors |= aids_tensors(kept)
        about["sentences"] = json.dumps(kept[0].aids.sentences)
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    save_file(tensors, beside, about)
    beside.rename(out)


def aids_tensors(segments: list[Segment]) -> dict[str, np.ndarray]:
    """The aids of all segments by the names under which deer_lab.data.windows finds them."""
    aids = [segment.aids for segment in segments]
    tensors = {"state": np.concatenate([each.state for each in aids])}
    for role in aids[0].points:
        tensors[f"{role}_points"] = np.concatenate([each.points[role] for each in aids])
    if all(each.answers is not None for each in aids):
        tensors["answers"] = np.concatenate([each.answers for each in aids])
    return tensors
