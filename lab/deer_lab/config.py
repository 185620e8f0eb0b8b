"""The policy's configuration, and the configurations that have names."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
ARM_DIMS = 6  # x, y, z, roll, pitch, yaw


@dataclass(frozen=True)
class Camera:
    """One picture the policy sees: `size` x `size` RGB, normalised per channel."""

    role: str
    size: int
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD


@dataclass(frozen=True)
class ClipConfig:
    """CLIP's vision transformer (defaults: OpenAI ViT-L/14); pictures of `size` give (size / patch)^2 tokens."""

    width: int = 1024
    layers: int = 24
    heads: int = 16
    patch: int = 14


@dataclass(frozen=True)
class ConvConfig:
    """A convolutional stem: `patch` x `patch` first, then one 3x3 of stride 2 per further entry of `channels`.

    `keypoints` further tokens say where something is, to a fraction of a cell of the second convolution's map; they are
    media as they are, because a resampler would blur them.
    """

    width: int
    channels: tuple[int, ...]
    patch: int = 4
    keypoints: int = 0

    def side(self, size: int, convolution: int = -1) -> int:
        """Of the map that a convolution leaves of a picture of `size` x `size`."""
        halvings = range(len(self.channels))[convolution]
        return math.ceil(size // self.patch / 2**halvings)


@dataclass(frozen=True)
class ResamplerConfig:
    """Perceiver resampler: what an encoder gives becomes `latents` tokens per camera."""

    latents: int = 64
    depth: int = 6
    heads: int = 8
    head_width: int = 64


@dataclass(frozen=True)
class DecoderConfig:
    """MPT blocks with a gated cross-attention before every `cross_every`-th of them."""

    width: int
    heads: int
    exits: tuple[int, ...]  # 0-based layer of each exit; the last one is the last layer
    cross_every: int = 1
    cross_heads: int = 8
    cross_head_width: int = 64
    qk_norm: bool = False
    alibi_bias_max: int = 8
    alibi_interleaved: bool = True  # slopes of head counts that are no power of two: as MPT-7B has them, not MPT-1B
    gate_init: float = 0.0  # 0: the language model starts undisturbed, as Flamingo trains it


@dataclass(frozen=True)
class HeadConfig:
    """The action head: LSTM layers of `width`, then two MLPs with hidden layers of `mlp` (None: width, width / 2)."""

    layers: int = 4
    width: int = 1024
    lstm_dropout: float = 0.3
    mlp_dropout: float = 0.4
    mlp: tuple[int, ...] | None = None
    lstm_norm: bool = True  # a LayerNorm after each LSTM layer
    mlp_norm: bool = True  # and after each hidden layer
    ahead: int = 1  # control periods that one step gives actions for: its own, and those that it foresees


@dataclass(frozen=True)
class PolicyConfig:
    """Everything that shapes the network. Raises ValueError where the numbers do not fit together."""

    cameras: tuple[Camera, ...]
    encoder: ClipConfig | ConvConfig
    resampler: ResamplerConfig
    decoder: DecoderConfig
    head: HeadConfig
    vocabulary: int
    max_tokens: int = 32
    share_encoder: bool = True
    share_resampler: bool = True

    def __post_init__(self) -> None:
        exits, decoder = self.decoder.exits, self.decoder
        if not exits or exits[0] < 1 or list(exits) != sorted(set(exits)):
            raise ValueError(f"exits {exits}: give increasing layers from 1 on (the probe is taken a layer before)")
        if decoder.width % decoder.heads:
            raise ValueError(f"decoder width {decoder.width} does not divide into {decoder.heads} heads")
        roles = [camera.role for camera in self.cameras]
        if not roles or len(set(roles)) < len(roles):
            raise ValueError(f"cameras {roles}: give at least one, each role once")
        if self.share_encoder and len({camera.size for camera in self.cameras}) > 1:
            raise ValueError("a shared encoder needs cameras of one size; set share_encoder=False")

    @property
    def media_tokens(self) -> int:
        """Of all cameras together."""
        return (self.resampler.latents + getattr(self.encoder, "keypoints", 0)) * len(self.cameras)

    def layers_of_stage(self, stage: int) -> range:
        """0-based, from the layer after the exit before up to this stage's own exit."""
        first = self.decoder.exits[stage - 1] + 1 if stage else 0
        return range(first, self.decoder.exits[stage] + 1)


def desk(layers: int, exit_every: int | None = None, ahead: int = 1, vocabulary: int = 512) -> PolicyConfig:
    """For a simulated desk; one exit at the last layer unless there is one `exit_every` so many layers.

    A pixel of the static picture is a centimetre of the tabletop, 7 mm of CALVIN's.
    """
    every = exit_every or layers
    return PolicyConfig(
        cameras=(Camera("static", 96), Camera("gripper", 64)),
        encoder=ConvConfig(width=96, channels=(16, 40, 80, 128), patch=2, keypoints=8),
        resampler=ResamplerConfig(latents=8, depth=2, heads=4, head_width=24),
        decoder=DecoderConfig(
            width=96,
            heads=4,
            exits=tuple(range(every - 1, layers, every)),
            cross_heads=4,
            cross_head_width=24,
            gate_init=1.0,
        ),
        head=HeadConfig(layers=2, width=96, lstm_dropout=0.1, mlp_dropout=0.1, ahead=ahead),
        vocabulary=vocabulary,
        share_encoder=False,
        share_resampler=False,
    )


CLIP_CAMERAS = (Camera("static", 224), Camera("gripper", 224))

CONFIGS = {
    "toy": PolicyConfig(
        cameras=(Camera("static", 64), Camera("gripper", 48)),
        encoder=ConvConfig(width=32, channels=(16, 32)),
        resampler=ResamplerConfig(latents=8, depth=2, heads=4, head_width=8),
        decoder=DecoderConfig(
            width=32, heads=4, exits=(1, 3, 5, 7, 9, 11), cross_heads=4, cross_head_width=8, gate_init=2.0
        ),
        head=HeadConfig(width=32),
        vocabulary=367,
        share_encoder=False,
        share_resampler=False,
    ),
    "tabletop": desk(12, exit_every=2),
    "tabletop_ahead": desk(12, exit_every=2, ahead=8),
    "tabletop_static_6": desk(6),
    "tabletop_static_12": desk(12),
    "tabletop_static_24": desk(24),
    "calvin": desk(12, exit_every=2, ahead=8, vocabulary=1024),
    "calvin_static_24": desk(24, ahead=8, vocabulary=1024),
    "openflamingo_3b": PolicyConfig(
        cameras=CLIP_CAMERAS,
        encoder=ClipConfig(),
        resampler=ResamplerConfig(),
        decoder=DecoderConfig(width=2048, heads=16, exits=(1, 3, 5, 7, 9, 11), qk_norm=True),
        head=HeadConfig(),
        vocabulary=50280,
    ),
    "openflamingo_9b": PolicyConfig(
        cameras=CLIP_CAMERAS,
        encoder=ClipConfig(),
        resampler=ResamplerConfig(),
        decoder=DecoderConfig(width=4096, heads=32, exits=tuple(range(1, 16, 2)), cross_every=4),
        head=HeadConfig(),
        vocabulary=50280,
    ),
}


def find_config(text: str) -> PolicyConfig:
    """The configuration of that name, or the one that the text holds as JSON (config_text). Raises ValueError."""
    if text in CONFIGS:
        return CONFIGS[text]
    if not text.startswith("{"):
        raise ValueError(f"configuration {text!r}; known are {', '.join(CONFIGS)}, or give a config.json")
    try:
        fields = json.loads(text)
        encoder = ConvConfig if "channels" in fields["encoder"] else ClipConfig
        kinds = {"encoder": encoder, "resampler": ResamplerConfig, "decoder": DecoderConfig, "head": HeadConfig}
        parts = {name: kind(**as_tuples(fields[name])) for name, kind in kinds.items()}
        cameras = tuple(Camera(**as_tuples(camera)) for camera in fields["cameras"])
        return PolicyConfig(**fields | parts | {"cameras": cameras})
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the configuration does not read: {error!r}") from error


def as_tuples(fields: dict) -> dict:
    """JSON has lists where a configuration has tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def config_text(config: PolicyConfig) -> str:
    """The configuration's name where it has one, else all of it as JSON; find_config reads both."""
    return next((name for name, known in CONFIGS.items() if known == config), None) or json.dumps(asdict(config))
