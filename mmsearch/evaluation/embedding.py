"""A dataset as vectors: its photos, taken from the library where it knows them, and its captions and class names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.adapted import Adapter
from mmsearch.encoding.protocol import Encoder, text_vectors
from mmsearch.encoding.query_bank import QueryBank
from mmsearch.errors import Invalid
from mmsearch.evaluation.datasets import Dataset, Example
from mmsearch.reading import UnreadableFile, picture_in
from mmsearch.records import FloatMatrix, HalfMatrix, Progress

if TYPE_CHECKING:
    from PIL.Image import Image

# The vector, float32 [dimension], that a library holds for the picture at a path, or None.
StoredVector = Callable[[str], "FloatMatrix | None"]
Integers = npt.NDArray[np.int64]
T = TypeVar("T")

# How a class name is asked for: the first template of CLIP (Radford et al., 2021).
LABEL_TEMPLATE = "a photo of a {}"
_BATCH = 8


@dataclass(frozen=True)
class EmbeddedDataset:
    """A dataset's photos, captions and class names as unit vectors in one space of dimension d.

    `images` float32 [n, d] are those of `examples`; `texts` float32 [m, d] those of `captions`, caption k being
    written for photo `owners[k]`. `labels` int64 [n] is each photo's place in `classes`, -1 for none, and
    `class_texts` float32 [c, d] says "a photo of a" each class. `from_library` photos were not encoded for this;
    `unreadable` ones were left out. `query_bank` is that by which searches would correct hubs among the photos.
    """

    name: str
    model: str
    examples: tuple[Example, ...]
    images: FloatMatrix
    captions: tuple[str, ...]
    owners: Integers
    texts: FloatMatrix
    classes: tuple[str, ...]
    labels: Integers
    class_texts: FloatMatrix
    from_library: int = 0
    unreadable: tuple[str, ...] = ()
    query_bank: QueryBank | None = None

    def hub_numbers(self) -> HalfMatrix:
        """What searches add to the cosines of the photos with a text, float16 [n]."""
        if self.query_bank is None:
            return np.zeros(len(self.images), np.float16)
        return self.query_bank.numbers(self.images)

    def through(self, adapter: Adapter, model: str) -> EmbeddedDataset:
        """The same dataset in the space of an adapter; `model` is the label of the model with it."""
        return replace(
            self,
            model=model,
            images=adapter.moved("image", self.images),
            texts=adapter.moved("text", self.texts),
            class_texts=adapter.moved("text", self.class_texts),
            query_bank=None if self.query_bank is None else adapter.moved_bank(self.query_bank),
        )


def embed(
    dataset: Dataset,
    encoder: Encoder,
    *,
    stored: StoredVector = lambda path: None,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    query_bank: QueryBank | None = None,
) -> EmbeddedDataset:
    """Encodes what a dataset holds and the library does not. With `query_bank` hubs are corrected where it is measured.

    `on_progress` is told how many photos and texts are done, and of how many.

    Raises:
        Invalid: none of the photos can be read.
    """
    examples = dataset.examples
    captions = [(owner, caption) for owner, example in enumerate(examples) for caption in example.captions]
    classes = tuple(sorted({example.label for example in examples if example.label is not None}))
    texts = [caption for _, caption in captions] + [LABEL_TEMPLATE.format(name) for name in classes]
    known = [stored(example.path) for example in examples]
    rows, vectors = _encoded(examples, known, texts, encoder, workers, on_progress)
    readable = [place for place, row in enumerate(rows) if row is not None]
    if not readable:
        raise Invalid(f"None of the {len(rows):,} photos of {dataset.name} can be read; check that they are photos.")
    place_of = {place: new for new, place in enumerate(readable)}
    kept = [row for row, (owner, _) in enumerate(captions) if owner in place_of]
    class_of = {name: place for place, name in enumerate(classes)}
    chosen = tuple(examples[place] for place in readable)
    return EmbeddedDataset(
        name=dataset.name,
        model=encoder.identity.label,
        examples=chosen,
        images=np.stack([row for row in rows if row is not None]),
        captions=tuple(captions[row][1] for row in kept),
        owners=np.array([place_of[captions[row][0]] for row in kept], np.int64),
        texts=vectors[kept],
        classes=classes,
        labels=np.array([-1 if one.label is None else class_of[one.label] for one in chosen], np.int64),
        class_texts=vectors[len(captions) :],
        from_library=sum(row is not None for row in known),
        unreadable=tuple(example.path for example, row in zip(examples, rows, strict=True) if row is None),
        query_bank=query_bank,
    )


def _encoded(
    examples: Sequence[Example],
    known: Sequence[FloatMatrix | None],
    texts: Sequence[str],
    encoder: Encoder,
    workers: int | None,
    on_progress: Callable[[Progress], None],
) -> tuple[list[FloatMatrix | None], FloatMatrix]:
    """The vectors of all photos, None for those that cannot be read, and those of the texts, float32 [m, d]."""
    rows = list(known)
    missing = [place for place, row in enumerate(rows) if row is None]
    done, total = 0, len(missing) + len(texts)
    text_rows = [np.empty((0, encoder.identity.dimension), np.float32)]
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        batches = _batches(missing)
        for batch, found in zip(batches, pool.map(lambda one: _images(one, examples, encoder), batches), strict=True):
            for place, row in zip(batch, found, strict=True):
                rows[place] = row
            done += len(batch)
            on_progress(Progress("encoding", done, total, "items"))
        for matrix in pool.map(lambda batch: text_vectors(batch, encoder), _batches(texts)):
            text_rows.append(matrix)
            done += len(matrix)
            on_progress(Progress("encoding", done, total, "items"))
    return rows, np.concatenate(text_rows)


def _batches(things: Sequence[T]) -> list[Sequence[T]]:
    return [things[start : start + _BATCH] for start in range(0, len(things), _BATCH)]


def _images(places: Sequence[int], examples: Sequence[Example], encoder: Encoder) -> list[FloatMatrix | None]:
    """The vectors of those photos; None for one that cannot be read."""
    decoded = {}
    for place in places:
        picture = _picture(examples[place].path, encoder.image_side)
        if picture is not None:
            decoded[place] = picture
    encoded = dict(zip(decoded, encoder.encode("image", list(decoded.values())), strict=True)) if decoded else {}
    return [encoded.get(place) for place in places]


def _picture(path: str, side: int) -> Image | None:
    try:
        return picture_in(os.fsencode(path), side)
    except UnreadableFile:
        return None
