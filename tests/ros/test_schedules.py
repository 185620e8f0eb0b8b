"""Whatever goes wrong, no command is none or too fast, the arm stands in time, and afterwards the task goes on.

Random schedules: `DEER_VLA_SCHEDULES` says how many (20), `DEER_VLA_SEED` the first. A schedule that fails prints its
seed; alone it is run by `DEER_VLA_SEED=N DEER_VLA_SCHEDULES=1 python3 -m pytest tests/ros/test_schedules.py`.
"""

import os

import pytest
from geometry_msgs.msg import TwistStamped
from messages import PERIOD, SECOND, Decision, time_message
from schedules import Schedule, Story, World, blind, draw, judge, unusable

FIRST = int(os.environ.get("DEER_VLA_SEED", "0"))
SCHEDULES = int(os.environ.get("DEER_VLA_SCHEDULES", "20"))


# One kind after the other: a world in lock step takes all of the machine that it can get.
SEEDS = sorted(range(FIRST, FIRST + SCHEDULES), key=lambda seed: draw(seed).lock_step)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """A world of the wanted kind: the schedules of one kind are lived through one after another."""
    made: dict[bool, World] = {}
    codes = []

    def world(lock_step: bool) -> World:
        if lock_step not in made:
            codes.extend(made.popitem()[1].close() for _ in list(made))
            made[lock_step] = World(48 + lock_step, tmp_path_factory.mktemp("world") / "there", lock_step)
        return made[lock_step]

    yield world
    codes.extend(world.close() for world in made.values())
    assert not any(codes), "a node did not end cleanly"


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_the_arm_stands_in_time_and_goes_on_afterwards(worlds, seed):
    schedule = draw(seed)
    print(schedule)
    world = worlds(schedule.lock_step)
    world.recover()
    story = world.suffer(schedule)
    print(sum(decision.acts for decision in story.decisions), "actions; stood after (s):", judge(story))
    world.recover()


def test_the_judge_knows_what_may_not_be_acted_on():
    assert not unusable(["freeze both 0 1", "reorder static 0 1", "delay both 0 1 0.1", "skew both 0 1 0.1"], False)
    for words in (
        "drop static 0 1",
        "corrupt gripper 0 1",
        "delay both 0 1 0.3",
        "skew both 0 1 0.3",
        "skew static 0 1 0.1",
        "clock 0 1 -0.5",
    ):
        assert unusable([words], False), words
    assert unusable(["delay static 0 1 0.15", "delay both 0 1 0.1"], False)
    assert not unusable(["clock 0 1 -0.5", "clock 0 1 0.4"], False)
    assert not unusable(["clock 0 1 -0.5"], True), "in lock step the pictures' clock is the robot's"


def reports(wrong: set[int], periods: int = 40) -> list[dict]:
    def active(i: int) -> list[str]:
        return ["drop both 0 1"] if i in wrong else []

    return [{"stamp": i * PERIOD, "offset": 0, "active": active(i), "unusable": i in wrong} for i in range(periods)]


def test_a_stretch_without_usable_pictures_begins_at_the_last_that_was_usable():
    assert list(blind(reports({3, 4, 5, 9}, 10))) == [(2 * PERIOD, 6 * PERIOD), (8 * PERIOD, 9 * PERIOD)]
    assert list(blind(reports(set()))) == []


def story(*, acts: list[tuple[int, int]], moving_until: int, zero: bool = True, last: dict | None = None) -> Story:
    """100 commands a second that move until a time, then a zero; no usable pictures after period 2.

    `last`: what the report of period 2 says besides."""
    times = range(0, moving_until, SECOND // 100)
    twists = [twist(time, 0.1) for time in times] + ([twist(moving_until, 0.0)] if zero else [])
    decisions = [decision(time, taken) for time, taken in acts]
    told = reports(set(range(3, 40)))
    told[2] |= last or {}
    return Story(Schedule(0, False, ""), twists, decisions, told)


def twist(time: int, speed: float) -> TwistStamped:
    message = TwistStamped()
    message.header.stamp = time_message(time)
    message.twist.linear.x = speed
    return message


def decision(time: int, taken: int) -> Decision:
    parts = {"stamp": time, "stamp_static": taken, "stamp_gripper": taken}
    stamps = {name: f"{ns // SECOND}.{ns % SECOND:09}" for name, ns in parts.items()}
    return Decision(0, "", "", "", stamps | {"verdict": "act"})


def test_the_judge_allows_two_periods_after_the_last_answer_and_no_more():
    seen = 2 * PERIOD
    assert judge(story(acts=[], moving_until=5 * PERIOD)) == [pytest.approx(2 / 30, abs=0.001)]
    with pytest.raises(AssertionError, match="moved the arm after"):
        judge(story(acts=[], moving_until=7 * PERIOD))
    judge(story(acts=[(4 * PERIOD, seen)], moving_until=7 * PERIOD))
    with pytest.raises(AssertionError, match="never told to stand"):
        judge(story(acts=[], moving_until=3 * PERIOD, zero=False))
    with pytest.raises(AssertionError, match="may not use"):
        judge(story(acts=[(4 * PERIOD, seen + 1)], moving_until=5 * PERIOD))


def test_the_judge_knows_how_the_last_usable_pictures_were_stamped():
    seen, late = 2 * PERIOD, SECOND // 10
    act, skewed = [(4 * PERIOD, seen + late)], {"active": ["skew both 0 1 -0.1"]}
    judge(story(acts=act, moving_until=5 * PERIOD, last=skewed))
    judge(story(acts=act, moving_until=5 * PERIOD, last={"stamp": seen + late, "offset": late}))
    for last in ({"active": ["skew static 0 1 -0.1"]}, skewed | {"active": ["skew both 0 1 -0.09"]}):
        with pytest.raises(AssertionError, match="may not use"):
            judge(story(acts=act, moving_until=5 * PERIOD, last=last))


def test_the_judge_takes_pictures_of_cameras_apart_for_wrong_only_where_their_stamps_are_apart():
    apart = story(acts=[(4 * PERIOD, 3 * PERIOD)], moving_until=5 * PERIOD)
    for report in apart.reports[3:]:
        report["active"] = ["skew static 0 1 -0.1"]
    judge(apart)
    apart.decisions[0].values["stamp_gripper"] = f"0.{2 * PERIOD:09}"
    apart.decisions[0].values["stamp_static"] = f"0.{5 * PERIOD:09}"
    with pytest.raises(AssertionError, match="two moments"):
        judge(apart)
