"""The same words are searched again and again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch

from mmsearch import Library
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.records import ModelIdentity
from mmsearch.searching.cache import MOST_QUERIES, QUERY_CACHE_NAME, QueryCache


@pytest.fixture
def own(own: Path) -> Path:
    """A library in which nothing was searched yet."""
    (own / QUERY_CACHE_NAME).unlink(missing_ok=True)
    return own


def test_it_gives_the_very_same_answer_without_the_model(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Library(own).search("a cat on a sofa")

    def refuse(*_: object) -> None:
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(BuiltinEncoder, "_encode_texts", refuse)
    assert Library(own).search("a cat on a sofa").hits == first.hits
    with pytest.raises(AssertionError):
        Library(own).search("a cat on a chair")


def test_the_words_themselves_are_not_kept(own: Path) -> None:
    Library(own).search("letters to my lawyer")
    assert b"lawyer" not in (own / QUERY_CACHE_NAME).read_bytes()


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 1000, None])
def test_a_damaged_cache_changes_no_answer(own: Path, damage: bytes | None) -> None:
    first = Library(own).search("a cat on a sofa").hits
    path = own / QUERY_CACHE_NAME
    content = bytearray(path.read_bytes())
    content[-200] ^= 1  # within the vector
    path.write_bytes(content if damage is None else damage)
    assert Library(own).search("a cat on a sofa").hits == first
    assert Library(own).search("a cat on a sofa").hits == first


def test_a_key_that_leads_to_the_vector_of_another_text_is_noticed(own: Path) -> None:
    with Library(own) as library:
        first = library.search("a cat on a sofa").hits
        library.search("a cup of coffee")
    with closing(sqlite3.connect(own / QUERY_CACHE_NAME)) as connection, connection:
        (one, other) = (row[0] for row in connection.execute("SELECT key FROM queries ORDER BY id").fetchall())
        connection.execute("UPDATE queries SET key = ? WHERE key = ?", (b"-", one))
        connection.execute("UPDATE queries SET key = ? WHERE key = ?", (one, other))
    assert Library(own).search("a cat on a sofa").hits == first


def test_a_library_that_cannot_be_written_is_searched_all_the_same(own: Path, mmsearch: Mmsearch) -> None:
    own.chmod(0o555)
    try:
        done = mmsearch("search", "a cat on a sofa", "--paths", library=own, as_anybody=True)
    finally:
        own.chmod(0o755)
    assert (done.code, done.err) == (0, "")
    assert not (own / QUERY_CACHE_NAME).exists()


@pytest.mark.slow
def test_models_do_not_share_vectors_and_old_queries_are_dropped(tmp_path: Path) -> None:
    one = QueryCache(str(tmp_path), ModelIdentity("one", "1", 4, "a" * 32))
    other = QueryCache(str(tmp_path), ModelIdentity("other", "1", 4, "b" * 32))
    wider = QueryCache(str(tmp_path), ModelIdentity("one", "1", 5, "a" * 32))
    vector = np.array([1, 0, 0, 0], np.float32)
    one.put(("cat",), vector)
    found = one.get(("cat",))
    assert found is not None
    np.testing.assert_array_equal(found, vector)
    assert other.get(("cat",)) is None
    assert wider.get(("cat",)) is None
    for number in range(MOST_QUERIES):
        one.put((f"dog {number}",), vector)
    assert one.get(("cat",)) is None
    assert one.get(("dog 0",)) is not None
