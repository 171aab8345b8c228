"""What a library holds, in a form that can be compared with what another one holds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from library_places import rows_at, vectors_of

from mmsearch import Library, Query
from mmsearch.searching.query import text_term
from mmsearch.store.locations import is_url

QUERIES = ("a cat", "a cup of coffee", "income tax", "a dark and stormy night")


def everything(library: Library) -> dict[str, bool]:
    """All files of the library, by name, and whether they are there: asked of a search that nothing escapes."""
    hits = library.search(Query((text_term("anything"),), limit=10_000, min_score=0.0, copies=True)).hits
    return {os.path.basename(hit.path): hit.available for hit in hits}


def names(library: Library, folder: Path) -> list[str]:
    """The paths of all files, from that folder on, in order."""
    return sorted(os.fsdecode(path)[len(str(folder)) + 1 :] for path in held_files(Path(library.folder)))


def failures(library: Library) -> dict[str, str]:
    """The names of files that could not be taken, and why."""
    return {os.path.basename(os.fsdecode(one.path)): one.reason for one in library.status().failures}


@dataclass(frozen=True)
class HeldFile:
    """A file's content and items, and their vectors, float32 [items, dimension]."""

    digest: bytes
    items: tuple[tuple[object, ...], ...]
    vectors: npt.NDArray[np.float32]


def held_files(location: Path | str) -> dict[bytes, HeldFile]:
    """All files of the library by path. A path that is there twice, or an item without a vector, is an error."""
    items: dict[int, list[tuple[object, ...]]] = {}
    for content_id, *item in rows_at(
        str(location),
        """SELECT content_id, items.modality, start, "end", line, text, vector FROM items
           LEFT JOIN vectors ON item_id = items.id ORDER BY items.model_id, ordinal""",
    ):
        items.setdefault(content_id, []).append(tuple(item))
    found: dict[bytes, HeldFile] = {}
    for path, content_id, digest in rows_at(
        str(location), "SELECT path, contents.id, digest FROM files JOIN contents ON contents.id = content_id"
    ):
        assert path not in found
        assert content_id in items, path
        assert all(item[-1] is not None for item in items[content_id]), path
        matrix = vectors_of([item[-1] for item in items[content_id]])
        found[path] = HeldFile(digest, tuple(item[:-1] for item in items[content_id]), matrix)
    return found


def answers(location: Path | str) -> list[Mapping[str, float]]:
    """For some queries, what is found, and how near it is."""
    with Library(location) as library:
        terms = [text_term(query) for query in QUERIES]
        asked: Sequence[Query] = [Query((term,), limit=10_000, min_score=0.0, copies=True) for term in terms]
        return [{hit.path: hit.similarity for hit in result.hits} for result in library.search_many(asked)]


def assert_same(location: Path | str, fresh: Path) -> None:
    """Both libraries hold the same files with the same items and vectors, and give the same answers."""
    ours, theirs = held_files(location), held_files(fresh)
    assert sorted(ours) == sorted(theirs)
    for path, file in theirs.items():
        assert (ours[path].digest, ours[path].items) == (file.digest, file.items), os.fsdecode(path)
        np.testing.assert_allclose(ours[path].vectors, file.vectors, atol=4e-3, err_msg=os.fsdecode(path))
    for found, expected in zip(answers(location), answers(fresh), strict=True):
        assert found.keys() == expected.keys()
        for name, similarity in expected.items():
            assert abs(found[name] - similarity) < 4e-3, name


def assert_like_a_fresh_one(library: Library, roots: Sequence[Path], fresh: Path) -> None:
    """The library, wherever it is kept, holds what a new one in a folder would that is made of the same folders now."""
    library.close()
    with Library(fresh) as new:
        new.index(roots)
    assert_same(library.given, fresh)
    if not is_url(library.given):  # a server looks after its pages itself
        assert library.care.examine().sound
    library.close()
