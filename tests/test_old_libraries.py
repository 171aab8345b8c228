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
from mmsearch.encoding import builtin_files
from mmsearch.models.revisions import newest_revision, revision_names
from mmsearch.records import BUILTIN_MODEL
from mmsearch.store.sqlite.schema import SCHEMA_VERSION

LIBRARIES = Path(__file__).parent / "data" / "libraries"
# By schema, what the code that made the library answered itself.
EXPECTED: dict[int, Any] = {
    int(schema): answers for schema, answers in json.loads((LIBRARIES / "expected.json").read_text("utf-8")).items()
}
# The vector of a text in eight bits differs by so much between onnxruntime 1.23, of Python 3.10, and 1.32.
AS_IT_WAS = 0.003
# The cosines of a text whose vector came over the text bridge that ships, with what the older revision has encoded.
OVER_A_BRIDGE = 0.05
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


@pytest.mark.parametrize("package", ["today's", "one revision on"])
def test_a_search_finds_what_it_found_or_says_that_the_model_is_another(
    old: Path, schema: int, package: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, shipped = EXPECTED[schema], f"{BUILTIN_MODEL}@{newest_revision()}"
    if package != "today's":
        monkeypatch.setattr(builtin_files, "MODEL_FOLDER", str(request.getfixturevalue("newer_folder")))
    newest = f"{BUILTIN_MODEL}@{newest_revision()}"
    with Library(old) as library:
        for asked in expected["searches"]:
            query = Query((Term("text", asked["query"]),), Filters(asked["type"]), limit=20, min_score=0, copies=True)
            if expected["model"] not in (newest, *revision_names()):
                with pytest.raises(MmsearchError) as told:
                    library.search(query)
                assert f"indexed with {expected['model']} and the installed model is {newest}" in str(told.value)
                continue
            result = library.search(query)
            assert result.model == expected["model"]
            found = [(os.path.basename(hit.path), hit.similarity) for hit in result.hits]
            if expected["model"] == shipped:
                assert [name for name, _ in found] == [name for name, _ in asked["hits"]]
            tolerance = AS_IT_WAS if expected["model"] == shipped else OVER_A_BRIDGE
            # Of an older revision hits that lie near to one another may change places.
            assert dict(asked["hits"])[found[0][0]] > asked["hits"][0][1] - tolerance
            assert dict(found) == pytest.approx(dict(asked["hits"]), abs=tolerance)


def test_nothing_is_wrong_with_it(old: Path) -> None:
    with Library(old) as library:
        assert library.care.examine().findings == ()
