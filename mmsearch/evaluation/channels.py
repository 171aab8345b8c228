"""Words alone, vectors alone and both: captions asked of photos that are called something, or have notes.

What is indexed of a photo are its name, its folders below and with the one that all photos lie in, and its `words`. The
photos are put into a library of their own that lasts as long as the measuring, so that what ranks them by their words
is what searches rank by.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory

import numpy as np

from mmsearch.evaluation.datasets import Example
from mmsearch.evaluation.embedding import EmbeddedDataset
from mmsearch.evaluation.metrics import relevant_ranks, retrieval_metrics
from mmsearch.evaluation.retrieval import Direction, DirectionResult
from mmsearch.records import (
    Calibration,
    Content,
    Details,
    EncodedItem,
    FileState,
    Filters,
    FloatMatrix,
    ModelIdentity,
)
from mmsearch.searching import scoring
from mmsearch.searching.merging import told_by_words
from mmsearch.searching.query import Term
from mmsearch.searching.word_channel import WordChannel
from mmsearch.store.models import add_model
from mmsearch.store.opening import place_at
from mmsearch.store.protocol import Store

# Of more captions so many are asked, drawn with the same dice each time.
MOST_QUERIES = 1_000
_LEAST = 1e-12


def compare_channels(
    dataset: EmbeddedDataset, direction: Direction, known: Calibration, ks: Sequence[int]
) -> tuple[DirectionResult, ...]:
    """The metrics of `words`, `vectors` and `both`, for the direction text→image of a dataset.

    Nothing where no photo has a word of a caption in its name, its folders or its notes. A photo that words do not find
    comes behind all that they do, and ties count against the query.

    Args:
        known: the calibration of the model that made the vectors.
    """
    asked = np.arange(len(direction.queries))
    if len(asked) > MOST_QUERIES:
        asked = np.sort(np.random.default_rng(0).choice(asked, MOST_QUERIES, replace=False))
    rows = {os.fsencode(example.path): row for row, example in enumerate(dataset.examples)}
    with _indexed(rows, dataset.examples) as store:
        words = np.stack([_word_scores(store, dataset.captions[query], rows) for query in asked])
    if not words.any():
        return ()
    cosines = direction.cosines(direction.queries[asked])
    vectors = scoring.scores(cosines, scoring.background_of(known, "text", "image"))
    right, left_out = direction.judge(asked)
    # Logarithms of what is missing to 1: scores near 1 could not be told apart. Their sum is that of the product.
    rests = [-np.log(np.maximum(1 - scores.astype(np.float64), _LEAST)) for scores in (words, vectors)]
    ways = {"words": rests[0], "vectors": cosines, "both": rests[0] + rests[1]}
    return tuple(
        DirectionResult(
            name,
            len(asked),
            len(dataset.images),
            retrieval_metrics(relevant_ranks(scores.astype(np.float32), right, left_out), ks, direction.groups[asked]),
        )
        for name, scores in ways.items()
    )


@contextmanager
def _indexed(rows: Mapping[bytes, int], examples: Sequence[Example]) -> Iterator[Store]:
    """A store of photos, by their paths, which has the words of each and nothing else."""
    root = os.path.commonpath([os.path.dirname(path) for path in rows])
    vector = np.ones(1, np.float32)
    with TemporaryDirectory(prefix="mmsearch-eval-") as folder, closing(place_at(folder).write()) as store:
        with store.transaction():
            model_id = add_model(store, ModelIdentity("measured", "1", 1, "measured"))
            root_id = store.put_root(root, "{}").id
            for path, row in rows.items():
                content_id = store.put_content(Content(row.to_bytes(16, "big"), "image", 0))
                store.put_details(content_id, Details(description="\n".join(examples[row].words) or None), {})
                store.add_items(content_id, model_id, [EncodedItem("image", vector)])
                store.put_file(FileState(root_id, path, 0, 0), content_id)
        yield store


def _word_scores(store: Store, caption: str, rows: Mapping[bytes, int]) -> FloatMatrix:
    """The score of each photo by its words, float32 [n]; 0 where it is too low to be a hit by them."""
    models = [model_id for model_id, _ in store.model_rows()]
    channel = WordChannel(store, [Term("text", caption)], Filters(), models)
    scores = np.zeros(len(rows), np.float32)
    found = [place.item_id for place in channel.best(len(rows)).places]
    for source in store.word_sources(found, Filters()) if found else ():
        scores[rows[source.path]] = told_by_words(channel.match(source).score)
    return scores
