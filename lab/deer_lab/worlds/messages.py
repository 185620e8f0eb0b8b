"""Pictures, times and commands as ROS messages and back."""

import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory


def time_of(nanoseconds: int) -> Time:
    """Nanoseconds as a message."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def nanoseconds_of(stamp: Time) -> int:
    """A message's time in nanoseconds."""
    return stamp.sec * 10**9 + stamp.nanosec


def image_message(pixels: np.ndarray, stamp: Time, camera: str) -> Image:
    """RGB uint8 [H, W, 3] as an uncompressed image."""
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array.array("B", pixels.tobytes())
    message.header.stamp, message.header.frame_id = stamp, f"{camera}_camera"
    return message


def velocity_of(message: TwistStamped) -> np.ndarray:
    """[6]: linear m/s, angular rad/s."""
    linear, angular = message.twist.linear, message.twist.angular
    return np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])


def finger_position(message: JointTrajectory | Float64MultiArray) -> float:
    """Mean position of the fingers; NaN where there is none."""
    if isinstance(message, JointTrajectory):
        positions = message.points[-1].positions if message.points else []
    else:
        positions = message.data
    return float(np.mean(positions)) if len(positions) else float("nan")
