"""What a recording would have done is what the robot did."""

import json
import subprocess
from pathlib import Path

import numpy as np
from conftest import picture
from messages import PERIOD, SECOND, numbers_of
from programs import BUNDLE, built
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

SENTENCE = "open the drawer"
FRAMES = [(picture(200, seed), picture(84, 100 + seed)) for seed in range(40)]
TYPES = get_typestore(Stores.ROS2_JAZZY)


def record(folder: Path) -> None:
    """A bag as `ros2 bag record` leaves it, written by a library that shares nothing with the project."""
    image, text = TYPES.types["sensor_msgs/msg/Image"], TYPES.types["std_msgs/msg/String"]
    header, time = TYPES.types["std_msgs/msg/Header"], TYPES.types["builtin_interfaces/msg/Time"]
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind.__msgtype__, typestore=TYPES)
            for topic, kind in [("/static/image", image), ("/gripper/image", image), ("/instruction", text)]
        }

        def write(topic: str, stamp: int, message) -> None:
            writer.write(topics[topic], stamp, TYPES.serialize_cdr(message, message.__msgtype__))

        write("/instruction", 1000 * SECOND, text(SENTENCE))
        for i, pictures in enumerate(FRAMES, start=1):
            stamp = 1000 * SECOND + i * PERIOD
            for topic, pixels in zip(("/static/image", "/gripper/image"), pictures, strict=True):
                height, width, _ = pixels.shape
                head = header(time(stamp // SECOND, stamp % SECOND), "")
                write(topic, stamp, image(head, height, width, "rgb8", 0, 3 * width, pixels.reshape(-1)))


def test_replay_takes_the_exits_and_the_actions_of_the_live_node(pair, tmp_path):
    _, peer = pair()
    live = [(peer.begin(SENTENCE, FRAMES[0]), peer.twists[-1])] + [peer.step(pictures) for pictures in FRAMES[1:]]

    record(tmp_path / "bag")
    command = [built("deer_vla"), "replay", BUNDLE, tmp_path / "bag", "--out", tmp_path / "replay"]
    subprocess.run(command, check=True, timeout=300)
    lines = [json.loads(line) for line in (tmp_path / "replay" / "decisions.jsonl").read_text().splitlines()]
    replayed = [line for line in lines if line["verdict"] == "act"]

    assert len(replayed) == len(live) == len(FRAMES)
    exits = [line["decision"]["exit"] for line in replayed]
    assert exits == [int(decision["exit"]) for decision, _ in live]
    assert len(set(exits)) > 1, "one exit throughout would prove little"
    for line, (decision, twist) in zip(replayed, live, strict=True):
        assert np.array_equal(np.float32(line["decision"]["arm"]), np.float32(decision.numbers("arm")))
        assert line["twist"]["linear"] + line["twist"]["angular"] == numbers_of(twist)
