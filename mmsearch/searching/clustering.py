"""Groups of photos by what they show: spherical k-means over their vectors."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace

import numpy as np

from mmsearch.errors import Invalid
from mmsearch.nearest.k_means import moved_centres, nearest_centres
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import VectorRows, as_float32, blocks_after, places_in
from mmsearch.records import Filters, FloatMatrix, HalfMatrix
from mmsearch.store.sqlite.store import SqliteStore

MOST_CLUSTERS = 1_000
# The centres are found among so many photos, drawn with the same dice each time.
_SAMPLE_ROWS, _ROUNDS, _SEED = 20_000, 50, 1


@dataclass(frozen=True)
class Cluster:
    """Photos that show something alike. `cohesion` is the mean cosine with their centre, 1 where all are the same.

    `photos` are the paths of the most central ones, and `others` those of the rest, each as near as it comes.
    """

    size: int
    cohesion: float = field(metadata={"digits": 4})
    photos: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Clusters:
    """The clusters of some photos, the largest first; `total` counts the photos, of copies one."""

    library: str
    model: str
    filters: Filters
    elapsed_ms: float = field(metadata={"digits": 1})
    total: int
    clusters: tuple[Cluster, ...]


def clusters_in(
    folder: str, store: SqliteStore, in_use: ModelInUse, filters: Filters, count: int, central: int
) -> Clusters:
    """At most `count` clusters of the photos in the library `folder` that pass the filters, each with `central` photos.

    Raises:
        Invalid: a number is out of range.
    """
    if not 1 <= count <= MOST_CLUSTERS:
        raise Invalid(f"The number of clusters is {count}; it must be 1 to {MOST_CLUSTERS:,}.")
    if central < 1:
        raise Invalid(f"The number of photos that stand for a cluster is {central}; it must be 1 or more.")
    started = time.perf_counter()
    rows = _rows(store, in_use, filters)
    paths = _paths(store, rows, filters)
    found: list[Cluster] = []
    nearest, cosines = nearest_centres(rows.vectors, _centres(rows.vectors, count))
    for number in np.unique(nearest).tolist():
        members = np.flatnonzero(nearest == number)
        members = members[np.argsort(-cosines[members], kind="stable")]
        named = tuple(paths[int(item_id)] for item_id in rows.item_ids[members] if int(item_id) in paths)
        cohesion = float(cosines[members].mean())
        found.append(Cluster(len(named), cohesion, named[:central], named[central:]))
    found.sort(key=lambda one: (-one.size, os.fsencode(one.photos[0])))
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Clusters(folder, in_use.identity.label, filters, elapsed_ms, len(paths), tuple(found))


def _rows(store: SqliteStore, in_use: ModelInUse, filters: Filters) -> VectorRows:
    """The vectors of the pictures that pass the filters."""
    space = in_use.space("image")
    wanted = store.matching_items(replace(filters, medium="image"), space.model_id, space.modality)
    parts = [VectorRows(wanted[:0], np.empty((0, space.identity.dimension), np.float16))]
    parts += [block.of_items(wanted[places_in(block.item_ids, wanted)[1]]) for block in blocks_after(store, space, 0)]
    return VectorRows.together(parts)


def _paths(store: SqliteStore, rows: VectorRows, filters: Filters) -> dict[int, str]:
    """The first path of each item."""
    places = store.places_of(rows.item_ids.tolist(), replace(filters, medium="image"))
    return {item_id: os.fsdecode(path) for item_id, path, *_ in sorted(places, reverse=True)}


def _centres(vectors: HalfMatrix, count: int) -> FloatMatrix:
    """Unit centres, float32 [count, d] or fewer, begun apart (k-means++; Arthur and Vassilvitskii, 2007)."""
    chance = np.random.default_rng(_SEED)
    sample = as_float32(vectors[np.sort(chance.permutation(len(vectors))[:_SAMPLE_ROWS])])
    centres: list[FloatMatrix] = []
    away = np.ones(len(sample))
    while len(centres) < count and away.sum() > 1e-3:
        centres.append(sample[chance.choice(len(sample), p=away / away.sum())])
        away = np.minimum(away, np.clip(1 - sample @ centres[-1], 0, None))
    if not centres:
        return np.zeros((1, vectors.shape[1]), np.float32)
    return moved_centres(sample, np.stack(centres), _ROUNDS)
