"""Where the published files have which parameter of `deer_lab.model`.

DeeR's file and OpenFlamingo's share their names; the language model's and CLIP's own folders have others. `i` is the
layer in the whole network, `k` its stage. The frozen layers of the language model have MPT-1B's names or MPT-7B's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# ours -> theirs; of several, all that are there must be the same tensor
PATTERNS = [
    (r"vision\.resamplers\.0\.(latents|norm\..+)", (r"perceiver.\1",)),
    (r"vision\.resamplers\.0\.layers\.(\d+)\.attention\.(.+)", (r"perceiver.layers.\1.0.\2",)),
    (r"vision\.resamplers\.0\.layers\.(\d+)\.feed_forward\.(.+)", (r"perceiver.layers.\1.1.\2",)),
    (r"embed\.table\.weight", ("lang_encoder.transformer.wte.weight",)),
    (
        r"stages\.\d+\.layers\.(\d+)\.cross\.(.+)",
        (
            r"lang_encoder.transformer.blocks.\1.gated_cross_attn_layer.\2",
            r"lang_encoder.gated_cross_attn_layers.\1.\2",
        ),
    ),
]
BLOCK_PREFIXES = (
    "lang_encoder.old_decoder_blocks.{}.",
    "lang_encoder.transformer.blocks.{}.decoder_layer.",
    "transformer.blocks.{}.",  # the language model's own folder
)
BLOCK_NAMES = {
    "norm_1": ("ln_1", "norm_1"),
    "qkv": ("attn.Wqkv", "attn.Wqkv"),
    "q_norm": ("attn.q_ln", "attn.q_ln"),
    "k_norm": ("attn.k_ln", "attn.k_ln"),
    "out": ("attn.out_proj", "attn.out_proj"),
    "norm_2": ("ln_2", "norm_2"),
    "up": ("mlp.mlp_up", "ffn.up_proj"),
    "down": ("mlp.mlp_down", "ffn.down_proj"),
}  # ours: MPT-1B's, MPT-7B's
CLIP_NAMES = [
    (r"embeddings\.class_embedding", "class_embedding"),
    (r"embeddings\.patch_embedding\.weight", "conv1.weight"),
    (r"embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"pre_layrnorm\.(.+)", r"ln_pre.\1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(.+)", r"transformer.resblocks.\1.attn.out_proj.\2"),
    (r"encoder\.layers\.(\d+)\.layer_norm(\d)\.(.+)", r"transformer.resblocks.\1.ln_\2.\3"),
    (r"encoder\.layers\.(\d+)\.mlp\.fc1\.(.+)", r"transformer.resblocks.\1.mlp.c_fc.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.fc2\.(.+)", r"transformer.resblocks.\1.mlp.c_proj.\2"),
]
FUSED = re.compile(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)")  # one tensor in open_clip's file

UNUSED = re.compile(
    r"lm_head\.|lm_exit_modules\.\d+\.|vision_encoder\.|lang_encoder\.lm_head\.|lang_encoder\.transformer\.(ln_f|norm_f)\."
)
UNUSED_OF_CLIP = re.compile(
    r"(text_model\.|token_embedding\.|transformer\.|positional_embedding$|ln_final\.|text_projection|logit_|visual\.proj"
    r"|visual_projection\.|visual\.ln_post\.|(vision_model\.)?post_layernorm\.|attn_mask"
    r"|(vision_model\.)?embeddings\.position_ids)"
)
UNUSED_OF_LANGUAGE = re.compile(r"transformer\.(wte|ln_f|norm_f)\.|lm_head\.")
LAYER = re.compile(r"(?:lang_encoder\.)?(?:transformer\.blocks|gated_cross_attn_layers|old_decoder_blocks)\.(\d+)\.")


@dataclass(frozen=True)
class HeadNames:
    """How a head's modules are numbered, which depends on what was built in between: read off the file."""

    lstm: tuple[str, ...]  # per layer, up to the parameter's name
    norm: tuple[str, ...]
    linears: tuple[int, ...]  # places in the MLP
    norms: tuple[int, ...]

    @classmethod
    def of(cls, shapes: dict[str, tuple[int, ...]], prefix: str) -> HeadNames:
        """Of the head whose keys begin with `prefix`."""
        rnn, mlp = f"{prefix}rnn.", f"{prefix}actions.mlp."
        layers = sorted({int(key[len(rnn) + 7 :].split(".")[0]) for key in shapes if key.startswith(f"{rnn}layers.")})
        lstm = [f"layers.{m}." for m in layers if f"{rnn}layers.{m}.weight_ih_l0" in shapes]
        norm = [f"layers.{m}." for m in layers if f"{rnn}layers.{m}.weight" in shapes]
        places = sorted(int(key[len(mlp) :].split(".")[0]) for key in shapes if re.match(rf"{mlp}\d+\.weight$", key))
        flat = [m for m in places if len(shapes[f"{mlp}{m}.weight"]) == 1]
        return cls(tuple(lstm), tuple(norm), tuple(m for m in places if m not in flat), tuple(flat))

    def place(self, kind: str, number: int, rest: str) -> str:
        """Where a module of ours has its parameter `rest`; empty where the file has no such module."""
        if kind == "lstm":
            if not self.lstm:  # PyTorch's own LSTM of several layers
                return f"{rest[:-1]}{number}"
            return self.lstm[number] + rest if number < len(self.lstm) else ""
        if kind == "norm":
            return self.norm[number] + rest if number < len(self.norm) else ""
        index, within = divmod(number, 4)  # ours: dropout, linear, norm, ReLU, and so on
        places = {1: self.linears, 2: self.norms}.get(within, ())
        return f"{places[index]}.{rest}" if index < len(places) else ""


def published_names(name: str, head: HeadNames, prefix: str = "extra_exit.") -> list[str]:
    """What the files call our parameter `name`; without DDP's `module.`."""
    if block := re.fullmatch(r"stages\.\d+\.layers\.(\d+)\.block\.(\w+)\.(.+)", name):
        layer, module, rest = block.groups()
        found = [f"{p.format(layer)}{kind}.{rest}" for p in BLOCK_PREFIXES for kind in BLOCK_NAMES[module]]
        return list(dict.fromkeys(found))
    if part := re.fullmatch(r"head\.(lstms|norms|arm|gripper)\.(\d+)\.(.+)", name):
        kind, number, rest = part[1], int(part[2]), part[3]
        inner = {"lstms": "rnn.", "norms": "rnn.", "arm": "actions.mlp.", "gripper": "gripper.mlp."}[kind]
        place = head.place({"lstms": "lstm", "norms": "norm"}.get(kind, "mlp"), number, rest)
        return [f"{prefix}{inner}{place}"] if place else [f"{prefix}{inner}(module {number}).{rest}"]
    for ours, theirs in PATTERNS:
        if found := re.fullmatch(ours, name):
            return [found.expand(template) for template in theirs]
    return clip_names(name.removeprefix("vision.encoders.0.clip."))


def clip_names(name: str) -> list[str]:
    """open_clip's name of a parameter of transformers' CLIP, and the latter's own."""
    name = name.removeprefix("vision_model.")
    own = [f"vision_model.{name}", name]
    if fused := FUSED.fullmatch(name):
        return [f"visual.transformer.resblocks.{fused[1]}.attn.in_proj_{fused[3]}", *own]
    for ours, theirs in CLIP_NAMES:
        if found := re.fullmatch(ours, name):
            return [f"visual.{found.expand(theirs)}", *own]
    return own


def third_of(name: str, key: str) -> int | None:
    """Which third of the fused tensor `key` is our parameter `name`; None where it is all of it."""
    fused = FUSED.search(name)
    return "qkv".index(fused[2]) if fused and "in_proj_" in key else None
