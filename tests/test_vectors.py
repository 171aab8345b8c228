"""Exact search, the graph, and derived files that are damaged, stale or strange."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsearch import Library, MmsearchError, Query
from mmsearch.library.access import Access
from mmsearch.nearest.hnsw import CHEAP_ROWS, is_stale
from mmsearch.nearest.vectors import BLOCK_ROWS, VectorRows
from mmsearch.records import Filters
from mmsearch.searching.query import text_term

Damage = Callable[[Path], object]


def unit_rows(count: int, dimension: int = 16, seed: int = 0) -> VectorRows:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return VectorRows(np.arange(count, dtype=np.int64) * 3 + 1, rows.astype(np.float16))


@pytest.mark.parametrize("count", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, 2 * BLOCK_ROWS + 7])
def test_cosines_are_those_of_a_plain_product(count: int) -> None:
    rows, queries = unit_rows(count), unit_rows(3, seed=1).vectors.astype(np.float32)
    expected = rows.vectors.astype(np.float64) @ queries.T.astype(np.float64)
    assert np.allclose(rows.cosines(queries), expected, atol=1e-5)


def test_a_small_graph_is_stale_at_once_and_a_large_one_by_share() -> None:
    assert not is_stale(100, 0, 0)
    assert is_stale(100, 1, 0)
    assert is_stale(100, 0, 1)
    assert not is_stale(10 * CHEAP_ROWS, CHEAP_ROWS, 0)
    assert is_stale(10 * CHEAP_ROWS, CHEAP_ROWS + 1, 0)
    assert is_stale(10 * CHEAP_ROWS, CHEAP_ROWS, 1)


def answers(folder: Path, scan: str = "exact") -> list[tuple[str, float]]:
    with Library(folder) as library:
        return [
            (hit.path, round(hit.score, 3))
            for words in ("a cat", "income tax", "a rocket")
            for hit in library.search(Query((text_term(words),), limit=50, min_score=0), scan=scan).hits  # type: ignore[arg-type]
        ]


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0x10
    path.write_bytes(content)


DAMAGES: dict[str, Damage] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "short": lambda path: path.write_bytes(path.read_bytes()[:10]),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "flipped first": lambda path: flip(path, 0.0),
    "flipped early": lambda path: flip(path, 0.02),
    "flipped middle": lambda path: flip(path, 0.5),
    "flipped last": lambda path: flip(path, 1.0),
    "garbage": lambda path: path.write_bytes(b"mmsearch" + b"\xff" * 500),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
}


@pytest.mark.parametrize("scan", ["exact", "codes", "graph"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_do_not_change_an_answer_and_are_made_again(
    indexed: Path, own: Path, photos: Path, damage: str, scan: str
) -> None:
    expected = answers(indexed, "exact")
    derived = sorted((own / "derived").iterdir())
    assert len(derived) == (6 if has_hnswlib() else 2)
    for path in derived:
        DAMAGES[damage](path)
    assert answers(own, scan) == expected
    Library(own).index([photos])
    assert answers(own, scan) == expected
    told: list[str] = []
    list(Library(own).search_many(["a cat"], on_trouble=told.append))
    assert told == []


def test_a_library_of_photographs_alone_has_sound_files_too(home: Path, tmp_path: Path) -> None:
    for note in (*home.glob("*.md"), *home.glob("*.txt")):
        note.unlink()
    with Library(tmp_path / "library") as library:
        library.index([home])
        told: list[str] = []
        searches = [library.search_many(["a cat"], scan="codes", on_trouble=told.append)]
        searches.append(library.search_many(["a cat"], scan="graph", on_trouble=told.append))
        assert [next(search).hits[0].path for search in searches] == [str(home / "cat.png")] * 2
    assert told == []


def has_hnswlib() -> bool:
    from mmsearch.nearest.hnsw import is_available

    return is_available()


def test_a_damaged_file_is_told_once(own: Path) -> None:
    for path in (own / "derived").glob("*.codes"):
        flip(path, 0.9)
    told: list[str] = []
    list(Library(own).search_many(["a cat", "a dog"], on_trouble=told.append))
    assert told == ["damaged: its checksum is wrong"]


def test_files_of_another_library_are_not_believed(own: Path, tmp_path: Path, home: Path) -> None:
    other = tmp_path / "other"
    with Library(other) as library:
        library.index([home])
    expected = answers(own)
    for path in (other / "derived").iterdir():
        shutil.copy(path, own / "derived" / path.name)
    assert answers(own) == expected
    assert answers(own, "graph") == expected


def test_files_of_another_state_of_the_library_are_not_believed(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    with Library(folder) as library:
        library.index([home])
    early = shutil.copytree(folder, tmp_path / "early")
    (home / "later.txt").write_text("The ferry leaves at noon.")
    with Library(folder) as library:
        library.index([home])
    shutil.rmtree(early / "derived")
    shutil.copytree(folder / "derived", early / "derived")
    (home / "later.txt").write_text("Bread is baked from flour.")
    with Library(early) as library:
        hits = library.search("a ferry").hits
        assert "later.txt" not in "".join(hit.path for hit in hits)
        library.index([home])
        assert library.search("baking bread").hits[0].path.endswith("later.txt")


@pytest.mark.slow
def test_the_graph_and_the_scan_agree(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("hnswlib")
    words = ["sea", "sun", "moon", "tree", "house", "dog", "bird", "train", "bread", "wine", "rain", "snow", "king"]
    for number, first in enumerate(words):
        text = "".join(f"The {first} and the {second} are number {number}.\n\n" * 12 for second in words)
        (home / f"{first}.txt").write_text(text)
    folder = tmp_path / "library"
    with Library(folder) as library:
        library.index([home])
        asked = [Query((text_term(f"a {word}"),), limit=5, min_score=0) for word in words]
        exact = list(library.search_many(asked, scan="exact"))
        graph = list(library.search_many(asked, scan="graph"))
        automatic = list(library.search_many(asked, scan="auto", graph_from_rows=1))
    shared = [
        len({hit.path for hit in one.hits} & {hit.path for hit in other.hits}) / 5
        for one, other in zip(exact, graph, strict=True)
    ]
    assert np.mean(shared) >= 0.97
    assert [one.hits for one in automatic] == [one.hits for one in graph]


def test_rows_newer_than_the_graph_are_found_beside_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hnswlib")
    folder = tmp_path / "library"
    with Library(folder) as library:
        library.index([home])
        monkeypatch.setattr(Access, "refresh", lambda *_: [])
        (home / "later.txt").write_text("The ferry leaves the harbour at noon.")
        (home / "tax.txt").unlink()
        library.index([home])
        searches = [library.search("a ferry in the harbour", scan=scan) for scan in ("exact", "codes", "graph")]
        for hits in (search.hits for search in searches):
            assert hits[0].path.endswith("later.txt")
            assert not any(hit.path.endswith("tax.txt") for hit in hits)


def test_the_graph_grows_and_shrinks_with_the_library(home: Path, tmp_path: Path) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    folder = tmp_path / "library"
    for number in range(12):
        (home / f"{number}.txt").write_text(f"Chapter {number}: the ship sails on day {number}.")
    with Library(folder) as library:
        library.index([home])
        for removed in (2, 5):
            (home / f"{removed}.txt").unlink()
            (home / f"new{removed}.txt").write_text(f"A new text in place of {removed}.")
            library.index([home])
            exact = library.search(Query((text_term("a ship"),), limit=50, min_score=0), scan="exact").hits
            graph = library.search(Query((text_term("a ship"),), limit=50, min_score=0), scan="graph").hits
            assert [hit.path for hit in graph] == [hit.path for hit in exact]
    graph_file = next((folder / "derived").glob("*-text.hnsw"))
    plain = hnswlib.Index(space="ip", dim=384)
    plain.load_index(str(graph_file))
    assert plain.element_count >= 14


def test_without_hnswlib_codes_are_searched(own: Path, indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)  # makes its import fail
    assert answers(own, "graph") == answers(indexed, "exact")
    shutil.rmtree(own / "derived")
    Library(own).index()
    assert not list((own / "derived").glob("*.hnsw"))
    assert answers(own, "graph") == answers(indexed, "exact")


def test_filters_work_with_the_graph(indexed: Path) -> None:
    query = Query((text_term("a cat"),), Filters(extensions=(".jpg",)), limit=50, min_score=0)
    exact = Library(indexed).search(query, scan="exact").hits
    assert Library(indexed).search(query, scan="graph").hits == exact
    assert len(exact) == 5


@pytest.fixture(scope="module")
def resident(indexed: Path) -> Library:
    return Library(indexed)


@settings(max_examples=30)
@given(
    taken=st.one_of(st.none(), st.datetimes(datetime(1990, 1, 1), datetime(9000, 1, 1))),
    limit=st.integers(1, 30),
)
def test_any_date_is_a_filter(resident: Library, taken: datetime | None, limit: int) -> None:
    query = Query((text_term("a cat"),), Filters(after=taken), limit, min_score=0)
    hits = resident.search(query).hits
    assert len(hits) <= limit
    assert all(taken is None or hit.modified >= taken.astimezone(timezone.utc).isoformat() for hit in hits)


def test_a_read_only_library_can_be_searched_and_not_written(mmsearch: Mmsearch, own: Path, photos: Path) -> None:
    expected = mmsearch("search", "a cat", "--paths", library=own).out
    for path in [*own.rglob("*"), own]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        found = mmsearch("search", "a cat", "--paths", library=own, as_anybody=True)
        refused = mmsearch("index", photos, library=own, as_anybody=True)
    finally:
        for path in [own, *own.rglob("*")]:
            path.chmod(0o755)
    assert (found.code, found.out, found.err) == (0, expected, "")
    assert refused.code == 2
    assert "cannot be written" in refused.err
    assert refused.err.count("\n") == 1


def test_a_library_that_may_not_be_read_is_one_sentence(mmsearch: Mmsearch, own: Path) -> None:
    for path in (own / "library.db", own):
        path.chmod(0)
        done = mmsearch("search", "a cat", library=own, as_anybody=True)
        assert done.code == 2
        assert "cannot be read" in done.err
        path.chmod(0o755)


def test_the_store_is_plain_sqlite(own: Path) -> None:
    with sqlite3.connect(own / "library.db") as connection:
        rows = connection.execute("SELECT path, medium FROM readable_files ORDER BY path").fetchall()
        vector = connection.execute("SELECT vector FROM vectors LIMIT 1").fetchone()[0]
    assert len(rows) == 18
    assert rows[0][0].endswith("/notes/coffee.md")
    assert np.linalg.norm(np.frombuffer(vector, "<f2").astype(np.float32)) == pytest.approx(1, abs=1e-2)


def test_closing_twice_and_using_again(indexed: Path) -> None:
    library = Library(indexed)
    library.close()
    assert library.search("a cat").hits
    library.close()
    assert library.search("a cat").hits
    with pytest.raises(MmsearchError):
        Library(indexed / "nowhere").search("a cat")
