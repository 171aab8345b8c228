"""What a person says of hits → a query that lies nearer to some and further from others.

Rocchio's formula ("Relevance feedback in information retrieval", in Salton (ed.), The SMART Retrieval System, 1971) on
unit vectors: `q' = a q + b mean(like) - c mean(unlike)`, with the weights that Manning, Raghavan and Schütze give as
reasonable ("Introduction to Information Retrieval", 2008, 9.1.1). Where nothing is asked besides, a is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import rows_of
from mmsearch.records import FloatMatrix, Modality
from mmsearch.searching.query import Query
from mmsearch.searching.weighted_terms import QueryVector, WeightedTerm
from mmsearch.store.protocol import Store

ASKED, LIKED, UNLIKED = 1.0, 0.75, 0.15


class _Judged(NamedTuple):
    """A unit vector, float32 [dimension], for what a file holds of one modality, and its share of that file."""

    modality: Modality
    vector: FloatMatrix
    share: float


def with_feedback(store: Store, in_use: ModelInUse, query: Query, asked: QueryVector | None) -> QueryVector | None:
    """The query's vector in the space of a model, moved by what is liked and not; `asked` is that of its terms.

    None where nothing of what is liked has a vector of that model, and nothing else is asked.

    Raises:
        Invalid: all cancels out.
    """
    terms: list[WeightedTerm] = []
    if asked is not None:
        terms += [WeightedTerm(one.modality, ASKED * one.weight, one.vector) for one in asked.terms]
    for ids, weight in ((query.like, LIKED), (query.unlike, -UNLIKED)):
        contents = [judged for judged in (_judged(store, in_use, bytes.fromhex(one)) for one in ids) if judged]
        for content in contents:
            terms += [WeightedTerm(one.modality, weight * one.share / len(contents), one.vector) for one in content]
    if not any(term.weight > 0 for term in terms):
        return None
    return QueryVector.summed(terms, "What is asked and what is disliked cancel each other out; leave one of them out.")


def _judged(store: Store, in_use: ModelInUse, digest: bytes) -> Sequence[_Judged]:
    """A content as the mean of its items, by modality; nothing where that model has none of it."""
    found: list[_Judged] = []
    items = store.items_of_content(digest, in_use.model_id)
    count = sum(len(item_ids) for item_ids in items.values())
    for modality, item_ids in items.items():
        vectors = rows_of(store, in_use.space(modality), item_ids).vectors.astype(np.float32)
        mean = vectors.mean(axis=0)
        length = float(np.linalg.norm(mean))
        if length:
            found.append(_Judged(modality, mean / length, len(item_ids) / count))
    return found
