"""Pictures of a run as an animated GIF or WebP and one contact sheet. Needs Pillow only."""

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT = 200  # [px] of a film's picture; the gripper's is enlarged to it and stands at the right
SHEET_PICTURES, SHEET_COLUMNS = 24, 4


def side_by_side(pictures: dict[str, np.ndarray]) -> Image.Image:
    """The cameras' pictures (uint8 [H, W, 3] each) next to each other, all `HEIGHT` high."""
    images = [Image.fromarray(picture).resize((HEIGHT, HEIGHT)) for picture in pictures.values()]
    strip = Image.new("RGB", (HEIGHT * len(images), HEIGHT))
    for i, image in enumerate(images):
        strip.paste(image, (i * HEIGHT, 0))
    return strip


def contact_sheet(images: list[Image.Image], columns: int) -> Image.Image:
    """Images of one size in rows of `columns`."""
    width, height = images[0].size
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (width * columns, height * rows), "white")
    for i, image in enumerate(images):
        sheet.paste(image, (i % columns * width, i // columns * height))
    return sheet


class Film:
    """Collects every `every`-th pair of pictures and writes them on close().

    Beyond `limit` pictures it drops every other one and halves its rate, so memory stays bounded however long the run.
    """

    def __init__(self, path: Path, picture_hz: float, every: int = 3, limit: int = 600) -> None:
        if path.suffix not in (".gif", ".webp"):
            raise ValueError(f"a film ends in .gif or .webp, not {path.suffix or 'without a suffix'!r}: {path}")
        self._path, self._hz, self._every, self._limit = path, picture_hz, every, limit
        self._count, self._images = 0, []

    def add(self, pictures: dict[str, np.ndarray]) -> None:
        """Offers one pair of pictures."""
        if self._count % self._every == 0:
            self._images.append(side_by_side(pictures))
        self._count += 1
        if len(self._images) > self._limit:
            self._images, self._every = self._images[::2], self._every * 2

    def close(self) -> list[Path]:
        """Writes the film and its contact sheet (`NAME_sheet.png`); returns what was written."""
        if not self._images:
            return []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        period_ms = round(1000 * self._every / self._hz)
        self._images[0].save(self._path, save_all=True, append_images=self._images[1:], duration=period_ms, loop=0)
        chosen = np.linspace(0, len(self._images) - 1, min(SHEET_PICTURES, len(self._images))).round().astype(int)
        sheet = self._path.with_name(f"{self._path.stem}_sheet.png")
        contact_sheet([self._images[i] for i in chosen], SHEET_COLUMNS).save(sheet)
        return [self._path, sheet]
