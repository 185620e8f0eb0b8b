"""Demonstrations in LeRobot's data set format, version 3.0: parquet tables and videos.

meta/info.json                            rate, features, where the files are
meta/tasks.parquet                        the sentences
meta/episodes/chunk-000/file-000.parquet  where each episode is
data/chunk-000/file-000.parquet           a row a frame: everything that is no video
videos/KEY/chunk-000/file-000.mp4         several episodes one behind the other
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from deer_lab.data import video
from deer_lab.data.features import Features, motion_of
from deer_lab.data.motion import joined
from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import Part, files_state
from deer_lab.data.source import CameraTopic, Said, Source
from deer_lab.embodiment import Embodiment

VERSION = "v3.0"
OWN_SOURCE = Path("meta/source.yaml")  # what deer_lab.convert leaves beside the data that it writes
SHARD_EPISODES = 16
WHERE = {"data": "data/{}_index", "video": "videos/{key}/{}_index"}


@dataclass(frozen=True)
class Episode:
    """Where an episode is: its number, its table, and by video key its file and where it begins there [s]."""

    number: int
    table: Path
    videos: dict[str, tuple[Path, float]]


@dataclass(frozen=True)
class Dataset:
    """A data set's descriptions; its frames are read when they are asked for."""

    root: Path
    fps: float
    features: dict[str, dict]
    tasks: dict[int, str]
    episodes: list[Episode]


def is_dataset(place: Path) -> bool:
    """Whether it says of itself that it is one."""
    return (place / "meta" / "info.json").is_file()


def read_table(path: Path, **choice: object) -> pa.Table:
    """A parquet file. Raises DataError."""
    try:
        return pq.read_table(path, **choice)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; download the whole data set") from error
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}; download it again") from error


def read_info(root: Path) -> dict:
    """meta/info.json. Raises DataError where it is of another version."""
    path = root / "meta" / "info.json"
    try:
        info = json.loads(path.read_text())
        version = str(info["codebase_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} describes no LeRobot data set: {error!r}") from error
    if version.startswith(("v1", "v2")):
        raise DataError(
            f"{root} is of LeRobot's format {version}, {VERSION} is read: convert it by "
            f"python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=NAME --root={root} --push-to-hub=false"
        )
    if not version.startswith("v3"):
        raise DataError(f"{root} is of LeRobot's format {version}, {VERSION} is read")
    videos = [name for name, feature in (info.get("features") or {}).items() if feature.get("dtype") == "video"]
    wanted = {"fps": (int, float), "features": dict, "data_path": str} | ({"video_path": str} if videos else {})
    for name, kind in wanted.items():
        if not isinstance(info.get(name), kind):
            raise DataError(f"{path} has no {name}: it is damaged or unfinished; download or finalize the data set")
    return info


def open_dataset(root: Path) -> Dataset:
    """Reads what describes the data set. Raises DataError."""
    info = read_info(root)
    table = read_table(root / "meta" / "tasks.parquet")
    column = next((name for name in table.column_names if name != "task_index"), None)
    if column is None or "task_index" not in table.column_names:
        raise DataError(f"{root / 'meta/tasks.parquet'} has columns {table.column_names}, expected task and task_index")
    tasks = dict(zip(table["task_index"].to_pylist(), table[column].to_pylist()))
    files = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    rows = [row for file in files for row in read_table(file).to_pylist()]
    keys = [name for name, feature in info["features"].items() if feature.get("dtype") == "video"]
    try:
        episodes = [episode_of(root, info, row, keys) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{root / 'meta/episodes'}: an episode lacks {error}; download the data set again") from error
    if not episodes:
        raise DataError(f"{root / 'meta/episodes'} has no episode; download the whole data set, or record one")
    return Dataset(root, float(info["fps"]), info["features"], tasks, episodes)


def episode_of(root: Path, info: dict, row: dict, keys: list[str]) -> Episode:
    """A row of meta/episodes."""

    def file(template: str, prefix: str, **names: str) -> Path:
        chunk, number = (row[f"{prefix}/{what}_index"] for what in ("chunk", "file"))
        return root / template.format(chunk_index=chunk, file_index=number, **names)

    videos = {
        key: (file(info["video_path"], f"videos/{key}", video_key=key), float(row[f"videos/{key}/from_timestamp"]))
        for key in keys
    }
    return Episode(int(row["episode_index"]), file(info["data_path"], "data"), videos)


def segments(
    dataset: Dataset, episodes: list[Episode], features: Features, source: Source, embodiment: Embodiment
) -> Iterator[Segment]:
    """The segments of some episodes, one a sentence, at the embodiment's rate. Raises DataError."""
    for path, together in groupby(episodes, key=lambda episode: episode.table):
        table = read_table(path, columns=features.columns())
        numbers = table["episode_index"].to_numpy()
        for episode in together:
            rows = table.filter(pa.array(numbers == episode.number)).sort_by("frame_index")
            if not len(rows):
                raise DataError(f"{path} has no frame of episode {episode.number}; download the data set again")
            yield from episode_segments(dataset, episode, rows, features, source, embodiment)


def episode_segments(
    dataset: Dataset, episode: Episode, rows: pa.Table, features: Features, source: Source, embodiment: Embodiment
) -> Iterator[Segment]:
    """The segments of one episode."""
    said, times = rows["task_index"].to_numpy(), rows["timestamp"].to_numpy().astype(float)
    where = f"{episode.table}: episode {episode.number}"
    for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(said)) + 1):
        sentence = source.sentence or dataset.tasks.get(int(said[run[0]]))
        if not sentence:
            raise DataError(f"{where} has task {said[run[0]]}, which meta/tasks.parquet has not; say it by --sentence")
        numbers = features.numbers(rows.slice(run[0], len(run)), where)
        moved = motion_of(numbers[0], source.means, dataset.fps, embodiment)
        first = kept(len(moved), dataset, embodiment)
        if not len(first):
            continue
        frames = run[first]
        pictures = {
            role: list(shown(episode, rows, camera, times[frames], frames)) for role, camera in features.cameras.items()
        }
        yield Segment(sentence, pictures, joined(moved, first), numbers[1][first])


def kept(frames: int, dataset: Dataset, embodiment: Embodiment) -> np.ndarray:
    """Which of an episode's frames begin a control period."""
    ratio = dataset.fps / embodiment.control_hz
    if ratio < 0.99:
        raise DataError(
            f"{dataset.root}: {dataset.fps:g} frames a second are too few for {embodiment.control_hz:g} actions; train "
            "with an --embodiment whose control_hz is not above it"
        )
    steps = np.round(np.arange(int(frames / ratio) + 1) * ratio).astype(int)
    return steps[steps < frames]


def shown(
    episode: Episode, rows: pa.Table, camera: CameraTopic, times: np.ndarray, frames: np.ndarray
) -> Iterator[np.ndarray]:
    """The pictures of some frames, read as the source says and cut."""
    key, crop = camera.topic, camera.crop
    if key in episode.videos:
        path, begins = episode.videos[key]
        found = video.pictures(path, begins + times)
    else:
        found = (still(episode, rows[key][int(frame)].as_py()) for frame in frames)
    for picture in found:
        if camera.encoding == "bgr8":
            picture = picture[:, :, ::-1]
        if crop:
            left, top, width, height = crop
            if left + width > picture.shape[1] or top + height > picture.shape[0]:
                raise DataError(
                    f"{key}: crop {list(crop)} leaves its pictures of {picture.shape[1]}x{picture.shape[0]}"
                )
            picture = picture[top : top + height, left : left + width]
        yield picture


def still(episode: Episode, stored: dict) -> np.ndarray:
    """A picture that stands in the table."""
    try:
        return np.asarray(Image.open(BytesIO(stored["bytes"])).convert("RGB"))
    except (OSError, TypeError, KeyError) as error:
        raise DataError(f"{episode.table}: a picture of episode {episode.number} cannot be decoded: {error}") from error


def files_of(root: Path, episodes: list[Episode]) -> set[Path]:
    """The files that these episodes are in, and those that describe the data set."""
    found = {path for path in (root / "meta").rglob("*") if path.is_file()}
    found |= {episode.table for episode in episodes}
    return found | {path for episode in episodes for path, _ in episode.videos.values()}


def parts(root: Path, roles: list[str], embodiment: Embodiment, told: Said) -> list[Part]:
    """A shard for every SHARD_EPISODES episodes. Raises DataError."""
    dataset = open_dataset(root)
    said = told.of_data_set(root / OWN_SOURCE)
    features = Features.of(root, dataset.features, said, roles)
    return [
        Part(
            f"{root.name}-{first:06d}",
            f"{root.resolve()} {[episode.number for episode in some]} {files_state(files_of(root, some))} {said}",
            partial(segments, dataset, some, features, said, embodiment),
        )
        for first in range(0, len(dataset.episodes), SHARD_EPISODES)
        for some in [dataset.episodes[first : first + SHARD_EPISODES]]
    ]
