"""A library of any number of photos without the photos: vectors grown from those of real ones, and real entries.

    python -m benchmarks.large_library FOLDER --rows 1000000 --photos ~/Pictures

Each vector is a mixture of those of two real photos with some noise, so that there are as many directions as in real
libraries, and many rows lie near to each other, as they do in those. Queries are real texts.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mmsearch import Library
from mmsearch.indexing.run import IndexSettings
from mmsearch.models.opening import open_encoder
from mmsearch.nearest.vectors import StoredVectors, VectorRows
from mmsearch.reading import UnreadableFile, picture_in
from mmsearch.records import FloatMatrix, ItemIds
from mmsearch.store.models import searched_model
from mmsearch.store.sqlite.signing import sign_vectors
from mmsearch.store.sqlite.store import SqliteStore

NOISE = 0.3
PHOTOS_AT_ONCE = 8
FILES_A_TRANSACTION = 20_000
_SCENE = (
    ("a photo of", "two people with", "an old picture of", "a close-up of", "children and", "a drawing of"),
    ("a dog", "a red car", "a sailing boat", "a birthday cake", "a church", "a bicycle", "a horse", "a white cat",
     "mountains", "a plate of pasta", "a guitar", "a bridge", "flowers", "a train", "an elephant", "a football game"),
    ("on the beach", "in the snow", "at night", "in a garden", "by the river", "in a kitchen", "in the city",
     "under a blue sky", "on a table", "in the forest", "at sunset", "in a museum"),
)  # fmt: skip
ENDINGS = (b"jpg", b"jpg", b"jpg", b"png", b"heic")
AWAY = b"/photos"
SIZE = 3_500_000


def photos_of(folder: Path, most: int) -> list[bytes]:
    found = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    endings = (".jpg", ".jpeg", ".png", ".webp")
    return [os.fsencode(path) for path in sorted(found) if path.lower().endswith(endings)][:most]


def vectors_of_photos(folder: Path, most: int = 5_000) -> FloatMatrix:
    """Unit vectors of the built-in model, float32 [n, d]."""
    encoder = open_encoder()

    def encode(paths: list[bytes]) -> FloatMatrix:
        pictures = []
        for path in paths:
            try:
                picture = picture_in(path, encoder.image_side)
            except (UnreadableFile, OSError):
                continue
            if picture is not None:
                pictures.append(picture)
        return encoder.encode("image", pictures)

    paths = photos_of(folder, most)
    batches = [paths[start : start + PHOTOS_AT_ONCE] for start in range(0, len(paths), PHOTOS_AT_ONCE)]
    with ThreadPoolExecutor() as executor:
        return np.unique(np.concatenate(list(executor.map(encode, batches))), axis=0)


def texts_of(count: int) -> list[str]:
    """That many short descriptions of scenes."""
    chance = random.Random(0)
    return [" ".join(chance.choice(part) for part in _SCENE) for _ in range(count)]


def queries_of(count: int) -> FloatMatrix:
    """Unit vectors of that many short descriptions of scenes, float32 [count, d]."""
    texts = texts_of(count)
    return open_encoder().encode("text", texts)


def grown(vectors: FloatMatrix, rows: int, at_once: int = FILES_A_TRANSACTION) -> Iterator[FloatMatrix]:
    """Unit vectors, float32, so many in all, a part at a time."""
    chance = np.random.default_rng(0)
    for start in range(0, rows, at_once):
        count = min(at_once, rows - start)
        one, other = (vectors[chance.integers(len(vectors), size=count)] for _ in range(2))
        share = chance.uniform(0, 0.5, (count, 1))
        mixed = one * (1 - share) + other * share
        mixed += chance.normal(0, NOISE / np.sqrt(vectors.shape[1]), mixed.shape)
        yield (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def make_library(folder: Path, vectors: FloatMatrix, rows: int, graph: bool | None = None, root: bytes = AWAY) -> None:
    """A library in that folder that holds `rows` photos below `root`, as an index run would have left it."""
    place = folder / "seed"
    place.mkdir(parents=True)
    (place / "note.txt").write_text("A note, so that there is a text too.")
    with Library(folder) as library:
        library.index([place], settings=IndexSettings(graph=graph))
        fill(folder, vectors, rows, root)
        library.index([place])


def fill(folder: Path, vectors: FloatMatrix, rows: int, root: bytes = AWAY) -> None:
    """Puts so many photos into the library; no run looks for their files where `root` is not there."""
    store = SqliteStore.write(str(folder))
    execute = store.connection.execute
    model = searched_model(store)
    assert model is not None
    with store.transaction():
        root_id = store.put_root(root, "{}").id
        execute("INSERT OR IGNORE INTO spaces (model_id, modality, medium) VALUES (?, 'image', 'image')", (model.id,))
    first = execute("SELECT max(id) FROM items").fetchone()[0] + 1
    for part in grown(vectors, rows):
        numbers = range(first, first + len(part))
        first += len(part)
        with store.transaction():
            many = store.connection.executemany
            many(
                """INSERT INTO contents (id, digest, medium, bytes, width, height)
                   VALUES (?, ?, 'image', ?, 4000, 3000)""",
                ((n, digest_of(n), SIZE) for n in numbers),
            )
            many(
                """INSERT INTO files (path, extension, root_id, content_id, size, mtime_ns)
                   VALUES (?, ?, ?, ?, ?, ?)""",
                ((path_of(n, root), "." + ENDINGS[n % 5].decode(), root_id, n, SIZE, modified(n)) for n in numbers),
            )
            many(
                "INSERT INTO items (id, content_id, model_id, modality, last) VALUES (?, ?, ?, 'image', 1)",
                ((n, n, model.id) for n in numbers),
            )
            many(
                "INSERT INTO vectors (item_id, vector) VALUES (?, ?)",
                zip(numbers, (row.tobytes() for row in part.astype("<f2")), strict=True),
            )
    with store.transaction():
        sign_vectors(store.connection)  # vectors, which no trigger signs
    execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def path_of(number: int, root: bytes = AWAY) -> bytes:
    return b"%s/%d/%d/IMG_%07d.%s" % (root, 2005 + number % 20, number % 12 + 1, number, ENDINGS[number % 5])


def digest_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def modified(number: int) -> int:
    """Ten minutes from one photo to the next, from the end of 2004 on; nanoseconds."""
    return 1_100_000_000_000_000_000 + number * 600_000_000_000


def exact_best(
    vectors: StoredVectors, queries: FloatMatrix, among: ItemIds | None = None, by_text: float = 0.0
) -> list[set[int]]:
    """For each query, float32 [q, d], the ids of the ten items of the highest cosines, in one pass over all vectors.

    For as much of the queries as are texts hubs are corrected.
    """
    best = np.empty((0, len(queries)), np.float32)
    ids = np.empty((0, len(queries)), np.int64)
    for block in vectors.blocks():
        rows = block if among is None else _rows_among(block, among)
        assert rows.numbers is not None
        cosines = rows.cosines(queries) + np.float32(by_text) * rows.numbers.astype(np.float32)[:, np.newaxis]
        best = np.concatenate([best, cosines])
        ids = np.concatenate([ids, np.repeat(rows.item_ids[:, np.newaxis], len(queries), axis=1)])
        if len(best) > 10:
            places = np.argpartition(-best, 9, axis=0)[:10]
            best, ids = np.take_along_axis(best, places, 0), np.take_along_axis(ids, places, 0)
    return [set(column.tolist()) for column in ids.T]


def _rows_among(block: VectorRows, among: ItemIds) -> VectorRows:
    assert block.numbers is not None
    is_wanted = np.isin(block.item_ids, among)
    return VectorRows(block.item_ids[is_wanted], block.vectors[is_wanted], block.numbers[is_wanted])


def main() -> None:
    """Makes one library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--graph", action="store_true")
    asked = parser.parse_args()
    make_library(asked.folder, vectors_of_photos(asked.photos), asked.rows, asked.graph or None)


if __name__ == "__main__":
    main()
