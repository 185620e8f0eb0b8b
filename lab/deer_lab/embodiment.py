"""The robot that a network is trained for: one record for data, training, export, the node and doctor.

It stands in a bundle's manifest under `embodiment`, in a training run's folder as `embodiment.json`, and nowhere else.
A 10 Hz arm whose gripper closes at 0.8 rad is

    {"control_hz": 10, "arm": [{"name": "x", "unit": "m", "scale": 0.05, "frame": "base"}, …],
     "gripper": {"name": "gripper", "unit": "rad", "open": 0.0, "closed": 0.8, "open_above": 0.5},
     "cameras": [{"role": "static", "width": 640, "height": 480, "rate_hz": 30}, …]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ARM = (("x", "m"), ("y", "m"), ("z", "m"), ("roll", "rad"), ("pitch", "rad"), ("yaw", "rad"))
GRIPPER_UNITS = ("m", "rad", "1")  # 1: positions without a unit
FILE = "embodiment.json"  # in a training run's folder


class EmbodimentError(ValueError):
    """The record does not describe a robot: what was found, what was expected."""


@dataclass(frozen=True)
class ArmAxis:
    """What an output of 1.0 means: `scale` of `unit` (m or rad) per control step, in `frame`."""

    name: str
    unit: str
    scale: float
    frame: str = "base"


def relative_arm(metres: float = 0.02, radians: float = 0.05) -> tuple[ArmAxis, ...]:
    """CALVIN's relative actions: three translations, then fixed-axes roll, pitch, yaw."""
    return tuple(ArmAxis(name, unit, metres if unit == "m" else radians) for name, unit in ARM)


@dataclass(frozen=True)
class GripperSpec:
    """Where the gripper stands when it is open and closed, in `unit`, and when the network opens it."""

    name: str = "gripper"
    unit: str = "m"
    open: float = 0.04
    closed: float = 0.0
    open_above: float = 0.5  # the network's probability of open

    def is_open(self, position: float) -> bool:
        """Whether a position stands on the open one's side of the middle."""
        above = position > (self.open + self.closed) / 2
        return above if self.open > self.closed else not above


@dataclass(frozen=True)
class CameraSource:
    """What a camera sends: pictures of `width` x `height` pixels, `rate_hz` a second.

    `crop`: what is cut out of them before anything else: left, top, width and height in pixels.
    """

    role: str
    width: int
    height: int
    rate_hz: float
    crop: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Embodiment:
    """Raises EmbodimentError where the numbers do not describe a robot."""

    control_hz: float = 30.0
    arm: tuple[ArmAxis, ...] = relative_arm()
    gripper: GripperSpec = GripperSpec()
    cameras: tuple[CameraSource, ...] = ()  # in the order in which the network sees them

    def __post_init__(self) -> None:
        found = tuple((axis.name, axis.unit) for axis in self.arm)
        if found != ARM:
            raise EmbodimentError(f"arm is {found}, expected {ARM}")
        if not all(axis.scale > 0 for axis in self.arm):
            raise EmbodimentError("an axis of the arm has a scale that is not positive")
        if not 0.1 <= self.control_hz <= 1000:
            raise EmbodimentError(f"control_hz is {self.control_hz}, expected 0.1 to 1000")
        if self.gripper.unit not in GRIPPER_UNITS:
            raise EmbodimentError(f"gripper.unit is {self.gripper.unit!r}, expected one of {GRIPPER_UNITS}")
        if self.gripper.open == self.gripper.closed:
            raise EmbodimentError(
                f"gripper.open and gripper.closed are both {self.gripper.open}, expected two positions"
            )
        for camera in self.cameras:
            if min(camera.width, camera.height) < 1 or not 0.1 <= camera.rate_hz <= 1000:
                raise EmbodimentError(f"camera {camera} has no size, or a rate outside 0.1 to 1000")
            left, top, width, height = camera.crop or (0, 0, camera.width, camera.height)
            within = left + width <= camera.width and top + height <= camera.height
            if not within or min(left, top) < 0 or min(width, height) < 1:
                raise EmbodimentError(
                    f"the crop {camera.crop} of the {camera.role} camera leaves its {camera.width}x{camera.height} "
                    "pixels: say in the embodiment what the camera sends"
                )

    def with_cameras(self, sizes: Iterable[tuple[str, int]]) -> Embodiment:
        """The cameras that it lacks, by role and side: square pictures at the control rate."""
        known = {camera.role: camera for camera in self.cameras}
        square = ((role, CameraSource(role, side, side, self.control_hz)) for role, side in sizes)
        return replace(self, cameras=tuple(known.get(role, camera) for role, camera in square))

    def with_crop(self, role: str, crop: tuple[int, int, int, int] | None) -> Embodiment:
        """With what is cut out of a camera's pictures. Raises EmbodimentError where that is not within them."""
        if crop and role not in (camera.role for camera in self.cameras):
            raise EmbodimentError(f"the {role} camera's pictures are cut: say in the embodiment what the camera sends")
        cameras = (replace(camera, crop=crop) if camera.role == role else camera for camera in self.cameras)
        return replace(self, cameras=tuple(cameras))

    def as_dict(self) -> dict:
        """As it stands in a manifest."""
        fields = asdict(self)
        cameras = [{name: value for name, value in camera.items() if value is not None} for camera in fields["cameras"]]
        return fields | {"arm": list(fields["arm"]), "cameras": cameras}

    @classmethod
    def from_dict(cls, fields: dict) -> Embodiment:
        """The record that as_dict gave, or a user wrote. Raises EmbodimentError."""
        try:
            return cls(
                control_hz=float(fields["control_hz"]),
                arm=tuple(ArmAxis(**axis) for axis in fields["arm"]),
                gripper=GripperSpec(**fields["gripper"]),
                cameras=tuple(map(camera_source, fields.get("cameras", ()))),
            )
        except EmbodimentError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise EmbodimentError(
                f"the embodiment does not read: {error!r}; models/README.md has its fields"
            ) from error

    @classmethod
    def read(cls, place: Path) -> Embodiment:
        """From a JSON file, a bundle's folder or manifest.json, or a run's folder. Raises EmbodimentError."""
        files = [place] if not place.is_dir() else [place / FILE, place / "manifest.json"]
        path = next((file for file in files if file.is_file()), None)
        if path is None:
            raise EmbodimentError(f"{place} has no embodiment: name a JSON file, a bundle or a training run")
        try:
            fields = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise EmbodimentError(f"{path} is no JSON: {error}") from error
        if "action" in fields:  # a bundle of schema 1
            gripper = asdict(GripperSpec()) | fields["action"]["gripper"]
            fields = fields | {"embodiment": fields["action"] | {"gripper": gripper}}
        try:
            return cls.from_dict(fields.get("embodiment", fields))
        except (EmbodimentError, AttributeError) as error:
            raise EmbodimentError(f"{path}: {error}") from error

    def write(self, folder: Path) -> None:
        """As `embodiment.json` in a run's folder."""
        (folder / FILE).write_text(json.dumps(self.as_dict(), indent=2) + "\n")


def camera_source(fields: dict) -> CameraSource:
    """Raises KeyError, TypeError or ValueError."""
    crop = fields.get("crop")
    if crop is None:
        return CameraSource(**fields)
    left, top, width, height = map(int, crop)
    return CameraSource(**fields | {"crop": (left, top, width, height)})


CALVIN = Embodiment(  # CALVIN's and the tabletop's: 0.02 m and 0.05 rad a step, fingers from 0 to 0.04 m
    cameras=(CameraSource("static", 200, 200, 30.0), CameraSource("gripper", 84, 84, 30.0))
)
