"""Minutes of camera pictures: does the node's memory stay flat, and how long does a picture wait?

    . scripts/setup.sh && DEER_VLA_BIN=target/release python3 tests/ros/soak.py --minutes 10

Prints the node's resident memory as it goes; at the end its growth after the warm-up, and the time from a picture's
arrival to its command beyond the network's own. Ends with 1 when the memory grew by more than 5 MB.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from peer import Peer
from programs import BUNDLE, policy

WARM_UP_SECS = 60.0
MAX_GROWTH_MB = 5.0
DOMAIN = 61


def resident_mb(pid: int) -> float:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1]) / 1024


def pictures(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    return [tuple(random.integers(0, 255, (side, side, 3), np.uint8) for side in (200, 84)) for _ in range(count)]


def soak(peer: Peer, pid: int, seconds: float, rate: float) -> tuple[list[tuple[float, float]], list[float]]:
    """Gives (seconds since the start, MB) every ten seconds, and every step's overhead in milliseconds."""
    shown, memory, overhead = pictures(16), [], []
    began = time.monotonic()
    frame = 0
    while (now := time.monotonic() - began) < seconds:
        peer.show(shown[frame % len(shown)], time.time_ns())
        frame += 1
        while time.monotonic() - began < frame / rate:
            peer.executor.spin_once(timeout_sec=max(0.0, frame / rate - (time.monotonic() - began)))
        overhead += [float(decision["overhead_ms"]) for decision in peer.decisions if "overhead_ms" in decision.values]
        for heard in (peer.decisions, peer.twists, peer.diagnostics, peer.gripper_commands):
            heard.clear()
        if not memory or now - memory[-1][0] >= 10.0:
            memory.append((now, resident_mb(pid)))
            print(f"{now:6.0f} s  {memory[-1][1]:7.1f} MB  {len(overhead)} steps of {frame} pictures", flush=True)
    return memory, overhead


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0, help="pictures a second of each camera")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        node = policy(Path(folder), DOMAIN, bundle=given.bundle.resolve(), dry_run=False, autostart=True)
        peer = Peer(DOMAIN, sim_time=False)
        try:
            peer.meet(node.check)
            peer.say("push the button")
            memory, overhead = soak(peer, node.process.pid, 60 * given.minutes, given.rate)
            node.check()
        finally:
            node.stop()
            peer.close()
    warm = [mb for secs, mb in memory if secs >= min(WARM_UP_SECS, 30 * given.minutes)]
    growth = warm[-1] - warm[0]
    median, worst = np.percentile(overhead, [50, 99])
    print(
        f"memory {warm[-1]:.1f} MB, {growth:+.2f} MB after warm-up; {len(overhead)} steps, beyond inference: "
        f"median {median:.3f} ms, p99 {worst:.3f} ms"
    )
    return 0 if growth <= MAX_GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())
