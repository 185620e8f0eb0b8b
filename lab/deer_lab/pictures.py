"""Pictures of demonstrations on their way into a network that trains."""

import torch
from torch import Tensor

from deer_lab.config import Camera


def shifted(pictures: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """uint8 (B, T, S, S, 3), each window moved by up to `most` pixels either way, the border repeated; and how far what
    is on it went to the right and down (B, 1, 1, 2), where the picture goes from -1 to 1."""
    windows, _, side = pictures.shape[:3]
    moves = torch.randint(-most, most + 1, (2, windows, 1), device=pictures.device)
    rows, columns = (torch.arange(side, device=pictures.device) + moves).clamp(0, side - 1)
    moved = pictures[torch.arange(windows)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2, 4), -2 / side * moves.flip(0).permute(1, 2, 0)[:, None]


def normalised(pictures: Tensor, camera: Camera) -> Tensor:
    """uint8 (B, T, S, S, 3) -> float (B*T, 3, S, S) as deer_lab.reference.preprocess makes it."""
    mean, std = (torch.tensor(values, device=pictures.device) for values in (camera.mean, camera.std))
    return ((pictures.flatten(0, 1).float() / 255 - mean) / std).permute(0, 3, 1, 2)
