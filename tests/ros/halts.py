"""How long after a fault is the arm told to stand, and how steady is the stream on a busy machine?

    . scripts/setup.sh && cargo build --features ros,faults && python3 tests/ros/halts.py

For each fault: the time until the first zero twist (by its stamp) after which nothing but zeros came and the gripper
was told nothing, median and worst of so many. Then the longest gap between two commands of a moving arm while every
core is kept busy twice over.
Ends with 1 when any fault took more than two control periods.
"""

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from arm import stamps_of
from conftest import picture
from live import ENDS, FAULTS, Live
from messages import PERIOD, SECOND, is_zero
from peer import Peer
from programs import policy

DOMAIN = 62
MS = SECOND // 1000


@contextmanager
def running(folder: Path):
    """A node with the parameters that ship, but for its threads: where all cores are busy, two wait for one another."""
    fault_file = folder / "fault"
    fault_file.write_text("")
    os.environ["DEER_VLA_FAULT"] = str(fault_file)
    node = policy(folder, DOMAIN, dry_run=False, threads=1)
    peer = Peer(DOMAIN, sim_time=False)
    try:
        peer.meet(node.check)
        yield Live(node, peer, (picture(200, 0), picture(84, 1)), fault_file)
    finally:
        node.process.kill()
        node.process.wait()
        peer.close()


def measure(name: str, times: int, folder: Path) -> list[float]:
    """Milliseconds from the fault to the first zero, so many times."""
    found = []
    while len(found) < times:
        with running(folder) as live:
            for _ in range(1 if name in ENDS else times - len(found)):
                live.begin()
                halt = live.until_zero(FAULTS[name](live))
                found += [halt[0] / MS] if halt else []
    return found


def burn() -> None:
    while True:
        pass


def longest_gap(seconds: float, folder: Path) -> tuple[float, float, int]:
    """Milliseconds between two commands of a moving arm on a machine with every core kept busy twice over: the 99th
    percentile and the longest, and how many gaps there were."""
    busy = [multiprocessing.Process(target=burn, daemon=True) for _ in range(2 * (os.cpu_count() or 1))]
    gaps = []
    with running(folder) as live:
        live.begin()
        for process in busy:
            process.start()
        frames = live.shown + round(30 * seconds)
        live.until(lambda: live.shown >= frames, "the end", patience=10 * seconds)
        for process in busy:
            process.kill()
        twists = live.peer.twists
        for (before, after), moving in zip(itertools.pairwise(stamps_of(twists)), twists, strict=False):
            if not is_zero(moving):
                gaps.append((after - before) / MS)
    return float(np.percentile(gaps, 99)), max(gaps), len(gaps)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="under full load")
    parser.add_argument("--only", choices=FAULTS, nargs="*", default=list(FAULTS))
    given = parser.parse_args()
    late = False
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only:
            found = measure(name, given.times, Path(folder))
            late |= max(found) > 2 * PERIOD / MS
            print(
                f"{name:26} median {np.median(found):5.1f} ms, worst {max(found):5.1f} ms of {len(found)}", flush=True
            )
        if given.seconds > 0:
            p99, worst, count = longest_gap(given.seconds, Path(folder))
            print(f"busy machine: p99 {p99:.1f} ms, longest {worst:.1f} ms between {count} commands", flush=True)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
