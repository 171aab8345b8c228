"""Heat maps: where in a picture what was asked for is.

Attention from words to regions (Lee et al., "Stacked Cross Attention for Image-Text Matching", 2018): the model's own
regions are compared with each word, and with all that was asked for. A model that has none is shown the picture with
one window after the other hidden (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014).
Regions point better where there are several things, and cost less: see docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.regions import WHOLE, regions_of
from mmsearch.records import Background, FloatMatrix
from mmsearch.searching.explanations import Heat, HeatMap, TermKind

if TYPE_CHECKING:
    from PIL.Image import Image

# What is hidden in turn: windows around the middles of so many cells each way, so many cells wide.
WINDOWS, _WINDOW = 7, 1.6
# No term is drawn in full that has less than this: in standard deviations above what is unrelated, and as a fall.
_LEAST_DEVIATIONS, _LEAST_FALL = 2.5, 0.02


class AskedTerm(NamedTuple):
    """A term and its unit vector, float32 [dimension]."""

    term: str
    kind: TermKind
    vector: FloatMatrix


def heat_in(encoder: Encoder, picture: Image, terms: Sequence[AskedTerm], background: Background) -> Heat:
    """Where in a picture, RGB, some terms are.

    Args:
        background: how the cosines of unrelated texts and pictures lie for that encoder.
    """
    vectors = np.stack([term.vector for term in terms])
    grid = regions_of(encoder, picture)
    if grid is None:
        seen = WHOLE
        values = _hidden_in_turn(encoder, picture, vectors)
        cold, least = 0.0, _LEAST_FALL
    else:
        seen = grid.seen
        values = np.moveaxis(grid.vectors @ vectors.T, 2, 0)
        cold = max(float(np.median(values)), background.mean)
        least = background.mean + _LEAST_DEVIATIONS * background.std
    rows, columns = values.shape[1:]
    hot = max(float(values.max()), least)
    maps = tuple(
        HeatMap(term.term, term.kind, tuple(map(tuple, of_term.tolist())))
        for term, of_term in zip(terms, values, strict=True)
    )
    return Heat("occlusion" if grid is None else "regions", rows, columns, seen, cold, hot, maps)


def _hidden_in_turn(encoder: Encoder, picture: Image, vectors: FloatMatrix) -> FloatMatrix:
    """How far the cosines fall where a window is hidden, float32 [terms, rows, columns]."""
    small = picture.copy()
    small.thumbnail((2 * encoder.image_side, 2 * encoder.image_side))
    pixels = np.asarray(small)
    colour = pixels.mean(axis=(0, 1)).astype(np.uint8)
    views = [pixels]
    for place in range(WINDOWS * WINDOWS):
        row, column = divmod(place, WINDOWS)
        hidden = pixels.copy()
        hidden[_window(row, pixels.shape[0]), _window(column, pixels.shape[1])] = colour
        views.append(hidden)
    cosines = np.concatenate([_encoded(encoder, some) @ vectors.T for some in _in_batches(views, encoder)])
    falls = cosines[0] - cosines[1:]
    return np.asarray(falls.T.reshape(len(vectors), WINDOWS, WINDOWS), np.float32)


def _window(place: int, length: int) -> slice:
    cell = length / WINDOWS
    middle = (place + 0.5) * cell
    half = _WINDOW * cell / 2
    return slice(max(0, round(middle - half)), round(middle + half))


def _in_batches(views: Sequence[FloatMatrix], encoder: Encoder) -> list[Sequence[FloatMatrix]]:
    size = max(1, encoder.pictures_at_once)
    return [views[start : start + size] for start in range(0, len(views), size)]


def _encoded(encoder: Encoder, views: Sequence[FloatMatrix]) -> FloatMatrix:
    from PIL import Image as PILImage

    return encoder.encode("image", [PILImage.fromarray(view) for view in views])
