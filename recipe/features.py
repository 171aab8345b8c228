"""Activations of the frozen trunk for several views of every photo, computed once and kept on disk.

Training touches only what lies behind the trunk, so an epoch costs a fraction of what it would from pixels.
View 0 is the whole picture as the engine will show it, the others are random crops, half of them mirrored, with
mild colour changes (as in SimCLR, Chen et al. 2020, with gentler crops: a caption speaks of the whole picture).
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance, ImageOps

from recipe.towers import VisionConfig

# Batches decoded ahead of the tower.
AHEAD = 4
# uint8 [n, S, S, 3] to activations float32 [n, c, g, g].
Trunk = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class ViewConfig:
    """How photos are shown while training."""

    side: int = 256
    views: int = 3
    smallest_crop: float = 0.45
    colour: float = 0.25
    seed: int = 7


def show(image: Image.Image, side: int) -> Image.Image:
    """The whole picture squashed to a square, exactly as the engine does it."""
    return image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def random_view(image: Image.Image, config: ViewConfig, draw: random.Random) -> Image.Image:
    """A random crop (area share ``smallest_crop``..1, aspect 3/4..4/3), mirrored half the time."""
    image = image.convert("RGB")
    width, height = image.size
    share = draw.uniform(config.smallest_crop, 1.0)
    stretch = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)) / 2)
    crop_w = min(width, max(8, round(width * math.sqrt(share) * stretch)))
    crop_h = min(height, max(8, round(height * math.sqrt(share) / stretch)))
    left, top = draw.randint(0, width - crop_w), draw.randint(0, height - crop_h)
    image = image.resize(
        (config.side, config.side),
        Image.Resampling.BICUBIC,
        box=(left, top, left + crop_w, top + crop_h),
    )
    if draw.random() < 0.5:
        image = ImageOps.mirror(image)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(draw.uniform(1 - config.colour, 1 + config.colour))
    return image


def load_view(path: Path, view: int, config: ViewConfig) -> npt.NDArray[np.uint8]:
    """One view of one photo, uint8 [side, side, 3]; the same for the same photo, view and seed."""
    with Image.open(path) as image:
        if view == 0:
            return np.asarray(show(image, config.side))
        draw = random.Random(f"{config.seed}/{view}/{path.parent.name}/{path.name}")
        return np.asarray(random_view(image, config, draw))


def load_batches(
    paths: Sequence[Path], view: int, config: ViewConfig, batch: int = 32
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """(start, uint8 [b, side, side, 3]) over the paths, decoded a few batches ahead."""

    def read(rows: Sequence[Path]) -> npt.NDArray[np.uint8]:
        return np.stack([load_view(path, view, config) for path in rows])

    chunks = [paths[start : start + batch] for start in range(0, len(paths), batch)]
    with ThreadPoolExecutor(2) as pool:
        waiting = deque(pool.submit(read, chunk) for chunk in chunks[:AHEAD])
        for k in range(len(chunks)):
            pixels = waiting.popleft().result()
            if k + AHEAD < len(chunks):
                waiting.append(pool.submit(read, chunks[k + AHEAD]))
            yield k * batch, pixels


class ActivationCache:
    """Trunk activations, float16 [photos, g, g, c] per view, one file per view, read from disk as needed."""

    def __init__(self, folder: Path, paths: Sequence[Path], tower: VisionConfig, config: ViewConfig) -> None:
        self.folder = folder
        self.paths = list(paths)
        self.tower = tower
        self.config = config
        grid = config.side // tower.stride
        self.shape = (len(self.paths), grid, grid, tower.channels)
        self.maps: dict[int, npt.NDArray[np.float16]] = {}

    def _file(self, view: int) -> Path:
        c, t = self.config, self.tower
        name = f"trunk-lite{t.variant}-{t.first_tail_block}-{c.side}-{c.seed}-{len(self.paths)}-view{view}.npy"
        return self.folder / name

    def fill(self, trunk: Trunk) -> None:
        """Compute what is missing; a finished view is found again by the next run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for view in range(self.config.views):
            target = self._file(view)
            if not target.exists():
                partial = target.with_suffix(".partial.npy")
                # Some versions of numpy have no types for it.
                rows = np.lib.format.open_memmap(partial, "w+", np.float16, self.shape)  # type: ignore[no-untyped-call,unused-ignore]
                for start, pixels in load_batches(self.paths, view, self.config):
                    rows[start : start + len(pixels)] = trunk(pixels).transpose(0, 2, 3, 1)
                rows.flush()
                del rows
                partial.rename(target)
            self.maps[view] = np.load(target, mmap_mode="r")

    def rows(self, indices: Sequence[int], views: Sequence[int]) -> torch.Tensor:
        """float32 [n, c, g, g] (channels last in memory): photo ``indices[k]`` in view ``views[k]``."""
        out = np.stack([self.maps[view][index] for index, view in zip(indices, views, strict=True)])
        return torch.from_numpy(out).float().permute(0, 3, 1, 2)
