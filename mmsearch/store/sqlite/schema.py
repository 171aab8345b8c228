"""The tables of a library and how an older library becomes a newer one. sqlite-utils is needed by writers only."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from mmsearch.files.crash_points import crash_point
from mmsearch.files.private import make_private_file
from mmsearch.store.sqlite.signing import SIGNED_FIRST, add_checksums, add_vector_checksums, own_settings
from mmsearch.store.sqlite.words import fill_words

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION = 11
APPLICATION_ID = 0x6D6D7365  # "mmse"


def _first_tables(db: Database) -> None:
    _settings(db)
    db.table("models").create(
        {"id": int, "name": str, "revision": str, "dimension": int, "fingerprint": str, "added": str},
        pk="id",
        not_null={"name", "revision", "dimension", "fingerprint"},
    ).create_index(["fingerprint"], unique=True)
    db.table("roots").create(
        {"id": int, "path": bytes, "rules": str, "added": str, "changed": str},
        pk="id",
        not_null={"path", "rules"},
    ).create_index(["path"], unique=True)
    # AUTOINCREMENT, which sqlite-utils has no word for: an id once given is never given again, so that a derived
    # file which still knows a deleted row can never take a newer row for it.
    for statement in (
        """CREATE TABLE contents (
             id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL, medium TEXT NOT NULL,
             bytes INTEGER NOT NULL, width INTEGER, height INTEGER, taken TEXT, encoding TEXT)""",
        """CREATE TABLE files (
             id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL, extension TEXT NOT NULL,
             root_id INTEGER NOT NULL REFERENCES roots(id), content_id INTEGER NOT NULL REFERENCES contents(id),
             size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL)""",
        """CREATE TABLE items (
             id INTEGER PRIMARY KEY AUTOINCREMENT, content_id INTEGER NOT NULL REFERENCES contents(id),
             model_id INTEGER NOT NULL REFERENCES models(id), modality TEXT NOT NULL,
             start INTEGER, "end" INTEGER, line INTEGER, text TEXT)""",
    ):
        db.execute(statement)
    db.table("contents").create_index(["digest"], unique=True)
    db.table("files").create_index(["path"], unique=True)
    db.table("files").create_index(["content_id"])
    db.table("items").create_index(["content_id", "model_id"])
    db.table("vectors").create({"item_id": int, "vector": bytes}, pk="item_id", not_null={"vector"})
    db.table("failures").create(
        {"id": int, "path": bytes, "root_id": int, "size": int, "mtime_ns": int, "reason": str, "noted": str},
        pk="id",
        not_null={"path", "root_id", "reason"},
    ).create_index(["path"], unique=True)
    db.create_view(
        "readable_files",
        """SELECT CAST(files.path AS TEXT) AS path, contents.medium, contents.width, contents.height, contents.taken,
             files.size, datetime(files.mtime_ns / 1000000000, 'unixepoch') AS modified
           FROM files JOIN contents ON contents.id = files.content_id""",
    )


def _settings(db: Database) -> None:
    settings = db.table("settings").create({"key": str, "value": str}, pk="key")
    settings.insert_all([{"key": "library_id", "value": uuid.uuid4().hex}, {"key": "items_removed", "value": "0"}])


def _adapters(db: Database) -> None:
    db.table("adapters").create(
        {
            "id": int, "name": str, "version": int, "model_fingerprint": str,
            "weights": bytes, "about": str, "added": str,
        },
        pk="id",
        not_null={"name", "version", "model_fingerprint", "weights", "about", "added"},
    ).create_index(["name", "version"], unique=True)  # fmt: skip


def _absences(db: Database) -> None:
    db.execute("ALTER TABLE roots ADD COLUMN mounts TEXT NOT NULL DEFAULT '[]'")
    db.execute("ALTER TABLE roots ADD COLUMN absent INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE contents ADD COLUMN orphaned INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX contents_orphaned ON contents (orphaned) WHERE orphaned = 1")


def _releases(db: Database) -> None:
    """From now on a file that lets go of its content marks it, so that no run needs to look at all contents."""
    db.execute("DROP INDEX contents_orphaned")
    db.execute("CREATE INDEX contents_orphaned ON contents (orphaned) WHERE orphaned > 0")
    db.execute("UPDATE contents SET orphaned = 2 WHERE orphaned = 0 AND id NOT IN (SELECT content_id FROM files)")
    # A change of model that was cut off, should there be one.
    db.execute("INSERT OR REPLACE INTO settings (key, value) VALUES ('unencoded', '1')")
    mark = "BEGIN UPDATE contents SET orphaned = 2 WHERE id = OLD.content_id AND orphaned = 0; END"
    db.execute(f"CREATE TRIGGER files_removed AFTER DELETE ON files {mark}")
    db.execute(f"CREATE TRIGGER files_changed AFTER UPDATE OF content_id ON files {mark}")


def _many_models(db: Database) -> None:
    """From now on a library has several models, each of which knows whether there may be files it has not encoded."""
    db.execute("ALTER TABLE models ADD COLUMN behind INTEGER NOT NULL DEFAULT 0")
    # The model that could not encode the file; none where nothing can read it.
    db.execute("ALTER TABLE failures ADD COLUMN model_id INTEGER")
    db.execute("DROP INDEX idx_failures_path")
    db.execute("CREATE UNIQUE INDEX failures_path ON failures (path, ifnull(model_id, 0))")
    db.execute("UPDATE models SET behind = 1 WHERE EXISTS (SELECT 1 FROM settings WHERE key = 'unencoded')")
    settings_by_model(db.conn)


def settings_by_model(connection: sqlite3.Connection) -> None:
    """Brings what was remembered for the one model of a library to what is remembered by model."""
    connection.execute(
        """INSERT OR IGNORE INTO settings (key, value)
           SELECT 'adapter_id ' || model_fingerprint, CAST(id AS TEXT) FROM adapters
           WHERE id = (SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'adapter_id')"""
    )
    connection.execute("DELETE FROM settings WHERE key IN ('unencoded', 'adapter_id')")


def _parts_with_places(db: Database) -> None:
    """From now on an item says where in its file it lies and how it came to be, and a content which reader read it."""
    for column in ("reader INTEGER NOT NULL DEFAULT 1", "duration REAL", "pages INTEGER"):
        db.execute(f"ALTER TABLE contents ADD COLUMN {column}")
    for column in (
        *("source TEXT NOT NULL DEFAULT 'body'", "page INTEGER", "region TEXT", "time_from REAL", "time_to REAL"),
        # The place among the items that one model has of the content, and whether there are no more.
        *("ordinal INTEGER NOT NULL DEFAULT 0", "last INTEGER NOT NULL DEFAULT 0"),
    ):
        db.execute(f"ALTER TABLE items ADD COLUMN {column}")
    number_items(db.conn)
    # The readers there were, with their versions, when the file could not be read.
    db.execute("ALTER TABLE failures ADD COLUMN readers TEXT")
    # Which modalities the items of a model have, and of which media the files are that they come from.
    db.execute(
        """CREATE TABLE spaces (id INTEGER PRIMARY KEY, model_id INTEGER NOT NULL, modality TEXT NOT NULL,
             medium TEXT NOT NULL, UNIQUE (model_id, modality, medium))"""
    )
    note_spaces(db.conn)
    db.execute(
        """CREATE TABLE unread (id INTEGER PRIMARY KEY, root_id INTEGER NOT NULL, extension TEXT NOT NULL,
             files INTEGER NOT NULL, UNIQUE (root_id, extension))"""
    )
    db.execute("INSERT OR IGNORE INTO settings (key, value) VALUES ('state', '0')")
    # By which hash function the digest was made: another one from now on. A content changes its digest once it is read.
    db.execute("ALTER TABLE contents ADD COLUMN hash TEXT NOT NULL DEFAULT 'xxh3'")
    db.execute("CREATE INDEX contents_of_older_hash ON contents (id) WHERE hash = 'xxh3'")
    # Not known of files that were read before.
    db.execute("ALTER TABLE files ADD COLUMN ctime_ns INTEGER")
    add_checksums(db.conn, *SIGNED_FIRST)
    add_vector_checksums(db.conn)


def _remarks(db: Database) -> None:
    """From now on it is known what was missing in a content, and how many of its passages a model left out."""
    # `most` is how many passages it might have.
    db.execute(
        """CREATE TABLE remarks (id INTEGER PRIMARY KEY, content_id INTEGER NOT NULL, model_id INTEGER NOT NULL,
             note TEXT, left_out INTEGER NOT NULL, most INTEGER NOT NULL, UNIQUE (content_id, model_id))"""
    )
    db.execute(
        """CREATE TRIGGER contents_removed AFTER DELETE ON contents
           BEGIN DELETE FROM remarks WHERE content_id = OLD.id; END"""
    )
    db.execute(
        """CREATE TRIGGER models_removed AFTER DELETE ON models
           BEGIN DELETE FROM remarks WHERE model_id = OLD.id; END"""
    )
    add_checksums(db.conn, "failures", "adapters", "unread", "remarks")
    db.execute("ALTER TABLE models RENAME COLUMN behind TO may_lack_files")


def _query_banks(db: Database) -> None:
    """From now on a model may have a query bank, by which pictures that are near to every text are known."""
    db.execute(
        """CREATE TABLE query_banks (model_id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, sharpness REAL NOT NULL,
             centre REAL NOT NULL, vectors BLOB NOT NULL)"""
    )
    db.execute(
        """CREATE TRIGGER models_with_banks_removed AFTER DELETE ON models
           BEGIN DELETE FROM query_banks WHERE model_id = OLD.id; END"""
    )
    add_checksums(db.conn, "query_banks")


def _part_names(db: Database) -> None:
    """From now on an item may have the name of the part of its file that it is of: a slide, a sheet, an attachment."""
    db.execute("CREATE TABLE part_names (item_id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    db.execute(
        """CREATE TRIGGER items_removed AFTER DELETE ON items
           BEGIN DELETE FROM part_names WHERE item_id = OLD.id; END"""
    )
    add_checksums(db.conn, "part_names")


def _part_names_and_details(db: Database) -> None:
    _part_names(db)
    _details(db)


def _details(db: Database) -> None:
    """From now on a content says what it tells of itself, and a file what its sidecars tell of it."""
    columns = """camera TEXT, lens TEXT, focal_length REAL, iso INTEGER, latitude REAL, longitude REAL, place TEXT,
        rating INTEGER, title TEXT, keywords TEXT, description TEXT"""
    # In which version of the medium's reader they were read.
    db.execute(f"CREATE TABLE details (content_id INTEGER PRIMARY KEY, version INTEGER NOT NULL, {columns})")
    # Which sidecars there were, and in what state.
    db.execute(f"CREATE TABLE sidecars (file_id INTEGER PRIMARY KEY, state TEXT NOT NULL, taken TEXT, {columns})")
    db.execute(
        """CREATE TRIGGER contents_with_details_removed AFTER DELETE ON contents
           BEGIN DELETE FROM details WHERE content_id = OLD.id; END"""
    )
    db.execute(
        """CREATE TRIGGER files_with_sidecars_removed AFTER DELETE ON files
           BEGIN DELETE FROM sidecars WHERE file_id = OLD.id; END"""
    )
    add_checksums(db.conn, "details", "sidecars")


def _word_index(db: Database) -> None:
    """From now on files and items are found by their words, too; see `words.py`. Nothing is encoded for it."""
    fill_words(db.conn)


def _stages(db: Database) -> None:
    """From now on it is known which stages have read a content in which version, and what texts they found in it."""
    # How many parts it found, or why it could not read the content.
    db.execute(
        """CREATE TABLE stages (id INTEGER PRIMARY KEY, content_id INTEGER NOT NULL, stage TEXT NOT NULL,
             version TEXT NOT NULL, parts INTEGER NOT NULL, failure TEXT, noted TEXT NOT NULL,
             UNIQUE (content_id, stage))"""
    )
    # What the items of every model are made of.
    db.execute(
        """CREATE TABLE stage_parts (id INTEGER PRIMARY KEY, content_id INTEGER NOT NULL, stage TEXT NOT NULL,
             ordinal INTEGER NOT NULL, page INTEGER, region TEXT, time_from REAL, time_to REAL, part_name TEXT,
             text TEXT NOT NULL, UNIQUE (content_id, stage, ordinal))"""
    )
    db.execute(
        """CREATE TRIGGER contents_with_stages_removed AFTER DELETE ON contents
           BEGIN DELETE FROM stages WHERE content_id = OLD.id; DELETE FROM stage_parts WHERE content_id = OLD.id; END"""
    )
    # Contents of which a model has encoded all there is: nothing, but for what stages find.
    db.execute(
        """CREATE TABLE wordless (id INTEGER PRIMARY KEY, content_id INTEGER NOT NULL, model_id INTEGER NOT NULL,
             UNIQUE (content_id, model_id))"""
    )
    db.execute(
        """CREATE TRIGGER wordless_contents_removed AFTER DELETE ON contents
           BEGIN DELETE FROM wordless WHERE content_id = OLD.id; END"""
    )
    db.execute(
        """CREATE TRIGGER wordless_models_removed AFTER DELETE ON models
           BEGIN DELETE FROM wordless WHERE model_id = OLD.id; END"""
    )
    add_checksums(db.conn, "stages", "stage_parts", "wordless")


def _word_index_and_stages(db: Database) -> None:
    _word_index(db)
    _stages(db)


def _archives(db: Database) -> None:
    """From now on archives may be looked into, and it is known in which state each was read last."""
    # By which readers and rules it was read (`read_as`), how many of its files are known, which kinds nothing reads,
    # and why some of it was left out.
    db.execute(
        """CREATE TABLE archives (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, root_id INTEGER NOT NULL,
             size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER, read_as TEXT NOT NULL,
             files INTEGER NOT NULL, unread TEXT NOT NULL, trouble TEXT)"""
    )
    add_checksums(db.conn, "archives")


def number_items(connection: sqlite3.Connection) -> None:
    """Gives the items of each content and model their places, of a library whose items are in order and whole."""
    connection.execute(
        """UPDATE items SET ordinal = placed.ordinal, last = placed.last FROM
             (SELECT id, row_number() OVER forward - 1 AS ordinal, id = max(id) OVER whole AS last FROM items
              WINDOW forward AS (PARTITION BY content_id, model_id ORDER BY id),
                whole AS (PARTITION BY content_id, model_id)) AS placed
           WHERE placed.id = items.id"""
    )


def note_spaces(connection: sqlite3.Connection) -> None:
    """Notes the modalities and media that all items have."""
    connection.execute(
        """INSERT OR IGNORE INTO spaces (model_id, modality, medium)
           SELECT DISTINCT items.model_id, items.modality, contents.medium
           FROM items JOIN contents ON contents.id = items.content_id"""
    )


# The migration at place n brings a library of version n to version n + 1; a new library takes them all.
MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _first_tables,
    _adapters,
    _absences,
    _releases,
    _many_models,
    _parts_with_places,
    _remarks,
    _query_banks,
    _part_names_and_details,
    _word_index_and_stages,
    _archives,
)
assert len(MIGRATIONS) == SCHEMA_VERSION


def migrate(connection: sqlite3.Connection, copy: str) -> None:
    """Brings the older or empty library behind `connection` to SCHEMA_VERSION, in one transaction.

    An older library is kept as it was in the file `copy` until that has succeeded.
    """
    from sqlite_utils import Database

    db = Database(connection)
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version:
        make_private_file(copy)
        with closing(sqlite3.connect(copy)) as kept:
            connection.backup(kept)
        crash_point("library copied before upgrade")
    with db.atomic():
        for migration in MIGRATIONS[version:]:
            migration(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        # Where damage has changed the number in the header, this one tells.
        db.execute("DELETE FROM settings WHERE key = 'schema'")
        own_settings(connection)
    crash_point("library upgraded" if version else "library made")
    if version:
        os.remove(copy)
