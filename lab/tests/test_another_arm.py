"""An arm of 10 Hz whose gripper closes at 0.8 rad and whose actions are in another frame: trained, made a bundle,
calibrated and run, without a constant being changed anywhere. And other people's data as rosbags for the same programs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import damaged
import numpy as np
import pytest

pytest.importorskip("torch")

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from deer_lab import bundle, convert, train
from deer_lab.data.bag_writer import write_bag
from deer_lab.data.segment import Segment
from deer_lab.embodiment import ARM, ArmAxis, CameraSource, Embodiment, GripperSpec
from deer_lab.program import ROOT, find_program

FRAMES, HZ = 26, 10
AXES = tuple(ArmAxis(name, unit, 0.05 if unit == "m" else 0.2, "tool_base") for name, unit in ARM)
JAW = GripperSpec("jaw", "rad", open=0.0, closed=0.8)
CAMERAS = (CameraSource("static", 64, 48, 30), CameraSource("gripper", 64, 48, 30))
ROBOT = Embodiment(HZ, AXES, JAW, CAMERAS)
TOY = ROOT / "models" / "toy"
PROGRAM = find_program()
needs_program = pytest.mark.skipif(PROGRAM is None, reason="no deer_vla: cargo build, or name it in DEER_VLA")


def demonstration(seed: int) -> Segment:
    random = np.random.default_rng(seed)
    pictures = {role: list(random.integers(0, 256, (FRAMES, 48, 64, 3), np.uint8)) for role in ("static", "gripper")}
    motion = random.uniform(-0.05, 0.05, (FRAMES, 6))
    return Segment("open the drawer", pictures, motion, random.choice([0.0, 0.8], FRAMES))


@pytest.fixture(scope="module")
def bags(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for seed in range(3):
        write_bag(demonstration(seed), ROBOT, folder / f"episode_{seed}")
    return folder


def call(command, *words: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [command.__name__, *map(str, words)])
        assert command.main() == 0


@pytest.fixture(scope="module")
def made(bags, tmp_path_factory) -> Path:
    """The bundle of a policy that was trained for ROBOT, for as long as it takes to have one."""
    folder = tmp_path_factory.mktemp("made")
    ROBOT.write(folder)
    words = ["--config", "toy", "--stage", "joint", "--steps", 1, "--batch", 1, "--window", 2, "--data", bags]
    call(train, *words, "--embodiment", folder, "--cache", folder / "cache", "--out", folder / "run")
    call(bundle, folder / "run", "--out", folder / "bundle")
    return folder / "bundle"


def deer_vla(*words: object) -> subprocess.CompletedProcess:
    done = subprocess.run([PROGRAM, *map(str, words)], env=os.environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done


def test_what_it_is_taught_is_in_its_own_units():
    segment = demonstration(0)
    actions = segment.actions(ROBOT)
    assert actions[:, :3] == pytest.approx(segment.motion[:, :3] / 0.05, abs=1e-6)
    assert actions[:, 3:6] == pytest.approx(segment.motion[:, 3:] / 0.2, abs=1e-6)
    assert (actions[:, 6] == (segment.gripper == 0.0)).all(), "it is open at 0 rad"


def test_the_run_and_its_bundle_are_of_that_robot(made):
    assert Embodiment.read(made.parent / "run") == ROBOT
    found = Embodiment.read(made)
    assert (found.control_hz, found.arm) == (HZ, AXES)


@needs_program
def test_it_is_calibrated_and_run_on_its_recordings(made, bags, tmp_path):
    deer_vla("calibrate", made, bags, "--out", tmp_path / "calibration.json")
    deer_vla("replay", made, bags / "episode_0", "--out", tmp_path / "replay")
    decisions = [json.loads(line) for line in (tmp_path / "replay" / "decisions.jsonl").read_text().splitlines()]
    assert len(decisions) == FRAMES, "an answer to every set of pictures, ten a second"
    with AnyReader([tmp_path / "replay" / "commands"], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as bag:
        told = [bag.deserialize(raw, connection.msgtype) for connection, _, raw in bag.messages()]
    twists = [message for message in told if hasattr(message, "twist")]
    fastest = max(abs(getattr(message.twist.linear, axis)) for message in twists for axis in "xyz")
    assert 0 < fastest <= 0.05 * HZ * 1.01
    assert {message.header.frame_id for message in twists} == {"tool_base"}
    positions = {message.points[0].positions[0] for message in told if hasattr(message, "points")}
    assert positions and positions <= {JAW.open, JAW.closed}


@needs_program
@pytest.mark.parametrize(("cameras", "shape"), [([], [48, 64, 3]), (["--cameras", "static=32"], [32, 32, 3])])
def test_a_data_set_has_the_pictures_as_they_were_recorded_or_as_large_as_is_said(bags, tmp_path, cameras, shape):
    ROBOT.write(tmp_path)
    call(convert, bags, "--to", "lerobot", tmp_path / "set", "--embodiment", tmp_path, *cameras)
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert info["features"]["observation.images.static"]["shape"] == shape
    assert info["total_frames"] == 3 * FRAMES


@needs_program
@pytest.mark.parametrize("make", [damaged.lerobot, damaged.calvin])
def test_other_peoples_data_become_rosbags_that_are_calibrated_and_replayed_on(make, made, tmp_path):
    call(convert, make(tmp_path), "--to", "bag", tmp_path / "bags")
    deer_vla("calibrate", TOY, tmp_path / "bags", "--out", tmp_path / "calibration.json")
    deer_vla("replay", TOY, tmp_path / "bags" / "episode_000000", "--out", tmp_path / "replay")
    decisions = (tmp_path / "replay" / "decisions.jsonl").read_text().splitlines()
    assert len(decisions) == damaged.FRAMES
