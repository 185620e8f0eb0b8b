"""How fast recordings are read for training: `deer_vla frames` beside a plain reader in Python (rosbags and Pillow).

    cargo build --release && python benches/recordings.py

Pictures of two cameras, 640x480, made as small as the policy sees them (200 and 84 pixels), in turns; the median of the
rounds, in steps (a picture of each camera) a second of processor time, which other work disturbs less than it does the
clock. And what deer_lab reads of LeRobot in AV1. Needs lab[train]; `DEER_VLA` names another program.
"""

import argparse
import io
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from deer_lab import bags
from deer_lab.bags import STORE, gripper, header, ros, twist
from deer_lab.config import Camera
from deer_lab.data import lerobot
from deer_lab.data.fit import fit
from deer_lab.data.lerobot_writer import write_dataset
from deer_lab.data.segment import Segment
from deer_lab.data.source import Said
from deer_lab.embodiment import CALVIN
from deer_lab.program import find_program
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

HEIGHT, WIDTH, HZ = 480, 640, 30
CAMERAS = (Camera("static", 200), Camera("gripper", 84))
STORAGE = {"mcap": StoragePlugin.MCAP, "db3": StoragePlugin.SQLITE3}


def picture(step: int) -> np.ndarray:
    """Waves that move, with a camera's noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / 40
    waves = np.stack([np.sin(x + 0.1 * step), np.cos(y - 0.1 * step), np.sin(x + y)], axis=-1)
    return (127 + 90 * waves + np.random.default_rng(step).normal(0, 4, waves.shape)).clip(0, 255).astype(np.uint8)


def raw(nanoseconds: int, role: str, pixels: np.ndarray) -> object:
    """uint8 RGB (H, W, 3) as an Image."""
    about = {"header": header(nanoseconds, role), "height": HEIGHT, "width": WIDTH, "encoding": "rgb8"}
    return ros("sensor_msgs/Image", **about, is_bigendian=0, step=3 * WIDTH, data=pixels.reshape(-1))


def compressed(nanoseconds: int, role: str, pixels: np.ndarray) -> object:
    """uint8 RGB (H, W, 3) as a CompressedImage."""
    return bags.picture(nanoseconds, role, bags.jpeg(pixels))


def record(path: Path, storage: str, message: Callable, steps: int) -> None:
    """A recording as `ros2 bag record` leaves it."""
    with Writer(path, version=9, storage_plugin=STORAGE[storage]) as bag:
        connections: dict[str, object] = {}

        def write(topic: str, nanoseconds: int, what: object) -> None:
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, what.__msgtype__, typestore=STORE)
            bag.write(connections[topic], nanoseconds, STORE.serialize_cdr(what, what.__msgtype__))

        write("/instruction", 10**9, ros("std_msgs/String", data="open the drawer"))
        for step in range(steps):
            now = 10**9 + step * 10**9 // HZ
            for camera in CAMERAS:
                write(f"/{camera.role}/image", now, message(now, camera.role, picture(step)))
            write("/twist", now, twist(now, np.full(6, 0.01), "base"))
            write("/gripper", now, gripper(now, ["finger"], 0.04, "base"))


def by_program(bag: Path, out: Path) -> int:
    """Steps that `deer_vla frames` writes."""
    sizes = ",".join(f"{camera.role}={camera.size}" for camera in CAMERAS)
    command = [find_program(), "frames", bag, "--cameras", sizes, "--rate", HZ, "--out", out, "--force"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return len(np.load(out / "static.npy", mmap_mode="r"))


def by_python(bag: Path, _: Path) -> int:
    """The same pictures, decoded and made small, without pairing and motion."""
    cameras = {f"/{camera.role}/image": camera for camera in CAMERAS}
    shown: dict[str, list[np.ndarray]] = {topic: [] for topic in cameras}
    with AnyReader([bag], default_typestore=STORE) as reader:
        wanted = [connection for connection in reader.connections if connection.topic in cameras]
        for connection, _, data in reader.messages(wanted):
            message = reader.deserialize(data, connection.msgtype)
            if hasattr(message, "format"):
                pixels = np.asarray(Image.open(io.BytesIO(message.data)).convert("RGB"))
            else:
                pixels = message.data.reshape(message.height, message.width, 3)
            shown[connection.topic].append(fit(pixels, cameras[connection.topic]))
    return min(len(np.stack(pictures)) for pictures in shown.values())


def by_lab(data_set: Path, _: Path) -> int:
    """Frames of a LeRobot data set."""
    roles = [camera.role for camera in CAMERAS]
    found = [segment for part in lerobot.parts(data_set, roles, CALVIN, Said()) for segment in part.segments()]
    return sum(map(len, found))


def rate(read: Callable[[Path, Path], int], place: Path, out: Path, steps: int) -> float:
    """Steps a second of processor time, of this process and those that it waits for."""
    began = sum(os.times()[:4])
    found = read(place, out)
    assert found == steps, f"{place}: {found} of {steps} steps"
    return steps / (sum(os.times()[:4]) - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"program: {find_program()}")
    with tempfile.TemporaryDirectory() as folder:
        out, rates = Path(folder, "frames"), {}
        jobs = []
        for storage in STORAGE:
            for name, message in {"raw": raw, "JPEG": compressed}.items():
                bag = Path(folder, f"{storage}_{name}")
                record(bag, storage, message, args.steps)
                jobs += [
                    (f"{storage}, {name}: frames", by_program, bag),
                    (f"{storage}, {name}: Python", by_python, bag),
                ]
        shots = {camera.role: [picture(step) for step in range(args.steps)] for camera in CAMERAS}
        segment = Segment("open the drawer", shots, np.full((args.steps, 6), 0.001), np.full(args.steps, 0.04))
        write_dataset(iter([segment]), CALVIN, list(shots), Path(folder, "lerobot"))
        jobs.append(("LeRobot, AV1: deer_lab", by_lab, Path(folder, "lerobot")))
        for _ in range(args.rounds):
            for name, read, place in jobs:
                rates.setdefault(name, []).append(rate(read, place, out, args.steps))
    for name, found in rates.items():
        print(f"{name:24s} {statistics.median(found):8.1f} steps a second ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()
