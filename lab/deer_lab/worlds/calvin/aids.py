"""What recordings of CALVIN's scene D tell of its true state: `deer_lab.train --aids deer_lab.worlds.calvin.aids`."""

import json

import numpy as np

from deer_lab.data.aids import Aids, gathered
from deer_lab.worlds.calvin.answers import SENTENCES, answers
from deer_lab.worlds.calvin.expert import gripped, yaw_of
from deer_lab.worlds.calvin.points import seen
from deer_lab.worlds.calvin.state import State
from deer_lab.worlds.truth import Seen, truth

TOPIC = "/state"
ALIKE = {"blue_block": 4}  # a cube; the others look alike after half a turn


def aids(texts: list[str]) -> Aids:
    """States as JSON, a frame each -> state (T, 48), points (T, 8, 3), answers (T, 34, 12)."""
    states = [State.from_dict(json.loads(text)) for text in texts]
    return gathered([(told(state), seen(state), answers(state)) for state in states], SENTENCES)


def told(state: State) -> np.ndarray:
    """The truth of a state (48)."""
    blocks = [
        Seen(block.position, yaw_of(state, name), gripped(state, name), ALIKE.get(name, 2))
        for name, block in sorted(state.blocks.items())
    ]
    return truth(state, blocks)
