"""Evaluator, recorder and node know a world by its interface alone: here they are given one that they never saw."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

for module in ("rosbags", "tqdm"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"these tests need the extra `sim`; {module} cannot be imported", allow_module_level=True)

from rosbags.highlevel import AnyReader

from deer_lab.config import CONFIGS
from deer_lab.data.source import Said
from deer_lab.embodiment import CALVIN
from deer_lab.program import find_program
from deer_lab.worlds.catalog import open_world
from deer_lab.worlds.judge.episode import Recipe, demonstrate
from deer_lab.worlds.judge.evaluate import evaluate
from deer_lab.worlds.judge.jobs import Judged
from deer_lab.worlds.judge.record import record

TINY = "tests.tiny_world"
LAB = Path(__file__).parents[1]
HAS_ROS = importlib.util.find_spec("rclpy") is not None


def judged_in(world, out, **options):
    options = {"mode": "chains", "count": 4, "seed": 0, "workers": 1} | options
    return evaluate(judged=Judged("expert", world=world), out=out, **options)


def test_a_world_of_ones_own_is_judged_by_its_chains_on_any_number_of_workers(tmp_path):
    one, two = (judged_in(TINY, tmp_path / str(n), workers=n) for n in (1, 2))
    assert json.dumps(one) == json.dumps(two)
    assert one["world"] == TINY and one["summary"]["average_length"] == 5
    assert one["tasks"].keys() == open_world(TINY).tasks.keys()


def test_a_scene_is_part_of_the_worlds_name(tmp_path):
    assert judged_in(f"{TINY}:lazy", tmp_path, count=2)["summary"]["average_length"] == 0
    with pytest.raises(ValueError, match="no scene 'busy'"):
        open_world(f"{TINY}:busy")


def test_an_evaluation_in_another_world_is_another_evaluation(tmp_path):
    judged_in(TINY, tmp_path, count=1)
    with pytest.raises(ValueError, match="name another folder"):
        judged_in(f"{TINY}:lazy", tmp_path, count=1)


def test_its_tasks_are_judged_one_by_one(tmp_path):
    results = judged_in(TINY, tmp_path, mode="single", count=5)
    assert [row["rate"] for row in results["tasks"].values()] == [1.0] * 5


def test_its_expert_is_recorded_with_its_own_joints_fingers_and_rate(tmp_path):
    entries = record(Recipe(seed=0, tasks=2, world=TINY), episodes=2, workers=1, out=tmp_path)
    assert [len(entry["tasks"]) for entry in entries] == [2, 2]
    found = {}
    with AnyReader([tmp_path / "episode_000000"]) as reader:
        for connection, stamp, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((stamp, message))
    times = [stamp for stamp, _ in found["/twist"]]
    assert set(np.diff(times)) == {10**8}
    assert found["/joint_states"][0][1].name == ["slide"]
    command = found["/gripper"][0][1]
    assert command.joint_names == ["finger"] and list(command.points[0].positions) == [0.03]
    assert json.loads(found["/state"][0][1].data).keys() == {"x", "joints"}


@pytest.mark.skipif(find_program() is None, reason="rosbags are read by deer_vla: cargo build, or name it in DEER_VLA")
def test_training_takes_the_true_state_from_its_recordings(tmp_path):
    pytest.importorskip("torch")
    from deer_lab.data.rosbag import find_bags, parts
    from deer_lab.data.shards import make_shards
    from deer_lab.data.windows import Windows

    record(Recipe(seed=0, tasks=2, world=TINY), episodes=1, workers=1, out=tmp_path / "bags")
    cameras, embodiment = CONFIGS["toy"].cameras, replace(CALVIN, control_hz=10)
    recorded = parts(find_bags(tmp_path / "bags"), cameras, embodiment.control_hz, Said(), TINY)
    windows = Windows(make_shards(recorded, cameras, embodiment, tmp_path), ["static", "gripper"], 3)
    assert windows.has_state and windows.state_width == 1
    steps = np.diff(windows[0]["state"][:, 0].numpy())
    assert (steps > 0).all(), "it goes to its place"


def test_only_what_is_recorded_is_drawn():
    world, drawn = open_world(TINY), []
    draw = world.pictures
    world.pictures = lambda: drawn.append(1) or draw()
    frames = demonstrate(world, "five", noise=0.0, rng=np.random.default_rng(0), every=5)
    assert len(drawn) == len(frames) and [frame.period for frame in frames] == list(range(0, 5 * len(frames), 5))


@pytest.mark.parametrize("name", ["moon", "os", "tests.moon", "tests.conftest", "world"])
def test_what_is_no_world_is_refused_with_the_names_of_those_that_are(name):
    with pytest.raises(ValueError, match=r"no world .*: give tabletop, calvin, or a Python module"):
        open_world(name)


@pytest.mark.skipif(not HAS_ROS, reason="rclpy is not here: source a ROS 2 (scripts/underlay.sh makes one)")
def test_it_becomes_a_ros_node_whose_words_are_its_parameters():
    path = os.pathsep.join([str(LAB), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"ROS_DOMAIN_ID": "66", "PYTHONPATH": path}
    command = [sys.executable, "-m", "deer_lab.worlds.ros_node", "--world", TINY, "--ros-args", "-p"]
    wrong = subprocess.run([*command, "x:=2.0"], env=environment, capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2 and "x is 2.0, must lie in 0..1" in wrong.stderr
    process = subprocess.Popen([*command, "x:=0.5"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert "waiting for a subscriber of /static/image" in process.stderr.readline()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
