"""A picture as the policy sees it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from deer_lab.config import Camera


def fit(picture: np.ndarray, camera: Camera) -> np.ndarray:
    """RGB bytes (height, width, 3) -> (S, S, 3): the shorter side to S, the middle cut out."""
    if picture.shape[:2] == (camera.size, camera.size):
        return picture
    image = Image.fromarray(picture)
    shorter = min(image.size)
    width, height = (int(camera.size * side / shorter) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - camera.size) / 2), round((height - camera.size) / 2)  # a half rounds to even
    return np.asarray(image.crop((left, top, left + camera.size, top + camera.size)))
