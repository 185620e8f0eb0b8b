"""Writes foreign_bag/, a rosbag2 that deer_vla did not write, for tests/cli.rs.

    pip install rosbags pillow numpy && python tests/data/make_foreign_bag.py

Twelve steps at 30 Hz: JPEG pictures from the static camera (with a format text as image_transport writes it), bgr8
pictures with row padding from the gripper's, an empty instruction first, a sentence before the third step, a joint
state that nobody asked for. Chunks are compressed by zstd.
"""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

FOLDER = Path(__file__).with_name("foreign_bag")
STEPS, PERIOD_NS, START_NS = 12, 33_333_333, 1_700_000_000_000_000_000
STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types


def header(stamp_ns: int, frame_id: str) -> object:
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def gradient(side: int, step: int) -> np.ndarray:
    """RGB, uint8 (side, side, 3); moves with the step."""
    ramp = (np.arange(side) * 255 // side + 10 * step).astype(np.uint8)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(20 * step)), axis=-1)


def static_image(stamp_ns: int, step: int) -> object:
    jpeg = io.BytesIO()
    Picture.fromarray(gradient(96, step)).save(jpeg, "jpeg", quality=80)
    data = np.frombuffer(jpeg.getvalue(), np.uint8)
    image = TYPES["sensor_msgs/msg/CompressedImage"]
    return image(header=header(stamp_ns, "static_camera"), format="rgb8; jpeg compressed bgr8", data=data)


def gripper_image(stamp_ns: int, step: int) -> object:
    side, padding = 50, 10
    rows = np.zeros((side, side * 3 + padding), np.uint8)
    rows[:, : side * 3] = gradient(side, step)[..., ::-1].reshape(side, -1)
    image = TYPES["sensor_msgs/msg/Image"]
    head = header(stamp_ns, "gripper_camera")
    return image(
        header=head, height=side, width=side, encoding="bgr8", is_bigendian=0, step=rows.shape[1], data=rows.reshape(-1)
    )


def joint_state(stamp_ns: int) -> object:
    state = TYPES["sensor_msgs/msg/JointState"]
    return state(
        header=header(stamp_ns, ""), name=["joint1"], position=np.zeros(1), velocity=np.zeros(1), effort=np.zeros(1)
    )


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    writer = Writer(FOLDER, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {}

        def write(topic: str, log_time_ns: int, message: object) -> None:
            name = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, name, typestore=STORE)
            writer.write(connections[topic], log_time_ns, STORE.serialize_cdr(message, name))

        text = TYPES["std_msgs/msg/String"]
        write("/instruction", START_NS - 1, text(data=""))
        for step in range(STEPS):
            stamp_ns = START_NS + step * PERIOD_NS
            if step == 2:
                write("/instruction", stamp_ns - 1, text(data="push the button"))
            write("/joint_states", stamp_ns + 1, joint_state(stamp_ns))
            write("/static/image/compressed", stamp_ns + 2_000_000, static_image(stamp_ns, step))
            write("/gripper/image", stamp_ns + 3_000_000, gripper_image(stamp_ns, step))


if __name__ == "__main__":
    main()
