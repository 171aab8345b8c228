"""The word index: what is in it is what files and texts say, whatever happens to them, and damage of it is seen."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Library
from mmsearch.records import Filters
from mmsearch.store.sqlite import words as word_tables
from mmsearch.store.sqlite.store import SqliteStore
from mmsearch.store.words import asked_word, words_of_name, words_of_text

DATABASE = "library.db"


def holding(folder: Path, word: str) -> set[str]:
    """The names of the files that the library's word index has that word of."""
    asked = asked_word(word)
    assert asked is not None
    with closing(SqliteStore.read(str(folder))) as store:
        models = [model_id for model_id, _ in store.model_rows()]
        places = store.word_places(*store.documents_with([asked], 1_000), Filters(), models)
    return {place.path.decode().rpartition("/")[2] for place in places}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Server started.", ["the", "server", "started"]),
        ("IMG_0518.JPG", ["img", "0518", "jpg"]),
        ("Ångström, ﬁn Œuvre ЁЖ", ["angstrom", "fin", "œuvre", "еж"]),
        ("Ｋｙｏｔｏ 京都府!", ["kyoto", "京都", "都府", "府"]),
        ("ガス 서울", ["ガス", "서울", "ス", "울"]),
        ("ไทย", ["ไท", "ทย", "ย"]),
        ("--- …", []),
    ],
)
def test_a_text_is_its_words_without_case_and_accents(text: str, words: list[str]) -> None:
    assert words_of_text(text) == words


def test_a_name_is_its_words_and_their_parts() -> None:
    assert words_of_name("MyHolidayPhoto2 HTMLParser") == [
        *("myholidayphoto", "2", "htmlparser"),
        *("my", "holiday", "photo", "html", "parser"),
    ]


def test_an_older_library_gets_its_words_when_it_is_opened(tmp_path: Path) -> None:
    shutil.copyfile(Path(__file__).parent / "data" / "libraries" / "schema-9.db", tmp_path / DATABASE)
    with Library(tmp_path) as library:
        library.status()
        assert library.care.examine().sound
    assert holding(tmp_path, "circle") == {"red circle.png"}
    assert holding(tmp_path, "summer") >= {"beach.jpg", "packing list.txt"}
    assert holding(tmp_path, "pancakes") == {"pancakes.md"}


def test_other_words_of_the_same_texts_are_indexed_by_the_next_writer(
    own: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_tables, "WORDS_VERSION", 2)
    with closing(SqliteStore.read(str(own))) as store:
        assert not store.has_words()
    with Library(own) as library:
        library.index([photos])
        assert library.care.examine().sound
    assert holding(own, "kittens") == {"kitten.txt"}


def test_without_fts5_a_library_does_without_words_until_it_is_there(
    home: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(word_tables, "has_fts5", lambda connection: False)
        library.index([home])
        with closing(SqliteStore.read(library.folder)) as store:
            assert not store.has_words()
        assert library.care.examine().sound
    library.index([home])
    assert holding(Path(library.folder), "income") == {"tax.txt"}
    assert library.care.examine().sound


def test_an_unchanged_tree_writes_no_words(own: Path, photos: Path) -> None:
    with closing(SqliteStore.read(str(own))) as store:
        before = store.state()
    with Library(own) as library:
        library.index([photos])
    with closing(SqliteStore.read(str(own))) as store:
        assert store.state() == before


def test_words_go_with_moved_changed_and_forgotten_files(home: Path, library: Library) -> None:
    folder = Path(library.folder)
    library.index([home])
    (home / "cat.png").rename(home / "tiger.png")
    (home / "tax.txt").write_text("The moose came at dawn.")
    library.index([home])
    assert (holding(folder, "cat"), holding(folder, "tiger")) == (set(), {"tiger.png"})
    assert (holding(folder, "income"), holding(folder, "moose")) == (set(), {"tax.txt"})
    library.forget(home / "tax.txt")
    assert holding(folder, "moose") == set()
    library.care.compact()
    assert holding(folder, "tiger") == {"tiger.png"}
    library.care.backup(folder / "copy.db")
    library.close()
    (folder / "copy.db").replace(folder / DATABASE)
    assert holding(folder, "tiger") == {"tiger.png"}
    assert library.care.examine().sound


def other_words(connection: sqlite3.Connection) -> None:
    """A word less and a word more, as a flipped bit in the index would make them."""
    connection.execute("INSERT INTO item_words (item_words, rowid, words) VALUES ('delete', 2, 'milk')")
    connection.execute("INSERT INTO file_words (rowid, name) VALUES (1, 'zebra')")


def other_bytes(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE file_words_data SET block = zeroblob(length(block)) WHERE id > 10")


def no_structure(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE item_words_data SET block = x'ffffffffffffffff' WHERE id = 10")


def another_format(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE item_words_config SET v = 77 WHERE k = 'version'")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [other_words, other_bytes, no_structure, another_format])
def test_damage_of_the_word_index_is_found_and_it_is_made_anew(
    own: Path, photos: Path, mmsearch: Mmsearch, damage: Callable[[sqlite3.Connection], None]
) -> None:
    with closing(sqlite3.connect(own / DATABASE, isolation_level=None)) as connection:
        damage(connection)
    for query in ("milk", "zebra", "a cat"):
        done = mmsearch("search", query, library=own)
        assert "Traceback" not in done.err
        assert "zebra" not in done.out and done.code in (0, 1, 2)
    assert mmsearch("doctor", library=own).code == 1
    assert mmsearch("doctor", "--repair", library=own).code == 0
    assert mmsearch("doctor", library=own).code == 0
    assert holding(own, "milk") >= {"kitten.txt"}
    assert holding(own, "zebra") == set()
    assert mmsearch("index", photos, library=own).code == 0
