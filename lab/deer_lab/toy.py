"""The toy bundle: the real architecture in small numbers, with random weights that are alive.

    python -m deer_lab.toy --seed 0 --out models/toy

Alive means: other pictures and other instructions give visibly other actions, around zero and far from the limits,
and how far two exits disagree depends on the frame. So every path of the engine is walked without any training.
Tests compare the engine with `tests/data/toy_golden.safetensors`, which is written beside it (see golden.py).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deer_lab.config import CONFIGS
from deer_lab.export import export_bundle, replacing
from deer_lab.golden import write_golden
from deer_lab.manifest import About, write_thresholds
from deer_lab.model import Policy
from deer_lab.reference import GatedPolicy, preprocess, prompt_ids
from deer_lab.tokenizer import make_tokenizer

CONFIG = CONFIGS["toy"]
INSTRUCTIONS = ("slide the blue block to the left", "push the button")  # of the golden rollout
ARM_STD, GRIPPER_STD = 0.35, 1.5  # of each output over frames, before tanh and sigmoid
AHEAD = 4  # control periods that a step gives actions for
CLIPS, CLIP_STEPS = 16, 25  # on which weights are scaled and thresholds chosen

VERBS = ("push", "grasp and lift", "slide", "rotate", "place", "pull", "press", "pick up", "turn", "move")
THINGS = ("red block", "blue block", "pink block", "drawer", "button", "switch", "lever", "door", "lamp", "slider")
ENDS = ("", " to the left", " to the right", " on the table", " in the drawer", " up", " towards the robot")


def sentences() -> list[str]:
    return [f"{verb} the {thing}{end}" for verb, thing, end in itertools.product(VERBS, THINGS, ENDS)]


def pictures(count: int, seed: int, height: int, width: int) -> np.ndarray:
    """Frames of two coloured discs and a bar that drift over a shaded background: uint8 (count, height, width, 3)."""
    random = np.random.default_rng(seed)
    time = np.arange(count)[:, None, None]
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    frames = 60 + 70 * np.stack([x, y, (x + y) / 2], axis=-1)[None].repeat(count, axis=0)
    for radius in (0.22, 0.15):
        phase, speed = random.uniform(0, 2 * np.pi, 2), random.uniform(0.05, 0.4, 2)
        across, down = (0.5 + 0.35 * np.sin(phase[i] + speed[i] * time) for i in (0, 1))
        frames[(x - across) ** 2 + (y - down) ** 2 < radius**2] = random.integers(0, 256, 3)
    bar = 0.5 + 0.4 * np.sin(random.uniform(0, 6) + random.uniform(0.05, 0.3) * time)
    frames[np.broadcast_to(np.abs(x - bar) < 0.06, frames.shape[:3])] = random.integers(0, 256, 3)
    return frames.astype(np.uint8)


def observations(count: int, seed: int) -> list[tuple[Tensor, ...]]:
    """One clip of the policy's cameras, prepared."""
    clips = [pictures(count, seed + i, camera.size, camera.size) for i, camera in enumerate(CONFIG.cameras)]
    return [tuple(preprocess(p, camera) for p, camera in zip(shot, CONFIG.cameras)) for shot in zip(*clips)]


class Rehearsal:
    """Clips and instructions on which weights are scaled and thresholds chosen; no clip of the golden file is one."""

    def __init__(self, ids: Callable[[str], Tensor], seed: int) -> None:
        texts = sentences()[:: len(sentences()) // CLIPS]
        self.prompts = [ids(text) for text in texts[:CLIPS]]
        self.clips = [observations(CLIP_STEPS, 1000 * (seed + 1) + 10 * clip) for clip in range(CLIPS)]

    @torch.no_grad()
    def features(self, policy: Policy) -> Tensor:
        """(clips, steps, 1 + exits, W): the probe and every exit."""
        clips = []
        for ids, clip in zip(self.prompts, self.clips):
            for images in clip:
                hidden, media, found = policy.embed(ids), policy.vision(*images), []
                for stage in policy.stages:
                    hidden, feature, *probe = stage(hidden, media)
                    found += [*probe, feature]
                clips.append(torch.cat(found))
        return torch.stack(clips).unflatten(0, (CLIPS, CLIP_STEPS))


@torch.no_grad()
def lively_policy(seed: int, rehearsal: Rehearsal) -> Policy:
    """Random weights at the scale at which signals neither die nor saturate, the head fitted to what it is fed."""
    torch.manual_seed(seed)
    policy = Policy(CONFIG).eval()
    for name, parameter in policy.named_parameters():
        if parameter.dim() > 1 and not name.endswith(("position", "latents")):
            nn.init.normal_(parameter, std=gain(name) / parameter[0].numel() ** 0.5)
    features = rehearsal.features(policy)
    centre_head(policy, features)
    scale_actions(policy, features)
    return policy


def gain(name: str) -> float:
    if name.endswith("table.weight"):
        return 0.5 * CONFIG.decoder.width**0.5  # the sentence speaks more softly than the picture
    if name.endswith("to_q.weight"):
        return 4.0  # sharp looks at the picture
    return 3.0 if "weight_hh" in name else 1.0  # a memory that keeps moving even while the picture stands still


def rounded(tensor: Tensor) -> Tensor:
    """What is measured is rounded, so that another machine's last bits give the same weights."""
    return (tensor * 100).round() / 100


def centre_head(policy: Policy, features: Tensor) -> None:
    """The first LSTM sees features of mean 0 and deviation 1."""
    first = policy.head.lstms[0]
    mean, std = rounded(features.mean((0, 1, 2))), rounded(features.std((0, 1, 2)).mean())
    first.weight_ih_l0.div_(std)
    first.bias_ih_l0.copy_(-first.weight_ih_l0 @ mean)


def scale_actions(policy: Policy, features: Tensor) -> None:
    """Before tanh and sigmoid, every output has mean 0 and a set deviation over frames stopped at random exits."""
    arms, grippers = [], []
    for clip in features:
        h, c = policy.initial_state()
        for exit, candidates in zip(torch.randint(1, features.shape[2], (len(clip),)), clip):
            arm, gripper, h, c = policy.head(candidates[exit][None], h, c)
            arms.append(arm[0].atanh())
            grippers.append(gripper[0].logit())
    for mlp, values, std in ((policy.head.arm, arms, ARM_STD), (policy.head.gripper, grippers, GRIPPER_STD)):
        last, seen = mlp[-1], torch.stack(values)
        scale = rounded(std / seen.std(0))
        last.weight.mul_(scale[:, None])
        last.bias.copy_(rounded((last.bias - seen.mean(0)) * scale))


def choose_thresholds(policy: Policy, rehearsal: Rehearsal) -> list[float]:
    """Exit by exit, the quantile at which an equal share of all steps stops there, earlier exits already gated."""
    exits = len(policy.stages)
    thresholds = [-1.0] * (exits - 1)  # never taken
    for exit in range(exits - 1):
        gated, reached = GatedPolicy(policy, thresholds), []
        for ids, clip in zip(rehearsal.prompts, rehearsal.clips):
            gated.begin(ids)
            reached += [step.deltas[exit] for images in clip if len((step := gated.step(*images)).deltas) > exit]
        thresholds[exit] = round(float(np.quantile(reached, 1 / (exits - exit))), 3)
    return thresholds


def toy_policy(seed: int) -> tuple[Policy, list[float]]:
    """The toy's network and its thresholds, one an exit but the last."""
    torch.set_num_threads(1)  # the last bits must not depend on their number, and for small tensors one is fastest
    tokenizer = make_tokenizer(CONFIG.vocabulary, sentences())
    rehearsal = Rehearsal(lambda text: prompt_ids(tokenizer, About.template, text, CONFIG.max_tokens), seed)
    policy = lively_policy(seed, rehearsal)
    return policy, choose_thresholds(policy, rehearsal)


def foreseeing(policy: Policy, seed: int) -> Policy:
    """The same policy with a head that foresees something, whatever it be."""
    torch.manual_seed(seed)
    made = Policy(replace(CONFIG, head=replace(CONFIG.head, ahead=AHEAD))).eval()
    made.load_state_dict(policy.state_dict(), strict=False)
    return made


def make_toy(seed: int, out: Path, golden: Path) -> None:
    """Writes the bundle `out` and the `golden` file; the same seed gives the same bytes."""
    tokenizer = make_tokenizer(CONFIG.vocabulary, sentences())
    about = About(
        name="toy",
        license="Apache-2.0",
        description="Random weights in the real architecture: for tests and for a first look, not for a task.",
        made_by=f"python -m deer_lab.toy --seed {seed}",
        tokenizer=tokenizer.to_str(pretty=True),
    )

    def ids(instruction: str) -> Tensor:
        return prompt_ids(tokenizer, about.template, instruction, CONFIG.max_tokens)

    policy, thresholds = toy_policy(seed)
    policy = foreseeing(policy, seed)
    with replacing(out) as folder:
        sha256 = export_bundle(policy.config, policy.part, about, folder)
        write_thresholds(thresholds, sha256, seed, folder)
        steps = write_golden(golden, policy, thresholds, INSTRUCTIONS, ids, pictures, seed)
    taken = [sum(step.exit == exit for step in steps) for exit in range(len(policy.stages))]
    print(f"{out}: {sum(file.stat().st_size for file in out.iterdir()):,} bytes, thresholds {thresholds}")
    print(f"{golden}: {golden.stat().st_size:,} bytes, steps per exit {taken}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("models/toy"))
    parser.add_argument("--golden", type=Path, default=Path("tests/data/toy_golden.safetensors"))
    arguments = parser.parse_args()
    make_toy(arguments.seed, arguments.out, arguments.golden)


if __name__ == "__main__":
    main()
