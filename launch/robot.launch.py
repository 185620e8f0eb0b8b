"""Starts the policy on a robot.

    ros2 launch deer_vla robot.launch.py bundle:=/models/kitchen static_image:=/camera/image_raw dry_run:=false

It starts as a dry run: decisions are published, commands are not. What an argument here says goes before what
`params_file` says; everything that is no matter of the deployment stands in that file alone.
"""

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("deer_vla")
TRUTH = ["true", "false"]
PROFILES = ["FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"]  # until Jazzy; from Kilted on
LOG_LEVELS = ["debug", "info", "warn", "error"]


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "policy.yaml"]),
                description="parameters of the policy",
            ),
            DeclareLaunchArgument(
                "bundle", default_value="toy", description="folder of a model bundle, or the name of one that ships"
            ),
            DeclareLaunchArgument(
                "provider",
                default_value="cpu",
                choices=["cpu", "cuda", "tensorrt"],
                description="what the network runs on",
            ),
            DeclareLaunchArgument(
                "dry_run", default_value="true", choices=TRUTH, description="publish decisions but no command"
            ),
            DeclareLaunchArgument(
                "autostart", default_value="false", choices=TRUTH, description="enabled once ready, without ~/enable"
            ),
            DeclareLaunchArgument(
                "metrics", default_value="true", choices=TRUTH, description="every decision's numbers on ~/metrics"
            ),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", choices=TRUTH, description="take the time from /clock"
            ),
            DeclareLaunchArgument(
                "transport",
                default_value="raw",
                choices=["raw", "compressed"],
                description="what the cameras publish: Image (raw) or CompressedImage",
            ),
            DeclareLaunchArgument(
                "mode",
                default_value="stream",
                choices=["stream", "lock_step"],
                description="many limited commands a second, or one an action for a world that waits for it",
            ),
            DeclareLaunchArgument(
                "frozen",
                default_value="2",
                description="equal pictures in a row that mean a frozen camera; 0 for simulated cameras without noise",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the policy"),
            DeclareLaunchArgument(
                "static_image", default_value="static/image", description="topic of the fixed camera"
            ),
            DeclareLaunchArgument(
                "gripper_image", default_value="gripper/image", description="topic of the camera at the gripper"
            ),
            DeclareLaunchArgument("instruction", default_value="instruction", description="topic of the instruction"),
            DeclareLaunchArgument("twist", default_value="~/twist", description="topic of the arm's command"),
            DeclareLaunchArgument("gripper", default_value="~/gripper", description="topic of the gripper's command"),
            DeclareLaunchArgument(
                "log_level", default_value="info", choices=LOG_LEVELS, description="how much is said"
            ),
            DeclareLaunchArgument(
                "shared_memory",
                default_value="default",
                choices=["default", "large"],
                description="of Fast DDS, for what is started after this file: large for drivers of large pictures",
            ),
            Node(
                package="deer_vla",
                executable="deer_vla_node",
                name="deer_vla",
                namespace=LaunchConfiguration("namespace"),
                output="screen",
                parameters=[
                    LaunchConfiguration("params_file"),
                    {
                        "bundle": ParameterValue(LaunchConfiguration("bundle"), value_type=str),
                        "provider": ParameterValue(LaunchConfiguration("provider"), value_type=str),
                        "dry_run": ParameterValue(LaunchConfiguration("dry_run"), value_type=bool),
                        "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
                        "metrics": ParameterValue(LaunchConfiguration("metrics"), value_type=bool),
                        "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
                        "twist.mode": ParameterValue(LaunchConfiguration("mode"), value_type=str),
                        "images.frozen": ParameterValue(LaunchConfiguration("frozen"), value_type=int),
                        "images.transport": ParameterValue(LaunchConfiguration("transport"), value_type=str),
                    },
                ],
                remappings=[
                    ("static/image", LaunchConfiguration("static_image")),
                    ("gripper/image", LaunchConfiguration("gripper_image")),
                    ("instruction", LaunchConfiguration("instruction")),
                    ("~/twist", LaunchConfiguration("twist")),
                    ("~/gripper", LaunchConfiguration("gripper")),
                ],
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            ),
            # After the policy, which publishes nothing large: its own segment would only take 64 MB.
            *(
                SetEnvironmentVariable(
                    name,
                    PathJoinSubstitution([SHARE, "config", "fastdds.xml"]),
                    condition=IfCondition(
                        PythonExpression(["'", LaunchConfiguration("shared_memory"), "' == 'large'"])
                    ),
                )
                for name in PROFILES
            ),
        ]
    )
