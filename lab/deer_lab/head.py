"""The action head of DeeR-VLA (arXiv 2411.02359): an LSTM over time, the arm's MLP and the gripper's.

Letters in shape comments: B batch, T steps of a window, W decoder width, N rows of the head, L LSTM layers,
H LSTM width, K actions that a step gives.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deer_lab.config import ARM_DIMS, HeadConfig, PolicyConfig


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
