"""An image tower run on its own grid: its last feature map, each place of which goes through the same heads alone.

The heads of a tower are no affine map (classes by a softmax, a small network, unit length), so that they cannot be
moved behind the pooling. A place is given to them as a map that is everywhere as it is there: its vector is that of a
picture which looks everywhere as this one does there. A place is taken with the eight around it, which points better
than one alone; and the picture is seen in tiles, as the map of all of it is too coarse for what is small in it
(`benchmarks/pointing.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.regions import WHOLE, RegionGrid, central_square
from mmsearch.encoding.split_graph import SplitGraph
from mmsearch.records import FloatMatrix, Region

if TYPE_CHECKING:
    from PIL.Image import Image

# Left, top, right and bottom, in pixels.
Box: TypeAlias = "tuple[int, int, int, int]"
Pixels = npt.NDArray[np.uint8]

# A picture is seen in so many tiles each way; a panorama in a row or column of squares, of which there are no more.
TILES, MOST_IN_A_ROW = 2, 6
_PANORAMA = 2.0
_PLACES_AT_ONCE = 32
_AROUND = 1


class RegionTower:
    """The two halves of an image graph; `open_session` makes an onnxruntime session of one that is serialised."""

    def __init__(self, split: SplitGraph, open_session: Callable[[bytes], Any]) -> None:
        self._features = split.features
        self._body = open_session(split.body)
        self._heads = open_session(split.heads)

    def regions(self, picture: Image, is_whole: bool, square: Callable[[Image], Pixels]) -> RegionGrid | None:
        """Those of a picture, RGB; None where the tower has no map of it.

        Args:
            is_whole: whether the model sees all of a picture, and not its central square alone.
            square: what makes of a tile the pixels that the graph takes, uint8 [side, side, 3].
        """
        seen = WHOLE if is_whole else central_square(picture)
        maps = [[self._map(square(picture.crop(box))) for box in row] for row in _tiles(_in_pixels(seen, picture))]
        first = maps[0][0]
        return RegionGrid(self._vectors(np.block(maps), first.shape), seen) if first.ndim == 3 else None

    def _map(self, pixels: Pixels) -> FloatMatrix:
        """What the tower pools of a square, float32; [channels, rows, columns] where that is a map."""
        found: FloatMatrix = self._body.run([self._features], {"pixels": pixels[np.newaxis]})[0][0]
        return found

    def _vectors(self, features: FloatMatrix, shape: tuple[int, ...]) -> FloatMatrix:
        """Unit vectors of the places of a map, float32 [rows, columns, dimension].

        Args:
            features: float32 [channels, rows, columns], of any size.
            shape: that of a map which the heads take, [channels, rows, columns].
        """
        channels, rows, columns = features.shape
        places = _with_those_around(features).reshape(channels, -1).T
        found = []
        for start in range(0, len(places), _PLACES_AT_ONCE):
            some = places[start : start + _PLACES_AT_ONCE]
            alike = np.broadcast_to(some[:, :, np.newaxis, np.newaxis], (len(some), *shape))
            found.append(self._heads.run(None, {self._features: np.ascontiguousarray(alike)})[0])
        vectors: FloatMatrix = np.concatenate(found).reshape(rows, columns, -1)
        return vectors


def _tiles(box: Box) -> list[list[Box]]:
    """The tiles in which a rectangle is seen, row by row."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    short, long = sorted((width, height))
    across = down = min(TILES, short)
    if long >= _PANORAMA * short:
        in_a_row = min(MOST_IN_A_ROW, round(long / short))
        across, down = (in_a_row, 1) if width > height else (1, in_a_row)
    columns = [left + width * number // across for number in range(across + 1)]
    rows = [top + height * number // down for number in range(down + 1)]
    return [[(begins, above, ends, below) for begins, ends in pairwise(columns)] for above, below in pairwise(rows)]


def _in_pixels(region: Region, picture: Image) -> Box:
    left, top, right, bottom = region
    width, height = picture.size
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def _with_those_around(features: FloatMatrix) -> FloatMatrix:
    """Each place as the mean of the square around it; what lies outside is as the edge is."""
    side = 2 * _AROUND + 1
    padded = np.pad(features, ((0, 0), (_AROUND, _AROUND), (_AROUND, _AROUND)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.asarray(windows.mean(axis=(-1, -2)), np.float32)
