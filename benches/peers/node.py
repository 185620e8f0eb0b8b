"""A policy node as one writes it with rclpy: the newest picture of each camera, one step on both, one twist.

python3 node.py onnx ../../models/toy
python3 node.py torch ../../models/toy --weights toy.pt
"""

import argparse
import contextlib
from functools import partial
from pathlib import Path

import networks
import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String


class PolicyNode(Node):
    def __init__(self, network):
        super().__init__("peer_policy")
        self.network, self.ready = network, False
        action = network.bundle.manifest["embodiment"]
        self.scale = np.array([dimension["scale"] for dimension in action["arm"]]) * action["control_hz"]
        self.newest = [None, None]
        newest = qos_profile_sensor_data
        newest.depth = 1
        for camera, role in enumerate(("static", "gripper")):
            self.create_subscription(Image, f"{role}/image", partial(self.picture, camera), newest)
        self.create_subscription(String, "instruction", self.instruction, 10)
        self.twist = self.create_publisher(TwistStamped, "~/twist", 1)

    def instruction(self, message: String) -> None:
        self.network.begin(message.data)
        self.ready = True

    def picture(self, camera: int, message: Image) -> None:
        self.newest[camera] = message
        if self.ready and all(self.newest):
            pictures = [np.frombuffer(m.data, np.uint8).reshape(m.height, m.width, 3) for m in self.newest]
            stamp, self.newest = message.header.stamp, [None, None]
            arm, _gripper, taken = self.network.step(pictures)
            self.command(stamp, arm * self.scale, taken)

    def command(self, stamp, velocity: np.ndarray, taken: int) -> None:
        """Stamped as its pictures are and named after the exit that was taken, for whoever compares."""
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = stamp, str(taken)
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = map(float, velocity)
        self.twist.publish(message)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=["onnx", "torch"])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="of the same network, for PyTorch")
    given, ros = parser.parse_known_args()
    if given.network == "torch":
        network = networks.Torch(given.bundle, given.threads, given.weights)
    else:
        network = networks.Onnx(given.bundle, given.threads)
    rclpy.init(args=ros)
    node = PolicyNode(network)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
