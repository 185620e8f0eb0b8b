"""The world node's parameters; config/sim.yaml says the same with units and ranges on every line."""

from dataclasses import fields

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

# name: (default, lowest, highest, description); lowest and highest are None where any value of the type will do.
PARAMETERS = {
    "lock_step": (False, None, None, "publish /clock and wait for a twist after every frame"),
    "lock_step_timeout": (2.0, 0.1, 600.0, "[s] of wall time without a twist until the frame is sent again"),
    "command_timeout": (0.1, 0.01, 10.0, "[s] age at which a twist counts as zero, free running only"),
    "transport": ("raw", None, None, "raw: sensor_msgs/Image rgb8; compressed: sensor_msgs/CompressedImage"),
    "jpeg_quality": (95, 1, 100, "quality of the compressed transport"),
    "gripper_type": ("trajectory", None, None, "trajectory: JointTrajectory; array: Float64MultiArray"),
    "gripper_midpoint": (0.02, 0.0, 0.1, "[m] finger positions above it mean open, others closed"),
    "frame_id": ("base", None, None, "frame in which twists are taken and joints are published"),
    "record": ("", None, None, "file .gif or .webp that receives the run when the node ends; empty: none"),
    "faults": ("", None, None, "what goes wrong: KIND [CAMERA] FROM FOR [BY] in seconds, parted by `;`; see faults.py"),
    "fault_wait": (0.1, 0.01, 10.0, "[s] of wall time without a twist until time goes on; lock step with `faults`"),
}
SEEDS = (0, 2**31 - 1)


def initial_parameters(initial_type: type) -> dict[str, tuple]:
    """Likewise, one for each word of a world's initial states."""
    return {
        word.name: (word.default, *(SEEDS if word.name == "seed" else (None, None)), f"initial state: {word.name}")
        for word in fields(initial_type)
    }


def descriptor(lowest: float | None, highest: float | None, description: str) -> ParameterDescriptor:
    """A parameter's description, with its range where it has one."""
    message = ParameterDescriptor(description=description)
    if isinstance(lowest, float):
        message.floating_point_range = [FloatingPointRange(from_value=lowest, to_value=highest)]
    elif isinstance(lowest, int):
        message.integer_range = [IntegerRange(from_value=lowest, to_value=highest)]
    return message
