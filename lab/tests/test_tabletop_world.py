"""The tabletop world without ROS: physics, the action's meaning, pictures, initial states."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("mujoco") is None:
    pytest.skip("the simulated world needs the extra `sim` (mujoco, pillow)", allow_module_level=True)

from deer_lab.worlds.action import CLOSED, OPEN, POSITION_SCALE, action_from_twist, twist_from_action
from deer_lab.worlds.rotation import (
    euler_from_matrix,
    matrix_from_euler,
    matrix_from_quaternion,
    matrix_from_vector,
    quaternion_from_matrix,
    vector_from_matrix,
)
from deer_lab.worlds.tabletop.desk import Desk
from deer_lab.worlds.words import InitialState

ROOT = Path(__file__).parents[1]
STILL_OPEN = np.array([0, 0, 0, 0, 0, 0, OPEN])


@pytest.fixture(scope="module")
def desk():
    desk = Desk()
    yield desk
    desk.close()


def reach(desk, position, gripper, steps=60):
    """Drives the fingertips towards a point for at most `steps` control periods."""
    for _ in range(steps):
        error = np.array(position) - desk.state().tcp_position
        if np.linalg.norm(error) < 0.004:
            return
        desk.step(np.r_[np.clip(0.5 * error / POSITION_SCALE, -1, 1), 0, 0, 0, gripper])


def random_actions(count, seed):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 7))


def test_equal_actions_give_equal_states_and_pictures_to_the_bit(desk):
    runs = []
    for world in (desk, desk, Desk()):
        world.reset(InitialState(drawer="open", red_block="drawer", seed=5))
        for action in random_actions(60, seed=1):
            world.step(action)
        runs.append((world.state(), world.pictures()))
    for state, pictures in runs[1:]:
        assert state == runs[0][0]
        assert all(np.array_equal(pictures[camera], runs[0][1][camera]) for camera in pictures)


def test_another_seed_puts_the_blocks_elsewhere(desk):
    places = []
    for seed in (1, 2):
        desk.reset(InitialState(seed=seed))
        places.append(desk.state().blocks["red_block"].position)
    assert np.linalg.norm(np.subtract(*places)) > 0.005


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", (-1, 1))
def test_a_relative_action_moves_the_hand_by_two_centimetres(desk, axis, sign):
    desk.reset(InitialState(seed=3))
    before = np.array(desk.state().tcp_position)
    action = STILL_OPEN.copy()
    action[axis] = sign
    for _ in range(3):
        desk.step(action)
    for _ in range(15):
        desk.step(STILL_OPEN)
    moved = np.array(desk.state().tcp_position) - before
    assert moved == pytest.approx(sign * 0.06 * np.eye(3)[axis], abs=0.002)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", (-1, 1))
def test_a_relative_action_turns_the_hand_about_a_fixed_axis_by_a_twentieth_of_a_radian(desk, axis, sign):
    desk.reset(InitialState(seed=3))
    before = matrix_from_euler(np.array(desk.state().tcp_euler))
    action = STILL_OPEN.copy()
    action[3 + axis] = sign
    for _ in range(4):
        desk.step(action)
    for _ in range(15):
        desk.step(STILL_OPEN)
    turned = vector_from_matrix(matrix_from_euler(np.array(desk.state().tcp_euler)) @ before.T)
    assert turned == pytest.approx(sign * 0.2 * np.eye(3)[axis], abs=0.01)


def test_an_action_beyond_one_moves_no_further_than_one(desk):
    ends = []
    for size in (1.0, 7.0):
        desk.reset(InitialState(seed=3))
        desk.step(np.r_[size, -size, size, 0, 0, size, OPEN])
        ends.append(desk.state())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("action", [np.zeros(6), np.zeros((1, 7)), np.full(7, np.nan)])
def test_an_action_that_is_not_seven_finite_numbers_is_refused(desk, action):
    with pytest.raises(ValueError, match="seven finite numbers"):
        desk.step(action)


def test_a_blocked_hand_comes_back_at_once(desk):
    """The running target stays near the hand, so pressing on the desk for a second costs no second to undo."""
    desk.reset(InitialState(seed=3))
    for _ in range(60):
        desk.step(np.array([0, 0, -1, 0, 0, 0, CLOSED]))
    low = desk.state().tcp_position[2]
    for _ in range(8):
        desk.step(np.array([0, 0, 1, 0, 0, 0, CLOSED]))
    assert desk.state().tcp_position[2] > low + 0.05


def test_the_button_toggles_the_led_once_a_press(desk):
    desk.reset(InitialState(seed=3))
    button = np.array(desk.state().points["button"])
    for expected in (True, False):
        reach(desk, button + (0, 0, 0.05), CLOSED)
        reach(desk, button - (0, 0, 0.002), CLOSED)  # the fingertips reach 1 cm below the point between them
        assert desk.state().led is expected
    reach(desk, button + (0, 0, 0.05), CLOSED)
    assert desk.state().led is False


def test_the_led_and_the_bulb_can_be_seen(desk):
    pictures = []
    for light in (False, True):
        desk.reset(InitialState(led=light, lightbulb=light, seed=3))
        pictures.append(desk.pictures()["static"].astype(int))
    assert (np.abs(pictures[0] - pictures[1]).max(axis=2) > 60).sum() > 60


def test_the_drawer_opens_when_its_handle_is_pulled(desk):
    desk.reset(InitialState(seed=3))
    handle = np.array(desk.state().points["drawer_handle"])
    reach(desk, handle + (0, 0, 0.1), OPEN)
    reach(desk, handle, OPEN)
    for _ in range(10):
        desk.step(np.array([0, 0, 0, 0, 0, 0, CLOSED]))
    assert desk.state().drawer < 0.01
    reach(desk, handle - (0, 0.18, 0), CLOSED)
    assert desk.state().drawer > 0.15


def test_a_block_is_held_by_friction_and_falls_when_let_go(desk):
    desk.reset(InitialState(seed=3))
    block = np.array(desk.state().blocks["red_block"].position)
    reach(desk, block + (0, 0, 0.1), OPEN)
    reach(desk, block, OPEN)
    for _ in range(10):
        desk.step(np.array([0, 0, 0, 0, 0, 0, CLOSED]))
    reach(desk, block + (0, 0, 0.12), CLOSED)
    lifted = desk.state().blocks["red_block"]
    assert lifted.held and lifted.on == "" and lifted.position[2] > block[2] + 0.1
    for _ in range(20):
        desk.step(STILL_OPEN)
    fallen = desk.state().blocks["red_block"]
    assert not fallen.held and fallen.on == "table" and fallen.position[2] < 0.25


def test_nothing_moves_while_nobody_acts(desk):
    desk.reset(InitialState(drawer="open", red_block="drawer", blue_block="slider_left", seed=7))
    before = desk.state()
    for _ in range(90):
        desk.step(STILL_OPEN)
    after = desk.state()
    for name, block in before.blocks.items():
        assert after.blocks[name].position == pytest.approx(block.position, abs=0.001)
    for fixture in ("drawer", "slider", "switch"):
        assert getattr(after, fixture) == pytest.approx(getattr(before, fixture), abs=0.001)


def test_the_state_follows_the_words(desk):
    words = {"slider": "right", "drawer": "open", "red_block": "drawer", "blue_block": "slider_left"}
    desk.reset(InitialState(led=True, lightbulb=True, **words))
    state = desk.state()
    assert state.led and state.lightbulb and state.slider > 0.19 and state.drawer > 0.19
    assert [block.on for block in state.blocks.values()] == ["drawer", "slider", "table"]


@pytest.mark.parametrize(
    "words, complaint",
    [
        ({"slider": "middle"}, "slider is 'middle', must be one of left, right"),
        ({"red_block": "floor"}, "red_block is 'floor'"),
        ({"red_block": "slider_left", "pink_block": "slider_left"}, "red_block, pink_block in slider_left"),
    ],
)
def test_an_impossible_initial_state_is_refused(desk, words, complaint):
    with pytest.raises(ValueError, match=complaint):
        desk.reset(InitialState(**words))


def test_survives_a_long_random_run(desk):
    desk.reset(InitialState(seed=9))
    for action in random_actions(600, seed=2):
        desk.step(action)
    state = desk.state()
    assert np.isfinite(state.joints).all() and np.isfinite([b.position for b in state.blocks.values()]).all()


def test_pictures_have_the_cameras_sizes(desk):
    pictures = desk.pictures()
    assert pictures["static"].shape == (200, 200, 3) and pictures["gripper"].shape == (84, 84, 3)
    assert all(picture.dtype == np.uint8 and picture.std() > 20 for picture in pictures.values())


def test_every_task_has_a_validation_sentence_and_sentences_kept_for_test(desk):
    assert len(desk.tasks) >= 24
    for name, phrasings in desk.tasks.items():
        sentences = list(phrasings)
        assert len(sentences) == len(set(sentences)) >= 8, name
        assert len(phrasings.test) >= 2 and not {*phrasings.train} & {*phrasings.test}


def test_no_sentence_belongs_to_two_tasks(desk):
    owners = {}
    for name, phrasings in desk.tasks.items():
        for sentence in phrasings:
            assert owners.setdefault(sentence, name) == name
    assert len(owners) > 200


def test_no_task_is_done_by_doing_nothing(desk):
    state = desk.state()
    assert not any(desk.done(task, state, state) for task in desk.tasks)


def test_a_velocity_command_and_an_action_are_the_same_motion():
    for action in random_actions(50, seed=4):
        back = action_from_twist(twist_from_action(action, 30.0), action[6] > 0, 30.0)
        assert back[:6].tolist() == action[:6].astype(np.float32).tolist(), "in a network's precision, to the bit"


def test_rotations_survive_every_form():
    rng = np.random.default_rng(6)
    for _ in range(50):
        vector = rng.normal(size=3)
        vector *= rng.uniform(0, np.pi) / np.linalg.norm(vector)
        matrix = matrix_from_vector(vector)
        assert vector_from_matrix(matrix) == pytest.approx(vector, abs=1e-9)
        assert matrix_from_euler(euler_from_matrix(matrix)) == pytest.approx(matrix, abs=1e-9)
        assert matrix_from_quaternion(quaternion_from_matrix(matrix)) == pytest.approx(matrix, abs=1e-9)


def test_states_are_plain_data(desk):
    state = desk.state()
    assert json.loads(json.dumps(dataclasses.asdict(state)))["blocks"]["red_block"]["on"] == "table"
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.led = True


def test_pytorch_may_load_its_compiler_after_a_picture_was_drawn():
    """Mesa's LLVM and Triton's in one process: in the wrong order it ends with a segmentation fault."""
    pytest.importorskip("torch")
    code = "from deer_lab.worlds.tabletop.desk import Desk; Desk().pictures(); import torch._dynamo"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
