"""Groups of photos by what they show: spherical k-means over their vectors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Invalid
from mmsearch.nearest.k_means import moved_centres, nearest_centres
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import VectorRows, as_float32, blocks_after, places_in
from mmsearch.records import Filters, FloatMatrix, FoundItem, HalfMatrix, ItemIds, Progress
from mmsearch.searching.album_names import album_names, vectors_of_names
from mmsearch.searching.cluster_names import named, root_of, typical_words, words_of_file
from mmsearch.searching.shown_names import FEWEST_OF_ONE, MOST_PHOTOS, shown_names
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store

MOST_CLUSTERS = 1_000
# The centres are found among so many photos, drawn with the same dice each time.
_SAMPLE_ROWS, _ROUNDS, _SEED = 20_000, 50, 1
# Files are described so many at a time.
_AT_ONCE = 500


@dataclass(frozen=True)
class Cluster:
    """Photos that show something alike. `cohesion` is the mean cosine with their centre, 1 where all are the same.

    `name` are up to three words or phrases for them: what is typical of their files' names, folders, keywords and
    places, and what they show; none where nothing is near.
    `photos` are the paths of the most central ones, and `others` those of the rest, each as near as it comes.
    """

    name: tuple[str, ...]
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


@dataclass(frozen=True)
class ClustersRequest:
    """At most `count` clusters of the photos that pass the filters, each with its `central` photos first."""

    filters: Filters = field(default_factory=Filters)
    count: int = 10
    central: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_CLUSTERS:
            raise Invalid(f"The number of clusters is {self.count}; it must be 1 to {MOST_CLUSTERS:,}.")
        if self.central < 1:
            raise Invalid(f"The number of photos that stand for a cluster is {self.central}; it must be 1 or more.")


def clusters_in(
    place: Place,
    store: Store,
    in_use: ModelInUse,
    request: ClustersRequest,
    open_encoder: Callable[[], Encoder],
    on_progress: Callable[[Progress], None],
) -> Clusters:
    """The clusters of the photos in the library; a model is opened where its words are not known yet."""
    started, filters, central = time.perf_counter(), request.filters, request.central
    rows = _rows(store, in_use, filters)
    files = _files(store, rows, filters)
    paths = {item_id: os.fsdecode(item.path) for item_id, item in files.items()}
    found: list[Cluster] = []
    order = _places_by_path(rows, files)
    nearest, cosines = nearest_centres(rows.vectors, _centres(rows.vectors, order, request.count))
    groups = [order[nearest[order] == number] for number in np.unique(nearest).tolist()]
    names: list[tuple[str, ...]] = []
    if groups:
        album = album_names()
        vectors = vectors_of_names(album.names, place.folder, in_use.space("image"), open_encoder, on_progress)
        shown = shown_names(album, vectors, *_some_of_each(rows, groups))
        typical = _typical(store, rows, files, groups)
        names = [named(of_files, of_photos) for of_files, of_photos in zip(typical, shown, strict=True)]
    for members, name in zip(groups, names, strict=True):
        members = members[np.argsort(-cosines[members], kind="stable")]
        photos = tuple(paths[int(item_id)] for item_id in rows.item_ids[members] if int(item_id) in paths)
        cohesion = float(cosines[members].mean())
        found.append(Cluster(name, len(photos), cohesion, photos[:central], photos[central:]))
    found.sort(key=lambda one: (-one.size, os.fsencode(one.photos[0])))
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Clusters(place.location, in_use.identity.label, filters, elapsed_ms, len(paths), tuple(found))


def _rows(store: Store, in_use: ModelInUse, filters: Filters) -> VectorRows:
    """The vectors of the pictures that pass the filters."""
    space = in_use.space("image")
    wanted = store.matching_items(replace(filters, medium="image"), space.model_id, space.modality, with_pages=False)
    parts = [VectorRows(wanted[:0], np.empty((0, space.identity.dimension), np.float16))]
    parts += [block.of_items(wanted[places_in(block.item_ids, wanted)[1]]) for block in blocks_after(store, space, 0)]
    return VectorRows.together(parts)


def _files(store: Store, rows: VectorRows, filters: Filters) -> dict[int, FoundItem]:
    """The first file of each item, by path."""
    found: dict[int, FoundItem] = {}
    for start in range(0, len(rows.item_ids), _AT_ONCE):
        items = store.found_items(rows.item_ids[start : start + _AT_ONCE].tolist(), replace(filters, medium="image"))
        found.update((item.item_id, item) for item in sorted(items, key=lambda item: item.path, reverse=True))
    return found


def _places_by_path(rows: VectorRows, files: Mapping[int, FoundItem]) -> ItemIds:
    """The places of the rows in an order that does not depend on which photo was indexed first, and by whom."""
    paths = [files[item_id].path if item_id in files else b"" for item_id in rows.item_ids.tolist()]
    return np.array(sorted(range(len(paths)), key=paths.__getitem__), np.int64)


def _some_of_each(rows: VectorRows, groups: Sequence[ItemIds]) -> tuple[list[FloatMatrix], list[int]]:
    """Vectors of photos at those places of the rows, float32, spread over each group, and how many there are."""
    most = max(MOST_PHOTOS // len(groups), FEWEST_OF_ONE)
    return [as_float32(rows.vectors[one[:: -(-len(one) // most)]]) for one in groups], [len(one) for one in groups]


def _typical(
    store: Store, rows: VectorRows, files: Mapping[int, FoundItem], groups: Sequence[ItemIds]
) -> list[list[str]]:
    """The words that are typical of the files of the photos at those places of the rows."""
    roots = [root.path for root in store.roots()]
    words = {item_id: words_of_file(item, root_of(roots, item.path)) for item_id, item in files.items()}
    nothing: frozenset[str] = frozenset()
    return typical_words([[words.get(item_id, nothing) for item_id in rows.item_ids[one].tolist()] for one in groups])


def _centres(vectors: HalfMatrix, order: ItemIds, count: int) -> FloatMatrix:
    """Unit centres, float32 [count, d] or fewer, of the vectors in that order, begun apart (k-means++; Arthur and
    Vassilvitskii, 2007).
    """
    chance = np.random.default_rng(_SEED)
    sample = as_float32(vectors[order[np.sort(chance.permutation(len(vectors))[:_SAMPLE_ROWS])]])
    centres: list[FloatMatrix] = []
    away = np.ones(len(sample))
    while len(centres) < count and away.sum() > 1e-3:
        centres.append(sample[chance.choice(len(sample), p=away / away.sum())])
        away = np.minimum(away, np.clip(1 - sample @ centres[-1], 0, None))
    if not centres:
        return np.zeros((1, vectors.shape[1]), np.float32)
    return moved_centres(sample, np.stack(centres), _ROUNDS)
