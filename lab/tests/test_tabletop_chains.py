"""The desk's chains: each can be done, in words."""

import dataclasses

import pytest

from deer_lab.worlds.judge.protocol import write_chains
from deer_lab.worlds.tabletop import chains
from deer_lab.worlds.tabletop.tasks import TASKS
from deer_lab.worlds.words import InitialState
from deer_lab.worlds.world import Chain


def words_of(chain):
    return {name: value for name, value in dataclasses.asdict(chain.initial).items() if name != "seed"}


def test_the_committed_chains_follow_from_their_seed():
    assert chains.load() == chains.draw_all()
    assert len(chains.load()) == 1000


def test_every_task_of_a_chain_is_possible_after_the_one_before():
    for chain in chains.load():
        words = words_of(chain)
        for task in chain.tasks:
            words = chains.after(task, words)
            assert words is not None, (chain, task)


def test_a_chain_takes_its_tasks_from_five_groups_and_all_tasks_occur():
    drawn = chains.load()
    assert all(len({chains.group_of(task) for task in chain.tasks}) == 5 for chain in drawn)
    assert {task for chain in drawn for task in chain.tasks} == set(TASKS)


@pytest.mark.parametrize(
    "task, words",
    [
        ("open_drawer", {"drawer": "open"}),
        ("turn_on_led", {"led": True}),
        ("move_slider_left", {"slider": "left"}),
        ("lift_red_block_drawer", {"red_block": "drawer", "drawer": "closed"}),
        ("lift_red_block_slider", {"red_block": "slider_left", "slider": "left"}),
        ("push_red_block_left", {"red_block": "slider_left"}),
        ("close_drawer", {"red_block": "hand", "drawer": "open"}),
        ("place_in_drawer", {"drawer": "open"}),
        ("place_in_slider", {"red_block": "hand", "slider": "left", "blue_block": "slider_right"}),
        ("unstack_block", {}),
        ("push_into_drawer", {"drawer": "open"}),
    ],
)
def test_what_cannot_begin_is_not_drawn(task, words):
    initial = words_of(Chain(InitialState(), ()))
    assert chains.after(task, initial | words) is None


def test_chains_of_unknown_tasks_are_refused(tmp_path):
    path = tmp_path / "chains.json"
    write_chains([Chain(InitialState(), ("open_drawer", "fly_to_the_moon"))], path, 0)
    with pytest.raises(ValueError, match=r"chain 0 asks for fly_to_the_moon"):
        chains.load(path)
