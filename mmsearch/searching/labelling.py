"""Naming all photos of a library by labels that no training has seen (zero-shot; Radford et al., "Learning Transferable
Visual Models From Natural Language Supervision", 2021, section 3.1).

A label is asked for by several sentences, whose mean is its vector. What a photo is said to be comes with two numbers:
the calibrated score that a search for the label would give, and the share among the labels that were given. One of the
labels is the nearest to any photo: as a search for a label leaves out what is not close to it, so does a photo go
without it here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.protocol import Encoder, text_vectors
from mmsearch.errors import Invalid
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import StoredVectors, VectorRows, blocks_after, places_in, with_numbers
from mmsearch.records import Background, Filters, FloatMatrix, ItemIds
from mmsearch.searching import scoring
from mmsearch.searching.calibration import own_calibration, stored_calibration
from mmsearch.store.protocol import Store

if TYPE_CHECKING:
    from mmsearch.encoding.query_bank import QueryBank

_ALONE = "{}"
TEMPLATES = ("a photo of a {}", _ALONE, "a picture of a {}", "a close-up of a {}")
MOST_LABELS = 10_000
# Files are described so many at a time.
_AT_ONCE = 500


@dataclass(frozen=True)
class PhotoLabel:
    """What a photo is said to be. `score` is calibrated as that of a hit; `share` is the softmax among the labels."""

    label: str
    score: float = field(metadata={"digits": 4})
    share: float = field(metadata={"digits": 4})


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and what it is said to be, best first. `keywords` are those that it has already."""

    path: str
    id: str
    labels: tuple[PhotoLabel, ...]
    keywords: tuple[str, ...] = field(default=(), metadata={"json": None})


@dataclass(frozen=True)
class Labelled:
    """Photos by path with their labels; without those of which no label scores enough. `total` counts all of them.

    `thresholds` holds, per label, the score below which a photo goes without it.
    """

    library: str
    model: str
    filters: Filters
    labels: tuple[str, ...]
    thresholds: Mapping[str, float] = field(metadata={"digits": 4})
    elapsed_ms: float = field(metadata={"digits": 1})
    total: int
    photos: tuple[LabelledPhoto, ...]


@dataclass(frozen=True)
class LabelRequest:
    """By which labels photos that pass the filters are named: by the best `top` of those that score `min_score`.

    Where that is None, a label is to score what a search for it asks for.

    Raises:
        Invalid: there is no label, or a number is out of range.
    """

    labels: tuple[str, ...]
    filters: Filters = field(default_factory=Filters)
    top: int = 1
    min_score: float | None = None

    def __post_init__(self) -> None:
        if not self.labels:
            raise Invalid("There is no label; give some words, each a label.")
        if len(self.labels) > MOST_LABELS:
            raise Invalid(f"There are {len(self.labels):,} labels; at most {MOST_LABELS:,} can be told apart at once.")
        if self.top < 1:
            raise Invalid(f"The number of labels for each photo is {self.top}; it must be 1 or more.")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise Invalid(f"The lowest score is {self.min_score:g}; scores lie between 0 and 1.")

    @classmethod
    def of(cls, labels: Sequence[str], filters: Filters | None, top: int, min_score: float | None) -> LabelRequest:
        """The request with each label once, without spaces around it."""
        plain = (label.encode("utf-8", "replace").decode("utf-8").strip() for label in labels)
        return cls(tuple(dict.fromkeys(filter(None, plain))), filters or Filters(), top, min_score)


def label_photos(library: str, store: Store, in_use: ModelInUse, encoder: Encoder, request: LabelRequest) -> Labelled:
    """The labels of the photos in `library`, at one state, at which the store is to be meanwhile."""
    started = time.perf_counter()
    background = _background(store, in_use, encoder)
    asked, alone = _label_vectors(request.labels, encoder)
    wanted = _photos(store, in_use, request.filters)
    least = _least_scores(request, alone, in_use.bank(store), background, len(wanted))
    photos: list[LabelledPhoto] = []
    total = 0
    for rows in _rows_of(wanted, store, in_use):
        assert rows.numbers is not None
        cosines = rows.cosines(asked) + rows.numbers.astype(np.float32)[:, np.newaxis]
        scores = scoring.scores(cosines, background)
        shares = _shares(cosines, background)
        enough = scores >= least
        best = np.argsort(-np.where(enough, cosines, -np.inf), axis=1, kind="stable")[:, : request.top]
        of_item = {
            int(item_id): tuple(
                PhotoLabel(request.labels[place], float(scores[row, place]), float(shares[row, place]))
                for place in best[row]
                if enough[row, place]
            )
            for row, item_id in enumerate(rows.item_ids)
        }
        for item in store.found_items(rows.item_ids.tolist(), request.filters):
            total += 1
            if labels := of_item[item.item_id]:
                keywords = item.facts.details.keywords
                photos.append(LabelledPhoto(os.fsdecode(item.path), item.digest.hex(), labels, keywords))
    photos.sort(key=lambda photo: os.fsencode(photo.path))
    thresholds = dict(zip(request.labels, least.tolist(), strict=True))
    elapsed_ms = (time.perf_counter() - started) * 1000
    named = in_use.identity.label
    return Labelled(library, named, request.filters, request.labels, thresholds, elapsed_ms, total, tuple(photos))


def _photos(store: Store, in_use: ModelInUse, filters: Filters) -> ItemIds:
    """The items of pictures that pass the filters."""
    if filters.medium not in (None, "image"):
        return np.empty(0, np.int64)
    space = in_use.space("image")
    return store.matching_items(replace(filters, medium="image"), space.model_id, space.modality, with_pages=False)


def _rows_of(wanted: ItemIds, store: Store, in_use: ModelInUse) -> Iterator[VectorRows]:
    """The vectors of those items, with their hub numbers, some at a time."""
    space = in_use.space("image")
    for block in blocks_after(store, space, 0) if len(wanted) else ():
        item_ids = block.item_ids[places_in(wanted, block.item_ids)[1]]
        for start in range(0, len(item_ids), _AT_ONCE):
            yield with_numbers(store, space, block.of_items(item_ids[start : start + _AT_ONCE]))


def _background(store: Store, in_use: ModelInUse, encoder: Encoder) -> Background:
    """How the cosines of unrelated texts and pictures lie in this library."""
    calibration = stored_calibration(store, in_use.identity, in_use.query_bank, lambda: encoder.calibration)
    if calibration is None:
        vectors = {one: StoredVectors(store, in_use.space(one), 0) for one in store.modalities(in_use.model_id)}
        calibration = own_calibration(encoder, vectors)
    return scoring.background_of(calibration, "text", "image")


def _label_vectors(labels: Sequence[str], encoder: Encoder) -> tuple[FloatMatrix, FloatMatrix]:
    """A unit vector for each label, float32 [n, dimension]: the mean of its sentences, and that of the label alone."""
    of_templates = {
        template: text_vectors([template.format(label) for label in labels], encoder) for template in TEMPLATES
    }
    means = np.mean(list(of_templates.values()), axis=0)
    unit = np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12), np.float32)
    return unit, of_templates[_ALONE]


def _least_scores(
    request: LabelRequest, alone: FloatMatrix, bank: QueryBank | None, background: Background, photos: int
) -> npt.NDArray[np.float32]:
    """The score that a photo has at least to be named by each label, float32 [n]: without a number that is asked for,
    the one that a search for the label alone among so many photos takes.
    """
    if request.min_score is not None:
        return np.full(len(alone), request.min_score, np.float32)
    familiar = [None] * len(alone) if bank is None else bank.familiarity(alone).tolist()
    return np.array([scoring.least_score(background, photos, one) for one in familiar], np.float32)


def _shares(cosines: FloatMatrix, background: Background) -> FloatMatrix:
    """The softmax of each row at the scale of the calibration: a cosine as a logit of the score."""
    logits = cosines * np.float32(background.slope / background.std)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
