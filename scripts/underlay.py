"""Proves an underlay: a node that publishes to itself, and spins until it has heard that."""

import sys
import time

import rclpy
from std_msgs.msg import Header

rclpy.init()
node = rclpy.create_node("underlay")
heard = []
node.create_subscription(Header, "proof", heard.append, 1)
publisher = node.create_publisher(Header, "proof", 1)
end = time.monotonic() + 20
while not heard and time.monotonic() < end:
    publisher.publish(Header(frame_id="proof"))
    rclpy.spin_once(node, timeout_sec=0.1)
node.destroy_node()
rclpy.shutdown()
sys.exit(None if heard else "the node did not hear what it published within 20 seconds")
