"""What the tabletop's recordings tell of its true state: `deer_lab.train --aids deer_lab.worlds.tabletop.aids`."""

import json

import numpy as np

from deer_lab.data.aids import Aids
from deer_lab.worlds.tabletop.answers import SENTENCES, answers
from deer_lab.worlds.tabletop.points import seen
from deer_lab.worlds.tabletop.truth import truth

TOPIC = "/state"


def aids(texts: list[str]) -> Aids:
    """State.as_dict() as JSON, a frame each -> state (T, 48), points (T, 7, 3), answers (T, 34, 11)."""
    states = [json.loads(text) for text in texts]
    shown = [seen(state) for state in states]
    points = {camera: np.stack([places[camera] for places in shown]) for camera in shown[0]}
    said = tuple(tuple(sentences) for sentences in SENTENCES)
    return Aids(np.stack([truth(state) for state in states]), points, np.stack([answers(s) for s in states]), said)
