"""The multi-exit vision-language-action policy of DeeR-VLA (arXiv 2411.02359), after OpenFlamingo and MPT.

    images ─ Vision ─▶ media ──┬─────────┐
    ids ──── Embed ──▶ hidden ─▶ Stage 0 ─▶ Stage 1 ─▶ …   each stage ends at an exit
                                  │ feature  │ feature
                                  ▼          ▼
                                 Head: LSTM state + feature ─▶ arm, gripper

Letters in shape comments: B batch, T prompt tokens, M media tokens, D media width, W decoder width,
N rows of the head, L LSTM layers, H LSTM width, S picture side.

Where the published files have which parameter: deer_lab.importers.names.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deer_lab.config import (
    ARM_DIMS,
    ClipConfig,
    ConvConfig,
    DecoderConfig,
    HeadConfig,
    PolicyConfig,
    ResamplerConfig,
    find_config,
)
from deer_lab.runs import WEIGHTS, RunError, read_weights


class ClipEncoder(nn.Module):
    """CLIP's patch tokens, without the class token and before the final LayerNorm."""

    def __init__(self, config: ClipConfig, size: int) -> None:
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModel  # seconds to import, and small models do without

        self.clip = CLIPVisionModel(
            CLIPVisionConfig(
                hidden_size=config.width,
                intermediate_size=4 * config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                patch_size=config.patch,
                image_size=size,
                attn_implementation="eager",
            )
        )
        self.clip.post_layernorm = nn.Identity()  # feeds only the pooled output, which nobody reads

    def forward(self, image: Tensor) -> Tensor:
        return self.clip(pixel_values=image).last_hidden_state[:, 1:]  # (B, 3, S, S) -> (B, (S/patch)^2, D)

    def look(self, image: Tensor) -> tuple[Tensor, None, None]:
        return self(image), None, None  # as ConvStem.look, without keypoints


class ConvStem(nn.Module):
    """Convolutions, a learned position for each of the tokens they leave, and keypoints where there are any."""

    def __init__(self, config: ConvConfig, size: int) -> None:
        super().__init__()
        first, *rest = config.channels
        layers: list[nn.Module] = [nn.Conv2d(3, first, config.patch, stride=config.patch)]
        for before, after in zip(config.channels, rest):
            layers += [nn.GELU(), nn.Conv2d(before, after, 3, stride=2, padding=1)]
        self.convolutions = nn.Sequential(*layers, nn.GELU(), nn.Conv2d(config.channels[-1], config.width, 1))
        self.position = nn.Parameter(0.02 * torch.randn(config.side(size) ** 2, config.width))
        self.keypoints = Keypoints(config, size) if config.keypoints else None

    def forward(self, image: Tensor) -> Tensor:
        return self.look(image)[0]

    def look(self, image: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """(B, 3, S, S) -> (B, side^2, D); and where there are keypoints, what Keypoints gives."""
        maps = []
        for layer in self.convolutions[:-1]:
            image = layer(image)
            maps += [image] if isinstance(layer, nn.GELU) else []
        tokens = self.convolutions[-1](image).flatten(2).transpose(1, 2) + self.position
        return tokens, *(self.keypoints(maps[1], maps[-1]) if self.keypoints else (None, None))


class Keypoints(nn.Module):
    """Where things are, finer than the map they are seen on: the mean place under a softmax over it, and what is there.

    After the spatial softmax of Levine et al. 2016 (arXiv 1504.00702, section 5.1).
    """

    def __init__(self, config: ConvConfig, size: int) -> None:
        super().__init__()
        width = config.channels[-1] // 2
        self.fine = nn.Conv2d(config.channels[1], width, 1)
        self.coarse = nn.Conv2d(config.channels[-1], width, 1)  # knows more of what is around
        self.heat = nn.Conv2d(width, config.keypoints, 3, padding=1)
        self.what = nn.Linear(width, config.width, bias=False)
        self.where = nn.Linear(2, config.width, bias=False)
        # as loud as the place, or attention cannot find a keypoint wherever it is
        self.which = nn.Parameter(torch.randn(config.keypoints, config.width))
        # cell i of the map looks at first + i * pitch, where the picture goes from -1 to 1
        self.first, self.pitch = config.patch / size - 1, 4 * config.patch / size
        line = self.first + self.pitch * torch.arange(config.side(size, 1))
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        self.register_buffer("places", torch.stack((columns, rows), dim=-1).flatten(0, 1), persistent=False)

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels, side, side), a coarser map -> (B, keypoints, D), heat: logits (B, keypoints, side^2)."""
        context = F.interpolate(self.coarse(coarse), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        seen = F.gelu(self.fine(fine) + context)
        heat = self.heat(seen).flatten(2)
        weight = heat.softmax(dim=-1)
        what = weight @ seen.flatten(2).transpose(1, 2)
        return self.what(what) + self.where(weight @ self.places) + self.which, heat


def feed_forward(width: int) -> nn.Sequential:
    """LayerNorm, then a bias-free GELU network four times as wide."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 4 * width, bias=False),
        nn.GELU(),
        nn.Linear(4 * width, width, bias=False),
    )


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Multi-head attention: (B, T, heads*d), 2 x (B, S, heads*d) -> (B, T, heads*d); `bias` is (heads, T, S)."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)


class ResamplerAttention(nn.Module):
    """The latents look at the picture and at themselves."""

    def __init__(self, config: ResamplerConfig, width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm_media = nn.LayerNorm(width)
        self.norm_latents = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, media: Tensor, latents: Tensor) -> Tensor:
        latents = self.norm_latents(latents)
        key, value = self.to_kv(torch.cat((self.norm_media(media), latents), dim=1)).chunk(2, dim=-1)
        return self.to_out(attend(self.to_q(latents), key, value, self.heads))


class ResamplerLayer(nn.Module):
    def __init__(self, config: ResamplerConfig, width: int) -> None:
        super().__init__()
        self.attention = ResamplerAttention(config, width)
        self.feed_forward = feed_forward(width)

    def forward(self, media: Tensor, latents: Tensor) -> Tensor:
        latents = latents + self.attention(media, latents)
        return latents + self.feed_forward(latents)


class Resampler(nn.Module):
    """Perceiver resampler: any number of picture tokens to a fixed number of latents."""

    def __init__(self, config: ResamplerConfig, width: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(config.latents, width))
        self.layers = nn.ModuleList(ResamplerLayer(config, width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, media: Tensor) -> Tensor:
        latents = self.latents.expand(media.shape[0], -1, -1)
        for layer in self.layers:
            latents = layer(media, latents)
        return self.norm(latents)  # (B, tokens, D) -> (B, latents, D)


class Vision(nn.Module):
    """Each camera encoded and resampled by itself, its keypoints behind its latents."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        encoder = ClipEncoder if isinstance(config.encoder, ClipConfig) else ConvStem
        own = config.cameras[:1] if config.share_encoder else config.cameras
        self.encoders = nn.ModuleList(encoder(config.encoder, camera.size) for camera in own)
        self.resamplers = nn.ModuleList(
            Resampler(config.resampler, config.encoder.width)
            for _ in range(1 if config.share_resampler else len(config.cameras))
        )

    def eye(self, index: int) -> Eye:
        """What sees one camera's pictures, by its place among the cameras."""
        encoder, resampler = (parts[min(index, len(parts) - 1)] for parts in (self.encoders, self.resamplers))
        return Eye(encoder, resampler)

    def look(self, *images: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        """One (B, 3, S, S) per camera -> (B, M, D), and per camera the heat that Keypoints found its keypoints by."""
        seen = [self.eye(index).look(image) for index, image in enumerate(images)]
        return torch.cat([media for media, _ in seen], dim=1), [heat for _, heat in seen]

    def forward(self, *images: Tensor) -> Tensor:
        return self.look(*images)[0]  # one (B, 3, S, S) per camera -> (B, M, D), in the cameras' order


class Eye(nn.Module):
    """One camera's part of Vision: it can look anew while another camera's media are kept."""

    def __init__(self, encoder: nn.Module, resampler: nn.Module) -> None:
        super().__init__()
        self.encoder, self.resampler = encoder, resampler

    def look(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, 3, S, S) -> (B, m, D), and the heat that Keypoints found its keypoints by."""
        tokens, keypoints, heat = self.encoder.look(image)
        media = self.resampler(tokens)
        return (media if keypoints is None else torch.cat((media, keypoints), dim=1)), heat

    def forward(self, image: Tensor) -> Tensor:
        return self.look(image)[0]


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


class Head(nn.Module):
    """Layer-normed LSTMs, then an MLP for the arm and one for the gripper."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        head = config.head
        widths = [config.decoder.width] + [head.width] * (head.layers - 1)
        self.lstms = nn.ModuleList(nn.LSTM(width, head.width, batch_first=True) for width in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(head.width) if head.lstm_norm else nn.Identity() for _ in widths)
        self.dropout = nn.Dropout(head.lstm_dropout)
        self.arm = head_mlp(head, ARM_DIMS)
        self.gripper = head_mlp(head, 1)
        self.foreseen = Foresight(head) if head.ahead > 1 else None

    def forward(self, feature: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        """One step of N candidates from one state: (N, W), 2 x (L, 1, H) -> (N, 6), (N, 1), 2 x (L, N, H); where it
        foresees, also Foresight's (N, K-1, 7)."""
        x, h_next, c_next = feature, [], []
        for lstm, norm, h_before, c_before in zip(self.lstms, self.norms, h, c):
            h_after, c_after = lstm_step(lstm, x, h_before, c_before)
            h_next.append(h_after)
            c_next.append(c_after)
            x = norm(h_after)
        ahead = (self.foreseen(x),) if self.foreseen else ()
        return self.arm(x).tanh(), self.gripper(x).sigmoid(), torch.stack(h_next), torch.stack(c_next), *ahead

    def window(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """A window from a cleared state, for training: (B, T, W) -> arm (B, T, 6), gripper logits (B, T, 1)."""
        x = self.remember(features)
        return self.arm(x).tanh(), self.gripper(x)

    def remember(self, features: Tensor) -> Tensor:
        """What the LSTMs make of a window from a cleared state, for training: (B, T, W) -> (B, T, H)."""
        x = features
        for index, (lstm, norm) in enumerate(zip(self.lstms, self.norms)):
            x = norm(lstm(self.dropout(x) if index else x)[0])
        return x


class Foresight(nn.Linear):
    """The actions of the K-1 periods after the step's own, from what the LSTMs make of it."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config.width, (config.ahead - 1) * (ARM_DIMS + 1))

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For training: (…, H) -> arm (…, K-1, 6), gripper logits (…, K-1, 1)."""
        arm, gripper = super().forward(x).unflatten(-1, (-1, ARM_DIMS + 1)).split((ARM_DIMS, 1), dim=-1)
        return arm.tanh(), gripper

    def forward(self, x: Tensor) -> Tensor:
        """(…, H) -> (…, K-1, 7): six arm outputs and the probability of open."""
        arm, gripper = self.logits(x)
        return torch.cat((arm, gripper.sigmoid()), dim=-1)


def lstm_step(lstm: nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step from one state (1, H) for every row of x (N, W); the recurrent product is made once for all rows."""
    gates = F.linear(x, lstm.weight_ih_l0, lstm.bias_ih_l0) + F.linear(h, lstm.weight_hh_l0, lstm.bias_hh_l0)
    i, f, g, o = gates.chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def head_mlp(config: HeadConfig, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = (config.width, *(config.mlp or (config.width, config.width // 2)))
    for before, after in pairwise(widths):
        norm = nn.LayerNorm(after) if config.mlp_norm else nn.Identity()
        layers += [nn.Dropout(config.mlp_dropout), nn.Linear(before, after), norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(config.mlp_dropout), nn.Linear(widths[-1], outputs))


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
