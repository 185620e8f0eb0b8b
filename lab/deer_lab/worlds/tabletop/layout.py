"""Where things stand on the desk, as in scene.xml: lengths in metres, x to the right, y away from the viewer."""

import numpy as np

TABLE_HEIGHT = 0.20
SHELF_HEIGHT = 0.28
DRAWER_FLOOR = 0.14
HALF_HEIGHTS = {"red_block": 0.019, "blue_block": 0.021, "pink_block": 0.02}
ROWS = (-0.152, -0.056, 0.04)  # y of the blocks on the table: one a row, so that each can be pushed and grasped
TABLE_X = (0.46, 0.58)
SHELF_X = {"slider_left": 0.40, "slider_right": 0.60}
SHELF_Y = 0.325
DRAWER_X = (0.42, 0.54)  # one block a place
DRAWER_Y = -0.198  # where a block in the drawer would be if the drawer were closed
DOWN = np.diag([1.0, -1.0, -1.0])  # the hand points at the desk, fingers move along y
