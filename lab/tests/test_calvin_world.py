"""CALVIN behind the World interface. What needs the simulator is skipped where CALVIN_ENV names no calvin_env."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from deer_lab.worlds.action import CLOSED, OPEN
from deer_lab.worlds.calvin import chains, expert, initial, tasks
from deer_lab.worlds.calvin.state import State, held_block, oracle_info, stacked_block, surface_of
from deer_lab.worlds.catalog import open_world
from deer_lab.worlds.starts import do
from deer_lab.worlds.words import BLOCKS, InitialState

TRACE = json.loads((Path(__file__).parent / "data" / "calvin_trace.json").read_text())
LAB = Path(__file__).parents[1]
HAS_CALVIN = bool(os.environ.get("CALVIN_ENV")) and importlib.util.find_spec("pybullet") is not None
with_calvin = pytest.mark.skipif(not HAS_CALVIN, reason="CALVIN_ENV names no calvin_env, or pybullet is not here")


@pytest.fixture(scope="module")
def world():
    opened = open_world("calvin:D")
    yield opened
    opened.close()


def traced():
    """The states that were recorded, in order."""
    return [State.from_dict(state) for state in TRACE["states"]]


# Its words, which need no simulator


def test_the_committed_chains_are_those_that_the_rules_and_seeds_give():
    drawn = Counter((chain.initial, chain.tasks) for chain in chains.load())
    assert drawn.total() == 1000
    for number in (0, 57, 131):
        words = chains.initial_words()[number]
        again = Counter((chains.initial_of(words), found) for found in chains.draw_from(words, 5, number))
        assert again <= drawn


def test_a_chain_takes_its_tasks_from_five_categories_and_all_tasks_occur():
    drawn = chains.load()
    assert all(len({chains.group_of(task) for task in chain.tasks}) == 5 for chain in drawn)
    assert {task for chain in drawn for task in chain.tasks} == set(tasks.NAMES)


def test_where_a_task_may_be_meant_in_two_ways_it_is_in_no_chain():
    words = chains.initial_words()[0] | {
        "red_block": "grasped",
        "grasped": 1,
        "blue_block": "table",
        "pink_block": "table",
    }
    assert len(chains.after("stack_block", words)) == 2
    assert not chains.can_be_done(["stack_block"], words)


def test_the_hash_that_seeds_initial_states_is_fnv():
    basis = "chongo <Landon Curt Noll> /\\../\\"  # from which FNV took its offset
    assert initial.fnv0(basis.encode()) == 0x811C9DC5


def test_a_scene_begins_where_the_evaluation_of_calvin_puts_it():
    scene, first = initial.scene_of(InitialState(**TRACE["initial"])), traced()[0]
    assert (scene[0], scene[1]) == (first.slider, first.drawer)
    for number, name in enumerate(BLOCKS):
        block, place = first.blocks[name], scene[6 + 6 * number : 12 + 6 * number]
        np.testing.assert_allclose(block.position, place[:3], atol=2e-3)  # one step of the physics later
        x, y, z, w = block.quaternion
        assert np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)) == pytest.approx(place[5], abs=1e-2)


def test_seed_0_is_calvins_and_another_moves_what_the_words_leave_open():
    words = InitialState(**TRACE["initial"])
    scenes = [initial.scene_of(InitialState(**TRACE["initial"] | {"seed": seed})) for seed in (0, 1, 1, 2)]
    assert (scenes[0] == initial.scene_of(words)).all() and (scenes[1] == scenes[2]).all()
    assert not (scenes[1] == scenes[3]).all() and not (scenes[0] == scenes[1]).all()


@pytest.mark.parametrize(
    "words, complaint",
    [
        ({"slider": "middle"}, "slider is 'middle', must be one of left, right"),
        ({"red_block": "floor"}, "red_block is 'floor', must be one of table"),
        ({}, "3 blocks in table, which has room for 2; with a seed for three"),
        ({"red_block": "slider_left", "blue_block": "slider_left"}, "2 blocks in slider_left, which has room for 1"),
    ],
)
def test_an_initial_state_that_cannot_be_is_refused_by_its_word(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        initial.scene_of(InitialState(**words))


def test_a_state_survives_being_recorded():
    for state in traced():
        assert State.from_dict(json.loads(json.dumps(asdict(state)))) == state
        assert hash(state.blocks["red_block"])  # tuples throughout


def test_what_can_begin_follows_from_what_touches_what():
    first = traced()[0]
    assert {name: surface_of(first, name) for name in BLOCKS} == {
        "red_block": "slider",
        "blue_block": "table",
        "pink_block": "table",
    }
    assert held_block(first) is None and stacked_block(first) is None
    possible = {task for task in tasks.NAMES if tasks.possible(task, first)}
    assert {"open_drawer", "move_slider_left", "lift_pink_block_table", "turn_on_lightbulb", "turn_off_led"} <= possible
    assert not {"close_drawer", "move_slider_right", "lift_red_block_table", "stack_block", "turn_on_led"} & possible
    # The door is at the right, before the red block.
    assert first.blocks["red_block"].position[0] > 0 and "lift_red_block_slider" not in possible


def test_the_oracle_is_shown_who_touches_whom():
    info = oracle_info(traced()[0])
    table = info["scene_info"]["fixed_objects"]["table"]
    ((*_, body, _, link),) = [contact[:5] for contact in info["scene_info"]["movable_objects"]["block_red"]["contacts"]]
    assert (body, link) == (table["uid"], table["links"]["plank_link"])


def test_where_calvin_is_not_there_one_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("CALVIN_ENV", raising=False)
    with pytest.raises(ValueError, match=r"git clone .*calvin_env, then CALVIN_ENV="):
        open_world("calvin")
    monkeypatch.setenv("CALVIN_ENV", str(tmp_path))
    with pytest.raises(ValueError, match="is no calvin_env: name the folder that git clone made"):
        open_world("calvin:A")
    (tmp_path / "calvin_env" / "envs").mkdir(parents=True)
    (tmp_path / "calvin_env" / "envs" / "play_table_env.py").touch()
    with pytest.raises(ValueError, match="is no git checkout"):
        open_world("calvin")
    with pytest.raises(ValueError, match=r"no scene 'E': give --world calvin:A, calvin:B"):
        open_world("calvin:E")
    with pytest.raises(ValueError, match=r"no renderer 'gpu': give --world calvin:D or calvin:D:egl"):
        open_world("calvin:D:gpu")


@pytest.mark.parametrize("task", tasks.NAMES)
def test_the_expert_answers_from_any_state_by_the_state_alone(task):
    for state in traced():
        action = expert.act(task, state)
        assert action.shape == (7,) and np.isfinite(action).all() and (np.abs(action[:6]) <= 1).all()
        assert action[6] in (-1, 1)
        assert (expert.act(task, State.from_dict(json.loads(json.dumps(asdict(state))))) == action).all()


def with_pink_block_in_hand(x, y, z=0.56):
    """The shelf's left half is open and empty, the drawer is too."""
    state, tcp = traced()[0], (x, y, z)
    held = replace(state.blocks["pink_block"], position=tcp, touching=("robot",))
    return replace(state, tcp_position=tcp, opening=0.04, blocks={**state.blocks, "pink_block": held})


def test_a_learner_that_comes_to_the_shelf_somewhere_else_is_not_sent_back():
    goals = [
        expert.goal_of("place_in_slider", with_pink_block_in_hand(x, 0.0)).position[0] for x in (-0.2, -0.25, -0.28)
    ]
    assert goals == pytest.approx([-0.2, -0.25, -0.28])
    beside = with_pink_block_in_hand(-0.22, -0.1)
    there = replace(beside.blocks["red_block"], position=(-0.27, 0.09, 0.46))
    full = replace(beside, blocks={**beside.blocks, "red_block": there})
    assert expert.goal_of("place_in_slider", full).position[0] == pytest.approx(-0.18)


def turns(states):
    """The expert's actions [n, 7] with a block for the shelf, and how much each differs from the one before."""
    actions = np.array([expert.act("place_in_slider", state) for state in states])
    return actions, np.linalg.norm(np.diff(actions[:, :3], axis=0), axis=1)


def test_the_expert_does_not_sway_before_the_cabinet():
    actions, found = turns(with_pink_block_in_hand(0.05, y) for y in np.arange(-0.1, 0.06, 0.001))
    assert max(found) < 0.4 and actions[0][0] < -0.5 and actions[-1][1] < -0.5
    actions, found = turns(with_pink_block_in_hand(x, 0.03, 0.55) for x in np.arange(-0.18, 0.0, 0.0005))
    assert max(found) < 0.4 and actions[0][1] > 0.1 and actions[-1][1] < -0.5, "in where it is, out from elsewhere"


def test_the_expert_keeps_what_it_carries_off_the_doors_handle():
    assert expert.act("place_in_slider", with_pink_block_in_hand(0.1, -0.04))[1] < -0.05


@pytest.mark.parametrize(("across", "above"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.018)])
def test_the_expert_lets_go_where_a_learner_came_close_enough(across, above):
    there = with_pink_block_in_hand(-0.22, 0.082 + across, 0.464 + above)
    assert expert.act("place_in_slider", there)[6] == OPEN


@pytest.mark.parametrize(("height", "to"), [(0.495, 0.6), (0.465, 0.465)])
def test_the_expert_leaves_a_block_that_it_let_go_and_takes_one_again_that_fell_beside_its_place(height, to):
    held = with_pink_block_in_hand(0.03, -0.12, 0.5)
    block = replace(held.blocks["pink_block"], position=(0.03, -0.12, height), touching=())
    goal = expert.place(
        replace(held, opening=0.078, blocks=held.blocks | {"pink_block": block}), np.array([0.0, -0.12, 0.48])
    )
    assert goal.gripper == OPEN and goal.position[2] == pytest.approx(to, abs=0.01)


def test_the_expert_leaves_what_is_beside_the_hand_before_it_goes_elsewhere():
    state = traced()[0]
    beside = replace(state, tcp_position=(*state.blocks["blue_block"].position[:2], 0.47))
    assert expert.act("turn_off_led", beside)[2] > 0.3  # up
    assert expert.act("open_drawer", replace(state, tcp_position=(-0.2, 0.05, 0.5)))[1] < 0  # out of the cabinet


# The simulator


@with_calvin
def test_the_recorded_actions_lead_to_the_recorded_states(world):
    world.reset(InitialState(**TRACE["initial"]))
    found = [world.state()]
    for action in TRACE["actions"]:
        world.step(np.array(action))
        found.append(world.state())
    for period, state in zip(TRACE["periods"], traced(), strict=True):
        np.testing.assert_allclose(found[period].joints, state.joints, atol=1e-6)
        assert found[period].touching == state.touching


def steps_of(opened, chain, count=15):
    """Everything that can be seen and told of a chain's first steps along actions of its own."""
    opened.reset(chain.initial)
    seen = []
    for action in np.random.default_rng(0).uniform(-1, 1, (count, 7)):
        opened.step(action)
        seen.append(json.dumps(asdict(opened.state())))
    return seen, {camera: picture.tobytes() for camera, picture in opened.pictures().items()}


@with_calvin
def test_a_reset_leaves_nothing_of_what_was_before(world):
    chain = chains.load()[0]
    world.reset(chain.initial)
    begins = world.state()
    first = steps_of(world, chain)
    steps_of(world, chains.load()[1], 40)
    for _ in range(10):
        world.step(np.r_[np.zeros(6), CLOSED])
    world.reset(chain.initial)
    assert world.state() == begins, "the gripper's order, too"
    assert steps_of(world, chain) == first


@with_calvin
def test_another_process_sees_the_same_to_the_bit(world):
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from tests.test_calvin_world import *\n"
        "seen, pictures = steps_of(open_world('calvin:D'), chains.load()[0])\n"
        "print(json.dumps([seen, {camera: picture.hex() for camera, picture in pictures.items()}]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(LAB)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen, pictures = json.loads(done.stdout)  # what calvin_env prints goes elsewhere
    ours = steps_of(world, chains.load()[0])
    assert seen == ours[0] and {camera: bytes.fromhex(text) for camera, text in pictures.items()} == ours[1]


@with_calvin
def test_the_cameras_are_calvins(world):
    assert {camera: picture.shape for camera, picture in world.pictures().items()} == {
        "static": (200, 200, 3),
        "gripper": (84, 84, 3),
    }


@with_calvin
def test_a_period_is_drawn_once_however_often_it_is_looked_at(world, monkeypatch):
    draws = []
    draw = world._simulator.pictures
    monkeypatch.setattr(world._simulator, "pictures", lambda: draws.append(1) or draw())
    world.reset(InitialState(**TRACE["initial"]))
    first, again = world.pictures(), world.pictures()
    assert len(draws) == 1 and all((first[camera] == again[camera]).all() for camera in first)
    for _ in range(5):
        world.step(np.array([0, 0, -1, 0, 0, 0, 1.0]))
    assert not (world.pictures()["gripper"] == first["gripper"]).all() and len(draws) == 2


@with_calvin
def test_the_oracle_asks_for_a_change(world):
    world.reset(InitialState(**TRACE["initial"]))
    before = world.state()
    moved = State.from_dict(asdict(before) | {"drawer": before.drawer + 0.13})
    assert world.done("open_drawer", before, moved) and not world.done("open_drawer", before, before)
    assert not world.done("close_drawer", before, moved)
    with pytest.raises(KeyError):
        world.done("fly_to_the_moon", before, moved)


@with_calvin
def test_the_expert_does_a_chain(world):
    chain = chains.load()[0]
    world.reset(chain.initial)
    for task in chain.tasks:
        assert world.possible(task, world.state())
        assert do(world, task), task


@with_calvin
def test_a_random_state_is_one_from_which_the_task_can_begin(world):
    for task in ("lift_red_block_drawer", "lift_blue_block_slider", "stack_block"):
        world.begin(task, np.random.default_rng(5))
        assert world.possible(task, world.state())


@with_calvin
def test_a_wrong_action_is_refused(world):
    with pytest.raises(ValueError, match="seven finite numbers"):
        world.step(np.array([0, 0, 0, np.nan, 0, 0, 1]))
