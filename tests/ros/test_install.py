"""The package as a user gets it: built by colcon, started through its launch files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from peer import Peer
from programs import ROOT, Running
from std_msgs.msg import String

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The prefix that `colcon build` of a workspace with this package leaves.

    What cargo has built already is used again; nothing is written into the package's own folder.
    """
    workspace = tmp_path_factory.mktemp("workspace")
    build, prefix = workspace / "build", workspace / "install"
    build.mkdir()
    (build / "deer_vla").symlink_to(TARGET, target_is_directory=True)
    command = ["colcon", "build", "--paths", ROOT, "--build-base", build, "--install-base", prefix]
    run = subprocess.run(command, cwd=workspace, text=True, capture_output=True, timeout=3000)
    assert run.returncode == 0, run.stderr[-3000:]
    return prefix / "deer_vla"


def test_colcon_installs_programs_launch_files_parameters_and_models(installed):
    for program in ("deer_vla_node", "deer_vla"):
        assert os.access(installed / "lib" / "deer_vla" / program, os.X_OK)
    share = installed / "share" / "deer_vla"
    configs = ("policy.yaml", "sim.yaml", "foxglove.json", "plotjuggler.xml", "fastdds.xml")
    for path in ("launch/robot.launch.py", "launch/sim.launch.py", *(f"config/{name}" for name in configs)):
        assert (share / path).is_file(), path
    assert (share / "models" / "toy" / "manifest.json").is_file()
    assert (installed / "share" / "ament_index" / "resource_index" / "packages" / "deer_vla").is_file()


@pytest.fixture
def launch(installed, domain, tmp_path, monkeypatch):
    """Starts a launch file of the installed package; it must end cleanly."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{installed}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}")
    started = []

    def begin(file: str, **arguments: str) -> Running:
        given = [f"{name}:={value}" for name, value in arguments.items()]
        if shutil.which("ros2"):
            command = ["ros2", "launch", "deer_vla", file, *given]
        else:
            shim = str(ROOT / "scripts" / "launch_shim.py")
            command = [sys.executable, shim, str(installed / "share" / "deer_vla" / "launch" / file), *given]
        print("started through", "ros2 launch" if shutil.which("ros2") else "the shim, not ROS 2 launch")
        started.append(Running(command, tmp_path, domain))
        return started[-1]

    yield begin
    for launched in started:
        launched.stop()
        said = launched.said()
        assert "died" not in said, said[-3000:]


@pytest.fixture
def printed(installed):
    """What robot.launch.py would start, given some arguments."""
    shim = [sys.executable, str(ROOT / "scripts" / "launch_shim.py"), "--print"]
    file = str(installed / "share" / "deer_vla" / "launch" / "robot.launch.py")
    paths = {**os.environ, "AMENT_PREFIX_PATH": f"{installed}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"}
    return lambda *arguments: subprocess.run([*shim, file, *arguments], env=paths, text=True, capture_output=True)


def test_a_parameters_file_that_is_not_there_starts_nothing(printed, tmp_path):
    run = printed(f"params_file:={tmp_path}/typo.yaml", "dry_run:=false")
    assert run.returncode == 1 and "typo.yaml: there is no such file" in run.stderr, run.stderr
    assert not run.stdout


def test_a_mistyped_argument_starts_nothing(printed, tmp_path):
    (own := tmp_path / "own.yaml").write_text("/**: {ros__parameters: {}}")
    run = printed(f"param_file:={own}", "dry_run:=false")
    assert run.returncode == 1 and "param_file:= is no argument of robot.launch.py" in run.stderr, run.stderr
    assert not run.stdout


def test_every_topic_of_robot_launch_can_be_remapped_the_emergency_stop_among_them(printed):
    more = "remap:=front/image:=/front left/image:=/left"
    (command,) = json.loads(printed("estop:=/cell/estop", "gripper:=/hand/gripper_cmd", more).stdout)
    rules = [command[i + 1] for i, word in enumerate(command) if word == "-r"]
    assert {"estop:=/cell/estop", "~/gripper:=/hand/gripper_cmd", "instruction:=instruction"} <= set(rules)
    assert {"front/image:=/front", "left/image:=/left"} <= set(rules)
    (command,) = json.loads(printed("remap:=estop:=/cell/estop").stdout)
    assert next(rule for rule in command if rule.startswith("estop:=")) == "estop:=/cell/estop", "the first rule counts"
    assert "is no TOPIC:=TOPIC" in printed("remap:=front/image").stderr


def test_an_argument_that_is_not_given_leaves_what_the_parameters_file_says(printed, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("/**: {ros__parameters: {bundle: /models/kitchen, dry_run: false}}")

    def over(*arguments: str) -> dict:
        (command,) = json.loads(printed(f"params_file:={own}", *arguments).stdout)
        files = [command[i + 1] for i, word in enumerate(command) if word == "--params-file"]
        assert files[0] == str(own)
        return json.loads(Path(files[1]).read_text())["/**"]["ros__parameters"]

    assert over() == {"dry_run": True, "autostart": False, "use_sim_time": False}
    given = over("bundle:=toy", "frozen:=0", "mode:=lock_step")
    assert (given["bundle"], given["images.frozen"], given["twist.mode"]) == ("toy", 0, "lock_step")


def test_robot_launch_starts_a_dry_run_under_the_names_it_is_given(launch, domain, pictures):
    arguments = {"namespace": "left", "static_image": "/overhead", "use_sim_time": "true", "autostart": "true"}
    launched = launch("robot.launch.py", **arguments)
    peer = Peer(domain, sim_time=True, dry_run=True, namespace="/left", remapped={"static/image": "/overhead"})
    peer.meet(launched.check)
    peer.say("push the button")
    peer.stream(pictures, lambda: peer.decisions[-1].acts, "a decision to act")
    peer.until_named("deer_vla", "/left")
    assert not peer.twists
    peer.close()


def test_sim_launch_moves_the_simulated_arm(launch, domain):
    launched = launch("sim.launch.py")
    peer = Peer(domain, sim_time=False)
    states = peer.hear(String, "state", lambda message: json.loads(message.data)["tcp_position"])

    def moved() -> bool:
        launched.check()
        peer.say("push the button")
        return len(states) > 1 and max(abs(a - b) for a, b in zip(states[0], states[-1], strict=True)) > 0.02

    peer.until(moved, "the tool to move by 2 cm", patience=120)
    assert any(decision.acts for decision in peer.decisions)
    peer.close()


def test_the_demo_says_a_sentence_sees_it_done_and_leaves_a_film(installed, domain, tmp_path, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{installed}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}")
    out = tmp_path / "out"
    said = ["--instruction", "open the drawer", "--seconds", "12", "--out", out]
    demo = Running([sys.executable, ROOT / "scripts" / "demo.py", *said], tmp_path, domain)
    assert demo.process.wait(timeout=240) == 0, demo.said()[-3000:]
    assert "1 of 1 sentences done." in demo.said(), demo.said()[-3000:]
    decisions = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert all(decision["instruction"] == "open the drawer" for decision in decisions)
    assert sum("decision" in decision for decision in decisions) > 10
    assert (out / "demo.gif").stat().st_size > 10_000 and (out / "demo_sheet.png").is_file()
