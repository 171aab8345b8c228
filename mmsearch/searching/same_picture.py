"""Whether two miniatures show the same picture: as it is, or a part of it, turned a little, with other light.

The whole pictures are compared first. Where they differ, one may be a part of the other: each is held against many
windows of the other one, coarsely, and the best is then moved, stretched and turned until it fits (Lucas and Kanade,
"An Iterative Image Registration Technique", 1981, with a gain and an offset for the light). What decides is the
correlation, and how much the places differ that differ most: the next frame of a burst is much like the one before,
but where something has moved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmsearch.nearest.recent import Recent
from mmsearch.records import FloatMatrix
from mmsearch.searching.miniatures import COLOUR_SIDE, SIDE, Miniature

# Chosen by benchmarks/duplicates.py. A correlation from which on two are the same, and one that is to be had of a part,
# which was looked for; the largest mean square difference of a block, in variances of the picture, and of the block
# that is the fourth from there; how far beyond the edge of the one the other may reach, as a share of its side (a
# camera that was moved sees something else there); how the details correlate, what is left once each block has its mean
# taken off (skies and fogs are alike but for these); and how the colours do, where both have some.
LEAST_CORRELATION, LEAST_OF_PART = 0.975, 0.983
MOST_IN_BLOCK, MOST_IN_FOURTH_BLOCK = 0.8, 0.25
MOST_OUTSIDE = 0.012
LEAST_OF_DETAILS, LEAST_OF_COLOURS = 0.85, 0.6
# Less than so much, of 255, is no colour: a grey picture is the same as that in colours.
_LEAST_COLOUR = 3.0

_FINE, _COARSE, _BLOCKS = 32, 16, 8
# Sides of windows, as shares of that of the whole.
_SCALES = (1.0, 0.94, 0.88, 0.81, 0.74, 0.67)
# Below this correlation with the best window nothing is worth fitting.
_WORTH_FITTING = 0.82
_STEPS, _SMALL_STEP = 10, 1e-3
_KEPT_WINDOWS = 256


class Fit(NamedTuple):
    """How well two pictures fit: the correlation, the two block differences, the correlation of the details, how far
    one reaches beyond the other, and the correlation of the colours. `is_part` where one was fitted into the other.
    """

    correlation: float
    worst_block: float
    fourth_block: float
    details: float
    outside: float = 0.0
    colours: float = 1.0
    is_part: bool = False

    @property
    def is_same(self) -> bool:
        return (
            self.correlation >= (LEAST_OF_PART if self.is_part else LEAST_CORRELATION)
            and self.worst_block <= MOST_IN_BLOCK
            and self.fourth_block <= MOST_IN_FOURTH_BLOCK
            and self.details >= LEAST_OF_DETAILS
            and self.outside <= MOST_OUTSIDE
            and self.colours >= LEAST_OF_COLOURS
        )


class Comparison:
    """Compares miniatures; what is made of one is kept for the next ones, by its digest."""

    def __init__(self) -> None:
        self._windows: Recent[bytes, FloatMatrix] = Recent(_KEPT_WINDOWS)

    def fit(self, one: tuple[bytes, Miniature], other: tuple[bytes, Miniature]) -> Fit:
        """How well two miniatures, with the digests of their contents, fit, whichever is a part of the other."""
        picture, part = one[1], other[1]
        of_picture, of_part = picture.grey.astype(np.float32), part.grey.astype(np.float32)
        whole = _fit_of(_shrunk(of_picture, _FINE), _shrunk(of_part, _FINE))
        whole = whole._replace(colours=_colours_fit(picture, part, _WHOLE))
        if whole.is_same:
            return whole
        in_one = self._windows_of(one) @ _shrunk(of_part, _COARSE)
        in_other = self._windows_of(other) @ _shrunk(of_picture, _COARSE)
        if in_other.max() > in_one.max():
            picture, part, in_one = part, picture, in_other
        best = int(in_one.argmax())
        if in_one[best] < _WORTH_FITTING:
            return whole
        return max(whole, _fitted(picture, part, _SPANS[best // len(_SPANS)], _SPANS[best % len(_SPANS)]))

    def _windows_of(self, named: tuple[bytes, Miniature]) -> FloatMatrix:
        digest, miniature = named
        return self._windows.get(digest, lambda: _windows(miniature.grey.astype(np.float32)))


def _averaging(begins: float, ends: float, size: int) -> FloatMatrix:
    """What takes means of a miniature's rows from one share of its side to another, float32 [size, SIDE]."""
    edges = np.linspace(begins * SIDE, ends * SIDE, size + 1)
    rows = np.arange(SIDE)
    shares = np.clip(np.minimum(edges[1:, None], rows + 1) - np.maximum(edges[:-1, None], rows), 0, None)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


_SPANS = [
    (float(begins), float(begins) + scale)
    for number, scale in enumerate(_SCALES, start=1)
    for begins in np.linspace(0, 1 - scale, number)
]
_OF_SPANS = np.concatenate([_averaging(begins, ends, _COARSE) for begins, ends in _SPANS])
_OF_ALL = {size: _averaging(0, 1, size) for size in (_FINE, _COARSE)}
_DISTANCES = np.arange(SIDE)[:, None] - np.arange(SIDE)
_BLUR = np.exp(-0.5 * _DISTANCES**2).astype(np.float32)
_BLUR /= _BLUR.sum(axis=1, keepdims=True)
# Where the pixels of a small picture lie, as shares of its height and width, with a 1 before them.
_GRIDS = {
    side: np.stack([np.ones(side**2), *(one.ravel() for one in np.mgrid[0.5:side, 0.5:side] / side)], axis=1)
    for side in (_FINE, COLOUR_SIDE)
}
# A pixel of a part lies at `places @ (1, down, across)` in the whole, for its row and its column: the same picture.
_WHOLE = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _shrunk(miniature: FloatMatrix, size: int) -> FloatMatrix:
    """The miniature in so many rows and columns, levelled, float32 [pixels]."""
    small = np.asarray(_OF_ALL[size] @ miniature @ _OF_ALL[size].T, np.float32)
    return _levelled(small.ravel())


def _levelled(pictures: FloatMatrix) -> FloatMatrix:
    """Pictures as rows of pixels, [pixels] or [n, pixels], with a mean of 0 and a length of 1."""
    centred = pictures - pictures.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-6), np.float32)


def _windows(miniature: FloatMatrix) -> FloatMatrix:
    """All windows, small and levelled, float32 [windows, pixels]."""
    count = len(_SPANS)
    seen = (_OF_SPANS @ miniature @ _OF_SPANS.T).reshape(count, _COARSE, count, _COARSE)
    return _levelled(seen.swapaxes(1, 2).reshape(count * count, _COARSE * _COARSE))


def _fit_of(one: FloatMatrix, other: FloatMatrix) -> Fit:
    """How well two levelled pictures, float32 [pixels], fit as they are."""
    shape = (_BLOCKS, _FINE // _BLOCKS, _BLOCKS, _FINE // _BLOCKS)
    in_blocks = ((one - other) * _FINE).reshape(shape)
    blocks = np.sort((in_blocks**2).mean(axis=(1, 3)).ravel())
    of_one, of_other = (picture.reshape(shape) for picture in (one, other))
    details = [(blocked - blocked.mean(axis=(1, 3), keepdims=True)).ravel() for blocked in (of_one, of_other)]
    strength = float(np.linalg.norm(details[0]) * np.linalg.norm(details[1]))
    correlation = float(details[0] @ details[1]) / max(strength, 1e-12)
    return Fit(float((one * other).sum()), float(blocks[-1]), float(blocks[-4]), correlation)


def _colours_fit(picture: Miniature, part: Miniature, places: FloatMatrix) -> float:
    """How the colours of a part correlate with those of the picture where it lies; 1 where one of them has none."""
    at = _GRIDS[COLOUR_SIDE] @ places.T * COLOUR_SIDE - 0.5
    planes = [_between(plane.astype(np.float32), at) for plane in picture.colours]
    one, other = (
        np.concatenate([plane - plane.mean() for plane in of_one])
        for of_one in (planes, part.colours.reshape(2, -1).astype(np.float32))
    )
    strengths = [float(np.sqrt((colours**2).mean())) for colours in (one, other)]
    if min(strengths) < _LEAST_COLOUR:
        return 1.0
    return float((one * other).mean()) / (strengths[0] * strengths[1])


def _fitted(picture: Miniature, part: Miniature, rows: tuple[float, float], columns: tuple[float, float]) -> Fit:
    """How well a part fits into a picture, beginning with a window of it, once it is moved to where it fits best."""
    smooth = _BLUR @ picture.grey.astype(np.float32) @ _BLUR.T
    slopes = np.gradient(smooth)
    wanted = _shrunk(_BLUR @ part.grey.astype(np.float32) @ _BLUR.T, _FINE)
    places = np.array([[rows[0], rows[1] - rows[0], 0.0], [columns[0], 0.0, columns[1] - columns[0]]])
    grid = _GRIDS[_FINE]
    best, best_places = Fit(-1.0, np.inf, np.inf, -1.0), places
    for _ in range(_STEPS):
        at = grid @ places.T * SIDE - 0.5
        seen = _between(smooth, at)
        fit = _fit_of(_levelled(seen), wanted)
        if fit > best:
            best, best_places = fit, places
        centred = seen - seen.mean()
        changes = [grid * (_between(slope, at) * SIDE)[:, None] for slope in slopes]
        jacobian = np.concatenate([*changes, seen[:, None], np.ones((len(seen), 1))], axis=1)
        step = _solved(jacobian, wanted * np.linalg.norm(centred) - centred)[:6].reshape(2, 3)
        if np.abs(step).max() < _SMALL_STEP:
            break
        places = places + step
    return best._replace(outside=_outside(best_places), colours=_colours_fit(picture, part, best_places), is_part=True)


def _solved(jacobian: FloatMatrix, difference: FloatMatrix) -> FloatMatrix:
    """The step that makes the difference least, held back a little where the picture tells nothing."""
    normal = jacobian.T @ jacobian
    normal += np.eye(len(normal)) * (np.trace(normal) / len(normal) * 1e-6 + 1e-9)
    return np.asarray(np.linalg.solve(normal, jacobian.T @ difference))


def _outside(places: FloatMatrix) -> float:
    """How far a corner of the part lies beyond the picture, as a share of its side."""
    corners = np.array([[1, down, across] for down in (0, 1) for across in (0, 1)]) @ places.T
    return float(max(-corners.min(), corners.max() - 1, 0.0))


def _between(picture: FloatMatrix, at: FloatMatrix) -> FloatMatrix:
    """The picture's values at places [n, 2] in pixels, between those of the four nearest ones."""
    held = np.clip(at, 0, len(picture) - 1.001)
    row, column = held.astype(np.int64).T
    down, across = (held - np.floor(held)).T
    above = picture[row, column] * (1 - across) + picture[row, column + 1] * across
    below = picture[row + 1, column] * (1 - across) + picture[row + 1, column + 1] * across
    return np.asarray(above * (1 - down) + below * down)
