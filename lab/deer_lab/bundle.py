"""A training run, or random weights of a configuration, to a model bundle.

    python -m deer_lab.bundle out/head --out models/tabletop --name tabletop --license Apache-2.0
    python -m deer_lab.bundle --random openflamingo_3b --tokenizer tokenizer.json --out out/3b

Without --thresholds the bundle runs at full depth: `deer_vla calibrate` and `deer_vla solve` find thresholds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from deer_lab.config import CONFIGS, PolicyConfig, find_config
from deer_lab.embodiment import CALVIN, FILE, Embodiment, EmbodimentError
from deer_lab.export import ExportError, export_bundle, replacing
from deer_lab.manifest import About, write_thresholds
from deer_lab.model import make_part
from deer_lab.runs import WEIGHTS, RunError, find_weights, read_tensors

NEVER = -1.0  # the threshold of an exit that is never taken


@dataclass(frozen=True)
class Source:
    """Where a bundle comes from: its configuration, its parts by name, tokenizer, robot, words for the manifest."""

    config: PolicyConfig
    part: Callable[[str], nn.Module]
    tokenizer: Path
    made_by: str
    description: str
    embodiment: Embodiment = CALVIN


def from_run(run: Path) -> Source:
    """The weights of a training run's folder, read part by part. Raises ExportError."""
    path = run / WEIGHTS
    try:
        places, about = find_weights(run)
    except RunError as error:
        raise ExportError(str(error)) from error
    try:
        config = find_config(about.get("config", ""))
    except ValueError as error:
        raise ExportError(f"{path} is of {error}") from error

    def part(name: str) -> nn.Module:
        module = make_part(config, name)
        prefix = name if not name.startswith("stage_") else f"stages.{int(name.removeprefix('stage_'))}"
        wanted = {f"{prefix}.{key}": value for key, value in module.state_dict().items()}
        if missing := sorted(wanted.keys() - places.keys()):
            raise ExportError(f"{path} lacks {missing[0]} and {len(missing) - 1} more tensors of {name}")
        found = read_tensors(places, wanted)
        for key, value in found.items():
            if value.shape != wanted[key].shape:
                raise ExportError(f"{path}: {key} is {tuple(value.shape)}, expected {tuple(wanted[key].shape)}")
        module.load_state_dict({key.removeprefix(f"{prefix}."): value for key, value in found.items()})
        return module

    steps = f"{about.get('step', '?')} steps of stage {about.get('stage', '?')}"
    return Source(
        config,
        part,
        run / "tokenizer.json",
        f"python -m deer_lab.bundle {run.name}",
        f"{about['config'] if about['config'] in CONFIGS else 'A configuration of its own'}, last {steps}.",
        Embodiment.read(run) if (run / FILE).is_file() else CALVIN,
    )


def with_random_weights(name: str, seed: int, tokenizer: Path) -> Source:
    """A configuration's parts, each made when it is asked for and seeded by its name."""

    def part(part_name: str) -> nn.Module:
        torch.manual_seed(seed * 1000 + sum(part_name.encode()))
        return make_part(CONFIGS[name], part_name)

    made_by = f"python -m deer_lab.bundle --random {name} --seed {seed}"
    return Source(CONFIGS[name], part, tokenizer, made_by, f"{name} with random weights: for measurements, not a task.")


def make_bundle(source: Source, out: Path, name: str, licence: str) -> None:
    """Writes the bundle `out`. Raises ExportError; nothing is left then."""
    try:
        tokenizer = Tokenizer.from_file(str(source.tokenizer))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ExportError(f"{source.tokenizer} is no tokenizer: {error}") from error
    if tokenizer.get_vocab_size() > source.config.vocabulary:
        raise ExportError(
            f"{source.tokenizer} has {tokenizer.get_vocab_size()} tokens, the model embeds {source.config.vocabulary}; "
            "name the tokenizer that the model was trained with"
        )
    about = About(
        name=name,
        license=licence,
        description=source.description,
        made_by=source.made_by,
        tokenizer=tokenizer.to_str(pretty=True),
        embodiment=source.embodiment,
    )
    with replacing(out) as folder:
        sha256 = export_bundle(source.config, source.part, about, folder)
        write_thresholds([NEVER] * (len(source.config.decoder.exits) - 1), sha256, 0, folder)


def main() -> int:
    """Exit codes: 0 done, 1 refused with the reason, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="a training run's folder")
    parser.add_argument("--random", choices=sorted(CONFIGS), help="a configuration with random weights instead")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json for random weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="of the bundle; otherwise the folder's")
    parser.add_argument("--license", default="Apache-2.0", help="SPDX identifier")
    parser.add_argument(
        "--description", help="for the manifest; otherwise the configuration and how long it was trained"
    )
    parser.add_argument("--made-by", help="for the manifest: the command that makes all of it again")
    args = parser.parse_args()
    if (args.run is None) == (args.random is None) or (args.random and not args.tokenizer):
        parser.error("give a run's folder, or --random CONFIGURATION with --tokenizer FILE")
    try:
        source = from_run(args.run) if args.run else with_random_weights(args.random, args.seed, args.tokenizer)
        words = {"description": args.description, "made_by": args.made_by}
        source = replace(source, **{field: text for field, text in words.items() if text})
        make_bundle(source, args.out, args.name or args.out.name, args.license)
    except (ExportError, EmbodimentError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {sum(file.stat().st_size for file in args.out.iterdir()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
