"""The multi-exit vision-language-action policy of DeeR-VLA (arXiv 2411.02359), after OpenFlamingo and MPT.

    images ─ Vision ─▶ media ──┬─────────┐
    ids ──── Embed ──▶ hidden ─▶ Stage 0 ─▶ Stage 1 ─▶ …   each stage ends at an exit
                                  │ feature  │ feature
                                  ▼          ▼
                                 Head: LSTM state + feature ─▶ arm, gripper

Letters in shape comments: B batch, T prompt tokens, M media tokens, D media width, W decoder width,
L LSTM layers, H LSTM width.

Where the published files have which parameter: deer_lab.importers.names.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deer_lab.attention import attend, feed_forward
from deer_lab.config import DecoderConfig, PolicyConfig, find_config
from deer_lab.head import Head
from deer_lab.runs import WEIGHTS, RunError, read_weights
from deer_lab.vision import Vision


class Embed(nn.Module):
    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.table = nn.Embedding(config.vocabulary, config.decoder.width)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids)  # (B, T) -> (B, T, W); ALiBi takes the place of position embeddings


class CrossAttention(nn.Module):
    def __init__(self, config: DecoderConfig, media_width: int) -> None:
        super().__init__()
        inner = config.cross_heads * config.cross_head_width
        self.heads = config.cross_heads
        self.norm = nn.LayerNorm(config.width)
        self.to_q = nn.Linear(config.width, inner, bias=False)
        self.to_kv = nn.Linear(media_width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, config.width, bias=False)

    def forward(self, hidden: Tensor, media: Tensor) -> Tensor:
        key, value = self.to_kv(media).chunk(2, dim=-1)
        return self.to_out(attend(self.to_q(self.norm(hidden)), key, value, self.heads))


class GatedCrossBlock(nn.Module):
    """Flamingo's gated cross-attention. The picture precedes the text, so every token may see all of it: no mask."""

    def __init__(self, config: DecoderConfig, media_width: int) -> None:
        super().__init__()
        self.attn_gate = nn.Parameter(torch.tensor([config.gate_init]))
        self.ff_gate = nn.Parameter(torch.tensor([config.gate_init]))
        self.attn = CrossAttention(config, media_width)
        self.ff = feed_forward(config.width)

    def forward(self, hidden: Tensor, media: Tensor) -> Tensor:
        hidden = hidden + self.attn_gate.tanh() * self.attn(hidden, media)
        return hidden + self.ff_gate.tanh() * self.ff(hidden)


class MptBlock(nn.Module):
    """MPT's pre-norm block: no biases anywhere, q and k normalised over their full width where configured."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm_1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm = nn.LayerNorm(width, bias=False) if config.qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width, bias=False) if config.qk_norm else nn.Identity()
        self.out = nn.Linear(width, width, bias=False)
        self.norm_2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm_1(hidden)).chunk(3, dim=-1)
        hidden = hidden + self.out(attend(self.q_norm(query), self.k_norm(key), value, self.heads, bias))
        return hidden + self.down(F.gelu(self.up(self.norm_2(hidden))))


class DecoderLayer(nn.Module):
    def __init__(self, config: DecoderConfig, media_width: int, index: int) -> None:
        super().__init__()
        sees = (index + 1) % config.cross_every == 0
        self.cross = GatedCrossBlock(config, media_width) if sees else None
        self.block = MptBlock(config)

    def forward(self, hidden: Tensor, media: Tensor, bias: Tensor) -> Tensor:
        if self.cross is not None:
            hidden = self.cross(hidden, media)
        return self.block(hidden, bias)


def alibi_slopes(heads: int, bias_max: int, interleaved: bool = True) -> list[float]:
    """Per-head slopes of ALiBi (arXiv 2108.12409, section 3).

    Of other counts than powers of two, MPT-7B takes every other slope of the next power first, MPT-1B spreads evenly.
    """
    power = 2 ** math.ceil(math.log2(heads)) if interleaved else heads
    slopes = [2 ** (-bias_max * (head + 1) / power) for head in range(power)]
    return slopes if power == heads else (slopes[1::2] + slopes[::2])[:heads]


class Stage(nn.Module):
    """The layers after one exit up to and including the next; keyed by their place in the whole network."""

    def __init__(self, config: PolicyConfig, index: int) -> None:
        super().__init__()
        decoder = config.decoder
        self.layers = nn.ModuleDict(
            {str(i): DecoderLayer(decoder, config.encoder.width, i) for i in config.layers_of_stage(index)}
        )
        self.slopes = alibi_slopes(decoder.heads, decoder.alibi_bias_max, decoder.alibi_interleaved)
        self.probe_layer = str(decoder.exits[0] - 1) if index == 0 else None
        self.max_tokens = config.max_tokens

    def bias(self, tokens: int, device: torch.device) -> Tensor:
        """ALiBi and the causal mask: (heads, T, T)."""
        place = torch.arange(tokens, device=device)
        distance = place[None, :] - place[:, None]  # key minus query: 0 at the token itself, negative behind it
        slopes = torch.tensor(self.slopes, device=device)[:, None, None]
        return (slopes * distance).masked_fill(distance > 0, float("-inf"))

    def forward(self, hidden: Tensor, media: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """(B, T, W), (B, M, D) -> hidden (B, T, W), feature (B, W); stage 0 adds probe (B, W).

        `mask` (B, T) tells real tokens from those that only fill a batch up, behind them; for training.
        """
        if torch.compiler.is_exporting():  # as a table: where shapes are computed, no CUDA graph can be recorded
            tokens = hidden.shape[1]
            bias = self.bias(self.max_tokens, hidden.device)[:, :tokens, :tokens]
        else:
            bias = self.bias(hidden.shape[1], hidden.device)
        probe = ()
        for name, layer in self.layers.items():
            hidden = layer(hidden, media, bias)
            if name == self.probe_layer:
                probe = (pooled(hidden, mask),)
        return hidden, pooled(hidden, mask), *probe


def pooled(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """The maximum over the real tokens: (B, T, W) -> (B, W)."""
    return (hidden if mask is None else hidden.masked_fill(~mask[..., None], float("-inf"))).amax(dim=1)


def part_names(config: PolicyConfig) -> list[str]:
    """The parts in the order in which data flows."""
    return ["vision", "embed", *(f"stage_{k:02}" for k in range(len(config.decoder.exits))), "head"]


def make_part(config: PolicyConfig, name: str) -> nn.Module:
    """One part by itself, freshly initialised, so that a large model need never be in memory whole."""
    makers = {"vision": Vision, "embed": Embed, "head": Head}
    return makers[name](config) if name in makers else Stage(config, int(name.removeprefix("stage_")))


class Policy(nn.Module):
    """All parts together."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = Vision(config)
        self.embed = Embed(config)
        self.stages = nn.ModuleList(Stage(config, k) for k in range(len(config.decoder.exits)))
        self.head = Head(config)

    @classmethod
    def of_run(cls, run: Path) -> Policy:
        """With the weights in a training run's folder. Raises RunError."""
        weights, about = read_weights(run)
        try:
            policy = cls(find_config(about.get("config", "")))
            policy.load_state_dict(weights)
        except (ValueError, RuntimeError) as error:
            raise RunError(f"{run / WEIGHTS} is no policy: {' '.join(str(error).split())[:200]}") from error
        return policy

    def part(self, name: str) -> nn.Module:
        return self.stages[int(name.removeprefix("stage_"))] if name.startswith("stage_") else getattr(self, name)

    def see(self, camera: int, image: Tensor) -> Tensor:
        """One camera's picture (B, 3, S, S) -> its media (B, m, D)."""
        return self.vision.eye(camera)(image)

    def joined(self, media: list[Tensor]) -> Tensor:
        """The media of all cameras as the stages take them: (B, M, D)."""
        return torch.cat(media, dim=1)

    def initial_state(self) -> tuple[Tensor, Tensor]:
        """The cleared LSTM state, 2 x (L, 1, H)."""
        shape = (self.config.head.layers, 1, self.config.head.width)
        return torch.zeros(shape), torch.zeros(shape)
