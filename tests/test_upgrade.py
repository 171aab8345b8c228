"""A library that an older mmsearch has written goes on being used."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Library
from mmsearch.store.sqlite.schema import SCHEMA_VERSION

TO_VERSION_4 = """ALTER TABLE models DROP COLUMN behind;
    DROP INDEX failures_path;
    ALTER TABLE failures DROP COLUMN model_id;
    CREATE UNIQUE INDEX idx_failures_path ON failures (path);
    UPDATE settings SET key = 'adapter_id' WHERE key LIKE 'adapter_id %';
    INSERT INTO settings VALUES ('unencoded', '1');
    PRAGMA user_version = 4;"""
TO_VERSION_3 = """DROP TRIGGER files_removed;
    DROP TRIGGER files_changed;
    DROP INDEX contents_orphaned;
    CREATE INDEX contents_orphaned ON contents (orphaned) WHERE orphaned = 1;
    PRAGMA user_version = 3;"""
TO_VERSION_2 = """DROP INDEX contents_orphaned;
    ALTER TABLE contents DROP COLUMN orphaned;
    ALTER TABLE roots DROP COLUMN absent;
    ALTER TABLE roots DROP COLUMN mounts;
    PRAGMA user_version = 2;"""
TO_VERSION_1 = """DROP TABLE adapters;
    DELETE FROM settings WHERE key = 'calibration';
    PRAGMA user_version = 1;"""


@pytest.fixture(params=[1, 2, 3, 4])
def old(request: pytest.FixtureRequest, library: Library, home: Path) -> Path:
    """A library as an earlier version left it."""
    library.index([home])
    library.close()
    folder = Path(library.folder)
    connection = sqlite3.connect(folder / "library.db")
    connection.executescript(TO_VERSION_4)
    if request.param <= 3:
        connection.executescript(TO_VERSION_3)
    if request.param <= 2:
        connection.executescript(TO_VERSION_2)
    if request.param == 1:
        connection.executescript(TO_VERSION_1)
    connection.close()
    return folder


def version(folder: Path) -> int:
    connection = sqlite3.connect(folder / "library.db")
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def tables(folder: Path) -> dict[str, int]:
    connection = sqlite3.connect(folder / "library.db")
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    counted = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return counted


def test_a_search_brings_it_up_to_date(old: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "a cat", "--paths", library=old)
    assert done.code == 0
    assert done.out.splitlines()[0].endswith("cat.png")
    assert version(old) == SCHEMA_VERSION
    assert not [name for name in os.listdir(old) if "upgrade" in name]


def test_an_index_run_brings_it_up_to_date_and_encodes_nothing_again(old: Path, home: Path) -> None:
    assert Library(old).index([home]).unchanged == 4
    assert version(old) == SCHEMA_VERSION


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
    assert kept.execute("SELECT count(*) FROM files").fetchone()[0] == 4
    kept.close()
    assert tables(old) == before
    assert Library(old).status().counts.images == 2
