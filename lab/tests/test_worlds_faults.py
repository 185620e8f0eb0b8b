"""Faults as a camera's topic shows them."""

import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("sensor_msgs") is None:
    pytest.skip("needs ROS 2's messages (scripts/underlay.sh makes one)", allow_module_level=True)

from deer_lab.worlds.faults import Faults, parse
from deer_lab.worlds.messages import image_message, nanoseconds_of, time_of
from deer_lab.worlds.world import CAMERAS

HZ = 10.0
PERIOD = 100_000_000  # [ns]


def pictures(period):
    """Both cameras' pictures of a period: every pixel is the period's number."""
    stamp = time_of(period * PERIOD)
    return {camera: image_message(np.full((4, 4, 3), period, np.uint8), stamp, camera) for camera in CAMERAS}


def seen(schedule, periods=10, camera="static"):
    """What a camera's topic shows: for each period a list of (stamp in periods, first pixel)."""
    faults = Faults(parse(schedule), HZ)
    shown = []
    for period in range(periods):
        sent = [image for name, image in faults.sent(period, pictures(period)) if name == camera]
        shown.append([(nanoseconds_of(image.header.stamp) / PERIOD, image.data[0]) for image in sent])
    return shown


def test_without_a_schedule_every_picture_is_sent_when_it_is_taken():
    assert not Faults(parse(""), HZ)
    assert seen("", 3) == [[(0, 0)], [(1, 1)], [(2, 2)]]


def test_dropped_pictures_are_those_of_the_named_camera_and_time():
    assert seen("drop static 0.2 0.3", 6) == [[(0, 0)], [(1, 1)], [], [], [], [(5, 5)]]
    assert seen("drop static 0.2 0.3", 6, "gripper") == seen("", 6)


def test_a_frozen_camera_shows_its_last_picture_under_new_stamps():
    assert seen("freeze both 0.2 0.2", 5) == [[(0, 0)], [(1, 1)], [(2, 1)], [(3, 1)], [(4, 4)]]


def test_a_delayed_picture_comes_later_with_the_time_at_which_it_was_taken():
    shown = seen("delay static 0.1 0.2 0.3", 7)
    assert shown == [[(0, 0)], [], [], [(3, 3)], [(1, 1), (4, 4)], [(2, 2), (5, 5)], [(6, 6)]]


def test_a_skewed_camera_stamps_its_pictures_earlier():
    assert seen("skew static 0.1 0.1 0.5", 3) == [[(0, 0)], [(0, 1)], [(2, 2)]], "no stamp lies before zero"
    assert seen("skew static 0.1 0.1 -0.5", 3) == [[(0, 0)], [(6, 1)], [(2, 2)]]


def test_delays_and_skews_at_once_add_up():
    assert seen("delay static 0.1 0.1 0.1; delay both 0.1 0.1 0.2", 5)[4] == [(1, 1), (4, 4)]
    assert seen("skew static 0.1 0.1 -0.5; skew static 0.1 0.1 0.2", 2)[1] == [(4, 1)]


def test_reordered_pictures_come_in_pairs_the_wrong_way_round():
    assert seen("reorder static 0.1 0.4", 6) == [
        [(0, 0)],
        [],
        [(2, 2), (1, 1)],
        [],
        [(4, 4), (3, 3)],
        [(5, 5)],
    ]


def test_corrupt_pictures_are_cut_short_of_an_unknown_encoding_and_empty_in_turn():
    faults = Faults(parse("corrupt static 0 0.3"), HZ)
    broken = [dict(faults.sent(period, pictures(period)))["static"] for period in range(4)]
    assert [len(image.data) for image in broken] == [24, 48, 0, 48]
    assert [image.encoding for image in broken] == ["rgb8", "none", "rgb8", "rgb8"]


def test_the_clock_jumps_and_comes_back_and_the_world_dies_for_good():
    faults = Faults(parse("clock 0.2 0.1 -1.5; die 0.5"), HZ, begin=100)
    assert [faults.clock_offset(period) for period in (101, 102, 103)] == [0, -1_500_000_000, 0]
    assert [faults.dies(period) for period in (104, 105, 200)] == [False, True, True]


def test_a_schedule_reads_as_it_was_written():
    schedule = "drop static 2 0.5; skew gripper 1 0.5 -0.1; clock 3 1 -2; die 4"
    assert "; ".join(map(str, parse(schedule))) == schedule


@pytest.mark.parametrize(
    "schedule, complaint",
    [
        ("blind static 1 1", "'blind' is none, must be one of drop, freeze"),
        ("drop top 1 1", "camera 'top' is none, must be one of both, static, gripper"),
        ("delay static 1 1", "must read 'delay CAMERA FROM FOR BY'"),
        ("die soon", "must read 'die FROM'"),
        ("drop static -1 1", "must not be negative"),
    ],
)
def test_a_word_that_means_nothing_is_refused_with_what_may_stand_there(schedule, complaint):
    with pytest.raises(ValueError, match="fault ") as error:
        parse(schedule)
    assert complaint in str(error.value)
