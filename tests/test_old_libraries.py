"""Libraries that older code made (tests/data/libraries) are opened by today's, which loses nothing of them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mmsearch import Filters, Library, MmsearchError, Query, Term
from mmsearch.store.sqlite.schema import SCHEMA_VERSION

LIBRARIES = Path(__file__).parent / "data" / "libraries"
# By schema, what the code that made the library answered itself.
EXPECTED: dict[int, Any] = {
    int(schema): answers for schema, answers in json.loads((LIBRARIES / "expected.json").read_text("utf-8")).items()
}
# What a file, its passages and their vectors are, in columns that every schema has.
HELD = (
    "SELECT id, path, rules, added, changed FROM roots ORDER BY id",
    "SELECT id, path, extension, root_id, content_id, size, mtime_ns FROM files ORDER BY id",
    "SELECT id, digest, medium, bytes, width, height, taken, encoding FROM contents ORDER BY id",
    'SELECT id, content_id, model_id, modality, start, "end", line, text FROM items ORDER BY id',
    "SELECT item_id, vector FROM vectors ORDER BY item_id",
    "SELECT id, name, revision, dimension, fingerprint, added FROM models ORDER BY id",
    "SELECT path, root_id, size, mtime_ns, reason, noted FROM failures ORDER BY path",
)


@pytest.fixture(params=sorted(EXPECTED), ids=lambda schema: f"schema {schema}")
def schema(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old(schema: int, tmp_path: Path) -> Path:
    """The folder of a library of that schema, of which only the database was kept."""
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copyfile(LIBRARIES / f"schema-{schema}.db", folder / "library.db")
    return folder


@pytest.fixture(scope="module")
def todays_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The label of the model that a new library gets, such as mmsearch-mini@2."""
    notes = tmp_path_factory.mktemp("notes")
    (notes / "ships.txt").write_text("A text about ships.")
    with Library(tmp_path_factory.mktemp("new") / "library") as library:
        library.index([notes])
        return library.status().model


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def held(folder: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        return [connection.execute(query).fetchall() for query in HELD]


def test_there_is_a_library_of_every_schema_there_was() -> None:
    assert set(range(1, SCHEMA_VERSION)) <= set(EXPECTED)


def test_it_is_brought_up_to_date_when_it_is_opened(old: Path, schema: int) -> None:
    assert version(old) == schema
    with Library(old) as library:
        library.status()
    assert version(old) == SCHEMA_VERSION
    assert not (old / "library.db-before-upgrade").exists()


def test_its_status_is_what_it_was(old: Path, schema: int) -> None:
    expected = EXPECTED[schema]
    with Library(old) as library:
        status = library.status()
    counted = status.counts
    counts = {
        "files": sum(root.files for root in status.roots),
        "images": counted.images,
        "texts": counted.texts,
        "contents": counted.contents,
        "items": counted.items,
        "failures": counted.failures,
    }
    assert counts == expected["counts"]
    assert status.model == expected["model"]
    assert [root.path for root in status.roots] == [b"/tmp/mmsearch-fixture/Pictures"]
    failures = [[os.fsdecode(os.path.basename(failure.path)), failure.reason] for failure in status.failures]
    assert failures == expected["failures"]
    assert not status.interrupted


def test_its_files_passages_and_vectors_are_kept_as_they_are(old: Path) -> None:
    before = held(old)
    with Library(old) as library:
        library.status()
    assert held(old) == before


def test_a_search_finds_what_it_found_or_says_that_the_model_is_another(
    old: Path, schema: int, todays_model: str
) -> None:
    expected = EXPECTED[schema]
    with Library(old) as library:
        for asked in expected["searches"]:
            query = Query((Term("text", asked["query"]),), Filters(asked["type"]), limit=20, min_score=0, copies=True)
            if expected["model"] != todays_model:
                with pytest.raises(MmsearchError) as told:
                    library.search(query)
                assert f"indexed with {expected['model']} and the installed model is {todays_model}" in str(told.value)
                continue
            hits = library.search(query).hits
            assert [os.path.basename(hit.path) for hit in hits] == [name for name, _ in asked["hits"]]
            similarities = [similarity for _, similarity in asked["hits"]]
            # The vector of a text in eight bits differs by so much between onnxruntime 1.23, of Python 3.10, and 1.32.
            assert [hit.similarity for hit in hits] == pytest.approx(similarities, abs=0.003)


def test_nothing_is_wrong_with_it(old: Path) -> None:
    with Library(old) as library:
        assert library.care.examine().findings == ()
