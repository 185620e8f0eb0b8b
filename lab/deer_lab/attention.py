"""What the resampler and the language model are both made of.

Letters in shape comments: B batch, T queries, S keys.
"""

from __future__ import annotations

from torch import Tensor, nn


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
