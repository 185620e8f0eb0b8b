"""The node beside the same network in Python: from pictures to a command, CPU a step, memory.

    . scripts/setup.sh && cargo build --release --features ros
    .deps/train/bin/python benches/peers/compare.py                    # --before PATH: an older deer_vla_node beside it

One publisher drives rclpy with PyTorch (eager), rclpy with ONNX Runtime, and `deer_vla_node`, one after another and in
turns, each with one thread for its network; a table is printed, medians over all rounds. Every run first answers the
same pictures from a cleared state: how many exits were the same as ONNX Runtime's is told.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from drive import PROFILE, ROOT, Found, run

HERE = Path(__file__).parent
BUNDLE = ROOT / "models" / "toy"
SIZES = {"200/84 px": ((200, 200), (84, 84)), "1280x720": ((1280, 720), (1280, 720))}


@dataclass(frozen=True)
class Contestant:
    name: str
    command: list
    node: str = "peer_policy"
    armed: bool = False


def contestants(node: Path, before: Path | None, its_bundle: Path, weights: Path) -> list[Contestant]:
    peer = [sys.executable, HERE / "node.py"]
    arguments = ["-p", "threads:=1", "-p", "dry_run:=false"]
    nodes = {"`deer_vla_node`, before": (before, its_bundle), "`deer_vla_node`": (node, BUNDLE)}
    return [
        Contestant("rclpy + PyTorch, eager", [*peer, "torch", BUNDLE, "--weights", weights]),
        Contestant("rclpy + ONNX Runtime, numpy", [*peer, "onnx", BUNDLE]),
        *(
            Contestant(name, [path, "--ros-args", "-p", f"bundle:={bundle}", *arguments], "deer_vla", True)
            for name, (path, bundle) in nodes.items()
            if path
        ),
    ]


def save_weights(path: Path) -> None:
    """Of the network that models/toy was exported from; in a process of its own, as none of this is a node's."""
    import torch
    from deer_lab.toy import toy_policy

    policy, _ = toy_policy(seed=0)
    torch.save(policy.state_dict(), path)


def row(name: str, rounds: list[Found], reference: list[Found]) -> str:
    def spread(values: list[float], *percentiles: int) -> str:
        return " / ".join(f"{value:.1f}" for value in np.percentile(values, percentiles)) if values else ""

    def pooled(part: str) -> list[float]:
        return [ms for found in rounds for ms in getattr(found, part)]

    waited = [command - decision for command, decision in zip(pooled("commands"), pooled("decisions"), strict=False)]
    pairs = [pair for a, b in zip(rounds, reference, strict=True) for pair in zip(a.exits, b.exits, strict=True)]
    middle = {part: np.median([getattr(f, part) for f in rounds]) for part in ("cpu", "resident_mb", "idle", "rate")}
    cells = [
        name,
        spread(pooled("commands"), 50, 95),
        spread(waited, 50, 95),
        spread(pooled("overheads"), 50, 99),
        f"{middle['cpu']:.1f}",
        f"{middle['resident_mb']:.0f}",
        f"{middle['idle']:.1f}",
        f"{middle['rate']:.1f}",
        f"{sum(a == b for a, b in pairs)} of {len(pairs)}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """
| {} | pictures to command ms, median / p95 | decided to command | beyond the network, median / p99 | CPU ms a step \
| resident MB | idle: CPU ms a second | steps a second | same exits |
|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", type=Path, default=ROOT / "target" / "release" / "deer_vla_node")
    parser.add_argument("--before", type=Path, help="an older build of the node")
    parser.add_argument("--before-bundle", type=Path, default=BUNDLE, help="the same network as that build reads it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--jpeg", action="store_true", help="pictures as JPEG, which the nodes alone read")
    parser.add_argument("--only", nargs="*", default=[], help="contestants whose name has one of these words")
    given = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    # Without it pictures of 720p are lost on their way, to every node alike.
    os.environ[PROFILE] = str(ROOT / "config" / "fastdds.xml")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "toy.pt")
        before, its_bundle = given.before and given.before.resolve(), given.before_bundle.resolve()
        all_of_them = contestants(given.node.resolve(), before, its_bundle, weights)
        chosen = [c for c in all_of_them if not given.only or any(word in c.name for word in given.only)]
        if given.jpeg:
            chosen = [replace(c, command=[*c.command, "-p", "images.transport:=compressed"]) for c in chosen if c.armed]
        if any("torch" in c.command for c in chosen):
            save_weights(weights)
        for size in given.sizes:
            found = {contestant.name: [] for contestant in chosen}
            for number in range(given.rounds):
                for contestant in chosen if number % 2 == 0 else chosen[::-1]:
                    c, domain = contestant, 90 + number % 5
                    result = run(c.command, domain, c.node, SIZES[size], given.seconds, c.armed, given.jpeg)
                    found[contestant.name].append(result)
                    said = row(f"{c.name}, round {number + 1}", [result], [result])
                    print(said, file=sys.stderr, flush=True)
            reference = next((found[c.name] for c in chosen if "onnx" in c.command), found[chosen[0].name])
            print(HEAD.format(size))
            for name, rounds in found.items():
                print(row(name, rounds, reference), flush=True)


if __name__ == "__main__":
    main()
