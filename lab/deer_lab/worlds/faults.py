"""Faults on purpose: what goes wrong between a camera and its topic, when, and for how long.

A schedule is text, so that a parameter, a test and a person can give it: faults parted by `;`, each

    KIND [CAMERA] FROM FOR [BY]

    drop static 2 0.5        no picture of the static camera from 2.0 s on, for half a second
    freeze both 2 0.5        the last picture again and again, under new stamps
    delay gripper 2 1 0.3    pictures are sent 0.3 s after they were taken
    skew static 2 1 0.1      pictures are stamped 0.1 s before they were taken
    corrupt static 2 0.5     pictures that cannot be read: cut short, of an unknown encoding, empty, in turn
    reorder both 2 0.5       of two pictures the second is sent first
    clock 2 0.5 -1           the clock and every stamp jump by -1 s, and back when it is over
    die 4                    the world's process is killed

Faults of one kind at once add up. Seconds of the world's own time since the schedule was set, counted in whole control
periods: the same schedule does the same to the bit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image

from deer_lab.worlds.messages import nanoseconds_of, time_of
from deer_lab.worlds.world import CAMERAS

# kind: whether it names a camera, lasts, and has an amount
KINDS = {
    "drop": (True, True, False),
    "freeze": (True, True, False),
    "delay": (True, True, True),
    "skew": (True, True, True),
    "corrupt": (True, True, False),
    "reorder": (True, True, False),
    "clock": (False, True, True),
    "die": (False, False, False),
}
FIRST, MIDDLE, LAST = range(3)  # order of what is sent in one period: late pictures, this moment's, those held back


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. Seconds."""

    kind: str
    cameras: tuple[str, ...] = ()
    start: float = 0.0
    duration: float = 0.0
    by: float = 0.0

    def __str__(self) -> str:
        named, lasts, measured = KINDS[self.kind]
        words = [self.kind, *(["both" if len(self.cameras) > 1 else self.cameras[0]] if named else [])]
        numbers = [self.start, *([self.duration] if lasts else []), *([self.by] if measured else [])]
        return " ".join(words + [f"{number:g}" for number in numbers])


def parse(schedule: str) -> list[Fault]:
    """The faults of a schedule; none for an empty one. Raises ValueError that says what is wrong and what may be."""
    return [fault_of(line.split()) for line in schedule.split(";") if line.strip()]


def fault_of(words: list[str]) -> Fault:
    """One fault from its words."""
    line, kind = " ".join(words), words[0]
    if kind not in KINDS:
        raise ValueError(f"fault {line!r}: {kind!r} is none, must be one of {', '.join(KINDS)}")
    named, lasts, measured = KINDS[kind]
    form = " ".join([kind, *["CAMERA"] * named, "FROM", *["FOR"] * lasts, *["BY"] * measured])
    if len(words) != len(form.split()):
        raise ValueError(f"fault {line!r}: must read {form!r}, in seconds")
    places = {"both": CAMERAS} | {camera: (camera,) for camera in CAMERAS}
    if named and words[1] not in places:
        raise ValueError(f"fault {line!r}: camera {words[1]!r} is none, must be one of {', '.join(places)}")
    try:
        numbers = [float(word) for word in words[1 + named :]]
    except ValueError as error:
        raise ValueError(f"fault {line!r}: must read {form!r}, in seconds") from error
    start, duration, by = (numbers + [0.0, 0.0])[:3]
    if min(start, duration) < 0 or (kind == "delay" and by < 0):
        raise ValueError(f"fault {line!r}: FROM, FOR and a delay's BY must not be negative")
    return Fault(kind, places[words[1]] if named else (), start, duration, by)


@dataclass
class Held:
    """A picture that waits for its period."""

    release: int
    order: int
    camera: str
    image: Image | CompressedImage


class Faults:
    """A schedule at work. Control periods are counted from the first that `begin` named."""

    def __init__(self, faults: Iterable[Fault], hz: float, begin: int = 0) -> None:
        self._faults = list(faults)
        self._hz = hz
        self._begin = begin
        self._held: list[Held] = []
        self._shown: dict[str, object] = {}  # what a frozen camera goes on showing
        self._corrupted = 0

    def __bool__(self) -> bool:
        return bool(self._faults)

    def _periods(self, secs: float) -> int:
        return round(secs * self._hz)

    def active(self, period: int) -> list[Fault]:
        """What is wrong in this period."""
        now = period - self._begin

        def on(fault: Fault) -> bool:
            start = self._periods(fault.start)
            return start <= now and (fault.kind == "die" or now < start + self._periods(fault.duration))

        return [fault for fault in self._faults if on(fault)]

    def dies(self, period: int) -> bool:
        """Whether the world ends in this period."""
        return any(fault.kind == "die" for fault in self.active(period))

    def clock_offset(self, period: int) -> int:
        """Nanoseconds by which every clock is wrong in this period."""
        return sum(round(1e9 * fault.by) for fault in self.active(period) if fault.kind == "clock")

    def sent(self, period: int, images: Mapping[str, Image | CompressedImage]) -> list[tuple[str, Image]]:
        """The pictures to send in this period, in this order, for those that were taken in it."""
        for camera, image in images.items():
            faults = [fault for fault in self.active(period) if camera in fault.cameras]
            self._take(period, camera, image, faults)
        due = sorted((held for held in self._held if held.release <= period), key=lambda held: held.order)
        self._held = [held for held in self._held if held.release > period]
        return [(held.camera, held.image) for held in due]

    def _take(self, period: int, camera: str, image: Image | CompressedImage, faults: list[Fault]) -> None:
        kinds = {fault.kind: fault for fault in faults}

        def by(kind: str) -> float:
            return sum(fault.by for fault in faults if fault.kind == kind)

        if "freeze" in kinds:
            image.data = self._shown.setdefault(camera, image.data)
        else:
            self._shown[camera] = image.data
        if "corrupt" in kinds:
            self._corrupt(image)
        if "skew" in kinds:
            image.header.stamp = shifted(image.header.stamp, -by("skew"))
        if "drop" in kinds:
            return
        held = Held(period, MIDDLE, camera, image)
        if "delay" in kinds:
            held = replace(held, release=period + self._periods(by("delay")), order=FIRST)
        if "reorder" in kinds and not (period - self._begin - self._periods(kinds["reorder"].start)) % 2:
            held = replace(held, release=held.release + 1, order=LAST)
        self._held.append(held)

    def _corrupt(self, image: Image | CompressedImage) -> None:
        """Breaks a picture in one of three ways, in turn."""
        way = self._corrupted % 3
        self._corrupted += 1
        if way == 0:
            image.data = image.data[: len(image.data) // 2]
        elif way == 1 and isinstance(image, Image):
            image.encoding = "none"
        else:
            image.data = image.data[:0]


def shifted(stamp: Time, secs: float) -> Time:
    """A stamp `secs` later; never before zero, which a stamp cannot say."""
    return time_of(max(0, nanoseconds_of(stamp) + round(1e9 * secs)))
