"""OpenFlamingo's published files to a run's folder, so that DeeR is trained from where its authors began.

    python -m deer_lab.importers.openflamingo --checkpoint checkpoint.pt --language-model mpt-1b-redpajama-200b-dolly \\
        --clip ViT-L-14.pt --tokenizer gpt-neox-20b --layers 12 --run out/start
    python -m deer_lab.train --config openflamingo_3b --stage adapt --init out/start --init-part language --calvin …

The folder holds vision and language model up to --layers; the action head starts anew in training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deer_lab.config import HeadConfig, config_text
from deer_lab.export import ExportError
from deer_lab.importers.archives import of_pickled, open_archive
from deer_lab.importers.deer import add_parts
from deer_lab.importers.language import EMBEDDINGS, ask_for, find_language_model
from deer_lab.importers.names import UNUSED_OF_CLIP, UNUSED_OF_LANGUAGE, HeadNames
from deer_lab.importers.pieces import Source, find_pieces
from deer_lab.importers.prompts import published_tokenizer
from deer_lab.importers.settings import policy_config, read_clip, read_decoder, read_resampler
from deer_lab.importers.writing import Network, write_run


def in_lang_encoder(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The language model's keys as DeeR's file has them."""
    prefix, theirs = "transformer.blocks.", "lang_encoder.old_decoder_blocks."
    return {theirs + key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}


def read_start(args: argparse.Namespace) -> Network:
    """All but the head. Raises CheckpointError."""
    given = {"--language-model": args.language_model, "--clip": args.clip, "--tokenizer": args.tokenizer}
    ask_for([option for option, path in given.items() if path is None])
    flamingo, language, clip = of_pickled(args.checkpoint), open_archive(args.language_model), open_archive(args.clip)
    exits = (*range(args.exit_every - 1, args.layers - 1, args.exit_every), args.layers - 1)
    shapes = flamingo.shapes | in_lang_encoder(language.shapes)
    model = find_language_model(args.language_model, shapes, print)
    config = policy_config(
        flamingo.shapes[EMBEDDINGS][0],
        read_clip(clip.shapes, clip.place),
        read_resampler(flamingo.shapes, flamingo.place),
        read_decoder(shapes, exits, flamingo.place, model),
        HeadConfig(width=args.head_width),
    )
    sources = [
        Source(flamingo, layers_beyond=True),
        Source(language, UNUSED_OF_LANGUAGE, layers_beyond=True),
        Source(clip, UNUSED_OF_CLIP),
    ]
    pieces = find_pieces(config, sources, HeadNames((), (), (), ()), without=("head.",))
    tokenizer = published_tokenizer(args.tokenizer, config.vocabulary)
    return Network(config, pieces, tokenizer, description="", license="", made_by="")


def main(words: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 refused with the reason, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="OpenFlamingo's checkpoint.pt")
    add_parts(parser)
    parser.add_argument("--layers", type=int, required=True, help="as published: 12 of the 3B's 24, 16 of the 9B's 32")
    parser.add_argument("--exit-every", type=int, default=2, help="layers from exit to exit")
    parser.add_argument("--head-width", type=int, default=HeadConfig.width, help="of the LSTM that starts anew")
    parser.add_argument("--run", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(words)
    try:
        network = read_start(args)
        write_run(network, args.run)
    except ExportError as error:
        print(f"openflamingo: {error}", file=sys.stderr)
        return 1
    text = config_text(network.config)
    config = f"{args.run / 'config.json'}" if text.startswith("{") else text
    print(f"{args.run}: deer_lab.train --config {config} --stage adapt --init {args.run} --init-part language")
    return 0


if __name__ == "__main__":
    sys.exit(main())
