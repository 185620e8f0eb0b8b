"""Demonstrations in CALVIN's own format (github.com/mees/calvin, dataset/README): npz frames + language annotations.

    training/
    ├── episode_0000123.npz …                     one frame each: rgb_static, rgb_gripper, rel_actions, …
    └── lang_annotations/auto_lang_ann.npy        a pickled dict: sentences, tasks, first and last frame of each

`--calvin training` reads it in place of rosbags. Other sets of annotations stand in folders of other names, such as
lang_clip_resnet50 or lang_paraphrase-MiniLM-L3-v2.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from deer_lab.data.segment import DataError, Segment
from deer_lab.data.shards import Part
from deer_lab.embodiment import CALVIN, Embodiment

SHAPES = {"rgb_static": (200, 200, 3), "rgb_gripper": (84, 84, 3), "rel_actions": (7,)}
ROLES = {"rgb_static": "static", "rgb_gripper": "gripper"}
FOLDER, FILE = "lang_annotations", "auto_lang_ann.npy"
SHARD_SEGMENTS = 64  # sentences a shard
ADMITTED = {("builtins", name) for name in ("dict", "list", "tuple", "str", "int", "float")}
ADMITTED |= {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}  # the last: bytes in protocol 2
ADMITTED |= {(f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")}


class Restricted(pickle.Unpickler):
    """Unpickles numbers, texts and their containers; a pickle may otherwise run any program."""

    def find_class(self, module: str, name: str) -> type:
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)  # what Python 2 called them
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}, which an annotation does not need")
        return super().find_class(module, name)


@dataclass(frozen=True)
class Annotation:
    """One sentence, and the first and last frame of what it describes, both included."""

    sentence: str
    first: int
    last: int


def is_split(place: Path) -> bool:
    """Whether a folder looks like one."""
    return (place / FOLDER).is_dir() or any(place.glob("episode_*.npz"))


def annotations_file(split: Path) -> Path:
    """Where a split's annotations are: lang_annotations, or the one folder that has some. Raises DataError."""
    usual = split / FOLDER / FILE
    if usual.is_file():
        return usual
    others = sorted(split.glob(f"*/{FILE}"))
    if len(others) == 1:
        return others[0]
    if others:
        names = ", ".join(other.parent.name for other in others)
        raise DataError(f"{usual} is not there, but {names} are: rename or link one of them to {FOLDER}")
    if any(split.glob("episode_*.npz")):
        raise DataError(
            f"{split} has frames and no {FOLDER}/{FILE}: it was downloaded without annotations; take them from the "
            "data set's archive, or make them with calvin_models/calvin_agent/utils/automatic_lang_annotator_mp.py"
        )
    raise DataError(f"{usual} is not there; give the folder of a CALVIN split, such as task_D_D/training")


def read_annotations(split: Path) -> list[Annotation]:
    """The language annotations of a split's folder. Raises DataError."""
    path = annotations_file(split)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version](file)
            content = Restricted(file, encoding="latin1").load()
        found = content.item() if isinstance(content, np.ndarray) else content
        pairs = list(zip(found["language"]["ann"], found["info"]["indx"], strict=True))
        annotations = [Annotation(str(sentence).strip(), int(first), int(last)) for sentence, (first, last) in pairs]
    except Exception as error:  # a damaged pickle raises nearly anything
        said = str(error) or type(error).__name__
        raise DataError(f"{path} holds no CALVIN annotations: {said}; download it again") from error
    if not annotations:
        raise DataError(f"{path} has no sentence; download it again, or name another split")
    return annotations


def read_frame(split: Path, number: int) -> dict[str, np.ndarray]:
    """Pictures and action of one frame. Raises DataError."""
    path = split / f"episode_{number:07d}.npz"
    try:
        with np.load(path) as file:
            frame = {name: file[name] for name in SHAPES}
    except FileNotFoundError as error:
        raise DataError(f"{path}, which the annotations name, is not there; download the split again") from error
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]}; CALVIN's frames have {', '.join(SHAPES)}") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        said = "it is empty" if path.stat().st_size == 0 else f"it is damaged ({error or type(error).__name__})"
        raise DataError(f"{path} cannot be read: {said}; download the split again") from error
    for name, shape in SHAPES.items():
        if frame[name].shape != shape:
            raise DataError(f"{path}: {name} is {frame[name].shape}, CALVIN's is {shape}")
    if not np.isfinite(frame["rel_actions"].astype(float)).all():
        raise DataError(f"{path}: rel_actions has a value that is no number; leave out the sentence that it belongs to")
    return frame


def segments(split: Path, embodiment: Embodiment, annotations: list[Annotation] | None = None) -> Iterator[Segment]:
    """The annotated frames of a split, one segment a sentence. Raises DataError.

    CALVIN's gripper is open above 0 and closed otherwise, also where a converted data set has 0.5 for it.
    """
    hz, gripper, scales = CALVIN.control_hz, embodiment.gripper, np.array([axis.scale for axis in CALVIN.arm])
    if embodiment.control_hz != hz:
        raise DataError(f"{split}: CALVIN has {hz:g} actions a second, the embodiment {embodiment.control_hz:g}")
    for annotation in read_annotations(split) if annotations is None else annotations:
        if annotation.last < annotation.first:
            raise DataError(f"{split}: {annotation.sentence!r} ends at {annotation.last}, before it begins")
        frames = [read_frame(split, number) for number in range(annotation.first, annotation.last + 1)]
        actions = np.stack([frame["rel_actions"] for frame in frames]).astype(float)
        pictures = {role: [frame[name] for frame in frames] for name, role in ROLES.items()}
        position = np.where(actions[:, 6] > 0, gripper.open, gripper.closed)
        yield Segment(annotation.sentence, pictures, actions[:, :6] * scales, position)


def parts(split: Path, roles: list[str], embodiment: Embodiment) -> list[Part]:
    """A shard for every SHARD_SEGMENTS sentences. Raises DataError."""
    if lacking := set(roles) - set(ROLES.values()):
        raise DataError(f"{split}: CALVIN has no camera {sorted(lacking)[0]}, only {' and '.join(ROLES.values())}")
    annotations = read_annotations(split)
    return [
        Part(f"calvin-{first:06d}", f"{split.resolve()} {some}", partial(segments, split, embodiment, some))
        for first in range(0, len(annotations), SHARD_SEGMENTS)
        for some in [annotations[first : first + SHARD_SEGMENTS]]
    ]
