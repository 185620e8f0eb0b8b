"""What goes over the topics, in the tests' own words."""

import array
import io
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from PIL import Image as Picture
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

SECOND = 1_000_000_000
PERIOD = SECOND // 30


@dataclass(frozen=True)
class Decision:
    """One `~/decision`: its level, its sentence, and its values by name."""

    level: int
    name: str
    hardware_id: str
    message: str
    values: dict[str, str]

    def __getitem__(self, key: str) -> str:
        return self.values[key]

    @property
    def acts(self) -> bool:
        return self["verdict"] == "act"

    def numbers(self, key: str) -> list[float]:
        return [float(word) for word in self.values[key].split()]

    @property
    def stamps(self) -> tuple[int, int]:
        """Capture times of the static camera's and the gripper's picture, in nanoseconds; 0 where there was none."""
        return nanoseconds_in(self["stamp_static"]), nanoseconds_in(self["stamp_gripper"])

    @property
    def time(self) -> int:
        """When it was made, on the node's clock, in nanoseconds."""
        return nanoseconds_in(self["stamp"])


def decision_from(status: DiagnosticStatus) -> Decision:
    values = {value.key: value.value for value in status.values}
    return Decision(status.level[0], status.name, status.hardware_id, status.message, values)


def finger_positions(message: JointTrajectory | Float64MultiArray) -> tuple[list[str], list[float]]:
    """The joints' names (none in an array) and their positions."""
    if isinstance(message, Float64MultiArray):
        return [], list(message.data)
    (point,) = message.points
    return list(message.joint_names), list(point.positions)


def nanoseconds_in(text: str) -> int:
    """`seconds.nanoseconds`; 0 for nothing."""
    seconds, _, nanoseconds = text.partition(".")
    return int(seconds or 0) * SECOND + int(nanoseconds or 0)


def time_message(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // SECOND, nanosec=nanoseconds % SECOND)


def nanoseconds_of(stamp: Time) -> int:
    return stamp.sec * SECOND + stamp.nanosec


def image_message(picture: np.ndarray, stamp: int, encoding: str = "rgb8", padding: int = 0) -> Image:
    """[H, W, C] uint8 as an Image whose rows end in `padding` bytes that mean nothing."""
    height, width = picture.shape[:2]
    rows = np.pad(picture.reshape(height, -1), ((0, 0), (0, padding)), constant_values=0xEE)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.header.stamp = time_message(stamp)
    message.data = array.array("B", rows.tobytes())
    return message


def jpeg_message(picture: np.ndarray, stamp: int) -> CompressedImage:
    file = io.BytesIO()
    Picture.fromarray(picture).save(file, "JPEG", quality=95)
    message = CompressedImage(format="jpeg")
    message.header.stamp = time_message(stamp)
    message.data = array.array("B", file.getvalue())
    return message


def numbers_of(twist: TwistStamped) -> list[float]:
    """Linear (m/s) and angular (rad/s) velocity: six numbers."""
    linear, angular = twist.twist.linear, twist.twist.angular
    return [linear.x, linear.y, linear.z, angular.x, angular.y, angular.z]


def is_zero(twist: TwistStamped) -> bool:
    return not any(numbers_of(twist))
