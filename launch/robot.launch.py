"""Starts the policy on a robot.

    ros2 launch deer_vla robot.launch.py bundle:=/models/kitchen static_image:=/camera/image_raw dry_run:=false

It starts as a dry run: decisions are published, commands are not. An argument that is given goes before what
`params_file` says, one that is not leaves it as it is: a file's own bundle is the one that moves the arm. But
`dry_run`, `autostart` and `use_sim_time` are said here alone, at every start.
"""

import os
import sys

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
DECLARED = set()  # names of the arguments


def argument(name, default, description, choices=None):
    DECLARED.add(name)
    named = {"choices": choices} if choices else {}
    return DeclareLaunchArgument(name, default_value=default, description=description, **named)


def optional(name, description, choices=None):
    return argument(name, "", f"{description}; else as params_file says", choices and ["", *choices])


def check_names():
    """Refuses a mistyped argument: launch would take no notice, and move the arm within other limits, or with another
    emergency stop. Of a file that includes this one nothing is known."""
    by_name = {"deer_vla", os.path.basename(__file__)} <= set(sys.argv)
    if not by_name and os.path.realpath(__file__) not in map(os.path.realpath, sys.argv):
        return
    given = {word.partition(":=")[0] for word in sys.argv if ":=" in word}
    if unknown := sorted(given - DECLARED):
        raise RuntimeError(f"{unknown[0]}:= is no argument of {os.path.basename(__file__)}; --show-args lists them")


def policy(context):
    check_names()
    # launch would warn, leave the file out, and move the arm within other limits
    if not os.path.isfile(file := context.launch_configurations["params_file"]):
        raise RuntimeError(f"params_file:={file}: there is no such file")
    more = [tuple(rule.split(":=")) for rule in context.launch_configurations["remap"].split()]
    if wrong := [":=".join(rule) for rule in more if len(rule) != 2]:
        raise RuntimeError(f"remap: {wrong[0]} is no TOPIC:=TOPIC")
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
                *more,  # of rules for one topic the first counts
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
            argument("params_file", PathJoinSubstitution([SHARE, "config", "policy.yaml"]), "parameters of the policy"),
            optional("bundle", "folder of a model bundle, or the name of one that ships"),
            optional("provider", "what the network runs on", ["cpu", "cuda", "tensorrt"]),
            argument("dry_run", "true", "publish decisions but no command", TRUTH),
            argument("autostart", "false", "enabled once ready, without ~/enable", TRUTH),
            optional("metrics", "every decision's numbers on ~/metrics", TRUTH),
            argument("use_sim_time", "false", "take the time from /clock", TRUTH),
            optional("transport", "what the cameras publish: Image (raw) or CompressedImage", ["raw", "compressed"]),
            optional(
                "mode",
                "many limited commands a second (stream), or one an action for a world that waits for it",
                ["stream", "lock_step"],
            ),
            optional(
                "frozen", "equal pictures in a row that mean a frozen camera; 0 for simulated cameras without noise"
            ),
            argument("namespace", "", "namespace of the policy"),
            argument("static_image", "static/image", "topic of the fixed camera"),
            argument("gripper_image", "gripper/image", "topic of the camera at the gripper"),
            argument("instruction", "instruction", "topic of the instruction"),
            argument("estop", "estop", "topic of the emergency stop"),
            argument("twist", "~/twist", "topic of the arm's command"),
            argument("gripper", "~/gripper", "topic of the gripper's command"),
            argument(
                "remap", "", "more topics, such as those of other cameras: 'front/image:=/front left/image:=/left'"
            ),
            argument("log_level", "info", "how much is said", LOG_LEVELS),
            argument(
                "shared_memory",
                "default",
                "of Fast DDS, for what is started after this file: large for drivers of large pictures",
                ["default", "large"],
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
