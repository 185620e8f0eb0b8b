"""The record of the robot: what reads back, what is refused, which side of the middle is open."""

import json
from pathlib import Path

import pytest

from deer_lab.embodiment import CALVIN, Embodiment, EmbodimentError, GripperSpec

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
    ],
)
def test_what_is_no_robot_is_refused(tmp_path, change, words):
    (tmp_path / "robot.json").write_text(json.dumps(CALVIN.as_dict() | change))
    with pytest.raises(EmbodimentError, match=words):
        Embodiment.read(tmp_path / "robot.json")
