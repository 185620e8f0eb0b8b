"""Writes segments as a LeRobot data set, version 3.0: an episode each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deer_lab.data.lerobot import OWN_SOURCE
from deer_lab.data.lerobot_meta import CHUNK_FILES, DATA_PATH, VIDEO_PATH, frame_schema, info, task_table
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.statistics import Sample
from deer_lab.data.video import VideoWriter
from deer_lab.embodiment import Embodiment

FILE_FRAMES = 20_000  # of whole episodes in one table and one video, before the next is begun


def write_dataset(segments: Iterable[Segment], embodiment: Embodiment, roles: list[str], out: Path) -> int:
    """Writes the folder `out` anew, whole or not at all; the number of episodes. Raises DataError where there are none.

    `action` is the displacement to the next frame [m, rad] and the gripper's position, in the embodiment's unit.
    """
    beside = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "meta").mkdir(parents=True)
    writer = Writer(beside, embodiment, roles)
    try:
        for segment in segments:
            writer.add(segment)
        writer.close()
    except BaseException:
        writer.discard()
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)
    return len(writer.episodes)


class Writer:
    """A data set that is being written."""

    def __init__(self, root: Path, embodiment: Embodiment, roles: list[str]) -> None:
        self.root, self.embodiment = root, embodiment
        self.keys = {f"observation.images.{role}": role for role in roles}
        self.tasks: dict[str, int] = {}
        self.episodes: list[dict] = []
        self.frames = 0
        self.shapes: dict[str, tuple[int, int]] = {}
        self.sample = Sample()
        self._rows: list[dict] = []  # of the file that is being written
        self._files = count()
        self._file = next(self._files)
        self._videos: dict[str, VideoWriter] = {}

    def add(self, segment: Segment) -> None:
        """Appends an episode. Raises DataError where its pictures have another size than those before."""
        task = self.tasks.setdefault(segment.instruction, len(self.tasks))
        number, first, length = len(self.episodes), self.frames, len(segment)
        action = np.c_[segment.motion, segment.gripper].astype(np.float32)
        time = (np.arange(length) / self.embodiment.control_hz).astype(np.float32)
        steps = np.arange(length)
        self._rows += [
            {"action": action[i], "timestamp": time[i], "frame_index": i, "episode_index": number, "index": first + i,
             "task_index": task}
            for i in range(length)
        ]  # fmt: skip
        numbers = {"action": action, "timestamp": time, "frame_index": steps, "episode_index": steps * 0 + number}
        numbers |= {"index": first + steps, "task_index": steps * 0 + task}
        found = self.sample.add(numbers)
        row = {"episode_index": number, "tasks": [segment.instruction], "length": length}
        row |= {"dataset_from_index": first, "dataset_to_index": first + length, **self._place("data")}
        for key, role in self.keys.items():
            row |= self._add_pictures(key, segment.pictures[role])
            found[key] = self.sample.add_pictures(key, segment.pictures[role])
        row |= {f"stats/{name}/{what}": value for name, values in found.items() for what, value in values.items()}
        self.episodes.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        self.frames += length
        if len(self._rows) >= FILE_FRAMES:
            self._next_file()

    def _place(self, prefix: str) -> dict[str, int]:
        return {
            f"{prefix}/chunk_index": self._file // CHUNK_FILES,
            f"{prefix}/file_index": self._file % CHUNK_FILES,
        }

    def _path(self, template: str, **names: str) -> Path:
        place = dict(chunk_index=self._file // CHUNK_FILES, file_index=self._file % CHUNK_FILES)
        path = self.root / template.format(**place, **names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _add_pictures(self, key: str, pictures: list[np.ndarray]) -> dict:
        shape = pictures[0].shape[:2]
        known = self.shapes.setdefault(key, shape)
        if any(picture.shape[:2] != known for picture in pictures):
            raise DataError(
                f"{key}: pictures of {shape[1]}x{shape[0]} after some of {known[1]}x{known[0]}; a LeRobot data set has "
                "one size: convert them apart, or cut them to one by crop in a --source file"
            )
        if key not in self._videos:
            self._videos[key] = VideoWriter(self._path(VIDEO_PATH, video_key=key), self.embodiment.control_hz, known)
        video = self._videos[key]
        begins = video.frames / self.embodiment.control_hz
        for picture in pictures:
            video.add(picture)
        prefix = f"videos/{key}"
        ends = video.frames / self.embodiment.control_hz
        return self._place(prefix) | {f"{prefix}/from_timestamp": begins, f"{prefix}/to_timestamp": ends}

    def _next_file(self) -> None:
        for video in self._videos.values():
            video.close()
        self._videos = {}
        pq.write_table(pa.Table.from_pylist(self._rows, schema=frame_schema()), self._path(DATA_PATH))
        self._rows, self._file = [], next(self._files)

    def discard(self) -> None:
        """Lets go of what is open."""
        for video in self._videos.values():
            video.close()

    def close(self) -> None:
        """Writes what describes the data set. Raises DataError where it has no episode."""
        if not self.episodes:
            raise DataError(
                f"{self.root.name}: no frame that has pictures of every camera, an instruction and an action"
            )
        if self._rows:
            self._next_file()
        meta = self.root / "meta"
        (meta / "episodes" / "chunk-000").mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self.episodes), meta / "episodes" / "chunk-000" / "file-000.parquet")
        pq.write_table(task_table(self.tasks), meta / "tasks.parquet")
        (meta / "stats.json").write_text(json.dumps(self.sample.result(), indent=2))
        about = info(self.embodiment, self.shapes, len(self.episodes), self.frames, len(self.tasks))
        (meta / "info.json").write_text(json.dumps(about, indent=2))
        cameras = "".join(f"  {role}: {key}\n" for key, role in self.keys.items())
        (self.root / OWN_SOURCE).write_text(f"cameras:\n{cameras}motion: {{topic: action, means: displacement}}\n")
