"""A library need not lie in a folder: whatever kind of store it has, it is used in the same way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_place
from conftest import Mmsearch

from mmsearch import Filters, Library, Query
from mmsearch.errors import Busy, Refused, Unavailable, Unsupported
from mmsearch.searching.query import text_term
from mmsearch.store.opening import KINDS, Kind, folder_for
from mmsearch.store.sqlite.store import SqliteStore

URL, SHOWN = "toy://me:pa55word@shelf/", "toy://me@shelf/"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the server of the toys keeps a library; the working folder is empty."""
    monkeypatch.setitem(KINDS, "toy", toy_place.KIND)
    monkeypatch.setenv(toy_place.VARIABLE, str(tmp_path / "toys"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "toys" / "shelf"
    assert os.listdir(tmp_path / "here") == []


def paths(library: Library, words: str) -> list[str]:
    return [hit.path for hit in library.search(Query((text_term(words),), limit=4, min_score=0.0)).hits]


def test_a_library_at_a_url_is_indexed_searched_and_listed(shelf: Path, home: Path, command: Mmsearch) -> None:
    before = command("search", "a cat", "--library", URL)
    assert before.code == 2 and "pa55word" not in before.err
    done = command("index", home, "--library", URL, "--json")
    assert done.code == 0, done.err
    assert (done.json["added"], done.json["library"]) == (4, SHOWN)

    found = command("search", "a cat", "--library", URL, "--json").json
    assert found["library"] == SHOWN
    assert os.path.basename(found["hits"][0]["path"]) == "cat.png"
    listed = command("search", "--sort", "name", "--library", URL, "--json").json
    assert [os.path.basename(hit["path"]) for hit in listed["hits"]] == sorted(os.listdir(home))
    like = command("search", "--like", "1", "--library", URL, "--json")  # of the last result
    assert like.code == 0, like.err
    told = command("status", "--library", URL, "--json").json
    assert (told["library"], told["images"], told["texts"]) == (SHOWN, 2, 2)
    assert told["bytes"] > 0

    assert command("forget", home / "tax.txt", "--library", URL).code == 0
    (home / "new.txt").write_text("Ships in a harbour.")
    again = command("index", "--library", URL, "--json").json
    assert again["added"] == 2  # the forgotten one is in its root, and found again
    everything = "".join(one.out + one.err for one in (done, before, like))
    assert "pa55word" not in everything


def test_what_is_derived_lies_in_a_private_folder_of_this_machine(shelf: Path, home: Path) -> None:
    with Library(URL) as library:
        library.index([home])
        assert library.location == SHOWN and library.folder == folder_for(URL)
        library.keep_result(library.search("a cat"))
    own = Path(folder_for(URL))
    assert (own / "derived").is_dir() and (own / "last-result").exists()
    assert not (shelf / "derived").exists()
    assert (shelf / "library.db").exists() and not (own / "library.db").exists()
    assert own.stat().st_mode & 0o077 == 0
    # Whatever the password is, it is the same library; another one is not.
    assert folder_for(URL.replace("pa55word", "other")) == str(own) != folder_for(URL.replace("shelf", "box"))


def test_it_answers_as_a_library_in_a_folder_does(shelf: Path, home: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "folder") as plain, Library(URL) as toy:
        plain.index([home])
        toy.index([home])
        for words in ("a cat", "income tax", "a cup of coffee"):
            assert paths(toy, words) == paths(plain, words)
        assert [one.path for one in toy.list_files().hits] == [one.path for one in plain.list_files().hits]
        assert toy.facets() == plain.facets()
        assert toy.duplicates().library == SHOWN
        assert toy.clusters(count=2).library == SHOWN
        only_texts = Query((text_term("income tax"),), Filters(medium="text"))
        assert [hit.path for hit in toy.search(only_texts).hits] == [hit.path for hit in plain.search(only_texts).hits]


def test_a_session_of_many_threads_sees_what_another_process_writes(shelf: Path, home: Path) -> None:
    """As `serve` and assistants have it."""
    with Library(URL) as library:
        library.index([home])
        with library.session() as session:
            answers: dict[int, str] = {}

            def ask(number: int) -> None:
                answers[number] = session.search("a cat").hits[0].path

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert set(answers.values()) == {str(home / "cat.png")}
            (home / "boats.txt").write_text("Sailing boats in the harbour.")
            with library.opened_again() as other:
                other.index()
            assert session.search("sailing boats").hits[0].path == str(home / "boats.txt")


def test_one_writes_at_a_time_by_the_lock_of_the_store(shelf: Path, home: Path) -> None:
    with Library(URL) as library:
        library.index([home])
        with library.opened_again() as other, other._access.writing(), pytest.raises(Busy, match=f"library at {SHOWN}"):
            library.index()


def test_a_watcher_sees_it(shelf: Path, home: Path) -> None:
    seen = threading.Event()
    with Library(URL) as library:
        library.index([home])
        with library.watcher(on_event=lambda event: seen.set() if event.event == "indexed" else None):
            (home / "boats.txt").write_text("Sailing boats in the harbour.")
            assert seen.wait(60)
        assert str(home / "boats.txt") in paths(library, "sailing boats")


@pytest.mark.parametrize("arguments", [["doctor"], ["compact"], ["backup", "copy.db"]], ids=lambda words: words[0])
def test_what_only_a_folder_has_is_refused(arguments: list[str], shelf: Path, home: Path, command: Mmsearch) -> None:
    with Library(URL) as library:
        library.index([home])
    done = command(*arguments, "--library", URL)
    assert done.code == 2
    assert f"The toys look after {SHOWN} themselves; {arguments[0]} is nothing for mmsearch." in done.err


def test_a_service_is_not_made_with_a_password_in_it(shelf: Path, home: Path, command: Mmsearch) -> None:
    done = command("watch", "--install", "--library", URL)
    assert done.code == 2 and "password" in done.err and "pa55word" not in done.err


def test_a_connection_that_has_ended_is_opened_again(shelf: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    ended = toy_place.ConnectionEnded()
    read, state = toy_place.Toy.read, SqliteStore.state

    def counted(self: toy_place.Toy) -> object:
        opened.append(self)
        return read(self)

    def cut_off(self: SqliteStore) -> tuple[str, int]:
        raise ended

    with Library(URL) as library:
        library.index([home])
        with library.session() as session:
            monkeypatch.setattr(toy_place.Toy, "read", counted)
            session.search("a cat")
            session.search("a cat")
            library.status()
            assert len(opened) == 2
            monkeypatch.setattr(SqliteStore, "state", cut_off)
            with pytest.raises(Unavailable, match=f"The server of {SHOWN} has ended the connection"):
                session.search("a cat")
            monkeypatch.setattr(SqliteStore, "state", state)
            assert session.search("a cat").hits[0].path == str(home / "cat.png")
            session.search("a cat")
            assert len(opened) == 3


def test_a_kind_whose_extra_is_missing_says_which(
    shelf: Path, command: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "toy", Kind("toys_that_nobody_has.place", "toys", ("toys_that_nobody_has",), "toy://"))
    done = command("status", "--library", URL)
    assert done.code == 2
    assert f"{SHOWN} needs the extra toys, which is not installed" in done.err
    with pytest.raises(Unsupported):
        Library(URL)
    # A kind that does not exist names those that do.
    said = command("status", "--library", "box://shelf").err
    assert "mmsearch keeps libraries in folders, and at " in said and "and at toy://;" in said


def test_doors_refuse_in_a_script_too(shelf: Path, tmp_path: Path) -> None:
    with Library(URL) as library:
        for asked in (library.care.examine, library.care.repair, library.care.compact):
            with pytest.raises(Refused, match="The toys look after"):
                asked()
        with pytest.raises(Refused, match="The toys look after"):
            library.care.backup(tmp_path / "copy.db")
