"""A library in PostgreSQL is used as one in a folder is: by the same commands, with the same answers."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Mmsearch
from postgres_server import GUARDED, PASSWORD, PostgresServer

from mmsearch import Filters, Library, Query
from mmsearch.errors import Busy, Refused, Unsupported
from mmsearch.searching.query import text_term
from mmsearch.server.rest.index_process import started, told_by
from mmsearch.store.opening import KINDS, Kind, folder_for
from mmsearch.store.postgres.store import PostgresStore


@pytest.fixture
def url(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that nobody has used; the working folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return postgres.new_database()


def found(library: Library, words: str, filters: Filters | None = None) -> list[str]:
    query = Query((text_term(words),), filters or Filters(), limit=4, min_score=0.0)
    return [hit.path for hit in library.search(query).hits]


def test_the_command_line_uses_it(url: str, home: Path, mmsearch: Mmsearch) -> None:
    def run(*arguments: str | Path) -> object:
        done = mmsearch(*arguments, "--library", url, "--json")
        assert done.code == 0, done.err
        return done.json

    assert mmsearch("search", "a cat", "--library", url).code == 2
    report = run("index", home)
    assert isinstance(report, dict) and report["added"] == 4
    hits = run("search", "a cat")
    assert isinstance(hits, dict) and hits["library"].startswith("postgresql://")
    assert os.path.basename(hits["hits"][0]["path"]) == "cat.png"
    listed = run("search", "--sort", "name")
    assert isinstance(listed, dict)
    assert [os.path.basename(hit["path"]) for hit in listed["hits"]] == sorted(os.listdir(home))
    assert run("search", "--like", "1")
    told = run("status")
    assert isinstance(told, dict) and (told["images"], told["texts"]) == (2, 2) and told["bytes"] > 0
    run("forget", home / "tax.txt")
    told = run("status")
    assert isinstance(told, dict) and told["texts"] == 1
    assert os.listdir(os.getcwd()) == []
    for command in (["doctor"], ["compact"], ["backup", "copy"]):
        refused = mmsearch(*command, "--library", url)
        assert refused.code == 2 and "PostgreSQL's care" in refused.err, refused.err
        assert "Traceback" not in refused.err


def test_it_answers_as_a_library_in_a_folder_does(url: str, home: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "folder") as plain, Library(url) as team:
        plain.index([home])
        team.index([home])
        for words in ("a cat", "income tax", "a cup of coffee"):
            assert found(team, words) == found(plain, words)
            assert found(team, words, Filters(medium="text")) == found(plain, words, Filters(medium="text"))
        assert [one.path for one in team.list_files().hits] == [one.path for one in plain.list_files().hits]
        assert team.facets() == plain.facets()
        assert [one.files for one in team.models.list()] == [one.files for one in plain.models.list()]
        assert Path(folder_for(url), "derived").is_dir()


def test_another_machine_without_derived_files_finds_the_same(
    url: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library(url) as team:
        team.index([home])
        here = found(team, "a cup of coffee")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with Library(url) as team:
        assert found(team, "a cup of coffee") == here


def test_a_server_sees_what_its_own_run_of_index_finds(url: str, home: Path) -> None:
    with Library(url) as team:
        team.index([home])
        with team.session() as session:
            assert session.search("a cat").hits[0].path == str(home / "cat.png")
            (home / "boats.txt").write_text("Sailing boats in the harbour.")
            with started(team.given, []) as process:
                assert process.stdout is not None
                told = list(told_by(process.stdout))
            assert told[-1]["report"]["added"] == 1
            assert session.search("sailing boats").hits[0].path == str(home / "boats.txt")


def test_one_process_writes_at_a_time(url: str, home: Path) -> None:
    with Library(url) as team:
        team.index([home])
        with closing(PostgresStore.write(url)), pytest.raises(Busy):
            team.index()
        assert team.index().added == 0
        with pytest.raises(Refused, match="pg_dump"):
            team.care.backup("copy")


def test_no_output_has_the_password(postgres: PostgresServer, url: str, home: Path, mmsearch: Mmsearch) -> None:
    guarded = postgres.url(postgres.name_of(url), GUARDED, PASSWORD)
    wrong = guarded.replace("w%40rd", "w%40rong")
    assert wrong != guarded
    for arguments in (["index", str(home)], ["status"], ["status", "--json"], ["watch", "--install"]):
        for location in (guarded, wrong):
            done = mmsearch(*arguments, "--library", location)
            assert "w%40r" not in done.out + done.err and "w@r" not in done.out + done.err
            assert done.code == 2 or location == guarded


def test_without_the_extra_it_is_refused_by_name(mmsearch: Mmsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KINDS["postgres"]
    monkeypatch.setitem(KINDS, "postgres", Kind("nobody_has_psycopg.place", known.extra, ("nobody_has_psycopg",), ""))
    with pytest.raises(Unsupported, match=r"needs the extra mmsearch\[postgres\], which is not installed"):
        Library("postgres://db/photos")


def test_a_library_in_a_folder_loads_nothing_of_it(indexed: Path) -> None:
    script = "import sys; from mmsearch import Library; Library(sys.argv[1]).status(); print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, str(indexed)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
