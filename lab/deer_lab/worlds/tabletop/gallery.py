"""One page of pictures: every task's first and last frame, done by the expert.

python -m deer_lab.worlds.tabletop.gallery --out tasks.jpg
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from deer_lab.worlds.film import contact_sheet
from deer_lab.worlds.starts import begin, do
from deer_lab.worlds.tabletop.desk import Desk
from deer_lab.worlds.tabletop.tasks import TASKS
from deer_lab.worlds.world import World

SIZE, CAPTION, COLUMNS = 120, 14, 5  # [px] of a picture, [px] of the line above it, pairs in a row
MAX_SEEDS = 10  # scenes tried until the expert succeeds


def pair(world: World, task: str) -> Image.Image:
    """The static camera's first and last picture of `task` side by side under its name. Raises RuntimeError."""
    for seed in range(MAX_SEEDS):
        begin(world, task, np.random.default_rng([seed, list(TASKS).index(task)]))
        first = world.pictures()["static"]
        if do(world, task):
            break
    else:
        raise RuntimeError(f"the expert did not do {task} in any of {MAX_SEEDS} scenes")
    image = Image.new("RGB", (2 * SIZE + 4, SIZE + CAPTION), "white")
    ImageDraw.Draw(image).text((2, 1), task, fill="black")
    for i, pixels in enumerate((first, world.pictures()["static"])):
        image.paste(Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.LANCZOS), (i * SIZE, CAPTION))
    return image


def main() -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="picture file, .jpg or .png")
    args = parser.parse_args()
    world = Desk()
    contact_sheet([pair(world, task) for task in tqdm(TASKS, unit="task")], COLUMNS).save(args.out, quality=80)
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
