"""The tabletop node's parameters; config/sim.yaml says the same with units and ranges on every line."""

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
    "seed": (0, 0, 2**31 - 1, "where exactly blocks and arm begin"),
    "led": (False, None, None, "initial state of the LED"),
    "lightbulb": (False, None, None, "initial state of the light bulb"),
    "slider": ("left", None, None, "initial place of the sliding door: left or right"),
    "drawer": ("closed", None, None, "initial state of the drawer: closed or open"),
    "red_block": ("table", None, None, "initial place: table, drawer, slider_left or slider_right"),
    "blue_block": ("table", None, None, "initial place: table, drawer, slider_left or slider_right"),
    "pink_block": ("table", None, None, "initial place: table, drawer, slider_left or slider_right"),
}
INITIAL = ("seed", "led", "lightbulb", "slider", "drawer", "red_block", "blue_block", "pink_block")


def descriptor(lowest: float | None, highest: float | None, description: str) -> ParameterDescriptor:
    """A parameter's description, with its range where it has one."""
    message = ParameterDescriptor(description=description)
    if isinstance(lowest, float):
        message.floating_point_range = [FloatingPointRange(from_value=lowest, to_value=highest)]
    elif isinstance(lowest, int):
        message.integer_range = [IntegerRange(from_value=lowest, to_value=highest)]
    return message
