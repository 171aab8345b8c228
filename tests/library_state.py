"""What a library holds, in a form that can be compared with what another one holds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmsearch import Library, Query
from mmsearch.searching.query import text_term

QUERIES = ("a cat", "a cup of coffee", "income tax", "a dark and stormy night")


def everything(library: Library) -> dict[str, bool]:
    """All files of the library, by name, and whether they are there: asked of a search that nothing escapes."""
    hits = library.search(Query((text_term("anything"),), limit=10_000, min_score=0.0)).hits
    return {os.path.basename(hit.path): hit.available for hit in hits}


@dataclass(frozen=True)
class HeldFile:
    """A file's content and items, and their vectors, float32 [items, dimension]."""

    digest: bytes
    items: tuple[tuple[object, ...], ...]
    vectors: npt.NDArray[np.float32]


def held_files(folder: Path) -> dict[bytes, HeldFile]:
    """All files of the library by path. A path that is there twice, or an item without a vector, is an error."""
    with closing(sqlite3.connect(f"{folder.as_uri()}/library.db?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            """SELECT files.path, contents.id, contents.digest FROM files JOIN contents ON contents.id = content_id"""
        ).fetchall()
        found: dict[bytes, HeldFile] = {}
        for path, content_id, digest in rows:
            assert path not in found
            items = connection.execute(
                """SELECT modality, start, "end", line, text, vector FROM items LEFT JOIN vectors ON item_id = items.id
                   WHERE content_id = ? ORDER BY start""",
                (content_id,),
            ).fetchall()
            assert items, path
            matrix = np.stack([np.frombuffer(item[-1], "<f2") for item in items]).astype(np.float32)
            found[path] = HeldFile(digest, tuple(item[:-1] for item in items), matrix)
    return found


def answers(folder: Path) -> list[Mapping[str, float]]:
    """For some queries, what is found, and how near it is."""
    with Library(folder) as library:
        asked: Sequence[Query] = [Query((text_term(query),), limit=10_000, min_score=0.0) for query in QUERIES]
        return [{hit.path: hit.similarity for hit in result.hits} for result in library.search_many(asked)]


def assert_same(folder: Path, fresh: Path) -> None:
    """Both libraries hold the same files with the same items and vectors, and give the same answers."""
    ours, theirs = held_files(folder), held_files(fresh)
    assert sorted(ours) == sorted(theirs)
    for path, file in theirs.items():
        assert (ours[path].digest, ours[path].items) == (file.digest, file.items), os.fsdecode(path)
        np.testing.assert_allclose(ours[path].vectors, file.vectors, atol=4e-3, err_msg=os.fsdecode(path))
    for found, expected in zip(answers(folder), answers(fresh), strict=True):
        assert found.keys() == expected.keys()
        for name, similarity in expected.items():
            assert abs(found[name] - similarity) < 4e-3, name


def assert_like_a_fresh_one(library: Library, roots: Sequence[Path], fresh: Path) -> None:
    """The library holds what a new one would hold that is made of the same folders now."""
    library.close()
    with Library(fresh) as new:
        new.index(roots)
    assert_same(Path(library.folder), fresh)
    assert library.care.examine().sound
    library.close()
