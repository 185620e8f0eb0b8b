"""What a film shows beside its pictures."""

import numpy as np
from PIL import Image

from deer_lab.worlds.film import CELL, EMPTY, FILLED, FOOT, GAP, HEAD, HEIGHT, Film, Step, side_by_side, told

PICTURES = {"static": np.full((200, 200, 3), 90, np.uint8), "gripper": np.full((84, 84, 3), 160, np.uint8)}


def cells(step: Step) -> list[tuple[int, int, int]]:
    """The colour of every exit's cell, near its left edge."""
    image = told(side_by_side(PICTURES), step)
    assert image.size == (2 * HEIGHT, HEAD + HEIGHT + FOOT)
    return [image.getpixel((10 + k * (CELL + GAP), HEAD + HEIGHT + FOOT // 2)) for k in range(step.exits)]


def test_the_cells_are_filled_up_to_the_exit_that_was_taken_and_none_on_hold():
    assert cells(Step("open the drawer", 2, 6, 1.5)) == [FILLED] * 3 + [EMPTY] * 3
    assert cells(Step("open the drawer", None, 6, 0.1)) == [EMPTY] * 6


def test_a_film_of_steps_is_written_with_its_rate(tmp_path):
    film = Film(tmp_path / "run.gif", 30.0)
    for k in range(12):
        film.add(PICTURES, Step("open the drawer", k % 6, 6, 1.5))
    path, sheet = film.close()
    with Image.open(path) as written:
        assert written.n_frames == 4 and written.info["duration"] == 100
        assert written.size == (2 * HEIGHT, HEAD + HEIGHT + FOOT)
    assert sheet.exists()
