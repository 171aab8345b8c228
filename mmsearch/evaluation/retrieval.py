"""Retrieval in every direction over an embedded dataset: who asks, what answers, and what is right.

text→image, image→text and text→text are asked with human captions, or with class names where a dataset has labels
only; image→image is right where the labels are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.evaluation.embedding import EmbeddedDataset, Integers
from mmsearch.evaluation.metrics import Estimate, estimate, relevant_ranks, retrieval_metrics
from mmsearch.records import FloatMatrix, HalfMatrix, Modality

Flags = npt.NDArray[np.bool_]
# For a block of queries, which items are right and which are not in their gallery: bool [q, n] each.
Judgement = Callable[[Integers], tuple[Flags, Flags | None]]

DEFAULT_KS = (1, 5, 10)
_QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class Direction:
    """One kind of question on a dataset: query vectors float32 [q, d], gallery float32 [n, d], what is right.

    `numbers` float16 [n] are added to the cosines with each query, as searches do it: texts on photos. `groups`
    int64 [q] ties queries that succeed and fail together (the captions of one photo).
    """

    name: str
    asked: Modality
    answering: Modality
    queries: FloatMatrix
    gallery: FloatMatrix
    judge: Judgement
    groups: Integers
    numbers: HalfMatrix | None = None

    def cosines(self, queries: FloatMatrix) -> FloatMatrix:
        """Those of queries float32 [b, d] with the gallery, corrected for hubs: float32 [b, n]."""
        found: FloatMatrix = queries @ self.gallery.T
        return found if self.numbers is None else found + self.numbers.astype(np.float32)

    def blocks(self) -> Iterator[tuple[FloatMatrix, Flags, Flags | None]]:
        """Corrected cosines [b, n], what is right [b, n] and what is left out, for some queries after another."""
        for start in range(0, len(self.queries), _QUERIES_AT_ONCE):
            rows = np.arange(start, min(len(self.queries), start + _QUERIES_AT_ONCE))
            relevant, left_out = self.judge(rows)
            yield self.cosines(self.queries[rows]), relevant, left_out

    def ranks(self) -> list[npt.NDArray[np.int64]]:
        """Per query the ranks of what is right, from 1, ascending."""
        return [
            ranks for cosines, right, left_out in self.blocks() for ranks in relevant_ranks(cosines, right, left_out)
        ]


@dataclass(frozen=True)
class DirectionResult:
    """The metrics of one direction, as shares in [0, 1] with their intervals."""

    name: str
    queries: int
    gallery: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class ZeroShot:
    """Photos named by the nearest class text: share of right first names, and of right ones among five."""

    photos: int
    classes: int
    top_1: Estimate
    top_5: Estimate


def directions(dataset: EmbeddedDataset) -> list[Direction]:
    """All that can be asked of the dataset."""
    found: list[Direction] = []
    numbers = dataset.hub_numbers()
    if len(dataset.captions):
        found += _between_captions_and_photos(dataset, numbers)
        found += _between_captions(dataset)
    if (dataset.labels >= 0).any():
        found += _by_label(dataset, numbers)
    return found


def measure(direction: Direction, ks: Sequence[int] = DEFAULT_KS) -> DirectionResult:
    """All metrics of one direction."""
    metrics = retrieval_metrics(direction.ranks(), ks, direction.groups)
    return DirectionResult(direction.name, len(direction.queries), len(direction.gallery), metrics)


def zero_shot(dataset: EmbeddedDataset) -> ZeroShot | None:
    """Naming the labelled photos (Radford et al., 2021, section 3.1); None without two classes."""
    rows = np.flatnonzero(dataset.labels >= 0)
    if len(dataset.classes) < 2 or not len(rows):
        return None
    cosines = dataset.images[rows] @ dataset.class_texts.T
    own = cosines[np.arange(len(rows)), dataset.labels[rows]]
    # Ties count against the photo.
    ranks = (cosines >= own[:, None]).sum(axis=1)
    return ZeroShot(len(rows), len(dataset.classes), estimate(ranks <= 1), estimate(ranks <= 5))


def _between_captions_and_photos(dataset: EmbeddedDataset, numbers: HalfMatrix) -> list[Direction]:
    meaning = same_text(dataset.captions)
    owners, photos = dataset.owners, len(dataset.images)
    # A table of all captions by all photos would take 5 GB for Flickr30k: rows are made when they are asked for.
    photos_of, captions_of = together(meaning, owners), together(meaning, np.arange(len(meaning)))
    meanings_of = together(owners, meaning)
    captioned = np.unique(owners)

    def of_texts(rows: Integers) -> tuple[Flags, None]:
        return flags([photos_of[one] for one in meaning[rows]], photos), None

    def of_photos(rows: Integers) -> tuple[Flags, None]:
        right = [np.concatenate([captions_of[one] for one in meanings_of[photo]]) for photo in captioned[rows]]
        return flags(right, len(meaning)), None

    return [
        Direction("text→image", "text", "image", dataset.texts, dataset.images, of_texts, owners, numbers),
        Direction("image→text", "image", "text", dataset.images[captioned], dataset.texts, of_photos, captioned),
    ]


def _between_captions(dataset: EmbeddedDataset) -> list[Direction]:
    owners = dataset.owners
    several = np.flatnonzero(np.bincount(owners)[owners] > 1)
    if not len(several):
        return []

    def others(rows: Integers) -> tuple[Flags, Flags]:
        itself = several[rows, None] == np.arange(len(owners))
        return (owners[several[rows], None] == owners) & ~itself, itself

    return [Direction("text→text", "text", "text", dataset.texts[several], dataset.texts, others, owners[several])]


def _by_label(dataset: EmbeddedDataset, numbers: HalfMatrix) -> list[Direction]:
    labelled = np.flatnonzero(dataset.labels >= 0)
    labels, images = dataset.labels[labelled], dataset.images[labelled]
    present = np.unique(labels)
    company = np.flatnonzero(np.bincount(labels)[labels] > 1)

    def of_class(rows: Integers) -> tuple[Flags, None]:
        return present[rows, None] == labels, None

    def alike(rows: Integers) -> tuple[Flags, Flags]:
        itself = company[rows, None] == np.arange(len(labels))
        return (labels[company[rows], None] == labels) & ~itself, itself

    asked, added = dataset.class_texts[present], numbers[labelled]
    found = [Direction("label→image", "text", "image", asked, images, of_class, present, added)]
    if len(company):
        queries = images[company]
        found.append(Direction("image→image", "image", "image", queries, images, alike, np.arange(len(company))))
    return found


def together(keys: Integers, values: Integers) -> list[Integers]:
    """For each key from 0 on its different values, ascending."""
    pairs = np.unique(np.stack([keys, values], axis=1), axis=0)
    ends = np.cumsum(np.bincount(pairs[:, 0]))
    return np.split(pairs[:, 1], ends[:-1])


def flags(chosen: Sequence[Integers], count: int) -> Flags:
    """bool [len(chosen), count], each row true at the chosen places."""
    found = np.zeros((len(chosen), count), bool)
    for row, places in enumerate(chosen):
        found[row, places] = True
    return found


def same_text(captions: Sequence[str]) -> Integers:
    """A number for each caption, the same for captions of the same words."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(caption.casefold(), len(numbers)) for caption in captions], np.int64)
