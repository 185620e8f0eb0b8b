"""Starts a plain ROS 2 launch file where `ros2 launch` is not installed.

    python3 launch_shim.py [--print] FILE name:=value ...

Stand-ins for the few classes our launch files use, NOT the ROS 2 launch system. Starts the nodes, and when one ends
or on Ctrl-C ends them all; `--print` only prints their command lines, as JSON. What a file imports or passes beyond
these stand-ins raises an error, so that the file cannot quietly outgrow them.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types

from ament_index_python.packages import get_package_prefix, get_package_share_directory

values = {}  # launch configurations: name -> text
declared = set()  # names of the declared arguments
commands = []  # the command lines, in the order of the file


def text(value):
    """What launch calls performing substitutions."""
    if isinstance(value, (list, tuple)):
        return "".join(text(part) for part in value)
    return value() if callable(value) else str(value)


def later(function):
    """A class whose instances run `function` when they are visited or performed."""
    return lambda *args, **named: lambda: function(*args, **named)


def declare(name, *, default_value, description, choices=()):
    declared.add(name)
    value = values.setdefault(name, text(default_value))
    if choices and value not in choices:
        raise SystemExit(f"{name}:={value} is not one of {', '.join(choices)}")


def typed(value, *, value_type):
    if value_type is bool:
        return {"true": True, "false": False}[text(value).lower()]
    return value_type(text(value))


def parameters_file(item):
    """The path of a parameters file; a dictionary becomes a file, as launch does it. None where there is no such file,
    which launch leaves out with a warning."""
    if not isinstance(item, dict):
        return path if os.path.isfile(path := text(item)) else None
    parameters = {name: text(value) if isinstance(value, str) else value() for name, value in item.items()}
    with tempfile.NamedTemporaryFile("w", prefix="launch_params_", suffix=".yaml", delete=False) as file:
        json.dump({"/**": {"ros__parameters": parameters}}, file)
    return file.name


def node(*, executable, name, namespace, parameters, remappings, output, package=None, arguments=(), ros_arguments=()):
    if package is None:
        path = shutil.which(executable)
    else:
        path = shutil.which(os.path.join(get_package_prefix(package), "lib", package, executable))
    if path is None:
        raise SystemExit(f"there is no executable {executable}" + (f" in package {package}" if package else ""))
    command = [path, *map(text, arguments), *(["--ros-args", *map(text, ros_arguments)] if ros_arguments else [])]
    command += ["--ros-args", "-r", f"__node:={name}"]
    if text(namespace).strip("/"):
        command += ["-r", f"__ns:=/{text(namespace).strip('/')}"]
    for file in map(parameters_file, parameters):
        command += ["--params-file", file] if file else []
    for source, target in remappings:
        command += ["-r", f"{text(source)}:={text(target)}"]
    commands.append(command)


def include(path, *, launch_arguments):
    values.update((name, text(value)) for name, value in launch_arguments)
    visit(text(path))


def opaque(*, function):
    for action in function(types.SimpleNamespace(launch_configurations=values)):
        action()


def set_environment(name, value, *, condition):
    if condition():
        os.environ[name] = text(value)


MODULES = {
    "launch": {"LaunchDescription": list},
    "launch.actions": {
        "DeclareLaunchArgument": later(declare),
        "IncludeLaunchDescription": later(include),
        "OpaqueFunction": later(opaque),
        "SetEnvironmentVariable": later(set_environment),
    },
    "launch.conditions": {"IfCondition": later(lambda expression: text(expression) == "True")},
    "launch.substitutions": {
        "LaunchConfiguration": later(lambda name: values[name]),
        "PathJoinSubstitution": later(lambda parts: os.path.join(*map(text, parts))),
        "PythonExpression": later(lambda parts: str(eval(text(parts)))),
    },
    "launch_ros": {},
    "launch_ros.actions": {"Node": later(node)},
    "launch_ros.parameter_descriptions": {"ParameterValue": later(typed)},
    "launch_ros.substitutions": {"FindPackageShare": later(get_package_share_directory)},
}


def visit(path):
    spec = importlib.util.spec_from_file_location("launch_file", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for action in module.generate_launch_description():
        action()


def run():
    """Runs every command until one ends or a signal comes, then ends the others; gives 1 where one ended badly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    children = [subprocess.Popen(command, start_new_session=True) for command in commands]
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.05)
    except KeyboardInterrupt:
        pass
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave a node behind
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
    for child in children:
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
    died = [child for child in children if child.wait() != 0]
    for child in died:
        print(f"launch_shim: process has died: exit code {child.returncode}, {' '.join(child.args)}", file=sys.stderr)
    return 1 if died else 0


def main(arguments):
    only_print = arguments[0] == "--print"
    path, *given = arguments[only_print:]
    for name, members in MODULES.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    values.update(argument.split(":=", 1) for argument in given)
    unknown = set(values)
    visit(path)
    if unknown - declared:
        raise SystemExit(f"no argument of {path}: {', '.join(sorted(unknown - declared))}")
    if only_print:
        print(json.dumps(commands))
        return 0
    return run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
