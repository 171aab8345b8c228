"""Pictures seen whole and by their two end squares.

A model sees a picture squashed, or cut, to a square: of a panorama little is left. Its end squares, left and right or
top and bottom, each as wide as the short side, lose nothing but what lies between them, which the whole still shows.
The vector is the mean of the three, as CLIP's of ten crops (Radford et al., 2021), brought back to unit length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.encoding.protocol import Encoder
from mmsearch.encoding.regions import RegionGrid, regions_of
from mmsearch.records import CROPS_ENDING, Calibration, FloatMatrix, Modality, ModelIdentity, TextSpan

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.encoding.query_bank import QueryBank

_VIEWS = 3
# Part of the fingerprint: what changes how views are made or brought together counts it up.
_VERSION = 1


def encoded_with_ends(
    encode: Callable[[Sequence[Image]], FloatMatrix], pictures: Sequence[Image], ends_from: float, views_at_once: int
) -> FloatMatrix:
    """Unit rows, float32 [len(pictures), dimension]: of pictures whose long side is `ends_from` times the short one or
    more, the means of what `encode` makes of their views; of others, and of squares, what it makes of them.

    No more than `views_at_once` views (or those of one picture) are made at a time.
    """
    counts = [_VIEWS if _has_ends(picture, ends_from) else 1 for picture in pictures]
    if sum(counts) == len(pictures):
        return encode(pictures)
    waiting = iter(pictures)
    return np.concatenate(
        [_group_encoded(encode, list(islice(waiting, len(group))), group) for group in _groups(counts, views_at_once)]
    )


def _groups(counts: Sequence[int], most: int) -> list[list[int]]:
    """The counts in stretches whose sums are at most that, or that have one member."""
    groups: list[list[int]] = [[]]
    for count in counts:
        if groups[-1] and sum(groups[-1]) + count > most:
            groups.append([])
        groups[-1].append(count)
    return groups


def _group_encoded(
    encode: Callable[[Sequence[Image]], FloatMatrix], pictures: Sequence[Image], counts: Sequence[int]
) -> FloatMatrix:
    views = [
        view
        for picture, count in zip(pictures, counts, strict=True)
        for view in ((picture,) if count == 1 else (picture, *_ends(picture)))
    ]
    parts = np.split(encode(views), np.cumsum(counts)[:-1])
    return np.stack([part[0] if len(part) == 1 else _mean(part) for part in parts])


def _mean(rows: FloatMatrix) -> FloatMatrix:
    total = rows.sum(axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)


def _has_ends(picture: Image, ends_from: float) -> bool:
    short, long = sorted(picture.size)
    return long > short and long >= ends_from * short


def _ends(picture: Image) -> tuple[Image, Image]:
    """The squares at the left and right, or at the top and bottom."""
    width, height = picture.size
    side = min(width, height)
    return picture.crop((0, 0, side, side)), picture.crop((width - side, height - side, width, height))


class CroppedEncoder:
    """A model of its own that sees every picture whole and by its end squares, with three times the work.

    Texts and queries are what the model beneath makes of them.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @cached_property
    def identity(self) -> ModelIdentity:
        import xxhash

        model = self._encoder.identity
        described = f"{model.fingerprint}\n{CROPS_ENDING}\n{_VERSION}"
        return replace(
            model, name=f"{model.name}{CROPS_ENDING}", fingerprint=xxhash.xxh3_128_hexdigest(described.encode())
        )

    @property
    def hearing(self) -> None:
        return None

    @property
    def image_side(self) -> int:
        return self._encoder.image_side  # that of the short side, and so of the end squares

    @property
    def pictures_at_once(self) -> int:
        return self._encoder.pictures_at_once

    @property
    def calibration(self) -> Calibration | None:
        return self._encoder.calibration

    @property
    def query_bank(self) -> QueryBank | None:
        return self._encoder.query_bank

    @property
    def noise(self) -> FloatMatrix | None:
        return self._encoder.noise

    @property
    def modalities(self) -> frozenset[Modality]:
        return self._encoder.modalities

    def encode(self, modality: Modality, payloads: Sequence[Any]) -> FloatMatrix:
        if modality != "image":
            return self._encoder.encode(modality, payloads)
        return encoded_with_ends(
            lambda views: self._encoder.encode("image", views), payloads, 1, self._encoder.pictures_at_once
        )

    def regions(self, picture: Image) -> RegionGrid | None:
        return regions_of(self._encoder, picture)

    def windows(self, text: str) -> list[TextSpan]:
        return self._encoder.windows(text)
