"""Simulated worlds: what they offer, what goes wrong in them on purpose, and each as a ROS 2 node."""
