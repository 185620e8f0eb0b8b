"""How far two replays of one recording agree, step by step: the same bundle on another provider, say.

    python -m deer_lab.agreement out/cpu/decisions.jsonl out/cuda/decisions.jsonl

Both are what `deer_vla replay` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np


def decided(path: Path) -> list[dict]:
    """What the network decided, step by step."""
    answers = map(json.loads, path.read_text().splitlines())
    return [answer["decision"] | {"stamp": answer["stamp"]} for answer in answers if answer["decision"]]


def main() -> int:
    """Exit codes: 0 same exits and actions within the tolerance, 1 not, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wanted", type=Path, help="decisions.jsonl")
    parser.add_argument("found", type=Path, help="decisions.jsonl of the same recording")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the arm's outputs, each in -1..1")
    args = parser.parse_args()
    wanted, found = decided(args.wanted), decided(args.found)
    if not wanted or [step["stamp"] for step in wanted] != [step["stamp"] for step in found]:
        print(f"agreement: {args.wanted} and {args.found} are not of the same pictures", file=sys.stderr)
        return 1
    exits = [(a["exit"], b["exit"]) for a, b in zip(wanted, found)]
    same = sum(a == b for a, b in exits)
    arms = np.abs([np.subtract(a["arm"], b["arm"]) for a, b in zip(wanted, found)]).max(axis=1)
    grippers = max(abs(a["gripper"] - b["gripper"]) for a, b in zip(wanted, found))
    others = [index for index, (a, b) in enumerate(exits) if a != b]
    print(f"{len(wanted)} steps, {same} at the same exit" + (f"; the first other one is {others[0]}" if others else ""))
    print(f"arm differs by at most {arms.max():.1e} (median {np.median(arms):.1e}), gripper by {grippers:.1e}")
    return 0 if same == len(wanted) and arms.max() <= args.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
