"""All photos on the GPU, and how they are shown there: cut, mirrored and coloured anew each time."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from recipe.features import show
from recipe.towers import PIXEL_MEAN, PIXEL_SCALE

# Photos are kept this much larger than the square that the tower is shown, so that a crop is not blown up.
ROOM = 1.11
CHUNK = 64


@dataclass(frozen=True)
class Shown:
    """How photos are shown: a share of them whole, as the engine shows them, the others as crops (see `ViewConfig`)."""

    whole: float = 0.3
    smallest_crop: float = 0.45
    colour: float = 0.25


@dataclass(frozen=True)
class Pixels:
    """All photos as squares, uint8 on the GPU: ``whole`` [n, S, S, 3] as the engine shows them, ``roomy`` larger."""

    whole: Tensor
    roomy: Tensor

    @classmethod
    def read(cls, paths: Sequence[Path], side: int, device: str) -> Pixels:
        """Decodes all photos on all processors."""
        larger = int(side * ROOM)
        whole = torch.empty(len(paths), side, side, 3, dtype=torch.uint8, device=device)
        roomy = torch.empty(len(paths), larger, larger, 3, dtype=torch.uint8, device=device)
        chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, (small, large) in enumerate(pool.map(partial(_squares, side=side, larger=larger), chunks)):
                rows = slice(number * CHUNK, number * CHUNK + len(small))
                whole[rows], roomy[rows] = torch.from_numpy(small).to(device), torch.from_numpy(large).to(device)
        return cls(whole, roomy)

    def shown_whole(self, rows: Tensor) -> Tensor:
        """Photos as the engine shows them, on the tower's scale, float32 [n, 3, S, S]."""
        return (self.whole[rows].permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_SCALE

    def views(self, rows: Tensor, config: Shown) -> Tensor:
        """Photos as they are trained on, float32 [n, 3, S, S]: a share of them whole, of the rest a crop, half of
        those mirrored, and all with mild changes of brightness, contrast and colour.
        """
        side, count, device = self.whole.shape[1], len(rows), rows.device
        share = torch.empty(count, device=device).uniform_(config.smallest_crop, 1.0).sqrt()
        stretch = torch.empty(count, device=device).uniform_(math.log(3 / 4), math.log(4 / 3)).div(2).exp()
        wide, high = (share * stretch).clamp(max=1.0), (share / stretch).clamp(max=1.0)
        mirrored = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
        theta = torch.zeros(count, 2, 3, device=device)
        theta[:, 0, 0], theta[:, 1, 1] = wide * mirrored, high
        theta[:, 0, 2] = torch.empty(count, device=device).uniform_(-1, 1) * (1 - wide)
        theta[:, 1, 2] = torch.empty(count, device=device).uniform_(-1, 1) * (1 - high)
        roomy = self.roomy[rows].permute(0, 3, 1, 2).float()
        grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
        shown = F.grid_sample(roomy, grid, padding_mode="border", align_corners=False)
        is_whole = torch.rand(count, device=device) < config.whole
        shown[is_whole] = self.whole[rows[is_whole]].permute(0, 3, 1, 2).float()
        return (_coloured(shown, config.colour) - PIXEL_MEAN) / PIXEL_SCALE


def _squares(paths: Sequence[Path], side: int, larger: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The photos as squares of both sides."""
    small, large = [], []
    for path in paths:
        with Image.open(path) as image:
            small.append(np.asarray(show(image, side)))
            large.append(np.asarray(show(image, larger)))
    return np.stack(small), np.stack(large)


def _coloured(pixels: Tensor, most: float) -> Tensor:
    """Brightness, contrast and colour changed by at most that share, as `PIL.ImageEnhance` does; 0..255."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=pixels.device).view(1, 3, 1, 1)
    brightness, contrast, colour = (
        torch.empty(len(pixels), 1, 1, 1, device=pixels.device).uniform_(1 - most, 1 + most) for _ in range(3)
    )
    pixels = (pixels * brightness).clamp(0, 255)
    mean = (pixels * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    pixels = (mean + contrast * (pixels - mean)).clamp(0, 255)
    grey = (pixels * weights).sum(1, keepdim=True)
    return (grey + colour * (pixels - grey)).clamp(0, 255)
