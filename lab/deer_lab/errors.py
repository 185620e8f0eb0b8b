"""How far a run's actions are from held-out demonstrations, exit by exit: what can be judged without a world.

    python -m deer_lab.errors out/head --data out/held_out
    python -m deer_lab.errors out/head --calvin task_D_D/validation --json

Every step of a window is said to stop at the same exit, as `deer_lab.train` watches it while it trains.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from deer_lab.data.batches import Prompts
from deer_lab.data.demonstrations import add_demonstrations, find_embodiment, find_shards
from deer_lab.data.segment import DataError
from deer_lab.data.windows import Windows
from deer_lab.latents import keep_latents
from deer_lab.losses import Objective, Trainee
from deer_lab.model import Policy
from deer_lab.runs import read_tokenizer

BATCH = 16  # windows at once


def errors(policy: Policy, run: Path, shards: list[Path], window: int) -> dict[str, list[float]]:
    """Trainee.errors over windows that begin a quarter of their length apart: "arm" and "gripper", per exit."""
    config = policy.config
    tokenizer = read_tokenizer(run)
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    trainee = Trainee(policy, Objective(auxiliary=False)).eval().to(accelerator.device)
    windows = Windows(keep_latents(run, config, shards, accelerator), ["media"], window)
    prompts = Prompts(tokenizer, windows.instructions, config.max_tokens)
    found, weights = [], []
    loader = DataLoader(Subset(windows, range(0, len(windows), max(1, window // 4))), BATCH)
    for batch in tqdm(loader, desc=run.name, unit="batch", dynamic_ncols=True):
        number = batch["instruction"]
        batch |= {"ids": prompts.ids[number], "mask": prompts.mask[number]}
        found.append(trainee.errors({name: value.to(accelerator.device) for name, value in batch.items()}, []))
        weights.append(batch["weight"].sum())
    share = torch.stack(weights) / sum(weights)
    return {name: (share @ torch.stack([each[name] for each in found]).cpu()).tolist() for name in found[0]}


def main() -> int:
    """Exit codes: 0 done, 2 wrong arguments or data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training run")
    add_demonstrations(parser)
    parser.add_argument("--window", type=int, default=24, help="frames that the head's memory lives")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    args = parser.parse_args()
    try:
        policy, embodiment = Policy.of_run(args.run), find_embodiment(args.embodiment, args.run)
        found = errors(policy, args.run, find_shards(args, policy.config, embodiment), args.window)
    except (DataError, ValueError, FileNotFoundError) as error:
        print(f"errors: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(found))
        return 0
    metres, radians = embodiment.arm[0].scale, embodiment.arm[3].scale
    title = f"arm, mean absolute error (1 = {metres * 100:g} cm or {radians:g} rad)"
    print(f"exit  {title}  gripper, steps on the wrong side")
    for exit_number, (arm, gripper) in enumerate(zip(found["arm"], found["gripper"])):
        print(f"{exit_number:4d}  {arm:{len(title)}.4f}  {gripper:31.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
