"""Demonstrations that went wrong in ways that happen, each with what is said of it (None: it is used)."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from deer_lab.bags import STORE, jpeg, picture
from deer_lab.data.bag_writer import write_bag
from deer_lab.data.segment import Segment
from deer_lab.embodiment import CALVIN

FRAMES = 14
SENTENCE = "open the drawer"
ANNOTATIONS = "lang_annotations/auto_lang_ann.npy"


def calvin(folder: Path) -> Path:
    """A small split in CALVIN's own format."""
    split = folder / "training"
    (split / "lang_annotations").mkdir(parents=True)
    for number in range(FRAMES):
        write_frame(split, number)
    content = {"language": {"ann": [SENTENCE], "task": ["open_drawer"]}, "info": {"indx": [(0, FRAMES - 1)]}}
    np.save(split / ANNOTATIONS, content)
    return split


def write_frame(split: Path, number: int, **changes: np.ndarray) -> None:
    frame = {
        "rgb_static": np.full((200, 200, 3), number, np.uint8),
        "rgb_gripper": np.full((84, 84, 3), number + 100, np.uint8),
        "rel_actions": np.r_[np.full(6, number / 100), 1.0 if number % 2 else -1.0],
    }
    np.savez(split / f"episode_{number:07d}.npz", **{name: x for name, x in (frame | changes).items() if x is not None})


def frame(number: int = 3, **changes: np.ndarray) -> Callable[[Path], None]:
    return lambda split: write_frame(split, number, **changes)


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(place: Path) -> None:
        path = place / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return damage


def renamed(name: str, other: str) -> Callable[[Path], None]:
    def damage(place: Path) -> None:
        (place / name).rename(place / other)

    return damage


def annotated(content: object) -> Callable[[Path], None]:
    return lambda split: np.save(split / ANNOTATIONS, np.array(content, dtype=object), allow_pickle=True)


def by_an_old_numpy(split: Path) -> None:
    """Pickle protocol 2, as NumPy before 1.16 wrote; with an array, as CALVIN's embeddings are."""
    content = np.load(split / ANNOTATIONS, allow_pickle=True).item()
    content["language"]["emb"] = np.zeros((1, 1, 384), np.float32)
    with (split / ANNOTATIONS).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(content, dtype=object), file, protocol=2)


def gripper_between(split: Path) -> None:
    for number in range(FRAMES):
        write_frame(split, number, rel_actions=np.r_[np.zeros(6), 0.5 if number < 7 else -0.2])


def two_folders(split: Path) -> None:
    (split / "lang_annotations").rename(split / "lang_a")
    shutil.copytree(split / "lang_a", split / "lang_b")


class Evil:
    def __reduce__(self):
        return print, ("a program ran",)


NPZ = "episode_0000003.npz"
SPLITS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "good": (lambda split: None, None),
    "a cut frame": (cut(NPZ, 0.5), f"{NPZ} cannot be read: it is damaged .* download the split again"),
    "a frame without its last bytes": (cut(NPZ, 0.999), f"{NPZ} cannot be read: it is damaged"),
    "an empty frame": (cut(NPZ, 0), f"{NPZ} cannot be read: it is empty"),
    "a frame of other bytes": (lambda split: (split / NPZ).write_bytes(b"x" * 999), f"{NPZ} cannot be read"),
    "a frame whose picture is damaged": (lambda split: inside(split / NPZ), f"{NPZ} cannot be read: it is damaged"),
    "a missing frame": (lambda split: (split / NPZ).unlink(), f"{NPZ}, which the annotations name, is not there"),
    "a frame without its action": (frame(rel_actions=None), f"{NPZ}: .*rel_actions"),
    "a frame of another size": (frame(rgb_gripper=np.zeros((64, 64, 3), np.uint8)), r"rgb_gripper is \(64, 64, 3\)"),
    "an action that is no number": (frame(rel_actions=np.full(7, np.nan)), "has a value that is no number"),
    "no annotations": (lambda split: shutil.rmtree(split / "lang_annotations"), "downloaded without annotations"),
    "annotations in a folder of another name": (renamed("lang_annotations", "lang_clip_resnet50"), None),
    "annotations in two folders": (two_folders, "lang_a, lang_b are: rename or link one of them to lang_annotations"),
    "cut annotations": (cut(ANNOTATIONS, 0.6), "auto_lang_ann.npy holds no CALVIN annotations"),
    "empty annotations": (cut(ANNOTATIONS, 0), "auto_lang_ann.npy holds no CALVIN annotations"),
    "annotations of something else": (annotated({"language": {}}), "auto_lang_ann.npy holds no CALVIN annotations"),
    "no sentence": (annotated({"language": {"ann": []}, "info": {"indx": []}}), "has no sentence"),
    "a sentence that ends before it begins": (
        annotated({"language": {"ann": [SENTENCE]}, "info": {"indx": [(5, 3)]}}),
        "ends at 3, before it begins",
    ),
    "annotations that would run a program": (annotated({"language": Evil()}), r"wants to use builtins\.print"),
    "saved by an old NumPy": (by_an_old_numpy, None),
    "a gripper between -1 and 1": (gripper_between, None),
}


def inside(path: Path) -> None:
    """A byte in the middle of the largest picture is another: the archive's checksum does not fit."""
    data = bytearray(path.read_bytes())
    data[60_000] ^= 0xFF
    path.write_bytes(data)


def bag(folder: Path) -> Path:
    """A small rosbag."""
    pictures = {role: [np.full((48, 48, 3), 9 * i, np.uint8) for i in range(FRAMES)] for role in ("static", "gripper")}
    segment = Segment(SENTENCE, pictures, np.full((FRAMES, 6), 0.001), np.full(FRAMES, 0.04))
    write_bag(segment, CALVIN, folder / "recording")
    return folder / "recording"


def lerobot(folder: Path) -> Path:
    """A small LeRobot data set."""
    from deer_lab.data.lerobot_writer import write_dataset

    pictures = {role: [np.full((48, 48, 3), 9 * i, np.uint8) for i in range(FRAMES)] for role in ("static", "gripper")}
    segment = Segment(SENTENCE, pictures, np.full((FRAMES, 6), 0.001), np.full(FRAMES, 0.04))
    write_dataset(iter([segment]), CALVIN, ["static", "gripper"], folder / "set")
    return folder / "set"


def changed(root: Path, **changes: object) -> None:
    """Other entries in a data set's info.json; None removes one."""
    path = root / "meta/info.json"
    found = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))


VIDEO = "videos/observation.images.static/chunk-000/file-000.mp4"
TABLE = "data/chunk-000/file-000.parquet"
SETS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "good": (lambda root: None, None),
    "v2.1": (lambda root: changed(root, codebase_version="v2.1"), "convert it by python -m lerobot.scripts"),
    "a version to come": (lambda root: changed(root, codebase_version="v4.0"), "format v4.0, v3.0 is read"),
    "no fps": (lambda root: changed(root, fps=None), "info.json has no fps"),
    "no video path": (lambda root: changed(root, video_path=None), "info.json has no video_path"),
    "a path that does not fit": (lambda root: changed(root, data_path="data/{nothing}.parquet"), "an episode lacks"),
    "no features": (lambda root: changed(root, features=None), "info.json has no features"),
    "no JSON": (lambda root: (root / "meta/info.json").write_text("{"), "describes no LeRobot data set"),
    "no tasks": (lambda root: (root / "meta/tasks.parquet").unlink(), "tasks.parquet is not there"),
    "no episodes": (lambda root: shutil.rmtree(root / "meta/episodes"), "has no episode"),
    "cut episodes": (cut("meta/episodes/chunk-000/file-000.parquet", 0.5), "file-000.parquet cannot be read"),
    "a cut table": (cut(TABLE, 0.5), "file-000.parquet cannot be read"),
    "an empty table": (cut(TABLE, 0), "file-000.parquet cannot be read"),
    "no table": (lambda root: (root / TABLE).unlink(), "file-000.parquet is not there"),
    "no video": (lambda root: (root / VIDEO).unlink(), "file-000.mp4 is not there; download"),
    "an empty video": (cut(VIDEO, 0), "file-000.mp4: the video cannot be decoded"),
    "a cut video": (cut(VIDEO, 0.5), "file-000.mp4"),
    "no word of what the numbers mean": (lambda root: (root / "meta/source.yaml").unlink(), "what do the numbers"),
}


def without_topics(bag: Path) -> None:
    """Only pictures, under other names."""
    shutil.rmtree(bag)
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        message = picture(10**9, "color", jpeg(np.full((48, 48, 3), 90, np.uint8)))
        connection = writer.add_connection("/camera/color/image_raw", message.__msgtype__, typestore=STORE)
        writer.write(connection, 10**9, STORE.serialize_cdr(message, message.__msgtype__))


BAGS: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "good": (lambda bag: None, None),
    "no metadata": (lambda bag: (bag / "metadata.yaml").unlink(), None),
    "empty metadata": (cut("metadata.yaml", 0), None),
    "a cut file": (cut("recording.mcap", 0.6), None),
    "a file cut at its beginning": (cut("recording.mcap", 0.02), "recording"),
    "an empty file": (cut("recording.mcap", 0), "recording"),
    "a missing file": (lambda bag: (bag / "recording.mcap").unlink(), "recording"),
    "other topics": (without_topics, "which topic is the static camera.*/camera/color/image_raw"),
}
