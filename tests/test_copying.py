"""A library moves into PostgreSQL and back, or to another folder, with all that was encoded."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pdf_writer
import pytest
from conftest import Mmsearch, make_home, refused
from postgres_server import PostgresServer

from mmsearch import Library, Progress, Query, WalkRules
from mmsearch.encoding.adapted import Adapter, LowRankMap
from mmsearch.encoding.builtin import BuiltinEncoder
from mmsearch.errors import Damaged, NotFound, Refused, Unsupported
from mmsearch.files.crash_points import VARIABLE
from mmsearch.searching.query import text_term
from mmsearch.store.adapters import add_adapter, use_adapter
from mmsearch.store.models import stored_models
from mmsearch.store.sqlite.store import SqliteStore
from mmsearch.store.whole_rows import SETTINGS, TABLES


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, notes, a document, an archive with a note, a broken photo and what nothing reads."""
    folder = make_home(tmp_path_factory.mktemp("album") / "home")
    pages = [pdf_writer.text_page("The lighthouse keeper", "keeps a diary"), pdf_writer.text_page("Of storms at sea")]
    (folder / "diary.pdf").write_bytes(pdf_writer.written(pages))
    shutil.copy(folder / "cat.png", folder / "the same cat.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (folder / "strange.xyz").write_bytes(b"nobody reads it")
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.writestr("letter.txt", "A letter about harvest and wine.")
    return folder


@pytest.fixture(scope="module")
def filled(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of the album, with an adapter in use. Tests only read it."""
    folder = tmp_path_factory.mktemp("library") / "library"
    (album / "gone.txt").write_text("A text that goes again.")
    with Library(folder) as library:
        library.index([album], rules=WalkRules(archives=True))
        (album / "gone.txt").unlink()
        library.index()
    with closing(SqliteStore.write(str(folder))) as store:
        (model,) = stored_models(store)
        chance = np.random.default_rng(1)
        down, up = (chance.normal(0, 0.02, shape).astype(np.float32) for shape in ((384, 8), (8, 384)))
        maps = {"text": LowRankMap(down, up)}
        adapter = Adapter("family", 1, model.identity.fingerprint, maps, BuiltinEncoder().calibration)
        with store.transaction():
            use_adapter(store, model.identity.fingerprint, add_adapter(store, adapter, "{}"))
    with Library(folder) as library:
        library.index()
    return folder


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that nobody has used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return postgres.new_database()


def told(library: Library) -> dict[str, Any]:
    """What a library says of itself, but for its name, its room on the disk, and scores."""
    status = library.status()
    return {
        "counts": status.counts,
        "roots": status.roots,
        "failures": status.failures,
        "incomplete": status.incomplete,
        "files": [one.path for one in library.list_files(copies=True).hits],
        "facets": library.facets(),
        "adapters": library.adapters.list(),
        "models": [(one.name, one.files) for one in library.models.list()],
    }


def scores(library: Library) -> list[tuple[str, dict[str, float]]]:
    """What is found for some queries, by words, by meaning and by one of its files, and how near it is."""
    asked: list[Query | str] = [
        Query((text_term(words),), limit=100, min_score=0.0, copies=True)
        for words in ("a cat", "a cup of coffee", "income tax", "lighthouse diary", "harvest", "letter")
    ]
    return [
        (result.model, {hit.path: hit.score for hit in result.hits})
        for result in library.search_many(asked, scan="codes")
    ]


def assert_same(one: Library, other: Library) -> None:
    assert told(one) == told(other)
    for (model, found), (same, expected) in zip(scores(one), scores(other), strict=True):
        assert model == same and found.keys() == expected.keys() and len(found) > 5
        for path, score in expected.items():
            assert abs(found[path] - score) < 1e-3, path


def test_a_library_moves_into_postgres_and_back(filled: Path, url: str, tmp_path: Path) -> None:
    steps: list[Progress] = []
    with Library(filled) as plain, Library(url) as team, Library(tmp_path / "back") as back:
        copied = plain.care.copy_to(url, on_progress=steps.append)
        assert (copied.files, copied.models) == (len(plain.list_files(copies=True).hits), 1)
        assert copied.copied_from == str(filled) and copied.library.startswith("postgresql://")
        assert steps[-3].done == steps[-3].total
        assert_same(team, plain)
        report = team.index()
        assert (report.encoded, report.added, report.updated, report.removed) == (0, 0, 0, 0)
        assert report.unchanged == copied.files
        team.care.copy_to(tmp_path / "back")
        assert_same(back, plain)
        report = back.index()
        assert (report.encoded, report.added, report.updated, report.removed) == (0, 0, 0, 0)
        assert back.care.examine().sound
        assert held_vectors(tmp_path / "back") == held_vectors(filled)


def held_vectors(folder: Path) -> list[tuple[int, bytes, int]]:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        return connection.execute("SELECT item_id, vector, checksum FROM vectors ORDER BY item_id").fetchall()


def test_a_copy_in_another_folder_is_a_library_of_its_own(
    mmsearch: Mmsearch, filled: Path, tmp_path: Path, album: Path
) -> None:
    done = mmsearch("copy", filled, tmp_path / "other", "--json")
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.json["library"] == str(tmp_path / "other") and done.json["copied_from"] == str(filled)
    shutil.copytree(album, tmp_path / "album")
    with Library(filled) as plain, Library(tmp_path / "other") as other:
        assert_same(other, plain)
        assert other.care.examine().sound
        other.index([tmp_path / "album"])
        assert len(told(other)["files"]) > len(told(plain)["files"])
        assert other.care.examine().sound
    done = mmsearch("copy", tmp_path / "other", tmp_path / "third")
    assert done.code == 0, done.err
    assert done.out.startswith(f"{tmp_path / 'third'}: ")


@pytest.mark.parametrize("kind", ["folder", "postgres"])
@pytest.mark.parametrize("point", ["rows copied:1", "rows copied:9"])
def test_a_copy_that_is_killed_leaves_nothing_and_is_begun_anew(
    kind: str, point: str, filled: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    target = str(tmp_path / "copy") if kind == "folder" else request.getfixturevalue("url")
    killed = run_copy(filled, target, point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Library(target) as library, pytest.raises(NotFound, match="is empty"):
        library.search("a cat")
    done = run_copy(filled, target)
    assert done.returncode == 0, done.stderr
    with Library(target) as library, Library(filled) as plain:
        assert_same(library, plain)


def test_a_copy_that_is_killed_once_it_is_whole_is_a_library(filled: Path, tmp_path: Path) -> None:
    killed = run_copy(filled, str(tmp_path / "copy"), "library copied")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Library(tmp_path / "copy") as library, Library(filled) as plain:
        assert_same(library, plain)
        assert library.index().encoded == 0
        assert library.care.examine().sound


def test_a_copy_within_the_library_itself_is_refused(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(filled)
    with Library(filled) as library:
        for target in (filled / "inside", filled / "derived" / "deeper", tmp_path / "link" / "inside"):
            with refused("lies within .* which is the library itself; name a place outside it"):
                library.care.copy_to(target)
            assert not target.exists()
        assert library.care.copy_to(f"{filled} 2").files > 5  # which only begins as its name does


def run_copy(source: Path, target: str, crash: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, VARIABLE: crash}
    command = [sys.executable, "-m", "mmsearch", "copy", str(source), target]
    return subprocess.run(command, env=environment, text=True, capture_output=True)


def test_what_cannot_be_copied_is_told_and_nothing_is_written(
    filled: Path, tmp_path: Path, album: Path, mmsearch: Mmsearch
) -> None:
    with Library(tmp_path / "taken") as taken, Library(filled) as plain:
        taken.index([album / "tax.txt"])
        before = told(taken)
        with pytest.raises(Refused, match="There is a library in"):
            plain.care.copy_to(tmp_path / "taken")
        assert told(taken) == before
        with pytest.raises(Refused, match="the library itself"):
            plain.care.copy_to(filled)
        with pytest.raises(Unsupported, match="No library can be kept"):
            plain.care.copy_to("mysql://db/photos")
    for source, target in (
        (tmp_path / "none", tmp_path / "new"),
        (filled, tmp_path / "taken"),
        (filled, filled),
        (filled, ""),
        ("", tmp_path / "new"),
    ):
        refused = mmsearch("copy", source, target)
        assert refused.code == 2 and refused.out == "" and "Traceback" not in refused.err
    assert not (tmp_path / "new").exists()


def test_a_damaged_library_is_not_copied(filled: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(filled, tmp_path / "source"))
    with closing(sqlite3.connect(source / "library.db")) as connection, connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE item_id = 3")
    with Library(source) as library, pytest.raises(Damaged, match=str(source)):
        library.care.copy_to(tmp_path / "copy")
    with Library(tmp_path / "copy") as library, pytest.raises(NotFound, match="is empty"):
        library.search("a cat")


def test_no_table_or_column_of_a_library_stays_behind(filled: Path) -> None:
    moved = {table.name: set(table.columns) for table in (*TABLES, SETTINGS)}
    # Their numbers name nothing elsewhere; and what model and modality a vector is of, its item tells.
    numbered = {"spaces", "unread", "remarks", "wordless", "stages", "stage_parts"}
    with closing(sqlite3.connect(filled / "library.db")) as connection:
        names = connection.execute(
            """SELECT name FROM sqlite_master
               WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_words%'"""
        ).fetchall()
        there = {}
        for (name,) in names:
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} - {"checksum"}
            there[name] = columns - {"id"} if name in numbered else columns
    assert there.pop("vectors") == moved.pop("vectors") - {"model_id", "modality"}
    assert there == moved
