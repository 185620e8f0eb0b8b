"""What a step of a configuration takes in PyTorch, part by part: what `deer_vla bench` stands beside.

    python -m deer_lab.bench tabletop --steps 200
    python -m deer_lab.bench openflamingo_3b --device cuda --dtype float16 --compile

Weights are random: the time does not depend on them. The step is the published one: after each stage the head is run,
and the distance of two exits' actions is brought to the host, for the gate to look at.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from statistics import quantiles

import torch
from torch import Tensor

from deer_lab.config import CONFIGS
from deer_lab.model import Policy

TOKENS = 14  # of the prompt: a sentence of CALVIN's in the published template
WARM_UP = 5  # steps that are not counted; a compiled network is compiled in the first


class Bench:
    """A configuration's network with random weights, and the inputs of one step."""

    def __init__(self, config: str, device: str, dtype: torch.dtype, tokens: int, compiled: bool) -> None:
        self.device = torch.device(device)
        with self.device:
            torch.manual_seed(0)
            self.policy = Policy(CONFIGS[config]).to(dtype).eval().requires_grad_(False)
            self.images = [torch.randn(1, 3, c.size, c.size, dtype=dtype) for c in CONFIGS[config].cameras]
            self.prompt = self.policy.embed(torch.randint(CONFIGS[config].vocabulary, (1, tokens)))
            self.state = tuple(part.to(self.device, dtype) for part in self.policy.initial_state())
        if compiled:
            for part in (self.policy.vision, self.policy.head, *self.policy.stages):
                part.compile(dynamic=False)

    def vision(self) -> Tensor:
        return self.policy.vision(*self.images)

    def stages(self, media: Tensor, last: int) -> None:
        """The language model alone, up to and including stage `last`."""
        hidden = self.prompt
        for stage in self.policy.stages[: last + 1]:
            hidden = stage(hidden, media)[0]

    def head(self, feature: Tensor) -> Tensor:
        return self.policy.head(feature, *self.state)[0]

    def step(self, last: int) -> None:
        """Vision, then stages and the gate's look at each exit, up to and including `last`."""
        media, hidden, before = self.vision(), self.prompt, None
        for stage in self.policy.stages[: last + 1]:
            hidden, feature, *probe = stage(hidden, media)
            arm = self.head(torch.cat((*probe, feature)))
            before = arm[0] if before is None else before
            float((arm[-1] - before).float().square().mean().sqrt())
            before = arm[-1]

    def measure(self, steps: int) -> dict[str, dict[str, float]]:
        """Milliseconds of each part and of whole steps, taken in turn."""
        last = len(self.policy.stages) - 1
        media = self.vision()
        feature = torch.zeros_like(self.prompt[:, 0])
        parts: dict[str, Callable[[], object]] = {
            "vision": self.vision,
            "stages": lambda: self.stages(media, last),
            "head, 1 row": lambda: self.head(feature),
            "full-depth step": lambda: self.step(last),
            "step to exit 0": lambda: self.step(0),
        }
        taken: dict[str, list[float]] = {name: [] for name in parts}
        for turn in range(WARM_UP + steps):
            for name, run in parts.items():
                started = time.perf_counter()
                run()
                if self.device.type == "cuda":
                    torch.cuda.synchronize()
                if turn >= WARM_UP:
                    taken[name].append(1e3 * (time.perf_counter() - started))
        return {name: spread(values) for name, values in taken.items()}


def spread(values: list[float]) -> dict[str, float]:
    tenths = quantiles(values, n=10, method="inclusive")
    return {"median": tenths[4], "p10": tenths[0], "p90": tenths[8]}


def main() -> int:
    """Exit codes: 0 done, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", choices=sorted(CONFIGS))
    parser.add_argument("--device", default="cpu", help="as PyTorch names it")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile every part")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of the prompt")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    args = parser.parse_args()
    if args.steps < 2 or args.tokens < 2:
        parser.error("--steps and --tokens are 2 at least")
    with torch.inference_mode():
        bench = Bench(args.config, args.device, getattr(torch, args.dtype), args.tokens, args.compile)
        found = bench.measure(args.steps)
    if args.json:
        print(json.dumps(vars(args) | {"torch": torch.__version__, "ms": found}, indent=2))
        return 0
    print(f"{args.config}: PyTorch {torch.__version__}, {args.device}, {args.dtype}, {args.tokens} prompt tokens")
    print(f"{'ms':<20}{'median':>10}{'p10':>10}{'p90':>10}")
    for name, row in found.items():
        print(f"{name:<20}" + "".join(f"{row[key]:>10.3f}" for key in ("median", "p10", "p90")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
