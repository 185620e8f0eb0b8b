"""Pictures of a run as an animated GIF or WebP and one contact sheet. Needs Pillow only."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HEIGHT = 200  # [px] of a film's picture; the gripper's is enlarged to it and stands at the right
HEAD, FOOT = 24, 36  # [px] above the pictures for the sentence, below them for the exits and the time
CELL, GAP = 38, 4  # [px] an exit's cell is wide, and between two
INK, PAPER, FILLED, EMPTY = (240, 240, 240), (24, 26, 30), (86, 180, 233), (58, 62, 70)
SHEET_PICTURES, SHEET_COLUMNS = 24, 4
COLOURS = 128  # of a GIF's palette, which all its pictures share


class Step(NamedTuple):
    """What the policy did with a pair of pictures."""

    sentence: str
    exit: int | None  # None on hold
    exits: int  # of the network
    ms: float


def side_by_side(pictures: dict[str, np.ndarray]) -> Image.Image:
    """The cameras' pictures (uint8 [H, W, 3] each) next to each other, all `HEIGHT` high."""
    images = [Image.fromarray(picture).resize((HEIGHT, HEIGHT)) for picture in pictures.values()]
    strip = Image.new("RGB", (HEIGHT * len(images), HEIGHT))
    for i, image in enumerate(images):
        strip.paste(image, (i * HEIGHT, 0))
    return strip


def told(pictures: Image.Image, step: Step) -> Image.Image:
    """The pictures with the sentence above them, and below them a cell an exit, filled up to the one that was taken."""
    image = Image.new("RGB", (pictures.width, HEAD + pictures.height + FOOT), PAPER)
    image.paste(pictures, (0, HEAD))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    draw.text((8, HEAD // 2), f"\u201c{step.sentence}\u201d", INK, font, anchor="lm")
    middle = HEAD + pictures.height + FOOT // 2
    for k in range(step.exits):
        filled = step.exit is not None and k <= step.exit
        left = 8 + k * (CELL + GAP)
        draw.rectangle((left, middle - 10, left + CELL - 1, middle + 9), FILLED if filled else EMPTY)
        draw.text((left + CELL // 2, middle), str(k), PAPER if filled else INK, font, anchor="mm")
    words = "hold" if step.exit is None else f"exit {step.exit}   {step.ms:4.1f} ms"
    draw.text((image.width - 8, middle), words, INK, font, anchor="rm")
    return image


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

    def add(self, pictures: dict[str, np.ndarray], step: Step | None = None) -> None:
        """Offers one pair of pictures, and what the policy did with it."""
        if self._count % self._every == 0:
            image = side_by_side(pictures)
            self._images.append(told(image, step) if step else image)
        self._count += 1
        if len(self._images) > self._limit:
            self._images, self._every = self._images[::2], self._every * 2

    def close(self) -> list[Path]:
        """Writes the film and its contact sheet (`NAME_sheet.png`); returns what was written."""
        if not self._images:
            return []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        chosen = np.linspace(0, len(self._images) - 1, min(SHEET_PICTURES, len(self._images))).round().astype(int)
        sheet = contact_sheet([self._images[i] for i in chosen], SHEET_COLUMNS)
        images = self._images
        if self._path.suffix == ".gif":  # a palette a picture, and dithering, would make it three times as large
            palette = sheet.quantize(COLOURS)
            images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
        period_ms = round(1000 * self._every / self._hz)
        images[0].save(self._path, save_all=True, append_images=images[1:], duration=period_ms, loop=0)
        sheet_path = self._path.with_name(f"{self._path.stem}_sheet.png")
        sheet.save(sheet_path)
        return [self._path, sheet_path]
