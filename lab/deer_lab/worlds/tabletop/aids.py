"""What the tabletop's recordings tell of its true state: `deer_lab.train --aids deer_lab.worlds.tabletop.aids`."""

import json

import numpy as np

from deer_lab.data.aids import Aids, gathered
from deer_lab.worlds.rotation import yaw_of
from deer_lab.worlds.tabletop.answers import SENTENCES, answers
from deer_lab.worlds.tabletop.points import seen
from deer_lab.worlds.tabletop.state import State
from deer_lab.worlds.truth import Seen, truth

TOPIC = "/state"


def aids(texts: list[str]) -> Aids:
    """States as JSON, a frame each -> state (T, 48), points (T, 7, 3), answers (T, 34, 11)."""
    states = [State.from_dict(json.loads(text)) for text in texts]
    return gathered([(told(state), seen(state), answers(state)) for state in states], SENTENCES)


def told(state: State) -> np.ndarray:
    """The truth of a state (48)."""
    blocks = [block for _, block in sorted(state.blocks.items())]
    return truth(state, [Seen(block.position, yaw_of(block.quaternion), block.held) for block in blocks])
