"""What counts as done, and the expert that does it."""

import dataclasses
import importlib.util

import numpy as np
import pytest

for module in ("mujoco", "tqdm"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the simulated world needs the extra `sim`; {module} cannot be imported", allow_module_level=True)

from deer_lab.worlds.starts import begin, do
from deer_lab.worlds.tabletop import expert
from deer_lab.worlds.tabletop.desk import Desk
from deer_lab.worlds.tabletop.gallery import CAPTION, SIZE, pair
from deer_lab.worlds.tabletop.tasks import TASKS
from deer_lab.worlds.words import InitialState

OPPOSITES = [
    ("open_drawer", "close_drawer"),
    ("move_slider_left", "move_slider_right"),
    ("turn_on_led", "turn_off_led"),
    ("turn_on_lightbulb", "turn_off_lightbulb"),
    ("push_blue_block_left", "push_blue_block_right"),
    ("rotate_pink_block_left", "rotate_pink_block_right"),
]


@pytest.fixture(scope="module")
def desk():
    desk = Desk()
    yield desk
    desk.close()


def changed(state, name, **changes):
    """`state` with one block changed."""
    return dataclasses.replace(
        state, blocks=dict(state.blocks) | {name: dataclasses.replace(state.blocks[name], **changes)}
    )


def attempt(desk, task, seed, noise=0.0):
    """The steps the expert needs from a random start, None beyond 120; `noise` disturbs every action."""
    rng = np.random.default_rng([list(TASKS).index(task), seed])
    begin(desk, task, rng)
    before = state = desk.state()
    for step in range(1, 121):
        action = expert.act(task, state)
        action[:6] += rng.normal(0, noise, 6)
        desk.step(action)
        state = desk.state()
        if desk.done(task, before, state):
            return step
    return None


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_does_every_task_within_120_steps(desk, task):
    assert [attempt(desk, task, seed) for seed in range(2)].count(None) == 0


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_recovers_from_noise(desk, task):
    assert [attempt(desk, task, seed, noise=0.3) for seed in range(3)].count(None) <= 1


@pytest.mark.parametrize("tasks", OPPOSITES, ids=lambda pair: pair[0])
def test_a_task_and_its_opposite_are_never_done_at_once(desk, tasks):
    for task, opposite in (tasks, tasks[::-1]):
        begin(desk, task, np.random.default_rng(1))
        before = desk.state()
        assert do(desk, task)
        after = desk.state()
        assert not desk.done(opposite, before, after)
        assert desk.done(opposite, after, before)


def test_what_was_so_already_does_not_count(desk):
    desk.reset(InitialState(led=True, lightbulb=True, drawer="open", slider="left"))
    state = desk.state()
    for task in ("turn_on_led", "turn_on_lightbulb", "open_drawer", "move_slider_left"):
        assert not desk.done(task, state, state)
        assert not TASKS[task].possible(state)


def test_lifting_needs_the_hand_and_not_a_shove_upwards(desk):
    begin(desk, "lift_red_block_table", np.random.default_rng(2))
    before = desk.state()
    assert do(desk, "lift_red_block_table")
    after = desk.state()
    assert not desk.done("lift_red_block_table", before, changed(after, "red_block", held=False))
    assert not desk.done("lift_red_block_table", before, changed(after, "red_block", on="blue_block"))
    assert not desk.done("lift_red_block_drawer", before, after)


def test_a_block_carried_over_the_table_was_not_pushed(desk):
    begin(desk, "push_red_block_left", np.random.default_rng(2))
    before = desk.state()
    assert do(desk, "push_red_block_left")
    after = desk.state()
    assert not desk.done("push_red_block_left", before, changed(after, "red_block", held=True))
    assert not desk.done("push_red_block_left", before, changed(after, "red_block", on="drawer"))


def test_placing_ends_with_the_fingers_open(desk):
    begin(desk, "place_in_drawer", np.random.default_rng(2))
    before = desk.state()
    name = next(name for name, block in before.blocks.items() if block.held)
    assert do(desk, "place_in_drawer")
    assert not desk.done("place_in_drawer", before, changed(desk.state(), name, held=True))


def test_every_phase_of_the_expert_shows(desk):
    """No two equal states get different actions, and nothing stands still: the hand or the fingers always move."""
    for task in (
        "open_drawer",
        "turn_on_led",
        "lift_blue_block_table",
        "rotate_red_block_left",
        "push_pink_block_right",
    ):
        begin(desk, task, np.random.default_rng(3))
        before = last = desk.state()
        still = 0
        while not desk.done(task, before, last):
            desk.step(expert.act(task, last))
            state = desk.state()
            moved = np.linalg.norm(np.subtract(state.tcp_position, last.tcp_position)) > 0.0015
            turned = np.linalg.norm(np.subtract(state.joints[:7], last.joints[:7])) > 0.005
            still = 0 if moved or turned or abs(state.opening - last.opening) > 0.0015 else still + 1
            assert still <= 3, task
            last = state


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_answers_from_any_state(desk, task):
    rng = np.random.default_rng(4)
    desk.reset(InitialState(drawer="open", blue_block="drawer", pink_block="slider_left", seed=8))
    for _ in range(40):
        desk.step(rng.uniform(-1, 1, 7))
        action = expert.act(task, desk.state())
        assert action.shape == (7,) and np.isfinite(action).all() and abs(action[6]) == 1


def test_the_gallery_shows_a_task_before_and_after(desk):
    picture = np.asarray(pair(desk, "open_drawer")).astype(int)
    before, after = picture[CAPTION:, :SIZE], picture[CAPTION:, SIZE : 2 * SIZE]
    assert (np.abs(before - after).max(axis=2) > 60).mean() > 0.02
