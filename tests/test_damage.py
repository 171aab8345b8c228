"""Damage that SQLite does not see gives no wrong answer without a word: it is said, found by doctor, and put right."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import office_files as made
import pytest
from conftest import Mmsearch
from PIL import Image

from mmsearch import Library
from mmsearch.store.checksums import values_checksum

DATABASE = "library.db"


def change(library: Path, statement: str) -> None:
    """Changes the database as damage would: without the checksums."""
    with closing(sqlite3.connect(library / DATABASE, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def put_right(library: Path, photos: Path, mmsearch: Mmsearch) -> None:
    """Doctor finds the damage and mends it; the next index run takes in what was lost, and all is as it was."""
    assert mmsearch("doctor", library=library).code == 1
    done = mmsearch("doctor", "--repair", library=library)
    assert (done.code, done.err) == (0, "")
    Library(library).index([photos])
    assert mmsearch("doctor", library=library).code == 0
    status = Library(library).status()
    assert status.counts.images + status.counts.texts == 18


def test_the_checksum_of_values_covers_their_types() -> None:
    values = (1, "1", b"1", 1.0, None, "")
    assert len({values_checksum(value) for value in values}) == len(values)
    assert values_checksum("a", "b") != values_checksum("ab", "")


@pytest.mark.slow
def test_a_flipped_bit_in_a_vector_is_no_answer(own: Path, photos: Path, mmsearch: Mmsearch) -> None:
    with closing(sqlite3.connect(own / DATABASE, isolation_level=None)) as connection:
        for item_id, vector in connection.execute("SELECT item_id, vector FROM vectors").fetchall():
            broken = bytearray(vector)
            broken[100] ^= 1  # the last bit of a fraction: its length says nothing
            connection.execute("UPDATE vectors SET vector = ? WHERE item_id = ?", (bytes(broken), item_id))
    done = mmsearch("search", "a cat", library=own)
    assert done.code == 2
    assert "the checksum of a vector is wrong" in done.err
    assert "mmsearch doctor" in done.err
    put_right(own, photos, mmsearch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contents SET medium = 'imagd'",
        "UPDATE items SET text = CAST(text AS BLOB) WHERE text IS NOT NULL",
        "UPDATE items SET text = replace(text, 'milk', 'mild')",
        "UPDATE files SET path = CAST(path AS TEXT)",
        "UPDATE files SET path = CAST(replace(CAST(path AS TEXT), 'kitten', 'kittem') AS BLOB)",
        "UPDATE contents SET width = width + 1, encoding = 'utf-9'",
    ],
)
def test_a_row_that_says_something_else_is_no_answer(
    own: Path, photos: Path, mmsearch: Mmsearch, statement: str
) -> None:
    change(own, statement)
    done = mmsearch("search", "three kittens drink milk", "--json", library=own)
    assert done.code == 2
    assert "damaged" in done.err
    assert "mmsearch doctor" in done.err
    put_right(own, photos, mmsearch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE models SET dimension = 'many'",
        "UPDATE models SET dimension = dimension + 1",
        "UPDATE roots SET absent = 'none'",
        "UPDATE spaces SET medium = 'imagd'",
        "UPDATE settings SET value = CAST('x' AS BLOB) WHERE key = 'items_removed'",
    ],
)
def test_values_that_are_none_of_their_column_are_found(
    own: Path, photos: Path, mmsearch: Mmsearch, statement: str
) -> None:
    change(own, statement)
    assert "Traceback" not in mmsearch("search", "a cat", library=own).err
    put_right(own, photos, mmsearch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE failures SET size = size + 1",
        "UPDATE failures SET path = CAST(replace(CAST(path AS TEXT), 'torn', 'born') AS BLOB)",
        "UPDATE unread SET files = files + 4",
        "UPDATE remarks SET left_out = 9",
    ],
)
def test_what_is_noted_beside_files_is_what_was_noted(
    own: Path, tmp_path: Path, mmsearch: Mmsearch, statement: str
) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (extra / "a.iso").write_bytes(b"a film")
    Image.new("RGB", (300, 300), "red").save(extra / "cut.jpg")
    (extra / "cut.jpg").write_bytes((extra / "cut.jpg").read_bytes()[:-2])
    before = mmsearch("index", extra, "--json", library=own).json
    assert (before["failed"], before["unread"], len(before["incomplete"])) == (1, {".iso": 1}, 1)
    told = Library(own).status()
    change(own, statement)
    assert mmsearch("doctor", library=own).code == 1
    assert mmsearch("doctor", "--repair", library=own).code == 0
    mmsearch("index", extra, library=own)
    again = Library(own).status()
    assert again.counts.unread == told.counts.unread
    assert [one.path for one in again.failures] == [one.path for one in told.failures]


@pytest.mark.parametrize("place", [5, 16, 18, 19, 20, 47, 59, 63, 71])
def test_a_damaged_header_is_said_and_restored(own: Path, mmsearch: Mmsearch, place: int) -> None:
    first = Library(own).search("a cat").hits
    with closing(sqlite3.connect(own / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray((own / DATABASE).read_bytes())
    content[place] ^= 64
    (own / DATABASE).write_bytes(content)
    done = mmsearch("search", "a cat", library=own)
    assert "Traceback" not in done.err
    assert "upgrade" not in done.err
    assert mmsearch("doctor", library=own).code == 1
    assert mmsearch("doctor", "--repair", library=own).code == 0
    with Library(own) as library:  # nothing has to be encoded again
        assert [(hit.path, hit.score) for hit in library.search("a cat").hits] == [
            (hit.path, hit.score) for hit in first
        ]


def damage_definition(own: Path, definition: bytes, bits: int, within: bytes = b"") -> None:
    """Flips bits of the first byte of a definition in the schema, or of what stands `within` it."""
    with closing(sqlite3.connect(own / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray((own / DATABASE).read_bytes())
    begin = re.search(definition, content)
    assert begin is not None
    content[content.index(within, begin.start())] ^= bits
    (own / DATABASE).write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["contents", "files", "items", "models", "roots", "settings", "vectors", "adapters"])
def test_a_damaged_name_in_the_schema_is_mended(own: Path, photos: Path, mmsearch: Mmsearch, table: str) -> None:
    damage_definition(own, rb"CREATE TABLE \W?%s\W" % table.encode(), 0xD9, b"checksum INTEGER")  # no UTF-8 any more
    assert "Traceback" not in mmsearch("search", "a cat", library=own).err
    put_right(own, photos, mmsearch)


@pytest.mark.parametrize("table", ["roots", "files"])
def test_a_senseless_definition_of_a_table_loses_nothing_of_it(own: Path, mmsearch: Mmsearch, table: str) -> None:
    damage_definition(own, rb"CREATE TABLE \W?%s\W" % table.encode(), 1)
    assert "Traceback" not in mmsearch("search", "a cat", library=own).err
    assert "can save  18 files in 1 root" in mmsearch("doctor", library=own).out
    assert mmsearch("doctor", "--repair", library=own).code == 0
    assert mmsearch("doctor", library=own).code == 0
    status = Library(own).status()
    assert (sum(status.counts.files.values()), len(status.roots)) == (18, 1)
    assert not list(own.glob("header-*"))


@pytest.mark.parametrize("kind", ["INDEX", "TRIGGER", "VIEW"])
def test_a_senseless_definition_keeps_nothing_else_from_being_saved(own: Path, mmsearch: Mmsearch, kind: str) -> None:
    damage_definition(own, rb"CREATE (UNIQUE )?%s" % kind.encode(), 2)
    assert "Traceback" not in mmsearch("search", "a cat", library=own).err
    assert mmsearch("doctor", "--repair", library=own).code == 0
    assert mmsearch("doctor", library=own).code == 0
    assert sum(Library(own).status().counts.files.values()) == 18


@pytest.mark.slow
def test_the_name_of_a_sheet_that_damage_has_changed_is_no_answer(tmp_path: Path, mmsearch: Mmsearch) -> None:
    made.xlsx(tmp_path / "tools.xlsx", {"Shed": "<row><c t='s'><v>0</v></c></row>"}, ["a ladder and two saws"])
    library = tmp_path / "library"
    mmsearch("index", tmp_path / "tools.xlsx", library=library)
    change(library, "UPDATE part_names SET name = 'Sled'")
    assert mmsearch("search", "a ladder", library=library).code == 2
    assert mmsearch("doctor", "--repair", library=library).code == 0
    mmsearch("index", library=library)
    assert mmsearch("doctor", library=library).code == 0
    (hit,) = mmsearch("search", "a ladder", "--json", library=library).json["hits"]
    assert (hit["page"], hit["part_name"]) == (1, "Shed")
