"""Where things appear: the eyes are those of the scene, and what is said to be seen has the thing's colour."""

import numpy as np
import pytest

from deer_lab.worlds.tabletop.desk import Desk
from deer_lab.worlds.tabletop.points import EYES, seen
from deer_lab.worlds.words import InitialState

BLUE, PINK, RED = range(3)


@pytest.fixture(scope="module")
def desk():
    world = Desk()
    yield world
    world.close()


def shown(desk: Desk, camera: str, number: int) -> np.ndarray:
    """The colour where a point is said to be."""
    picture = desk.pictures()[camera]
    x, y, visible = seen(desk.state())[camera][number]
    assert visible
    column, row = ((np.array([x, y]) + 1) / 2 * picture.shape[0]).astype(int)
    return picture[row, column].astype(int)


def test_both_cameras_see_a_block_where_it_is_said_to_be(desk):
    desk.reset(InitialState(seed=3))
    for _ in range(12):
        desk.step(np.array([0.6, -0.4, -0.2, 0.3, 0.2, 0.8, 1.0]))
    for camera in EYES:
        red, green, blue = shown(desk, camera, BLUE)
        assert blue > 1.5 * max(red, green)
    red, green, blue = shown(desk, "static", RED)
    assert red > 2 * max(green, blue)


def test_what_lies_in_a_closed_drawer_is_not_asked_for(desk):
    for drawer, visible in (("closed", 0), ("open", 1)):
        desk.reset(InitialState(drawer=drawer, pink_block="drawer"))
        assert seen(desk.state())["static"][PINK, 2] == visible


def test_what_is_outside_a_picture_is_not_asked_for(desk):
    desk.reset(InitialState())
    x, y, visible = seen(desk.state())["gripper"][-1]  # the switch's lever, far to the right
    assert max(abs(x), abs(y)) == 1 and not visible
