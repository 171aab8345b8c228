"""A library is damaged, and a person wants to know what is lost; backups; room that is given back."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch, make_home
from interrupting import signal_at
from library_state import everything

from mmsearch import Library, MmsearchError
from mmsearch.encoding.builtin_files import MODEL_FOLDER

DATABASE = "library.db"

# What a library takes for the query bank of its model, of which nothing is ever removed.
BANK_BYTES = os.path.getsize(os.path.join(MODEL_FOLDER, "query_bank.int8"))


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `home` of two photographs and some hundred notes, and its `library`. Tests do not change them."""
    place = tmp_path_factory.mktemp("stories")
    make_home(place / "home")
    for number in range(150):
        words = " ".join(f"Sentence {sentence} of story {number} is about ships." for sentence in range(6))
        (place / "home" / f"story {number}.txt").write_text(words)
    with Library(place / "library") as library:
        library.index([place / "home"])
    return place


@pytest.fixture
def large(stories: Path, tmp_path: Path) -> Path:
    """A copy of the library of `stories`, a database of many pages, to be damaged."""
    return Path(shutil.copytree(stories / "library", tmp_path / "large"))


def names(folder: Path) -> set[str]:
    with Library(folder) as library:
        return set(everything(library))


def test_a_sound_library_is_sound(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("doctor", library=indexed)
    assert (done.code, done.err) == (0, "")
    assert "nothing is wrong" in done.out
    assert mmsearch("doctor", "--json", library=indexed).json["sound"] is True


def test_damaged_derived_files_are_named_and_made_again(mmsearch: Mmsearch, own: Path) -> None:
    for path in (own / "derived").iterdir():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    done = mmsearch("doctor", library=own)
    assert done.code == 1
    assert "the codes of images: damaged: its checksum is wrong" in done.out
    assert "the graph of texts" in done.out
    assert mmsearch("doctor", "--repair", library=own).code == 0
    assert mmsearch("doctor", library=own).code == 0


@pytest.mark.slow
def test_an_index_run_says_once_what_it_had_to_make_again(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    mmsearch("index", home)
    for path in (tmp_path / "library" / "derived").glob("*.codes"):
        path.write_bytes(path.read_bytes()[:100])
    assert "a file of codes or a graph was not used" in mmsearch("search", "a cat").err
    said = mmsearch("index", home).err
    assert said.count("made again") == 1
    assert "made again" not in mmsearch("index", home).err
    assert mmsearch("search", "a cat").err == ""


def test_a_damaged_graph_is_told_and_done_without(own: Path) -> None:
    for path in (own / "derived").glob("*.hnsw"):
        path.write_bytes(path.read_bytes()[:-7])
    told: list[str] = []
    with Library(own) as library:
        queries = ["a cat", "a cup of coffee"]
        found = list(library.search_many(queries, scan="graph", on_trouble=told.append))
        exact = list(library.search_many(queries, scan="exact"))
    assert told == ["the graph is not the one its header speaks of"]
    assert [one.hits for one in found] == [one.hits for one in exact]


def test_vectors_that_no_model_made_are_found_and_encoded_again(own: Path, photos: Path, mmsearch: Mmsearch) -> None:
    with sqlite3.connect(own / DATABASE) as connection:
        number, vector = connection.execute("SELECT item_id, vector FROM vectors LIMIT 1").fetchone()
        broken = np.frombuffer(vector, np.float16).copy()
        broken[7] = 300
        connection.execute("UPDATE vectors SET vector = ? WHERE item_id = ?", (broken.tobytes(), number))
        connection.execute("DELETE FROM vectors WHERE item_id = ?", (number + 1,))
    connection.close()
    done = mmsearch("doctor", library=own)
    assert done.code == 1
    assert "1 contents lack vectors" in done.out
    assert "1 contents have vectors that no model made" in done.out
    assert mmsearch("doctor", "--repair", library=own).code == 0
    report = Library(own).index([photos])
    assert (report.encoded, report.unchanged) == (2, 16)
    assert mmsearch("doctor", library=own).code == 0


def pages_of(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    return database.stat().st_size // size


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_what_can_be_read_of_a_damaged_database_is_saved(
    stories: Path, large: Path, mmsearch: Mmsearch, seed: int
) -> None:
    before = names(large)
    database = large / DATABASE
    count = pages_of(database)
    size = database.stat().st_size // count
    chance = random.Random(seed)
    content = bytearray(database.read_bytes())
    for page in chance.sample(range(1, count), max(3, count // 20)):
        content[page * size : (page + 1) * size] = chance.randbytes(size)
    database.write_bytes(content)
    found = mmsearch("doctor", "--json", library=large).json
    assert not found["sound"]
    assert {finding["subject"] for finding in found["findings"]} == {"database"}
    repaired = mmsearch("doctor", "--repair", "--json", library=large)
    assert repaired.code == 0, repaired.err
    assert repaired.json["salvageable"] == found["salvageable"]
    assert Path(repaired.json["kept"]).read_bytes() == bytes(content)
    assert mmsearch("doctor", library=large).code == 0
    if repaired.json["salvageable"]["files"]:
        saved = names(large)
        assert len(saved) == repaired.json["salvageable"]["files"]
        assert saved <= before
    # What was lost comes back, and nothing is there twice.
    Library(large).index([stories / "home"])
    assert names(large) == before
    assert mmsearch("doctor", library=large).code == 0


def test_a_page_that_is_lost_costs_little(large: Path, mmsearch: Mmsearch) -> None:
    database = large / DATABASE
    with sqlite3.connect(database) as connection:
        root: int = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'vectors'").fetchone()[0]
    connection.close()
    content = bytearray(database.read_bytes())
    size = len(content) // pages_of(database)
    start = (root - 1) * size
    # The children of an interior page of the tree: two-byte places of cells, each beginning with a page number.
    assert content[start] == 5
    cell = int.from_bytes(content[start + 12 : start + 14], "big")
    child = int.from_bytes(content[start + cell : start + cell + 4], "big")
    content[(child - 1) * size : child * size] = b"\xff" * size
    database.write_bytes(content)
    saved = mmsearch("doctor", "--repair", "--json", library=large).json["salvageable"]
    assert 140 <= saved["files"] < 154
    assert saved["roots"] == 1


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000, bytes(40_000)])
def test_a_database_of_which_nothing_is_left_is_set_aside(
    own: Path, photos: Path, mmsearch: Mmsearch, content: bytes
) -> None:
    before = names(own)
    for leftover in own.glob(f"{DATABASE}-*"):
        leftover.unlink()
    (own / DATABASE).write_bytes(content)
    done = mmsearch("doctor", "--repair", library=own)
    if content:
        assert done.code == 0, done.err
        assert "saved     0 files" in done.out
    assert Library(own).index([photos]).added == 18
    assert names(own) == before


def test_a_search_in_a_damaged_library_names_the_doctor(own: Path, mmsearch: Mmsearch) -> None:
    content = bytearray((own / DATABASE).read_bytes())
    content[4096:40_960] = b"\xff" * (40_960 - 4096)
    (own / DATABASE).write_bytes(content)
    done = mmsearch("search", "a cat", library=own)
    assert done.code == 2
    assert "mmsearch doctor" in done.err
    assert "Traceback" not in done.err


# Backup


def test_a_backup_is_a_library(own: Path, mmsearch: Mmsearch, tmp_path: Path) -> None:
    before = names(own)
    target = tmp_path / "backup.db"
    done = mmsearch("backup", target, library=own)
    assert done.code == 0
    assert "18 files" in done.out
    assert target.stat().st_mode & 0o077 == 0
    assert [name for name in os.listdir(tmp_path) if "backup" in name] == ["backup.db"]
    again = mmsearch("backup", target, "--json", library=own).json
    assert (again["files"], again["bytes"]) == (18, target.stat().st_size)
    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.copy(target, restored / DATABASE)
    assert names(restored) == before
    assert Library(restored).index().unchanged == 18


def test_a_backup_overwrites_nothing_else(own: Path, mmsearch: Mmsearch, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"a photo of twenty years ago")
    refused = mmsearch("backup", photo, library=own)
    assert refused.code == 2
    assert "is no backup of mmsearch" in refused.err
    assert photo.read_bytes() == b"a photo of twenty years ago"
    itself = mmsearch("backup", own / DATABASE, library=own)
    assert itself.code == 2
    assert "a library in use" in itself.err
    assert mmsearch("backup", tmp_path / "no" / "backup.db", library=own).code == 2
    assert mmsearch("backup", tmp_path, library=own).code == 2
    assert sorted(os.listdir(tmp_path)) == ["own", "photo.jpg"]


def test_a_damaged_library_does_not_replace_a_good_backup(own: Path, mmsearch: Mmsearch, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    mmsearch("backup", target, library=own)
    good = target.read_bytes()
    content = bytearray((own / DATABASE).read_bytes())
    place = len(content) // 2 // 4096 * 4096
    content[place : place + 8192] = b"\xff" * 8192
    (own / DATABASE).write_bytes(content)
    done = mmsearch("backup", target, library=own)
    assert done.code == 2
    assert "damaged" in done.err
    assert target.read_bytes() == good


@pytest.mark.slow
def test_a_backup_can_be_taken_while_files_are_indexed(home: Path, tmp_path: Path, mmsearch: Mmsearch) -> None:
    for number in range(100):
        (home / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    # It stands still once, with a batch half written, and goes on.
    hooks = signal_at(tmp_path, "batch written", 3, signal.SIGSTOP)
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(tmp_path / "library"), **hooks}
    taken: list[int] = []
    with subprocess.Popen([sys.executable, "-m", "mmsearch", "index", str(home)], env=environment) as running:
        assert os.WIFSTOPPED(os.waitpid(running.pid, os.WUNTRACED)[1])
        try:
            while not taken or running.poll() is None:
                done = mmsearch("backup", tmp_path / "backup.db", "--json")
                assert done.code == 0, done.err
                taken.append(done.json["files"])
                searched = mmsearch("search", "a cat", "--min-score", "0", "--paths")
                assert searched.code in (0, 1), searched.err
                running.send_signal(signal.SIGCONT)
        except BaseException:
            running.kill()
            raise
    assert running.returncode == 0
    assert taken[0] == 2 * 8
    assert taken == sorted(taken)
    assert mmsearch("backup", tmp_path / "backup.db", "--json").json["files"] == 104


# Room


@pytest.mark.slow
def test_room_is_given_back(library: Library, home: Path, mmsearch: Mmsearch) -> None:
    for number in range(140):
        (home / f"{number}.txt").write_text(f"Chapter {number}. " + "It was a dark and stormy night. " * 10)
    library.index([home])
    for number in range(140):
        (home / f"{number}.txt").unlink()
    library.index([home])
    library.care.prune(library.care.losses())
    library.close()
    done = mmsearch("compact", "--json", library=Path(library.folder)).json
    assert done["after"] - BANK_BYTES < (done["before"] - BANK_BYTES) / 2
    assert names(Path(library.folder)) == {"cat.png", "coffee.png", "coffee.md", "tax.txt"}
    assert mmsearch("doctor", library=Path(library.folder)).code == 0


@pytest.mark.slow
def test_an_index_run_gives_room_back_by_itself(library: Library, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.store.sqlite import compaction as maintenance

    monkeypatch.setattr(maintenance, "LEAST_WASTE_BYTES", 30_000)
    for number in range(160):
        (home / f"{number}.txt").write_text(f"Chapter {number}. " + "It was a dark and stormy night. " * 10)
    library.index([home])
    full = (Path(library.folder) / DATABASE).stat().st_size
    for number in range(160):
        (home / f"{number}.txt").write_text("Short.")
    library.index([home])
    library.index([home])  # contents without a file stay for one run
    library.close()
    assert (Path(library.folder) / DATABASE).stat().st_size - BANK_BYTES < (full - BANK_BYTES) / 2


def test_what_does_not_fit_is_one_sentence(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1000, 999, 1))
    with pytest.raises(MmsearchError, match="free some first"):
        Library(own).care.compact()
    assert len(names(own)) == 18


# What flips outside the structure of pages


def change(folder: Path, place: int, value: int) -> None:
    content = bytearray((folder / DATABASE).read_bytes())
    content[place] = value
    (folder / DATABASE).write_bytes(content)


@pytest.mark.parametrize("place", [60, 68])
def test_a_damaged_header_is_damage(own: Path, photos: Path, mmsearch: Mmsearch, place: int) -> None:
    before = names(own)
    for leftover in own.glob(f"{DATABASE}-*"):
        leftover.unlink()
    content = (own / DATABASE).read_bytes()
    change(own, place + 3, content[place + 3] ^ 16)
    said = mmsearch("search", "a cat", library=own).err
    if place == 68:  # which program's file it is; at 60 lies the version, and a newer one is believed
        assert "mmsearch doctor" in said
        assert mmsearch("doctor", "--repair", library=own).code == 0
        assert names(own) == before


@pytest.mark.slow
def test_a_text_that_is_none_and_settings_that_are_none(own: Path, photos: Path, mmsearch: Mmsearch) -> None:
    before = names(own)
    with sqlite3.connect(own / DATABASE) as connection:
        connection.execute("UPDATE settings SET value = '{\"x' WHERE key = 'calibration'")
        connection.execute("UPDATE items SET text = CAST(x'ff80ff' AS TEXT) WHERE text LIKE '%income tax%'")
    connection.close()
    done = mmsearch("search", "income tax", library=own)
    assert (done.code, "mmsearch doctor" in done.err) == (2, True)
    assert mmsearch("doctor", library=own).code == 1
    assert mmsearch("doctor", "--repair", library=own).code == 0
    assert mmsearch("search", "a cat", library=own).code == 0
    Library(own).index([photos])
    assert names(own) == before


@pytest.mark.slow
def test_ids_out_of_their_order_do_not_lead_in_a_circle(stories: Path, large: Path, mmsearch: Mmsearch) -> None:
    before = names(large)
    content = bytearray((large / DATABASE).read_bytes())
    size = len(content) // pages_of(large / DATABASE)
    flipped = 0
    for start in range(0, len(content), size):
        if content[start] == 13 and flipped < 12:  # a leaf of a table: flip the id of its last row
            count = int.from_bytes(content[start + 3 : start + 5], "big")
            cell = start + int.from_bytes(content[start + 8 + 2 * (count - 1) : start + 10 + 2 * (count - 1)], "big")
            while content[cell] & 0x80:
                cell += 1
            content[cell + 1] ^= 0x10
            flipped += 1
    (large / DATABASE).write_bytes(content)
    assert mmsearch("doctor", library=large).code == 1
    assert mmsearch("doctor", "--repair", library=large).code == 0
    Library(large).index([stories / "home"])
    assert names(large) == before


def test_vectors_outlive_the_rows_of_their_files(own: Path, photos: Path, mmsearch: Mmsearch) -> None:
    before = names(own)
    with sqlite3.connect(own / DATABASE) as connection:
        page: int = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'roots'").fetchone()[0]
    connection.close()
    content = bytearray((own / DATABASE).read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    (own / DATABASE).write_bytes(content)
    saved = mmsearch("doctor", "--repair", "--json", library=own).json["salvageable"]
    assert (saved["files"], saved["roots"], saved["contents"]) == (0, 0, 18)
    report = Library(own).index([photos])
    assert (report.moved, report.added) == (18, 0)
    assert names(own) == before


def test_a_backup_that_cannot_be_written_names_its_place(own: Path, mmsearch: Mmsearch, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(0o555)
    done = mmsearch("backup", locked / "backup.db", library=own, as_anybody=True)
    assert done.code == 2
    assert f"The backup {locked / 'backup.db'} cannot be written" in done.err
    assert "Traceback" not in mmsearch("backup", "/proc/backup.db", library=own).err


def test_an_older_library_is_examined(tmp_path: Path, mmsearch: Mmsearch) -> None:
    old = tmp_path / "old"
    old.mkdir()
    shutil.copyfile(Path(__file__).parent / "data" / "libraries" / "schema-2.db", old / DATABASE)
    assert mmsearch("doctor", library=old).code == 0
