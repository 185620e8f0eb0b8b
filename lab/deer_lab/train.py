"""Trains a policy from demonstrations.

    python -m deer_lab.train --config tabletop --data out/demonstrations --stage joint --steps 20000 --out out/joint
    python -m deer_lab.train --config tabletop --data out/demonstrations --stage head --init out/joint --out out/head
    torchrun --nproc-per-node 8 -m deer_lab.train …     # several processes or GPUs; the batch is per process

Stages: "vision" teaches the encoders to show the true state (where the recordings have it), "joint" trains everything,
"language" all but the encoders, "head" the heads alone; encoders that do not learn run once over the demonstrations.
"adapt" is for a language model and a CLIP that were trained before (deer_lab.importers): both stay as they are, and
resampler, cross-attention, embeddings and heads learn, as the paper has it.
Defaults are the paper's (arXiv 2411.02359). The same command goes on where it was stopped, and
with more --steps trains further (unless --schedule cosine fitted the rate to their number).

A run's folder: policy.safetensors, tokenizer.json and embodiment.json (what becomes a bundle), auxiliary.safetensors,
train.json, losses.jsonl, losses.png, tensorboard/, checkpoint/ (to go on from).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate
from tqdm import tqdm

from deer_lab.config import CONFIGS, PolicyConfig, find_config
from deer_lab.curves import Curves
from deer_lab.data.batches import Prompts, StepSampler
from deer_lab.data.demonstrations import add_demonstrations, find_shards, find_trained
from deer_lab.data.segment import DataError
from deer_lab.data.windows import Windows
from deer_lab.draws import Draws
from deer_lab.embodiment import CALVIN, FILE, Embodiment
from deer_lab.latents import keep_latents, vision_digest
from deer_lab.losses import Objective, Trainee
from deer_lab.model import Policy
from deer_lab.pictures import normalised, shifted
from deer_lab.runs import digest, read_tokenizer, read_weights
from deer_lab.settings import Settings, differences, parameter_groups, rate
from deer_lab.tokenizer import make_tokenizer

STAGES = ("vision", "language", "joint", "adapt", "head")
INIT_PARTS = {  # prefixes of weights
    "all": "",
    "language": ("vision.", "embed.", "stages."),
    "vision": "vision.",
    "wordless": ("vision.", "stages.", "head."),
}
HELD_OUT_EVERY = 50  # of so many recordings one is not trained on, but watched
VALIDATION_BATCHES = 8
ADAM_BETAS = (0.9, 0.999)


class Run:
    """One training run in its folder `out`, for one embodiment."""

    def __init__(
        self,
        settings: Settings,
        objective: Objective,
        shards: list[Path],
        out: Path,
        init: Path | None = None,
        init_part: str = "all",
        draws: Draws | None = None,
        embodiment: Embodiment = CALVIN,
    ) -> None:
        """`init`: the folder of a run to begin with, `init_part`: one of INIT_PARTS, what is taken of it.

        Raises DataError where the recordings lack what the stage needs, ValueError where `out` is another run's."""
        self.settings, self.out = settings, out
        if settings.teacher:
            check_teacher(settings, init, init_part)
        self.accelerator = Accelerator(
            mixed_precision=settings.precision, cpu=not torch.cuda.is_available(), step_scheduler_with_optimizer=False
        )
        config = find_config(settings.config)
        inputs = [camera.role for camera in config.cameras]
        if init and settings.stage in ("language", "head"):
            inputs, shards = ["media"], keep_latents(init, config, shards, self.accelerator)
        held_out = shards[::HELD_OUT_EVERY] if len(shards) > 1 else shards
        self.windows = Windows([s for s in shards if s not in held_out] or shards, inputs, settings.window)
        self.validation = Windows(held_out, inputs, settings.window)
        asks = settings.stage == "vision" or objective.state_weight
        if asks and not self.windows.has_state:
            raise DataError(
                "this stage learns from the true state, which not every recording has; a simulated world's recordings "
                "have it: name its module, such as --aids deer_lab.worlds.tabletop.aids"
            )
        if (settings.relabel or objective.goal_weight) and not self.windows.has_answers:
            raise DataError(
                "--relabel and --goal-weight need the expert's answers to every task in every recording; a simulated "
                "world's recordings have them: name its module, such as --aids deer_lab.worlds.tabletop.aids"
            )
        if self.accelerator.is_main_process:
            entry = {"settings": asdict(settings), "objective": asdict(objective), "draws": asdict(draws or Draws())}
            entry["weights"] = {
                "init": init and digest(init),
                "init_part": init and init_part,
                "teacher": digest(Path(settings.teacher)) if settings.teacher else None,
            }
            self._claim(entry, None if init_part == "wordless" else init, config, embodiment)
        self.accelerator.wait_for_everyone()
        tokenizer = read_tokenizer(out)
        texts = self.windows.instructions + self.validation.instructions
        prompts = Prompts(tokenizer, texts, config.max_tokens)
        self.prompts = [prompts, len(self.windows.instructions)]
        set_seed(settings.seed)
        state_width = self.windows.state_width if self.windows.has_state else 0
        teacher = Policy.of_run(Path(settings.teacher)) if settings.teacher else None
        self.trainee = Trainee(Policy(config), objective, state_width, self.windows.goal_width, draws, teacher)
        if init:
            self._load(init, init_part)
        self.trainee.enter(settings.stage)
        self._prepare(config)

    def _claim(self, entry: dict, words: Path | None, config: PolicyConfig, embodiment: Embodiment) -> None:
        """Makes the folder this run's. `words`: the run whose tokenizer it takes; else it makes one of what is said."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "train.json"
        if path.exists() and (changed := differences(json.loads(path.read_text()), entry)):
            raise ValueError(
                f"{path} is of a run with other settings or other weights to learn from ({', '.join(changed)}): name "
                f"another --out, or remove {self.out}"
            )
        embodiment = embodiment.with_cameras((camera.role, camera.size) for camera in config.cameras)
        if (self.out / FILE).is_file() and Embodiment.read(self.out) != embodiment:
            raise ValueError(f"{self.out / FILE} is of another robot: name another --out, or remove it")
        path.write_text(json.dumps(entry, indent=2) + "\n")
        embodiment.write(self.out)
        if (self.out / "tokenizer.json").exists():
            return
        if words:
            shutil.copy2(words / "tokenizer.json", self.out)
        else:
            tokenizer = make_tokenizer(config.vocabulary, sorted(self.windows.instructions), forgiving=True)
            tokenizer.save(str(self.out / "tokenizer.json"))

    def _load(self, init: Path, part: str) -> None:
        """Weights of an earlier stage; auxiliary heads and readout where both have them, else the policy's own head.

        Of "vision" the vision alone: so networks that differ in the rest share it; of "language" all but the heads; of
        "wordless" all but tokenizer and embeddings: it acts, but knows no word of what it was told before.
        What the run `init` has not (keypoints, say, that were added since) stays as it is made, and is told.
        Its pictures may be of other sizes.
        """
        prefix = INIT_PARTS[part]
        found, _ = read_weights(init)
        found = {name: value for name, value in found.items() if name.startswith(prefix)}
        lacks, foreign = self.trainee.policy.load_state_dict(found, strict=False)
        if foreign:
            raise ValueError(f"{init} is of another configuration: it has {foreign[0]}, {self.settings.config} has not")
        lacks = [name for name in lacks if name.startswith(prefix)]
        if lacks and self.accelerator.is_main_process:
            print(f"train: {init} lacks {lacks[0]} and {len(lacks) - 1} more tensors; they start anew", file=sys.stderr)
        if part not in ("all", "wordless"):
            return
        for head in self.trainee.auxiliary:
            head.load_state_dict(self.trainee.policy.head.state_dict())
        own = self.trainee.state_dict()
        auxiliary = init / "auxiliary.safetensors"
        found = load_file(auxiliary) if auxiliary.exists() else {}
        fitting = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
        self.trainee.load_state_dict(fitting, strict=False)

    def _prepare(self, config: PolicyConfig) -> None:
        settings = self.settings
        policy = self.trainee.policy
        if isinstance(policy.vision, nn.Module) and self.accelerator.device.type == "cpu":
            policy.vision.to(memory_format=torch.channels_last)
        if settings.compile:
            torch.compiler.config.recompile_limit = 64  # every stage, and every length of prompts
            for module in (*policy.vision.resamplers, *policy.stages):
                module.compile(dynamic=False)
            for encoder in policy.vision.encoders:
                encoder.look = torch.compile(encoder.look, dynamic=False)
        self.cameras = config.cameras
        optimizer = torch.optim.AdamW(parameter_groups(self.trainee, settings), betas=ADAM_BETAS)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, settings))
        self.accelerator.register_save_state_pre_hook(own_storage)
        self.model, self.optimizer, self.scheduler = self.accelerator.prepare(self.trainee, optimizer, scheduler)
        self.step = 0
        if (self.out / "checkpoint" / "step.json").exists():
            self.accelerator.load_state(str(self.out / "checkpoint"))
            self.step = json.loads((self.out / "checkpoint" / "step.json").read_text())
        else:
            torch.manual_seed(settings.seed + 1000 * self.accelerator.process_index)
        self.curves = Curves(self.out, self.step) if self.accelerator.is_main_process else None

    def batch(self, batch: dict[str, Tensor], augment: bool, offset: int = 0) -> tuple[dict[str, Tensor], list[Tensor]]:
        """What Trainee.forward takes: prompts added, pictures shifted (where `augment`) and normalised."""
        batch = {name: value.to(self.accelerator.device, non_blocking=True) for name, value in batch.items()}
        prompts, _ = self.prompts
        number = batch["instruction"].cpu() + offset
        batch["ids"], batch["mask"] = (x[number].to(self.accelerator.device) for x in (prompts.ids, prompts.mask))
        images = []
        for camera in self.cameras if "media" not in batch else ():
            pictures = batch.pop(camera.role)
            share = getattr(self.settings, f"{camera.role}_shift", 0.0)
            if augment and share:
                pictures, moved = shifted(pictures, round(share * camera.size))
                if (points := batch.get(f"{camera.role}_points")) is not None:
                    batch[f"{camera.role}_points"] = torch.cat((points[..., :2] + moved, points[..., 2:]), dim=-1)
            images.append(normalised(pictures, camera))
        return batch, images

    def train(self, save_every: int = 1000, validate_every: int = 500, loaders: int = 0) -> None:
        """Trains to the last step; Ctrl-C or SIGTERM saves first and raises KeyboardInterrupt."""
        settings, main = self.settings, self.accelerator.is_main_process
        rank, steps = self.accelerator.process_index, range(self.step, settings.steps)
        sampler = StepSampler(len(self.windows), settings.batch, settings.relabel, settings.seed, rank, steps)
        own = torch.Generator()  # else a loader draws from the chances of training, one more at each restart
        loader = DataLoader(self.windows, batch_sampler=sampler, num_workers=loaders, generator=own)
        stopping = Stopping()
        frames = settings.batch * settings.window * self.accelerator.num_processes
        bar = tqdm(total=settings.steps, initial=self.step, unit="step", disable=not main, dynamic_ncols=True)
        for batch in loader:
            terms = self.learn(*self.batch(batch, augment=True))
            self.step += 1
            bar.update()
            if main:
                self.curves.add(self.step, terms, self.scheduler.get_last_lr()[0])
                speed = (self.step - bar.initial) * frames / max(1e-9, bar.format_dict["elapsed"])
                bar.set_postfix_str(f"{self.curves.line()}, {speed:.0f} frames/s", refresh=False)
            due = self.step % validate_every == 0 or self.step == settings.steps
            if due and main and settings.stage != "vision":
                self.curves.add_validation(self.step, self.validate())
            stop = stopping.agreed(self.accelerator) if self.step % 10 == 0 or self.step == settings.steps else False
            if stop or self.step % save_every == 0 or self.step == settings.steps:
                self.save()
            if stop:
                raise KeyboardInterrupt

    def learn(self, batch: dict[str, Tensor], images: list[Tensor]) -> dict[str, float]:
        """One step of the optimiser; the terms of the loss."""
        self.model.train()
        with self.accelerator.autocast():
            terms = self.model(batch, images)
        self.accelerator.backward(sum(terms.values()))
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.accelerator.clip_grad_norm_(learning, self.settings.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {name: float(term.detach()) for name, term in terms.items()}

    def validate(self) -> dict[str, list[float]]:
        """Per exit, errors on recordings that are not trained on (Trainee.errors)."""
        self.trainee.eval()
        random = np.random.default_rng(0)
        found = []
        for _ in range(VALIDATION_BATCHES):
            numbers = random.integers(len(self.validation), size=self.settings.batch)
            batch = default_collate([self.validation[int(number)] for number in numbers])
            found.append(self.trainee.errors(*self.batch(batch, augment=False, offset=self.prompts[1])))
        return {name: torch.stack([each[name] for each in found]).mean(0).tolist() for name in found[0]}

    def save(self) -> None:
        """Leaves the checkpoint and the weights; each appears whole or not at all."""
        self.accelerator.wait_for_everyone()
        beside = self.out / ".checkpoint"
        self.accelerator.save_state(str(beside))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            (beside / "step.json").write_text(json.dumps(self.step))
            shutil.rmtree(self.out / "checkpoint", ignore_errors=True)
            beside.rename(self.out / "checkpoint")
            self.write_weights()
            self.curves.draw()
        self.accelerator.wait_for_everyone()

    def write_weights(self) -> None:
        """policy.safetensors and auxiliary.safetensors."""
        about = {"config": self.settings.config, "stage": self.settings.stage, "step": str(self.step)}
        state = {name: value.detach().cpu().contiguous() for name, value in self.trainee.state_dict().items()}
        policy = {n.removeprefix("policy."): value for n, value in state.items() if n.startswith("policy.")}
        rest = {n: value for n, value in state.items() if not n.startswith("policy.")}
        for name, tensors in (("policy", policy), ("auxiliary", rest)):
            save_file(tensors, self.out / f".{name}", about)
            os.replace(self.out / f".{name}", self.out / f"{name}.safetensors")


def check_teacher(settings: Settings, init: Path | None, part: str = "all") -> None:
    """The teacher is given what the learner's vision and tokenizer make of pictures and sentences.

    Raises ValueError where its own would give it something else."""
    run, stage = Path(settings.teacher), settings.stage
    mend = "a teacher is a run that the learner begins with, or began with, in the stages language and head"
    if init is None or stage not in ("language", "head"):
        raise ValueError(f"--teacher {run} in the stage {stage}{'' if init else ' without --init'}: {mend}")
    if part == "wordless":
        raise ValueError(f"--teacher {run} with --init-part wordless, which makes a tokenizer of its own: {mend}")
    if read_tokenizer(run).to_str() != read_tokenizer(init).to_str():
        raise ValueError(f"the teacher {run} has another tokenizer than {init}: {mend}")
    if len({vision_digest(read_weights(folder)[0]) for folder in (run, init)}) > 1:
        raise ValueError(f"the teacher {run} has another vision than {init}: {mend}")


def own_storage(models: list[nn.Module], weights: list[dict[str, Tensor]], folder: str) -> None:
    """Before a checkpoint is written: cuDNN keeps an LSTM's weights in one buffer, of which accelerate would write the
    first weight alone."""
    for state in weights:
        state.update({name: value.to("cpu", copy=True) for name, value in state.items()})


class Stopping:
    """Whether Ctrl-C or SIGTERM came to any of the processes."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def agreed(self, accelerator: Accelerator) -> bool:
        """The same answer in every process."""
        asked = torch.tensor([float(self._asked)], device=accelerator.device)
        return bool(accelerator.reduce(asked, "sum") > 0)


def add_fields(parser: argparse.ArgumentParser, kind: type, left_out: tuple[str, ...]) -> None:
    """An option for every field of a dataclass."""
    for field in fields(kind):
        if field.name in left_out:
            continue
        name = "--" + field.name.replace("_", "-")
        if field.type == "bool":
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            kinds = {"int": int, "float": float, "str": str}
            parser.add_argument(name, type=kinds[field.type], default=field.default)


def config_named(text: str) -> str:
    """A configuration's name, or the text of the config.json that is named."""
    if text in CONFIGS:
        return text
    try:
        found = json.loads(Path(text).read_text())
        text = found.get("name") or json.dumps(found)
        find_config(text)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"known are {', '.join(CONFIGS)}, or a config.json: {error}") from error
    return text


def main() -> int:
    """Exit codes: 0 done, 2 wrong arguments or data, 130 stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=config_named, required=True, help=f"{', '.join(CONFIGS)}, or a config.json")
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--steps", type=int, required=True)
    add_demonstrations(parser)
    parser.add_argument("--init", type=Path, help="folder of a run whose weights to begin with")
    parser.add_argument("--init-part", choices=INIT_PARTS, default="all", help="what of them; the rest starts anew")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--save-every", type=int, default=1000, help="steps")
    parser.add_argument("--loaders", type=int, default=0, help="processes that load windows")
    parser.add_argument("--threads", type=int, default=0, help="of each process; 0: PyTorch decides")
    add_fields(parser, Settings, ("config", "stage", "steps"))
    add_fields(parser, Objective, ())
    add_fields(parser, Draws, ())
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    picked = {kind: {f.name: getattr(args, f.name) for f in fields(kind)} for kind in (Settings, Objective, Draws)}
    try:
        embodiment = find_trained(args)
        if args.init:  # what is wrong with it is told before the demonstrations are gone through
            read_weights(args.init), read_tokenizer(args.init)
        with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
            shards = find_shards(args, find_config(args.config), embodiment)
        settings, objective, draws = (kind(**values) for kind, values in picked.items())
        run = Run(settings, objective, shards, args.out, args.init, args.init_part, draws, embodiment)
        run.train(args.save_every, loaders=args.loaders)
    except (DataError, ValueError, FileNotFoundError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
