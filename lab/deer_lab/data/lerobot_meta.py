"""What describes a LeRobot data set, version 3.0, that is written here: info.json, the tables' columns."""

from __future__ import annotations

import json

import pyarrow as pa

from deer_lab.data.lerobot import VERSION
from deer_lab.embodiment import ARM, Embodiment

CHUNK_FILES = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
INDICES = ("frame_index", "episode_index", "index", "task_index")


def info(
    embodiment: Embodiment, shapes: dict[str, tuple[int, int]], episodes: int, frames: int, tasks: int
) -> dict[str, object]:
    """meta/info.json. `shapes`: by video key height and width."""
    hz = embodiment.control_hz
    axes = [name for name, _ in ARM]
    features = {"action": {"dtype": "float32", "shape": [7], "names": [*axes, embodiment.gripper.name]}}
    features |= {key: video_feature(hz, *shape) for key, shape in shapes.items()}
    features |= {"timestamp": {"dtype": "float32", "shape": [1], "names": None}}
    features |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in INDICES}
    return {
        "codebase_version": VERSION,
        "robot_type": "unknown",
        "fps": int(hz) if hz == int(hz) else hz,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK_FILES,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": features,
    }


def video_feature(hz: float, height: int, width: int) -> dict[str, object]:
    """A camera's entry."""
    about = {"height": height, "width": width, "codec": "av1", "pix_fmt": "yuv420p", "is_depth_map": False, "fps": hz}
    about = {f"video.{name}": value for name, value in (about | {"channels": 3}).items()} | {"has_audio": False}
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": about,
    }


def frame_schema() -> pa.Schema:
    """Of data/*.parquet."""
    indices = [pa.field(name, pa.int64()) for name in INDICES]
    return pa.schema([pa.field("action", pa.list_(pa.float32(), 7)), pa.field("timestamp", pa.float32()), *indices])


def task_table(tasks: dict[str, int]) -> pa.Table:
    """meta/tasks.parquet: its readers expect the sentences as pandas keeps an index."""

    def column(name: str | None, field: str, kind: str, stored: str) -> dict[str, object]:
        return {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": stored, "metadata": None}

    index = "__index_level_0__"
    columns = [column("task_index", "task_index", "int64", "int64"), column(None, index, "unicode", "object")]
    about = {"index_columns": [index], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    table = pa.table({"task_index": list(tasks.values()), index: list(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(about)})
