"""Checksums in the tables: over each vector, and over what a row says of a file, content, item, model, root, setting …

Whatever a writer changes in such a row, triggers of its connection bring its checksum up to date. SQLite itself sees
damage of its own structure alone, and takes a flipped bit within a value for the value.
"""

from __future__ import annotations

import sqlite3
import uuid

from mmsearch.store.checksums import values_checksum, vector_checksums

_AT_ONCE = 4_096
_NUMBERS_OF_DETAILS = "focal_length iso latitude longitude rating"
_TEXTS_OF_DETAILS = "camera lens place title keywords description"
# What the checksum of a row covers: numbers and bytes, and texts.
_COVERED = {
    "contents": ("id digest bytes reader width height duration pages", "medium taken encoding hash"),
    "files": ("id path root_id content_id size mtime_ns ctime_ns", "extension"),
    "items": (
        'id content_id model_id ordinal last start "end" line page time_from time_to',
        "modality source region text",
    ),
    "models": ("id dimension", "name revision fingerprint added"),
    "roots": ("id path absent", "rules added changed mounts"),
    "settings": ("", "key value"),
    "failures": ("id path root_id size mtime_ns model_id", "reason noted readers"),
    "adapters": ("id version weights", "name model_fingerprint about added"),
    "unread": ("id root_id files", "extension"),
    "remarks": ("id content_id model_id left_out most", "note"),
    "query_banks": ("model_id sharpness centre vectors", "fingerprint"),
    "part_names": ("item_id", "name"),
    "details": (f"content_id version {_NUMBERS_OF_DETAILS}", _TEXTS_OF_DETAILS),
    "sidecars": (f"file_id {_NUMBERS_OF_DETAILS}", f"state taken {_TEXTS_OF_DETAILS}"),
    "archives": ("id path root_id size mtime_ns ctime_ns files", "read_as unread trouble"),
    "stages": ("id content_id parts", "stage version failure noted"),
    "wordless": ("id content_id model_id", ""),
    "stage_parts": ("id content_id ordinal page time_from time_to", "stage region part_name text"),
}
SIGNED = tuple(_COVERED)
# Those that have had checksums since schema 6.
SIGNED_FIRST = ("contents", "files", "items", "models", "roots", "settings")


def add_functions(connection: sqlite3.Connection) -> None:
    """Lets statements of the connection say what `is_sound` and `sign` give."""
    connection.create_function("values_checksum", -1, values_checksum, deterministic=True)


def keep_signed(connection: sqlite3.Connection) -> None:
    """From now on each row that this connection writes has its checksum, but for damaged ones that it changes."""
    for table, (values, texts) in _COVERED.items():
        covered = ", ".join((*values.split(), *texts.split()))
        signing = f"BEGIN UPDATE {table} SET checksum = {_checksum(table)} WHERE rowid = NEW.rowid; END"
        connection.execute(f"CREATE TEMP TRIGGER sign_new_{table} AFTER INSERT ON main.{table} {signing}")
        connection.execute(
            f"""CREATE TEMP TRIGGER sign_changed_{table} AFTER UPDATE OF {covered} ON main.{table}
                WHEN OLD.checksum IS {_checksum(table, "OLD")} {signing}"""
        )


def add_checksums(connection: sqlite3.Connection, *tables: str) -> None:
    """Adds checksums to the rows of tables that have none: what they say now is held to be right."""
    add_functions(connection)
    for table in tables:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
        sign(connection, table)


def add_vector_checksums(connection: sqlite3.Connection) -> None:
    """Adds checksums to vectors, which have none."""
    connection.execute("ALTER TABLE vectors ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
    sign_vectors(connection)


def sign_vectors(connection: sqlite3.Connection) -> None:
    """Gives every vector the checksum of what it is now."""
    last = -(2**63)
    while rows := connection.execute(
        "SELECT item_id, vector FROM vectors WHERE item_id > ? ORDER BY item_id LIMIT ?", (last, _AT_ONCE)
    ).fetchall():
        last = rows[-1][0]
        connection.executemany(
            "UPDATE vectors SET checksum = ? WHERE item_id = ?",
            zip(checksums([row[0] for row in rows], [row[1] for row in rows]), (row[0] for row in rows), strict=True),
        )


def sign(connection: sqlite3.Connection, table: str, condition: str = "1") -> None:
    """Gives those rows of the table the checksum of what they say now."""
    connection.execute(f"UPDATE {table} SET checksum = {_checksum(table)} WHERE {condition}")


def checksums(item_ids: list[int], vectors: list[bytes]) -> list[int]:
    """The checksums of those items' vectors."""
    import numpy as np

    found: list[int] = vector_checksums(np.array(item_ids, np.int64), vectors).tolist()
    return found


def is_sound(table: str) -> str:
    """An expression of SQL that tells whether a row of that table says what it was given."""
    return f"{table}.checksum IS {_checksum(table)}"


def _checksum(table: str, row: str = "") -> str:
    values, texts = _COVERED[table]
    row = row or table
    # Damage can make a text one that cannot be read as such.
    arguments = [f"{row}.{name}" for name in values.split()]
    arguments += [f"typeof({row}.{name}), CAST({row}.{name} AS BLOB)" for name in texts.split()]
    return f"values_checksum({', '.join(arguments)})"


def own_settings(connection: sqlite3.Connection) -> None:
    """Gives the library an id and its schema, where it has none."""
    add_functions(connection)
    connection.execute(
        """INSERT OR IGNORE INTO settings (key, value)
           SELECT 'schema', user_version FROM pragma_user_version UNION ALL SELECT 'library_id', ?
           UNION ALL SELECT 'items_removed', '0' UNION ALL SELECT 'state', '1'""",
        (uuid.uuid4().hex,),
    )
    sign(connection, "settings", "checksum = 0")


def unsound_rows(connection: sqlite3.Connection, table: str) -> list[int]:
    """The ids of the rows of that table that damage has changed."""
    return [row[0] for row in connection.execute(f"SELECT rowid FROM {table} WHERE NOT ({is_sound(table)})")]


def unsound_vectors(connection: sqlite3.Connection) -> list[int]:
    """The ids of the items whose vectors damage has changed."""
    rows = connection.execute("SELECT item_id, vector, checksum FROM vectors ORDER BY item_id")
    found: list[int] = []
    while block := rows.fetchmany(_AT_ONCE):
        right = checksums([row[0] for row in block], [row[1] for row in block])
        found += [row[0] for row, checksum in zip(block, right, strict=True) if row[2] != checksum]
    return found


def drop_unsound(connection: sqlite3.Connection) -> None:
    """Drops what damage has changed, within the caller's transaction, so that the next index run takes it in again.

    Of a root that can still be read all is kept as it is: a person knows what its rules were. Settings that are dropped
    are found out again, but for the adapter in use.
    """
    execute = connection.execute
    _restore_dimensions(connection)
    bad = {table: f"SELECT rowid FROM {table} WHERE NOT ({is_sound(table)})" for table in SIGNED}
    execute(f"DELETE FROM files WHERE id IN ({bad['files']}) OR content_id IN ({bad['contents']})")
    execute("CREATE TEMP TABLE IF NOT EXISTS damaged_vectors (item_id INTEGER PRIMARY KEY)")
    execute("DELETE FROM damaged_vectors")
    connection.executemany("INSERT INTO damaged_vectors VALUES (?)", ((one,) for one in unsound_vectors(connection)))
    execute(
        f"""DELETE FROM items WHERE content_id IN (SELECT content_id FROM items WHERE id IN ({bad["items"]})
              OR id IN (SELECT item_id FROM damaged_vectors) OR id IN ({bad["part_names"]}) UNION {bad["contents"]})
              OR model_id IN ({bad["models"]})"""
    )
    execute("DELETE FROM vectors WHERE item_id NOT IN (SELECT id FROM items)")
    execute(f"DELETE FROM contents WHERE id IN ({bad['contents']})")
    execute(f"DELETE FROM models WHERE id IN ({bad['models']})")
    execute("DELETE FROM roots WHERE typeof(path) <> 'blob' OR typeof(rules) <> 'text'")
    execute("UPDATE roots SET absent = 0 WHERE typeof(absent) <> 'integer'")
    execute("UPDATE roots SET mounts = '[]' WHERE typeof(mounts) <> 'text'")
    sign(connection, "roots")
    others = ("settings", *(table for table in SIGNED if table not in SIGNED_FIRST))
    for table in others:
        execute(f"DELETE FROM {table} WHERE rowid IN ({bad[table]})")
    # Of contents that have lost their details those are read again.
    execute("DELETE FROM settings WHERE key = 'readers'")
    own_settings(connection)


def _restore_dimensions(connection: sqlite3.Connection) -> None:
    """Takes the dimension of a damaged model from its vectors, where nothing else of it is damaged."""
    for model_id in unsound_rows(connection, "models"):
        sizes = connection.execute(
            """SELECT length(vector) / 2 FROM vectors JOIN items ON items.id = item_id WHERE model_id = ?
               GROUP BY length(vector) ORDER BY count(*) DESC LIMIT 1""",
            (model_id,),
        ).fetchall()
        for (dimension,) in sizes:
            of_row = _checksum("models").replace("models.dimension", "?1")
            connection.execute(
                f"UPDATE models SET dimension = ?1 WHERE id = ?2 AND checksum IS {of_row}", (dimension, model_id)
            )
