"""Which pictures the lab trains on together: tests/contracts/pairing.json, which the Rust tests read too."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from deer_lab.bags import STORE, gripper, header, ros, twist
from deer_lab.config import Camera
from deer_lab.data.rosbag import bag_segments
from deer_lab.data.segment import DataError
from deer_lab.data.source import Said
from deer_lab.program import ROOT, find_program

CONTRACT = json.loads((ROOT / "tests" / "contracts" / "pairing.json").read_text())
ROLES = "static", "gripper"
SIDE = 48
needs_program = pytest.mark.skipif(find_program() is None, reason="no deer_vla: cargo build, or name it in DEER_VLA")


def shade(number: int) -> int:
    """By which the recording's picture of that number is known again."""
    return 20 + 10 * number


def picture(nanoseconds: int, number: int) -> object:
    pixels = np.full(3 * SIDE * SIDE, shade(number), np.uint8)
    about = {"header": header(nanoseconds, ""), "height": SIDE, "width": SIDE, "encoding": "rgb8"}
    return ros("sensor_msgs/Image", **about, is_bigendian=0, step=3 * SIDE, data=pixels)


def record(path: Path, pictures: list[list[int]], sentences: list[tuple[int, str]]) -> None:
    """A bag by a library of others; a motion and a gripper's position beside each picture."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        connections: dict[str, object] = {}

        def write(topic: str, logged: int, message: object) -> None:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=STORE)
            bag.write(connections[topic], logged, STORE.serialize_cdr(message, kind))

        for logged, sentence in sentences:
            write("/instruction", logged * 10**6, ros("std_msgs/String", data=sentence))
        for number, (camera, taken, logged) in enumerate(pictures):
            taken, logged = taken * 10**6, logged * 10**6
            write(f"/{ROLES[camera]}/image", logged, picture(taken, number))
            write("/twist", logged, twist(taken, np.zeros(6), "base"))
            write("/gripper", logged, gripper(taken, ["finger"], 0.04, "base"))


@needs_program
@pytest.mark.parametrize("name", CONTRACT)
def test_the_pictures_that_belong_together_are_learned_from_together(tmp_path, name):
    case = CONTRACT[name]
    sentences = case.get("sentences", [])
    record(tmp_path / "bag", case["pictures"], sentences)
    clock = "log" if case.get("log") else "header"
    cameras = tuple(Camera(role, 32) for role in ROLES)
    segments = bag_segments(
        tmp_path / "bag", cameras, case["rate_hz"], Said(sentence=None if sentences else "go", clock=clock)
    )
    when = {shade(number): row[2 if clock == "log" else 1] for number, row in enumerate(case["pictures"])}
    if not case["sets"]:
        with pytest.raises(DataError, match="no step to learn from"):
            list(segments)
        return
    together = chain.from_iterable(zip(*(segment.pictures[role] for role in ROLES)) for segment in segments)
    assert [[when[int(shot[0, 0, 0])] for shot in shots] for shots in together] == case["sets"]
