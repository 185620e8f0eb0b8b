"""DeeR-VLA's published checkpoint to a bundle, and to a run's folder to train on from.

    python -m deer_lab.importers.deer --checkpoint DEER.pth --clip ViT-L-14.pt --tokenizer gpt-neox-20b --out out/deer
    … --ratio 0.8 --layers 12     thresholds of the published settings, where the file holds an evaluation's `values`
    … --run out/start             beside or in place of --out: to train on with deer_lab.train --init out/start

Nothing is downloaded, and nothing in the files is run. docs/models.md leads from the published files to a robot.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from deer_lab.export import ExportError
from deer_lab.importers.archives import Archive, CheckpointError, load_pickled, of_pickled, open_archive
from deer_lab.importers.language import EMBEDDINGS, WHERE, ask_for, find_language_model
from deer_lab.importers.limits import Solved, solve, write_limits
from deer_lab.importers.names import UNUSED_OF_CLIP, UNUSED_OF_LANGUAGE, HeadNames, published_names
from deer_lab.importers.pieces import Piece, Source, find_pieces, wanted_shapes
from deer_lab.importers.prompts import published_tokenizer
from deer_lab.importers.settings import (
    count,
    exits_of,
    policy_config,
    read_clip,
    read_decoder,
    read_head,
    read_resampler,
    refuse_by_name,
)
from deer_lab.importers.writing import Network, write_bundle, write_run

LICENSE = "CC-BY-4.0"
ATTRIBUTION = (
    "Weights: DeeR-VLA (Yue et al., arXiv 2411.02359; Yang130/DeeR-VLA, CC-BY-4.0), after OpenFlamingo (MIT), "
    "{language} ({license}) and OpenAI's CLIP (MIT). Changed: converted to this format{changed}."
)
BLOCKS = r"lang_encoder\.(?:old_decoder_blocks\.|transformer\.blocks\.(?=\d+\.decoder_layer))(\d+)\."


def gather(args: argparse.Namespace, deer: Archive, early_exit_layer: int) -> tuple[list[Source], int]:
    """The files to take parameters from, DeeR's first, and how many layers there are."""
    layers = count(deer.shapes, BLOCKS)
    asked = {"--clip": args.clip, "--tokenizer": args.tokenizer}
    if not layers:
        asked["--language-model"] = args.language_model
    if not {"perceiver.latents", EMBEDDINGS} <= deer.shapes.keys():
        asked["--openflamingo"] = args.openflamingo
    ask_for([option for option, given in asked.items() if given is None])
    sources = [Source(deer)]
    if "--openflamingo" in asked:
        sources.append(Source(of_pickled(args.openflamingo), layers_beyond=True))
    if not layers:
        sources.append(Source(open_archive(args.language_model), UNUSED_OF_LANGUAGE, layers_beyond=True))
        if early_exit_layer < 0:
            raise CheckpointError(f"{deer.place} holds no frozen layers and does not say early_exit_layer")
    return [*sources, Source(open_archive(args.clip), UNUSED_OF_CLIP)], layers or early_exit_layer + 1


def auxiliary_heads(deer: Archive, network_shapes: dict, exits: int, say: Callable[[str], None]) -> dict[str, Piece]:
    """The heads that only training needs, where the file has them all in the shape of the one that serves all exits."""
    found: dict[str, Piece] = {}
    for number in range(exits):
        prefix = "lm_head." if number == exits - 1 else f"lm_exit_modules.{number}."
        names = HeadNames.of(deer.shapes, prefix)
        for ours, shape in network_shapes.items():
            if ours.startswith("head."):
                (key,) = published_names(ours, names, prefix)
                if deer.shapes.get(key) != shape:
                    say(f"the file's auxiliary heads are left out: {key} is {deer.shapes.get(key, 'not there')}")
                    return {}
                found[f"auxiliary.{number}.{ours.removeprefix('head.')}"] = Piece(deer, key)
    return found


def read_checkpoint(args: argparse.Namespace, say: Callable[[str], None] = print) -> tuple[Network, object]:
    """The network, and the `values` that an evaluation left (None where none did). Raises CheckpointError."""
    content = load_pickled(args.checkpoint)
    if not isinstance(content, dict) or "model_state_dict" not in content:
        raise CheckpointError(f"{args.checkpoint} is no checkpoint of DeeR-VLA: it has no model_state_dict")
    entries = {key: value for key, value in content.items() if not key.endswith("state_dict")}
    values = entries.pop("values", None)
    del content
    refuse_by_name(entries, args.checkpoint.name, say)
    deer = of_pickled(args.checkpoint)
    sources, layers = gather(args, deer, entries.get("early_exit_layer", -1))
    shapes = {key: shape for source in reversed(sources) for key, shape in source.archive.shapes.items()}
    model = find_language_model(args.language_model, shapes, say)
    config = policy_config(
        shapes[EMBEDDINGS][0],
        read_clip(sources[-1].archive.shapes, sources[-1].archive.place),
        read_resampler(shapes, deer.place),
        read_decoder(shapes, exits_of(entries, layers), deer.place, model),
        read_head(entries, deer.shapes, deer.place, say),
    )
    pieces = find_pieces(config, sources, HeadNames.of(deer.shapes, "extra_exit."))
    changed = ", rounded to half precision" if args.precision == "fp16" else ""
    words = ATTRIBUTION.format(language=model.name, license=model.license, changed=changed)
    network = Network(
        config,
        pieces,
        published_tokenizer(args.tokenizer, config.vocabulary),
        f"{args.checkpoint.name}: {layers} layers, exits after {', '.join(map(str, config.decoder.exits))}. {words}",
        args.license or f"{LICENSE} AND {model.license} AND MIT",
        f"python -m deer_lab.importers.deer --checkpoint {shlex.quote(args.checkpoint.name)}",
        auxiliary_heads(deer, wanted_shapes(config), len(config.decoder.exits), say) if args.run else {},
    )
    return network, values


def add_parts(parser: argparse.ArgumentParser) -> None:
    """The options that name the published parts."""
    parser.add_argument("--language-model", type=Path, help=WHERE["--language-model"])
    parser.add_argument("--clip", type=Path, help=WHERE["--clip"])
    parser.add_argument("--tokenizer", type=Path, help=WHERE["--tokenizer"])


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="DeeR-VLA's .pth (Yang130/DeeR-VLA)")
    parser.add_argument("--openflamingo", type=Path, help=WHERE["--openflamingo"])
    add_parts(parser)
    parser.add_argument("--out", type=Path, help="the bundle to write")
    parser.add_argument("--run", type=Path, help="a run's folder to write, to train on from")
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help="of the bundle")
    parser.add_argument("--ratio", type=float, help="the published exit_ratio: D 0.8, ABC 1.5, ABCD 1.0")
    parser.add_argument("--layers", type=int, help="the published max_layer: 12 (DeeR-B), 4 or 8 (DeeR-S); else all")
    parser.add_argument("--name", help="of the bundle; otherwise the folder's")
    parser.add_argument("--license", help="SPDX expression; otherwise that of all parts together")
    return parser


def main(words: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 refused with the reason, 2 wrong arguments."""
    parser = arguments()
    args = parser.parse_args(words)
    if not (args.out or args.run):
        parser.error("give --out FOLDER for a bundle, --run FOLDER for a run to train on from, or both")
    if args.layers is not None and args.ratio is None:
        parser.error("--layers needs --ratio R")
    try:
        network, values = read_checkpoint(args)
        if args.ratio is not None and values is None:
            raise CheckpointError(
                f"{args.checkpoint} holds no `values` of an evaluation: leave --ratio out, and let "
                "`deer_vla calibrate` and `deer_vla solve` find thresholds from recordings"
            )
        solved = None if values is None else solve(values, network.config, args.ratio, args.layers)
        if args.out:
            write_out(args, network, solved)
        if args.run:
            write_run(network, args.run)
            print(f"{args.run}: train on with deer_lab.train --config {args.run / 'config.json'} --init {args.run}")
    except ExportError as error:
        print(f"deer: {error}", file=sys.stderr)
        return 1
    return 0


def write_out(args: argparse.Namespace, network: Network, solved: Solved | None) -> None:
    def thresholds(sha256: str, folder: Path) -> None:
        print(write_limits(solved, network.config, sha256, folder))

    write_bundle(network, args.out, args.name or args.out.name, args.precision, thresholds if solved else None)
    print(f"{args.out}: {sum(file.stat().st_size for file in args.out.iterdir()):,} bytes")


if __name__ == "__main__":
    sys.exit(main())
