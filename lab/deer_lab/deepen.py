"""Makes of a run one of a deeper network that does the same, for a training that goes on from there.

    python -m deer_lab.deepen RUN --config calvin_static_24 --out OUT

After each layer come copies of it that add nothing yet: their last matrices are 0 (Net2DeeperNet, arXiv 1511.05641,
for residual layers). The last exit gives what it gave; where the others lie is the configuration's.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, zeros_like

from deer_lab.config import CONFIGS, PolicyConfig, find_config
from deer_lab.embodiment import FILE
from deer_lab.model import Policy
from deer_lab.runs import TOKENIZER, WEIGHTS, RunError, read_weights

# The last matrix of each branch: of the gated cross-attention, then of the block
ADDED = ("cross.attn.to_out.weight", "cross.ff.3.weight", "block.out.weight", "block.down.weight")


def layer_places(config: PolicyConfig) -> list[str]:
    """For each layer what its tensors' names begin with."""
    stages = range(len(config.decoder.exits))
    return [f"stages.{stage}.layers.{layer}." for stage in stages for layer in config.layers_of_stage(stage)]


def deepened(weights: dict[str, Tensor], shallow: PolicyConfig, deep: PolicyConfig) -> dict[str, Tensor]:
    """The weights of `shallow` as `deep` has them. Raises ValueError where its layers do not divide into theirs."""
    sources, targets = layer_places(shallow), layer_places(deep)
    times, rest = divmod(len(targets), len(sources))
    if rest or not times:
        raise ValueError(f"{len(sources)} layers do not become {len(targets)}: give a multiple")
    if shallow.decoder.cross_every != 1 or deep.decoder.cross_every != 1:
        raise ValueError(
            "a layer without cross-attention cannot take the place of one with it: cross_every has to be 1"
        )
    grown = {name: value for name, value in weights.items() if not name.startswith("stages.")}
    for index, target in enumerate(targets):
        source = sources[index // times]
        for name, value in weights.items():
            if name.startswith(source):
                part = name.removeprefix(source)
                grown[target + part] = zeros_like(value) if index % times and part in ADDED else value.clone()
    return grown


def deepen(run: Path, name: str, out: Path) -> None:
    """Leaves the run for the configuration `name` in `out`, without the heads that are for training only.

    Raises RunError, or ValueError where they do not fit."""
    weights, about = read_weights(run)
    deep = find_config(name)
    grown = deepened(weights, find_config(about["config"]), deep)
    try:
        Policy(deep).load_state_dict(grown)
    except RuntimeError as error:
        raise ValueError(f"{run} and {name} differ in more than depth: {' '.join(str(error).split())[:200]}") from error
    out.mkdir(parents=True, exist_ok=True)
    for file in (TOKENIZER, FILE):
        shutil.copy2(run / file, out)
    save_file(grown, out / WEIGHTS, {"config": name, "stage": about["stage"], "step": about["step"]})


def main() -> int:
    """Exit codes: 0 done, 2 a run or a configuration that does not fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--config", choices=CONFIGS, required=True, help="of the deeper network")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        deepen(args.run, args.config, args.out)
    except (RunError, ValueError) as error:
        print(f"deepen: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
