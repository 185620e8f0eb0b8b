"""The language models under the published checkpoints, and where everything that belongs to one is published."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deer_lab.importers.archives import CheckpointError

Shapes = dict[str, tuple[int, ...]]
EMBEDDINGS = "lang_encoder.transformer.wte.weight"
WHERE = {
    "--clip": "CLIP's vision encoder: ViT-L-14.pt (github.com/openai/CLIP), or openai/clip-vit-large-patch14 on "
    "Hugging Face",
    "--tokenizer": "the tokenizer, EleutherAI/gpt-neox-20b on Hugging Face (tokenizer.json)",
    "--openflamingo": "embeddings and resampler, which this file was trained without: checkpoint.pt of "
    "openflamingo/OpenFlamingo-3B-vitl-mpt1b-langinstruct or OpenFlamingo-9B-vitl-mpt7b on Hugging Face",
    "--language-model": "the language model's folder, mosaicml/mpt-1b-redpajama-200b-dolly or mosaicml/mpt-7b on "
    "Hugging Face: its config.json, and its weights where the checkpoint lacks the frozen layers",
}


def ask_for(missing: list[str]) -> None:
    """Raises CheckpointError with what the options stand for and where it is published."""
    if missing:
        lines = [f"  {option}: {WHERE[option]}" for option in missing]
        raise CheckpointError("parts are published elsewhere and nothing is downloaded; name\n" + "\n".join(lines))


@dataclass(frozen=True)
class LanguageModel:
    """What of the language model stands in no tensor."""

    name: str
    heads: int
    bias_max: int
    interleaved: bool
    license: str


PUBLISHED = {
    ("ln_1", 2048): LanguageModel("mosaicml/mpt-1b-redpajama-200b-dolly", 16, 8, False, "CC-BY-SA-3.0"),
    ("norm_1", 4096): LanguageModel("mosaicml/mpt-7b", 32, 8, True, "Apache-2.0"),
}


def in_first_layer(shapes: Shapes, name: str) -> bool:
    """Whether the language model's first layer has a tensor of that name; CLIP's layers have some alike."""
    first = re.compile(
        r"(lang_encoder\.)?(old_decoder_blocks|transformer\.blocks)\.0\.(decoder_layer\.)?" + re.escape(name)
    )
    return any(first.fullmatch(key) for key in shapes)


def has_qk_norm(shapes: Shapes) -> bool:
    return in_first_layer(shapes, "attn.q_ln.weight")


def find_language_model(folder: Path | None, shapes: Shapes, say: Callable[[str], None]) -> LanguageModel:
    """By its folder, or the published one that the checkpoint's shapes belong to. Raises CheckpointError."""
    if EMBEDDINGS not in shapes:
        raise CheckpointError(f"no file holds the embeddings ({EMBEDDINGS})")
    width = shapes[EMBEDDINGS][1]
    if folder:
        return read_language_model(folder, width, has_qk_norm(shapes))
    first = "ln_1" if in_first_layer(shapes, "ln_1.weight") else "norm_1"
    model = PUBLISHED.get((first, width))
    if model is None:
        ask_for(["--language-model"])
    say(f"no --language-model: taken for {model.name} by its width, {model.heads} heads, ALiBi to {model.bias_max}")
    return model


def read_language_model(folder: Path, width: int, qk_norm: bool) -> LanguageModel:
    """From config.json, MPT-1B's flat one or MPT-7B's. Raises CheckpointError where our blocks do otherwise."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; name the language model's folder") from error
    nested = config.get("attn_config") or {}
    flat = {"clip_qkv": "attn_clip_qkv", "qk_ln": "attn_qk_ln"}

    def attention(key: str) -> object:
        return nested.get(key, config.get(flat.get(key, key)))

    required = [
        ("d_model", config.get("d_model"), width),
        ("no_bias", config.get("no_bias"), True),
        ("alibi", attention("alibi"), True),
        ("clip_qkv", attention("clip_qkv"), None),
        ("softmax_scale", attention("softmax_scale"), None),
        ("qk_ln", bool(attention("qk_ln")), qk_norm),
        ("mlp_ratio", config.get("mlp_ratio", config.get("expansion_ratio", 4)), 4),
    ]
    for name, found, wanted in required:
        if found != wanted:
            raise CheckpointError(f"{path}: {name} is {found}, expected {wanted}; name the checkpoint's own folder")
    interleaved = config.get("model_type") != "mosaic_gpt"
    known = PUBLISHED.get(("norm_1" if interleaved else "ln_1", width))
    licence = known.license if known else "LicenseRef-language-model"  # who has another one knows its licence
    return LanguageModel(folder.name, config["n_heads"], attention("alibi_bias_max") or 8, interleaved, licence)
