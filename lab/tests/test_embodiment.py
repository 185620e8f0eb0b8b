"""The record of the robot: what reads back, what is refused, which side of the middle is open."""

import argparse
import json
from pathlib import Path

import pytest

from deer_lab.data.demonstrations import add_demonstrations, find_trained
from deer_lab.data.segment import DataError
from deer_lab.embodiment import CALVIN, Embodiment, EmbodimentError, GripperSpec

CAMERA = {"role": "static", "width": 640, "height": 480, "rate_hz": 30}
MODELS = Path(__file__).parents[2] / "models"


def test_what_was_written_reads_back(tmp_path):
    robot = Embodiment(control_hz=10, gripper=GripperSpec(unit="rad", open=0.0, closed=0.8)).with_cameras(
        [("static", 96)]
    )
    robot.write(tmp_path)
    assert Embodiment.read(tmp_path) == robot
    assert robot.cameras[0].rate_hz == 10


def test_a_shipped_bundle_says_its_robot():
    robot = Embodiment.read(MODELS / "tabletop")
    assert (robot.control_hz, robot.gripper.open, robot.arm) == (30.0, 0.04, CALVIN.arm)


@pytest.mark.parametrize(
    ("open_at", "closed_at", "position", "opened"),
    [(0.04, 0.0, 0.03, True), (0.04, 0.0, 0.01, False), (0.0, 0.8, 0.1, True), (0.0, 0.8, 0.7, False)],
)
def test_open_is_the_open_positions_side_of_the_middle(open_at, closed_at, position, opened):
    assert GripperSpec(open=open_at, closed=closed_at).is_open(position) is opened


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"control_hz": 0}, "control_hz is 0.0, expected 0.1 to 1000"),
        ({"arm": []}, "expected"),
        ({"gripper": {"open": 0.1, "closed": 0.1}}, "both 0.1"),
        ({"gripper": {"opened": 1}}, "opened"),
        ({"cameras": [{"role": "static", "width": 0, "height": 1, "rate_hz": 30}]}, "no size"),
        ({"cameras": [CAMERA | {"crop": [100, 0, 541, 480]}]}, "of the static camera leaves its 640x480 pixels"),
        ({"cameras": [CAMERA | {"crop": [100, 0, 480]}]}, "does not read"),
    ],
)
def test_what_is_no_robot_is_refused(tmp_path, change, words):
    (tmp_path / "robot.json").write_text(json.dumps(CALVIN.as_dict() | change))
    with pytest.raises(EmbodimentError, match=words):
        Embodiment.read(tmp_path / "robot.json")


def trained(*words) -> Embodiment:
    """The robot that training with such words is for."""
    parser = argparse.ArgumentParser()
    add_demonstrations(parser)
    parser.add_argument("--init", type=Path)
    return find_trained(parser.parse_args([str(word) for word in words]))


def test_a_policy_that_learns_from_cut_pictures_remembers_the_cut(tmp_path, capsys):
    robot, source = tmp_path / "robot.json", tmp_path / "source.yaml"
    robot.write_text(json.dumps(CALVIN.as_dict() | {"cameras": [CAMERA, CAMERA | {"role": "gripper"}]}))
    source.write_text("cameras: {static: {topic: /a, encoding: nv12, crop: [80, 0, 480, 480]}, gripper: /b}")
    words = ["--data", tmp_path / "bags", "--source", source]
    static, gripper = trained(*words, "--embodiment", robot).cameras
    assert (static.crop, gripper.crop) == ((80, 0, 480, 480), None)
    with pytest.raises(EmbodimentError, match=r"leaves its 200x200 pixels: say in the embodiment"):
        trained(*words)
    learned = tmp_path / "run"
    learned.mkdir()
    trained(*words, "--embodiment", robot).write(learned)
    assert "crop" not in json.loads((learned / "embodiment.json").read_text())["cameras"][1]
    assert trained(*words, "--init", learned).cameras[0] == static
    assert not capsys.readouterr().err
    assert trained("--data", tmp_path / "bags", "--init", learned).cameras[0] == static
    assert "of the static camera are cut, so none is; on the robot [80, 0, 480, 480]" in capsys.readouterr().err


def test_demonstrations_that_are_cut_differently_need_the_robots_own_cut(tmp_path):
    robot, data_set = tmp_path / "robot.json", tmp_path / "data_set"
    (data_set / "meta").mkdir(parents=True)
    (data_set / "meta" / "info.json").touch()
    (data_set / "meta" / "source.yaml").write_text("cameras: {static: {topic: front, crop: [0, 0, 90, 90]}}")
    robot.write_text(json.dumps(CALVIN.as_dict() | {"cameras": [CAMERA]}))
    words = ["--data", data_set, tmp_path / "bags", "--embodiment", robot]
    with pytest.raises(DataError, match=r"static camera are cut differently.*cameras\[\]\.crop"):
        trained(*words)
    robot.write_text(json.dumps(CALVIN.as_dict() | {"cameras": [CAMERA | {"crop": [10, 0, 480, 480]}]}))
    assert trained(*words).cameras[0].crop == (10, 0, 480, 480)
