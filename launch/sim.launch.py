"""Starts a simulated world, the tabletop by default, and the policy that moves its arm.

    ros2 launch deer_vla sim.launch.py

In lock-step the world waits for every command before it moves on, so that a run can be repeated to the bit; without,
it runs in real time. The arguments of robot.launch.py may be given too, but for dry_run, autostart, use_sim_time, mode
and frozen, which follow from this. `lock_step` and `record` go before what `world_params_file` says.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("deer_vla")
LOCK_STEP = LaunchConfiguration("lock_step")


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "lock_step", default_value="true", choices=["true", "false"], description="wait for every command"
            ),
            DeclareLaunchArgument("world", default_value="tabletop", description="tabletop, or calvin:SCENE"),
            DeclareLaunchArgument(
                "world_params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "sim.yaml"]),
                description="parameters of the world",
            ),
            DeclareLaunchArgument("record", default_value="", description="file .gif or .webp for a film of the run"),
            DeclareLaunchArgument(
                "bundle", default_value="tabletop", description="folder of a bundle, or the name of one that ships"
            ),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of world and policy"),
            # The world is Python from lab/, not an installed ROS executable: python3 must know deer_lab.
            Node(
                executable="python3",
                arguments=["-m", "deer_lab.worlds.ros_node", "--world", LaunchConfiguration("world")],
                name="world",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("world_params_file"),
                    {
                        "lock_step": ParameterValue(LOCK_STEP, value_type=bool),
                        "record": ParameterValue(LaunchConfiguration("record"), value_type=str),
                    },
                ],
                remappings=[("twist", "deer_vla/twist"), ("gripper", "deer_vla/gripper")],
            ),
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, "launch", "robot.launch.py"]),
                launch_arguments=[
                    ("bundle", LaunchConfiguration("bundle")),
                    ("dry_run", "false"),
                    ("autostart", "true"),
                    ("use_sim_time", LOCK_STEP),
                    ("mode", PythonExpression(["'lock_step' if '", LOCK_STEP, "' == 'true' else 'stream'"])),
                    ("frozen", "0"),  # its cameras have no noise
                ],
            ),
        ]
    )
