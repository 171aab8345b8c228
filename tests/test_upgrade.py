"""A library that an older mmsearch has written goes on being used, by commands and where it cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Library
from mmsearch.store.sqlite.schema import SCHEMA_VERSION

LIBRARIES = Path(__file__).parent / "data" / "libraries"
SCHEMAS = range(1, SCHEMA_VERSION)


@pytest.fixture(params=SCHEMAS, ids=lambda schema: f"schema {schema}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A library as code of that schema left it. Its photos are on a drive that is away."""
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copyfile(LIBRARIES / f"schema-{request.param}.db", folder / "library.db")
    return folder


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        names = ("files", "contents", "items", "vectors")
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_a_command_brings_it_up_to_date(old: Path, mmsearch: Mmsearch) -> None:
    counts = json.loads((LIBRARIES / "expected.json").read_text("utf-8"))[str(version(old))]["counts"]
    done = mmsearch("status", "--json", library=old)
    assert done.code == 0
    assert {name: done.json[name] for name in ("images", "texts", "items")}.items() <= counts.items()
    assert version(old) == SCHEMA_VERSION
    assert not [name for name in os.listdir(old) if "upgrade" in name]


@pytest.mark.slow
def test_an_index_run_brings_it_up_to_date_and_encodes_nothing_again(old: Path, mmsearch: Mmsearch) -> None:
    if version(old) == 1:
        pytest.skip("of another model, which is to be rebuilt")
    before = tables(old)
    done = mmsearch("index", "--json", library=old)
    report = done.json
    assert (report["added"], report["encoded"], report["removed"]) == (0, 0, 0)
    assert len(report["offline"]) == 1
    assert version(old) == SCHEMA_VERSION
    assert tables(old) == before


@pytest.mark.slow
def test_a_new_folder_joins_what_was_there(old: Path, home: Path) -> None:
    if version(old) == 1:
        pytest.skip("of another model, which is to be rebuilt")
    with Library(old) as library:
        assert library.index([home]).added == 4
        names = [os.path.basename(hit.path) for hit in library.search("a cat").hits]
    assert names[0] == "cat.png"


def test_where_it_cannot_be_written_this_is_told(old: Path, mmsearch: Mmsearch) -> None:
    old.chmod(0o555)
    try:
        done = mmsearch("search", "a cat", library=old, as_anybody=True)
    finally:
        old.chmod(0o755)
    assert done.code == 2
    assert "written by an older mmsearch" in done.err
    assert version(old) < SCHEMA_VERSION


def test_an_upgrade_that_fails_leaves_the_library_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlite_utils import Database

    from mmsearch.store.sqlite import schema

    def breaks(db: Database) -> None:
        db.execute("DROP TABLE failures")
        raise RuntimeError("power cut")

    before, old_version = tables(old), version(old)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS[:-1], breaks))
    with pytest.raises(RuntimeError):
        Library(old).status()
    monkeypatch.undo()
    assert version(old) == old_version
    kept = sqlite3.connect(old / "library.db-before-upgrade")
    assert kept.execute("SELECT count(*) FROM files").fetchone()[0] == before["files"]
    kept.close()
    assert tables(old) == before
    with Library(old) as library:
        assert sum(library.status().counts.files.values()) == before["files"]
