"""What sees: an encoder and a resampler for each camera.

Letters in shape comments: B batch, M media tokens, D media width, S picture side.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deer_lab.attention import attend, feed_forward
from deer_lab.config import ClipConfig, ConvConfig, PolicyConfig, ResamplerConfig


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
    """Convolutions, a learned position for each of the tokens they leave, and keypoints where there are any.

    Takes the weights of one for pictures of another size.
    """

    def __init__(self, config: ConvConfig, size: int) -> None:
        super().__init__()
        first, *rest = config.channels
        layers: list[nn.Module] = [nn.Conv2d(3, first, config.patch, stride=config.patch)]
        for before, after in zip(config.channels, rest):
            layers += [nn.GELU(), nn.Conv2d(before, after, 3, stride=2, padding=1)]
        self.convolutions = nn.Sequential(*layers, nn.GELU(), nn.Conv2d(config.channels[-1], config.width, 1))
        self.position = nn.Parameter(0.02 * torch.randn(config.side(size) ** 2, config.width))
        self.keypoints = Keypoints(config, size) if config.keypoints else None
        self.register_load_state_dict_pre_hook(fit_position)

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


def fit_position(stem: ConvStem, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before `stem` loads them."""
    found = weights.get(name := f"{prefix}position")
    if found is not None and len(found) != len(stem.position):
        weights[name] = resized(found.float(), len(stem.position))


def resized(positions: Tensor, tokens: int) -> Tensor:
    """ConvStem's positions [side^2, D] for a picture of another size, of so many tokens: between those that there are.

    After Dosovitskiy et al. 2020 (arXiv 2010.11929, section 3.2).
    """
    (before, width), after = positions.shape, math.isqrt(tokens)
    square = positions.T.reshape(1, width, math.isqrt(before), -1)
    return F.interpolate(square, size=(after, after), mode="bilinear").reshape(width, tokens).T


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
