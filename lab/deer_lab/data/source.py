"""The source file: what is what in somebody's recordings (config/source.yaml shows every field).

`deer_vla` reads it for rosbags. Here it is read for LeRobot's data sets, where a topic is a feature's name, and where
what the numbers mean has to be said, because nothing in the data set says it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from deer_lab.data.segment import DataError

MEANS = {
    "action": "the policy's own, -1..1",
    "displacement": "m and rad, roll pitch yaw about fixed axes, from one frame to the next",
    "velocity": "m/s and rad/s",
    "pose": "where the tool is or shall be: x y z and roll pitch yaw, or x y z and a quaternion x y z w",
}
FIELDS = {
    "cameras": None,
    "instruction": {"topic", "sentence", "key"},
    "motion": {"topic", "means", "columns", "urdf", "base", "tip", "joints"},
    "gripper": {"topic", "joint"},
    "clock": None,
    "rate": None,
}


Crop = tuple[int, int, int, int] | None  # left, top, width and height of what is cut out of a picture [pixels]


@dataclass(frozen=True)
class CameraTopic:
    """Where a camera's pictures are, and what is cut out of them first. `encoding`: rgb8, or bgr8 where red and blue
    stand in one another's place.
    """

    topic: str
    crop: Crop = None
    encoding: str = "rgb8"


@dataclass(frozen=True)
class Source:
    """What is said of a recording; None where nothing is."""

    cameras: dict[str, CameraTopic] = field(default_factory=dict)
    sentence: str | None = None
    motion: str = "action"
    means: str | None = None  # one of MEANS
    columns: tuple[int | str, ...] | None = None  # of the motion, places from 0 or names; None: the first six
    gripper: str | None = None  # None: the motion's feature
    joint: int | str | None = None  # which of its numbers; None: the last


@dataclass(frozen=True)
class Said:
    """What the command line says of demonstrations; None and nothing where it says nothing.

    `topics`: by camera role a bag's topic or a data set's feature. `clock`: "header" or "log", of rosbags.
    """

    source: Path | None = None
    sentence: str | None = None
    topics: tuple[tuple[str, str], ...] = ()
    clock: str | None = None

    def words(self) -> list[str]:
        """As options of `deer_vla frames`."""
        named = {"source": self.source, "sentence": self.sentence, "clock": self.clock, **dict(self.topics)}
        return [word for name, value in named.items() if value is not None for word in (f"--{name}", str(value))]

    def identity(self) -> str:
        """All that what is read depends on."""
        return f"{self.source and self.source.read_text()} {self.sentence} {self.topics} {self.clock}"

    def file_for(self, own: Path) -> Path | None:
        """The source file that holds for a data set that may bring its `own`."""
        return self.source or (own if own.is_file() else None)

    def of_data_set(self, own: Path) -> Source:
        """What holds for a data set that brings its `own` source file, where that is there. Raises DataError."""
        path = self.file_for(own)
        found = read_source(path) if path else Source()
        named = {role: replace(found.cameras.get(role, CameraTopic(topic)), topic=topic) for role, topic in self.topics}
        return replace(found, sentence=self.sentence or found.sentence, cameras=found.cameras | named)


def read_source(path: Path) -> Source:
    """Of a YAML or JSON file. Raises DataError."""
    found = read_fields(path)
    motion, gripper = found.get("motion") or {}, found.get("gripper") or {}
    means, columns = motion.get("means"), motion.get("columns")
    if means is not None and means not in MEANS:
        raise DataError(f"{path}: motion.means is {means!r}; known are {', '.join(MEANS)}")
    return Source(
        {role: camera_topic(path, role, camera) for role, camera in (found.get("cameras") or {}).items()},
        (found.get("instruction") or {}).get("sentence"),
        motion.get("topic", "action"),
        means,
        tuple(columns) if columns is not None else None,
        gripper.get("topic"),
        gripper.get("joint"),
    )


def read_crops(path: Path) -> dict[str, Crop]:
    """By camera role what is cut out of its pictures, of a source file for rosbags or data sets. Raises DataError."""
    cameras = read_fields(path).get("cameras") or {}
    return {role: crop_of(path, role, camera) for role, camera in cameras.items() if isinstance(camera, dict)}


def read_fields(path: Path) -> dict:
    """The file's sections. Raises DataError."""
    try:
        found = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: the source file cannot be read: {error}") from error
    check_fields(path, found)
    return found


def check_fields(path: Path, found: object) -> None:
    """Raises DataError where a name is not known or a section is none."""
    if not isinstance(found, dict):
        raise DataError(f"{path}: a source file has sections {', '.join(FIELDS)}; config/source.yaml shows every field")
    for name, value in found.items():
        if name not in FIELDS:
            raise DataError(f"{path}: unknown section {name!r}; known are {', '.join(FIELDS)}")
        known = FIELDS[name]
        if known is None or value is None:
            continue
        if not isinstance(value, dict):
            raise DataError(f"{path}: {name} is {value!r}, expected {' or '.join(sorted(known))} under it")
        if unknown := sorted(set(value) - known):
            raise DataError(f"{path}: unknown {name}.{unknown[0]}; known are {', '.join(sorted(known))}")


def camera_topic(path: Path, role: str, camera: object) -> CameraTopic:
    """A topic alone, or with how its pictures are read. Raises DataError."""
    if isinstance(camera, str):
        return CameraTopic(camera)
    try:
        found = CameraTopic(camera["topic"], crop_of(path, role, camera), camera.get("encoding", "rgb8"))
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cameras.{role} is {camera!r}, expected a name, or topic and crop") from error
    if unknown := sorted(set(camera) - {"topic", "crop", "encoding"}):
        raise DataError(f"{path}: unknown cameras.{role}.{unknown[0]}; known are topic, encoding, crop")
    if found.encoding not in ("rgb8", "bgr8"):
        raise DataError(
            f"{path}: cameras.{role}.encoding is {found.encoding!r}; a data set's pictures are rgb8 or bgr8"
        )
    return found


def crop_of(path: Path, role: str, camera: dict) -> Crop:
    """Raises DataError."""
    crop = camera.get("crop")
    if crop is None:
        return None
    try:
        left, top, width, height = map(int, crop)
        if min(left, top) < 0 or min(width, height) < 1:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: cameras.{role}.crop is {crop}, expected left, top, width and height in pixels"
        ) from error
    return left, top, width, height
