"""How fast CALVIN runs here: steps a second, with the pictures of one renderer or without.

python -m deer_lab.worlds.calvin.speed --calvin calvin_env --seconds 20 --workers 2
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from deer_lab.worlds.catalog import add_option, open_world
from deer_lab.worlds.judge.workers import run_jobs

RENDERERS = {"none": "", "tiny": "", "egl": ":egl"}  # and what names each in --world


def steps_in(number: int, *, world_name: str, renderer: str, seconds: float) -> tuple[int, float, float]:
    """How many control periods of a chain's scene passed in how many seconds, and in how many of
    this process's own on its core; a world of its own for each call."""
    world = open_world(world_name + RENDERERS[renderer])
    world.reset(world.chains()[number].initial)
    rng = np.random.default_rng(number)
    look: Callable[[], object] = world.pictures if renderer != "none" else lambda: None
    began, own, steps = time.monotonic(), time.process_time(), 0
    while time.monotonic() - began < seconds:
        look()
        world.step(rng.uniform(-1, 1, 7))
        steps += 1
    took, own = time.monotonic() - began, time.process_time() - own
    world.close()
    return steps, took, own


def main() -> int:
    """Exit codes: 0 done, 2 CALVIN cannot run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option(parser)
    parser.set_defaults(world="calvin:D")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each renderer")
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    args = parser.parse_args()
    try:
        open_world(args.world).close()
    except ValueError as error:
        print(f"speed: {error}", file=sys.stderr)
        return 2
    for renderer in RENDERERS:
        job = partial(steps_in, world_name=args.world, renderer=renderer, seconds=args.seconds)
        found = [counted for _, counted in run_jobs(job, list(range(args.workers)), args.workers)]
        rate = sum(steps / took for steps, took, _ in found)
        own = sum(own for _, _, own in found) / sum(steps for steps, _, _ in found)
        print(f"{renderer:5s} {args.workers} processes: {rate:7.1f} steps/s together, {1e3 * own:.1f} ms of CPU each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
