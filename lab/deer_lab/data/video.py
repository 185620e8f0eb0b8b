"""Pictures out of a video file at given times, and into one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from deer_lab.data.segment import DataError

if TYPE_CHECKING:
    import av

os.environ.setdefault("SVT_LOG", "1")  # of the encoder: errors alone
ENCODER = ("libsvtav1", {"crf": "30", "g": "2", "preset": "10"})  # key frames close together: training jumps about
TOLERANCE = 1e-4  # [s], LeRobot's: how far a picture may be from the time that its frame names


def pyav(path: Path) -> ModuleType:
    """PyAV, which nothing but videos needs. Raises DataError where it is not installed."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise DataError(f"{path}: videos need PyAV, which is not installed: pip install 'av>=16'") from error
    return av


def pictures(path: Path, times: np.ndarray) -> Iterator[np.ndarray]:
    """The pictures at `times` [s], which grow: uint8 RGB (H, W, 3) each. Raises DataError."""
    av = pyav(path)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            container.seek(int(max(0, times[0] - TOLERANCE) / stream.time_base), stream=stream)
            yield from chosen(path, container.decode(stream), times)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; download the data set with its videos") from error
    except (av.FFmpegError, IndexError) as error:
        said = getattr(error, "strerror", None) or "it has no video"
        raise DataError(f"{path}: the video cannot be decoded: {said}; download it again") from error


def chosen(path: Path, frames: Iterator[av.VideoFrame], times: np.ndarray) -> Iterator[np.ndarray]:
    """Of `frames` those at `times`."""
    wanted = iter(times)
    time = next(wanted)
    before = None
    for frame in frames:
        if frame.time < time - TOLERANCE:
            before = frame.time
            continue
        if frame.time > time + TOLERANCE:
            raise DataError(f"{path} has no picture at {time:.4f} s, only at {before} s and {frame.time:.4f} s: its "
                            "frames and its video do not belong together; download both again")  # fmt: skip
        yield frame.to_ndarray(format="rgb24")
        time = next(wanted, None)
        if time is None:
            return
    raise DataError(f"{path} ends before {time:.4f} s, where a frame is; download it again")


class VideoWriter:
    """A video file that is being written."""

    def __init__(self, path: Path, hz: float, shape: tuple[int, int]) -> None:
        if shape[0] % 2 or shape[1] % 2:
            raise DataError(
                f"pictures of {shape[1]}x{shape[0]}: a video needs even sides; cut them by crop in a --source file"
            )
        self._av = pyav(path)
        self.container, self.frames = self._av.open(str(path), "w"), 0
        rate = Fraction(hz).limit_denominator(1001)
        self.period = 1 / rate  # the stream's own unit of time is the container's to choose
        self.stream = self.container.add_stream(ENCODER[0], rate=rate, options=ENCODER[1])
        self.stream.height, self.stream.width, self.stream.pix_fmt = *shape, "yuv420p"

    def add(self, picture: np.ndarray) -> None:
        """Appends one, uint8 RGB (H, W, 3)."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self.frames, self.period
        self.container.mux(self.stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Writes what the encoder still holds."""
        self.container.mux(self.stream.encode())
        self.container.close()
