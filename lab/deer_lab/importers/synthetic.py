"""Files in the published layout with random weights, of any size: for tests, and to measure what an import takes.

    python -m deer_lab.importers.synthetic --size 3b --out out/published      # 6 GB, and CLIP beside it
    python -m deer_lab.importers.synthetic --size small-9b --out out/small

Written from the layout of the files (which keys, what shapes), not from `deer_lab.model`. The folder holds deer.pth,
openflamingo.pt, ViT-L-14.pt, language_model/ and gpt-neox-20b/.
"""

from __future__ import annotations

import argparse
import json
import mmap
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

SENTENCES = ("take the red block and lift it up", "open the drawer", "push the sliding door to the left")
INNER = 512  # eight heads of 64, whatever the width
PUBLISHED_NAME = "stg=post_4+5_layer_{}_multie_intv=2_aug_10_4_traj_cons_ws_12_{}_7.pth"


@dataclass(frozen=True)
class Size:
    width: int
    heads: int
    layers: int
    cross_every: int
    mpt_1b: bool  # names and q/k norms of MPT-1B, else MPT-7B's
    clip: tuple[int, int, int]  # width, layers, side of the pictures
    latents: int
    depth: int  # of the resampler
    lstm: int
    mlp: tuple[int, int]
    vocabulary: int
    moments: bool = False  # AdamW's, which the 9B file holds
    bias_max: int = 8


SIZES = {
    "3b": Size(2048, 16, 12, 1, True, (1024, 24, 224), 64, 6, 1024, (1024, 512), 50280),
    "9b": Size(4096, 32, 16, 4, False, (1024, 24, 224), 64, 6, 1024, (1024, 512), 50280, moments=True),
    # six heads: where MPT-1B and MPT-7B differ
    "small-3b": Size(48, 6, 6, 1, True, (64, 2, 56), 8, 2, 32, (48, 24), 420),
    "small-9b": Size(48, 6, 8, 4, False, (64, 2, 56), 8, 2, 32, (48, 24), 420, moments=True),
}


def resampler_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    media = size.clip[0]
    shapes: dict[str, tuple[int, ...]] = {"perceiver.latents": (size.latents, media)}
    for n in range(size.depth):
        at = f"perceiver.layers.{n}"
        shapes |= norm(f"{at}.0.norm_media", media) | norm(f"{at}.0.norm_latents", media)
        shapes |= attention(f"{at}.0", media, media) | feed_forward(f"{at}.1", media)
    return shapes | norm("perceiver.norm", media)


def norm(at: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{at}.weight": (width,), f"{at}.bias": (width,)}


def attention(at: str, width: int, media: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{at}.to_q.weight": (INNER, width),
        f"{at}.to_kv.weight": (2 * INNER, media),
        f"{at}.to_out.weight": (width, INNER),
    }


def feed_forward(at: str, width: int) -> dict[str, tuple[int, ...]]:
    return norm(f"{at}.0", width) | {f"{at}.1.weight": (4 * width, width), f"{at}.3.weight": (width, 4 * width)}


def cross_shapes(size: Size, layers: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(size.cross_every - 1, layers, size.cross_every):
        at = f"lang_encoder.transformer.blocks.{layer}.gated_cross_attn_layer"
        shapes |= {f"{at}.attn_gate": (1,), f"{at}.ff_gate": (1,)} | norm(f"{at}.attn.norm", size.width)
        shapes |= attention(f"{at}.attn", size.width, size.clip[0]) | feed_forward(f"{at}.ff", size.width)
    return shapes


def block_shapes(size: Size, layers: int, prefix: str) -> dict[str, tuple[int, ...]]:
    width, shapes = size.width, {}
    first, second, up, down = (
        ("ln_1", "ln_2", "mlp.mlp_up", "mlp.mlp_down")
        if size.mpt_1b
        else ("norm_1", "norm_2", "ffn.up_proj", "ffn.down_proj")
    )
    for layer in range(layers):
        own = {first: (width,), "attn.Wqkv": (3 * width, width), "attn.out_proj": (width, width), second: (width,)}
        own |= {"attn.q_ln": (width,), "attn.k_ln": (width,)} if size.mpt_1b else {}
        own |= {up: (4 * width, width), down: (width, 4 * width)}
        shapes |= {f"{prefix}{layer}.{name}.weight": shape for name, shape in own.items()}
    return shapes


def head_shapes(size: Size, at: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for n in range(4):
        gates = {"weight_ih_l0": size.lstm if n else size.width, "weight_hh_l0": size.lstm}
        shapes |= {f"{at}.rnn.layers.{3 * n}.{name}": (4 * size.lstm, given) for name, given in gates.items()}
        shapes |= {f"{at}.rnn.layers.{3 * n}.bias_{kind}_l0": (4 * size.lstm,) for kind in ("ih", "hh")}
        shapes |= norm(f"{at}.rnn.layers.{3 * n + 1}", size.lstm)
    for kind, outputs in (("actions", 6), ("gripper", 1)):
        widths = (size.lstm, *size.mlp, outputs)
        for place, (before, after) in zip((1, 5, 9), pairwise(widths)):
            shapes |= {f"{at}.{kind}.mlp.{place}.weight": (after, before), f"{at}.{kind}.mlp.{place}.bias": (after,)}
            shapes |= norm(f"{at}.{kind}.mlp.{place + 1}", after) if place < 9 else {}
    return shapes


def clip_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    width, layers, side = size.clip
    shapes: dict[str, tuple[int, ...]] = {"visual.class_embedding": (width,), "visual.proj": (width, 768)}
    shapes |= {"visual.conv1.weight": (width, 3, 14, 14), "visual.positional_embedding": ((side // 14) ** 2 + 1, width)}
    shapes |= norm("visual.ln_pre", width) | norm("visual.ln_post", width)
    for layer in range(layers):
        at = f"visual.transformer.resblocks.{layer}"
        shapes |= norm(f"{at}.ln_1", width) | norm(f"{at}.ln_2", width)
        shapes |= {f"{at}.attn.in_proj_weight": (3 * width, width), f"{at}.attn.in_proj_bias": (3 * width,)}
        for name, before, after in (("attn.out_proj", width, width), ("mlp.c_fc", width, 4 * width)):
            shapes |= {f"{at}.{name}.weight": (after, before), f"{at}.{name}.bias": (after,)}
        shapes |= {f"{at}.mlp.c_proj.weight": (width, 4 * width), f"{at}.mlp.c_proj.bias": (width,)}
    return shapes | {"text_projection": (width, 768), "logit_scale": (), "token_embedding.weight": (100, width)}


def deer_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """Without DDP's `module.`, and each tensor once."""
    shapes = resampler_shapes(size) | {"lang_encoder.transformer.wte.weight": (size.vocabulary, size.width)}
    shapes |= cross_shapes(size, size.layers) | block_shapes(size, size.layers, "lang_encoder.old_decoder_blocks.")
    for at in ("lm_head", *(f"lm_exit_modules.{j}" for j in range(size.layers // 2 - 1)), "extra_exit"):
        shapes |= head_shapes(size, at)
    return shapes


def deer_entries(size: Size, state: dict[str, Tensor]) -> dict:
    """The checkpoint around the tensors: aliases, settings, and AdamW's moments where there are some."""
    aliases = {
        name.replace("transformer.blocks", "gated_cross_attn_layers").replace(".gated_cross_attn_layer.", "."): value
        for name, value in state.items()
        if ".gated_cross_attn_layer." in name
    }
    heads = [v for k, v in state.items() if k.startswith(("lm_head", "lm_exit", "extra_exit"))] if size.moments else []
    moments = {n: {"step": torch.zeros(()), "exp_avg": v.clone(), "exp_avg_sq": v.clone()} for n, v in enumerate(heads)}
    return {
        "epoch": 7,
        "head_type": "deterministic",
        "early_exit_layer": size.layers - 1,
        "multi_exit": True,
        "share_exit": False,
        "exit_interval": 2,
        "exit_dropout": 0.4,
        "lstm_dropout": 0.3,
        "dropout_mode": "layerwise",
        "mlp_layernorm": True,
        "lstm_layernorm": True,
        "mlp_num_hidden_layers": 2,
        "lstm_num_layers": 4,
        "pooling": "max",
        "precision": "fp32",
        "use_extra_exit": True,
        "model_state_dict": {f"module.{name}": value for name, value in (state | aliases).items()},
        "optimizer_state_dict": {"state": moments, "param_groups": [{"lr": 1e-4, "params": list(moments)}]},
        "lr_scheduler_state_dict": {"last_epoch": 7, "lr_lambdas": [None]},
    }


def language_config(size: Size) -> dict:
    if size.mpt_1b:
        own = {
            "alibi": True,
            "alibi_bias_max": size.bias_max,
            "attn_qk_ln": True,
            "attn_clip_qkv": None,
            "mlp_ratio": 4,
        }
        own |= {"model_type": "mosaic_gpt", "softmax_scale": None}
    else:
        attn = {"alibi": True, "alibi_bias_max": size.bias_max, "clip_qkv": None, "softmax_scale": None, "qk_ln": False}
        own = {"model_type": "mpt", "attn_config": attn, "expansion_ratio": 4, "learned_pos_emb": True}
    return {"d_model": size.width, "n_heads": size.heads, "n_layers": 2 * size.layers, "no_bias": True, **own}


def fill(name: str, value: Tensor, random: torch.Generator) -> None:
    """Numbers with which every part does something and none runs away."""
    last = name.rsplit(".", 1)[-1]
    if last in ("attn_gate", "ff_gate"):
        value.uniform_(0.2, 0.8, generator=random).mul_(1 if torch.rand((), generator=random) < 0.5 else -1)
    elif value.dim() == 1 and last == "weight":
        value.normal_(1, 0.2, generator=random)
    elif value.dim() < 2:
        value.normal_(0, 0.1, generator=random)
    elif last in ("latents", "class_embedding") or "embed" in last or ".wte." in name:
        value.normal_(0, 1, generator=random)
    else:
        value.normal_(0, value[0].numel() ** -0.5, generator=random)


def save(path: Path, shapes: dict[str, tuple[int, ...]], wrap, seed: int) -> None:
    """Writes the file without its numbers, then fills them in where they lie: memory stays small whatever the size."""
    with FakeTensorMode(), torch.serialization.skip_data(materialize_fake_tensors=True):
        torch.save(wrap({name: torch.empty(shape) for name, shape in shapes.items()}), path)
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        content = torch.load(path, mmap=True, weights_only=True)
    random = torch.Generator().manual_seed(seed)
    done = set()
    state = content.get("model_state_dict", content)
    for name, value in state.items():
        if value.data_ptr() not in done:
            fill(name, value, random)
            done.add(value.data_ptr())


def make_published_tokenizer(size: int) -> Tokenizer:
    """A stand-in for GPT-NeoX's: byte-level, `size` tokens, <|endoftext|> the first of them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_tokens([f"filler{n}" for n in range(size - tokenizer.get_vocab_size())])
    return tokenizer


def write_published(size: Size, out: Path, seed: int = 0) -> Path:
    """The folder with all files; returns the path of DeeR's."""
    for folder in (out / "language_model", out / "gpt-neox-20b"):
        folder.mkdir(parents=True, exist_ok=True)
    (out / "language_model" / "config.json").write_text(json.dumps(language_config(size)))
    make_published_tokenizer(size.vocabulary - 3).save(str(out / "gpt-neox-20b" / "tokenizer.json"))
    deer = out / PUBLISHED_NAME.format(size.layers - 1, "mpt_dolly_3b" if size.mpt_1b else "mpt_9b")
    save(deer, deer_shapes(size), lambda state: deer_entries(size, state), seed)
    save(out / "ViT-L-14.pt", clip_shapes(size), dict, seed + 1)
    return deer


def write_openflamingo(size: Size, out: Path, seed: int = 0) -> None:
    """What training begins with: OpenFlamingo's own file and the language model's weights, both twice as deep."""
    deep = 2 * size.layers
    shapes = resampler_shapes(size) | {"lang_encoder.transformer.wte.weight": (size.vocabulary, size.width)}
    save(out / "openflamingo.pt", shapes | cross_shapes(size, deep), dict, seed + 2)
    shapes = {"transformer.wte.weight": (size.vocabulary + 152, size.width), "transformer.ln_f.weight": (size.width,)}
    shapes |= block_shapes(size, deep, "transformer.blocks.")
    save(out / "language_model" / "pytorch_model.bin", shapes, dict, seed + 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=sorted(SIZES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    path = write_published(SIZES[args.size], args.out, args.seed)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
