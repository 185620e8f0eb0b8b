"""The network's configuration, from the checkpoint's own entries, its shapes and what is known of its language model.

What none of them says is fixed in the published code: eight heads of 64 in resampler and cross-attention, CLIP heads of
64, epsilon 1e-5. What our network cannot hold is refused by name, and what is not told by the file is printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from deer_lab.config import Camera, ClipConfig, DecoderConfig, HeadConfig, PolicyConfig, ResamplerConfig
from deer_lab.importers.archives import CheckpointError
from deer_lab.importers.language import EMBEDDINGS, LanguageModel, Shapes, has_qk_norm
from deer_lab.importers.names import HeadNames

CLIP_HEAD_WIDTH = 64
TRANSFORMERS = ("embeddings.patch_embedding.weight", "embeddings.position_embedding.weight", "encoder.layers.")
CLIP_KEYS = {
    "visual.": ("conv1.weight", "positional_embedding", "transformer.resblocks."),
    "vision_model.": TRANSFORMERS,
    "": TRANSFORMERS,
}  # by prefix: its patches, positions and layers
MISSING = {"head_type": "deterministic", "early_exit_layer": -1, "multi_exit": False, "exit_interval": 1}
MISSING |= {"exit_dropout": 0.0, "lstm_dropout": 0.0, "pooling": "max"}  # what the published code takes instead
TAGS = {
    "tcp": "actions in the tool's frame, and this version drives the base's",
    "res_": "a residual copy of the language model",
    "gpt": "another kind of action head",
    "latent": "another kind of resampler",
    "no_image_patch": "another kind of resampler",
    "unfreeze_vit": "a vision encoder of its own, which the file does not hold",
}  # what the published code reads off the file's name and our network cannot hold


def refuse_by_name(entries: dict, name: str, say: Callable[[str], None]) -> None:
    """Raises CheckpointError for what our network cannot hold and the tensors do not show."""
    told = MISSING | {key: value for key, value in entries.items() if key in MISSING}
    for key in sorted(MISSING.keys() - entries.keys()):
        say(f"the file does not say {key}: {MISSING[key]!r}, as the published code takes it")
    wanted = {"head_type": "deterministic", "pooling": "max", "multi_exit": True}
    for key, value in wanted.items():
        if told[key] != value:
            raise CheckpointError(f"{key} is {told[key]!r}, and a bundle holds {value!r} alone")
    for key in ("use_layerwise_projection", "layerwise_projection_dict", "use_diff"):
        if entries.get(key):
            raise CheckpointError(f"{key} is set, which a bundle cannot hold")
    for tag, meaning in TAGS.items():
        if tag in name:
            raise CheckpointError(
                f"{name}: to the published code {tag!r} in a file's name means {meaning}; rename it if it does not"
            )


def count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number at the group of `pattern`; 0 where there is none."""
    return max((int(found[1]) + 1 for key in shapes if (found := re.match(pattern, key))), default=0)


def shape(shapes: Shapes, key: str, place: str) -> tuple[int, ...]:
    if key not in shapes:
        raise CheckpointError(f"{place} lacks {key}")
    return shapes[key]


def exits_of(entries: dict, layers: int) -> tuple[int, ...]:
    """Every `exit_interval`-th layer, and the last."""
    told = MISSING | entries
    last = told["early_exit_layer"] if told["early_exit_layer"] >= 0 else layers - 1
    if last != layers - 1:
        raise CheckpointError(f"early_exit_layer is {last}, but the file holds {layers} layers")
    return (*range(told["exit_interval"] - 1, last, told["exit_interval"]), last)


def read_clip(shapes: Shapes, place: str) -> tuple[ClipConfig, int]:
    """CLIP and the side of its pictures, off its tensors; open_clip's names or transformers'."""
    prefix = next((prefix for prefix, keys in CLIP_KEYS.items() if prefix + keys[0] in shapes), "visual.")
    patches, positions, layers = (prefix + key for key in CLIP_KEYS[prefix])
    width, _, patch, _ = shape(shapes, patches, place)
    side = round((shape(shapes, positions, place)[0] - 1) ** 0.5)
    depth = count(shapes, re.escape(layers) + r"(\d+)\.")
    return ClipConfig(width=width, layers=depth, heads=width // CLIP_HEAD_WIDTH, patch=patch), side * patch


def read_resampler(shapes: Shapes, place: str) -> ResamplerConfig:
    latents = shape(shapes, "perceiver.latents", place)[0]
    return ResamplerConfig(latents=latents, depth=count(shapes, r"perceiver\.layers\.(\d+)\."))


def read_head(entries: dict, shapes: Shapes, place: str, say: Callable[[str], None]) -> HeadConfig:
    """The head that serves all exits. Raises CheckpointError where an entry says otherwise than its tensors."""
    names = HeadNames.of(shapes, "extra_exit.")
    first = f"{names.lstm[0] if names.lstm else ''}weight_hh_l0"
    layers = len(names.lstm) or count(shapes, r"extra_exit\.rnn\.weight_hh_l(\d+)")
    width = shape(shapes, f"extra_exit.rnn.{first}", place)[1]
    rows = [shapes[f"extra_exit.actions.mlp.{m}.weight"][0] for m in names.linears]
    found = {
        "lstm_num_layers": layers,
        "mlp_num_hidden_layers": len(rows) - 1,
        "lstm_layernorm": bool(names.norm),
        "mlp_layernorm": bool(names.norms),
    }
    for key, value in found.items():
        if key in entries and entries[key] != value:
            raise CheckpointError(f"{place}: {key} is {entries[key]}, its tensors say {value}")
        if key not in entries:
            say(f"the file does not say {key}: {value}, by its tensors")
    told = MISSING | entries
    return HeadConfig(
        layers,
        width,
        lstm_dropout=told["lstm_dropout"],
        mlp_dropout=told["exit_dropout"],
        mlp=None if tuple(rows[:-1]) == (width, width // 2) else tuple(rows[:-1]),
        lstm_norm=found["lstm_layernorm"],
        mlp_norm=found["mlp_layernorm"],
    )


def read_decoder(shapes: Shapes, exits: tuple[int, ...], place: str, model: LanguageModel) -> DecoderConfig:
    crossing = r"lang_encoder\.(?:transformer\.blocks|gated_cross_attn_layers)\.(\d+)\.(?:gated_|attn|ff)"
    sees = [int(found[1]) for key in shapes if (found := re.match(crossing, key))]
    if not sees:
        raise CheckpointError(f"{place} holds no cross-attention (…gated_cross_attn_layer…)")
    return DecoderConfig(
        shape(shapes, EMBEDDINGS, place)[1],
        model.heads,
        exits,
        cross_every=min(sees) + 1,
        qk_norm=has_qk_norm(shapes),
        alibi_bias_max=model.bias_max,
        # of powers of two both kinds are the same, and then the published models keep their names
        alibi_interleaved=model.interleaved or not model.heads & (model.heads - 1),
    )


def policy_config(
    vocabulary: int, clip: tuple[ClipConfig, int], resampler: ResamplerConfig, decoder: DecoderConfig, head: HeadConfig
) -> PolicyConfig:
    """Raises CheckpointError where the numbers do not fit together."""
    encoder, side = clip
    cameras = (Camera("static", side), Camera("gripper", side))
    try:
        return PolicyConfig(cameras, encoder, resampler, decoder, head, vocabulary)
    except ValueError as error:
        raise CheckpointError(f"the configuration does not hold together: {error}") from error
