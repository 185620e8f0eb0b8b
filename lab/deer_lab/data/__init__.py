"""Demonstrations of any kind (rosbags, CALVIN, LeRobot) as Segments, and what training makes of them: shards, windows,
batches. Knows no world and no simulator.
"""
