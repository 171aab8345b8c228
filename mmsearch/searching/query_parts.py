"""The parts of a query of words and a picture, each by itself: how near the nearest pictures lie to either."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mmsearch.nearest.vectors import SpaceQuery
from mmsearch.searching.channels import LibraryState
from mmsearch.searching.presence import Presence
from mmsearch.searching.query import Query
from mmsearch.searching.query_images import QueryImages
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.store.protocol import Store

# What is nearest with a picture of each of these weights is looked at, so many pictures of each.
_WEIGHTS = (0.25, 1.0, 4.0)
_NEAREST = 50


class PartsNear(NamedTuple):
    """The cosines of a picture with the words of a query, corrected for hubs, and with its picture."""

    by_words: float
    by_picture: float


def parts_near(
    store: Store, state: LibraryState, presence: Presence, query: Query, vectors: Mapping[int, QueryVector]
) -> list[tuple[str, PartsNear]]:
    """The nearest pictures, by path, to a query of one text and one picture, whatever these weigh beside one another.

    What the query asks with is none of them.
    """
    images = QueryImages(query.terms, presence, frozenset())
    found: dict[str, PartsNear] = {}
    for channel, filters in state.asked_channels(query.filters):
        of_model = vectors.get(channel.in_use.model_id)
        if of_model is None or channel.modality != "image":
            continue
        terms = {term.modality: term.vector for term in of_model.terms}
        words, picture = terms["text"], terms["image"]
        near: set[int] = set()
        for weight in _WEIGHTS:
            total = words + weight * picture
            length = float(np.linalg.norm(total))
            ranking, _ = channel.gallery.ranking_among(
                store, SpaceQuery((total / length).astype(np.float32), 1 / length), filters, False
            )
            near.update(ranking(_NEAREST).item_ids.tolist())
        item_ids = np.array(sorted(near), np.int64)
        by_words = channel.gallery.compared(store, item_ids, words, 1.0)
        by_picture = channel.gallery.compared(store, item_ids, picture, 0.0)
        to_words = dict(zip(by_words.item_ids.tolist(), by_words.corrected.tolist(), strict=True))
        to_picture = dict(zip(by_picture.item_ids.tolist(), by_picture.corrected.tolist(), strict=True))
        for item_id, path, size, _ in store.places_of(to_words, query.filters):
            if not (images.may_be(size) and images.among({path})):
                found[os.fsdecode(path)] = PartsNear(to_words[item_id], to_picture[item_id])
    return list(found.items())
