"""What CALVIN's recordings tell of the true state. Two pictures of a known state are beside; one test needs CALVIN."""

import importlib.util
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deer_lab.worlds.calvin import expert, tasks
from deer_lab.worlds.calvin.aids import aids, told
from deer_lab.worlds.calvin.answers import SENTENCES, answers
from deer_lab.worlds.calvin.phrasings import phrasings
from deer_lab.worlds.calvin.points import seen
from deer_lab.worlds.calvin.state import State
from deer_lab.worlds.catalog import open_world

DATA = Path(__file__).parent / "data"
SHOWN = State.from_dict(json.loads((DATA / "calvin_shown.json").read_text()))
TRACE = [State.from_dict(state) for state in json.loads((DATA / "calvin_trace.json").read_text())["states"]]
HAS_CALVIN = bool(os.environ.get("CALVIN_ENV")) and importlib.util.find_spec("pybullet") is not None
BLUE, PINK, RED, HAND, DRAWER, SLIDER, SWITCH, BUTTON = range(8)


def shown(camera, number):
    """The colour where a point is said to be."""
    picture = np.asarray(Image.open(DATA / f"calvin_{camera}.jpg")).astype(int)
    x, y, visible = seen(SHOWN)[camera][number]
    assert visible
    column, row = ((np.array([x, y]) + 1) / 2 * len(picture)).astype(int)
    return picture[row, column]


@pytest.mark.parametrize("camera", ["static", "gripper"])
def test_both_cameras_see_a_block_where_it_is_said_to_be(camera):
    red, green, blue = shown(camera, BLUE)
    assert blue > 2 * max(red, green)
    red, green, blue = shown(camera, RED)
    assert red > 2 * max(green, blue)
    red, green, blue = shown(camera, PINK)
    assert min(red, blue) > 2 * green


def test_handles_and_switch_are_dark_where_they_are_said_to_be():
    for number in (DRAWER, SLIDER, SWITCH):
        assert shown("static", number).max() < 100


def test_what_is_behind_the_door_or_in_the_closed_drawer_is_not_asked_for():
    assert seen(SHOWN)["static"][[BLUE, PINK], 2].all()
    closed = replace(SHOWN, slider=0.0, drawer=0.0)  # the door stands before the blue block, which is at the right
    assert not seen(closed)["static"][[BLUE, PINK], 2].any() and seen(closed)["static"][RED, 2]


def test_a_cube_looks_alike_after_a_quarter_of_a_turn_and_a_bar_after_a_half():
    def quarter(name):
        turned = replace(SHOWN.blocks[name], quaternion=quarter_turned(SHOWN.blocks[name].quaternion))
        return told(replace(SHOWN, blocks=SHOWN.blocks | {name: turned}))

    before = told(SHOWN)
    assert quarter("blue_block") == pytest.approx(before, abs=1e-3)
    assert quarter("pink_block")[9:11] == pytest.approx(-before[9:11], abs=1e-3)


def quarter_turned(quaternion):
    x, y, z, w = quaternion
    half = np.sqrt(0.5)
    return (half * (x - y), half * (x + y), half * (z + w), half * (w - z))  # about the vertical


@pytest.mark.parametrize("state", TRACE + [SHOWN])
def test_the_expert_answers_for_every_task_that_could_begin(state):
    for task, row in zip(tasks.NAMES, answers(state), strict=True):
        if not tasks.possible(task, state):
            assert np.isnan(row).all()
            continue
        action = expert.act(task, state)
        assert row[:6] == pytest.approx(action[:6], abs=1e-3) and row[6] == (action[6] > 0)
        goal = expert.goal_of(task, state)
        assert 0.03 * np.sinh(3 * row[7:10].astype(float)) + state.tcp_position == pytest.approx(
            goal.position, abs=5e-3
        )


def test_a_recording_is_told_frame_by_frame():
    found = aids([json.dumps(asdict(state)) for state in TRACE])
    frames = len(TRACE)
    assert found.state.shape == (frames, 48) and found.state.dtype == np.float32
    assert {camera: points.shape for camera, points in found.points.items()} == {
        "static": (frames, 8, 3),
        "gripper": (frames, 8, 3),
    }
    assert found.answers.shape == (frames, 34, 12) and found.answers.dtype == np.float16
    assert len(found.sentences) == len(SENTENCES) == 34
    said = dict(zip(tasks.NAMES, found.sentences, strict=True))["open_drawer"]
    assert said == phrasings()["open_drawer"].train


@pytest.mark.skipif(not HAS_CALVIN, reason="CALVIN_ENV names no calvin_env, or pybullet is not here")
def test_the_static_eye_is_calvins_own_camera():
    world = open_world("calvin:D")
    camera = world._simulator._env.cameras[0]
    state = world.state()
    places = seen(state)["static"]
    for number, point in ((RED, state.blocks["red_block"].position), (HAND, state.tcp_position)):
        column, row = (places[number, :2] + 1) / 2 * 200
        assert (int(column), int(row)) == camera.project(np.array([*point, 1.0]))
    world.close()
