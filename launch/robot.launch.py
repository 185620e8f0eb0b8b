"""Starts the policy on a robot.

    ros2 launch deer_vla robot.launch.py bundle:=/models/kitchen static_image:=/camera/image_raw dry_run:=false

It starts as a dry run: decisions are published, commands are not. An argument that is given goes before what
`params_file` says, one that is not leaves it as it is: a file's own bundle is the one that moves the arm. But
`dry_run`, `autostart` and `use_sim_time` are said here alone, at every start.
"""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
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
# Arguments that need not be given: the parameter that each sets, and its type.
OPTIONAL = {
    "bundle": ("bundle", str),
    "provider": ("provider", str),
    "metrics": ("metrics", bool),
    "mode": ("twist.mode", str),
    "frozen": ("images.frozen", int),
    "transport": ("images.transport", str),
}


def optional(name, description, choices=None):
    named = {"choices": ["", *choices]} if choices else {}
    return DeclareLaunchArgument(
        name, default_value="", description=f"{description}; else as params_file says", **named
    )


def policy(context):
    # launch would warn, leave the file out, and move the arm within other limits
    if not os.path.isfile(file := context.launch_configurations["params_file"]):
        raise RuntimeError(f"params_file:={file}: there is no such file")
    given = {name: setting for name, setting in OPTIONAL.items() if context.launch_configurations[name]}
    return [
        Node(
            package="deer_vla",
            executable="deer_vla_node",
            name="deer_vla",
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            parameters=[
                LaunchConfiguration("params_file"),
                {
                    "dry_run": ParameterValue(LaunchConfiguration("dry_run"), value_type=bool),
                    "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
                    "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
                    **{
                        parameter: ParameterValue(LaunchConfiguration(name), value_type=kind)
                        for name, (parameter, kind) in given.items()
                    },
                },
            ],
            remappings=[
                ("static/image", LaunchConfiguration("static_image")),
                ("gripper/image", LaunchConfiguration("gripper_image")),
                ("instruction", LaunchConfiguration("instruction")),
                ("estop", LaunchConfiguration("estop")),
                ("~/twist", LaunchConfiguration("twist")),
                ("~/gripper", LaunchConfiguration("gripper")),
            ],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        )
    ]


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "policy.yaml"]),
                description="parameters of the policy",
            ),
            optional("bundle", "folder of a model bundle, or the name of one that ships"),
            optional("provider", "what the network runs on", ["cpu", "cuda", "tensorrt"]),
            DeclareLaunchArgument(
                "dry_run", default_value="true", choices=TRUTH, description="publish decisions but no command"
            ),
            DeclareLaunchArgument(
                "autostart", default_value="false", choices=TRUTH, description="enabled once ready, without ~/enable"
            ),
            optional("metrics", "every decision's numbers on ~/metrics", TRUTH),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", choices=TRUTH, description="take the time from /clock"
            ),
            optional("transport", "what the cameras publish: Image (raw) or CompressedImage", ["raw", "compressed"]),
            optional(
                "mode",
                "many limited commands a second (stream), or one an action for a world that waits for it",
                ["stream", "lock_step"],
            ),
            optional(
                "frozen", "equal pictures in a row that mean a frozen camera; 0 for simulated cameras without noise"
            ),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the policy"),
            DeclareLaunchArgument(
                "static_image", default_value="static/image", description="topic of the fixed camera"
            ),
            DeclareLaunchArgument(
                "gripper_image", default_value="gripper/image", description="topic of the camera at the gripper"
            ),
            DeclareLaunchArgument("instruction", default_value="instruction", description="topic of the instruction"),
            DeclareLaunchArgument("estop", default_value="estop", description="topic of the emergency stop"),
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
            OpaqueFunction(function=policy),
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
