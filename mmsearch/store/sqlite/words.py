"""The word index: SQLite's FTS5 over what files are called and say, and over the texts of items.

A file's document has its name, its folders, and what it and its sidecars say of it; the documents of an item have its
text and the name of its part. Neither keeps its words (contentless tables): they follow from the rows of other tables.
Triggers of a writer's connection see to it that whatever changes such a row changes its documents in the same
transaction. What they know of a text are its words as `store.words` makes them: so it is taken out as it was put in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from mmsearch.files.crash_points import crash_point
from mmsearch.records import Filters, WordPlace, WordSource
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.filters import filter_condition
from mmsearch.store.sqlite.signing import is_sound
from mmsearch.store.word_rows import INDEXED, MOST_JOINED, REMOVED, SAID, SOURCE_COLUMNS, TOLD, joined, word_source
from mmsearch.store.words import WORDS_VERSION, AskedWord, name_and_folders, words_of_name, words_of_text

_TABLES = {"file_words": "name, folder, said, told", "item_words": "words"}
_DEFINITION = "USING fts5({columns}, content='', columnsize=0, tokenize='ascii')"


def _as_bytes(*columns: str) -> str:
    """Damage can make a text one that cannot be handed on as such."""
    return ", ".join(f"CAST({column} AS BLOB)" for column in columns)


_OF_FILE = f"""files.id, name_words({_as_bytes("files.path")}), folder_words({_as_bytes("files.path", "roots.path")}),
    text_words({_as_bytes(*SAID)}), text_words({_as_bytes(*TOLD)})
  FROM files LEFT JOIN roots ON roots.id = files.root_id LEFT JOIN details ON details.content_id = files.content_id
    LEFT JOIN sidecars ON sidecars.file_id = files.id"""
# Several models have the same passages: those of the one that came first are indexed. `{0}` is the item.
_IS_INDEXED = """NOT EXISTS (SELECT 1 FROM items AS other WHERE other.content_id = {0}.content_id
    AND other.model_id < {0}.model_id AND other.source = {0}.source AND other.modality = {0}.modality)"""
_IS_LIKE = "content_id = {0}.content_id AND source = {0}.source AND modality = {0}.modality"
# Of text and part name: an item has two documents.
_OF_TEXT = f"2 * items.id, text_words({_as_bytes('items.text')}) FROM items"
_OF_PART = f"""2 * items.id + 1, text_words({_as_bytes("part_names.name")})
  FROM items JOIN part_names ON part_names.item_id = items.id"""


class WordTables(Connected):
    """What is found by its words. Of these methods `renew_words` and `settle_words` write."""

    def has_words(self) -> bool:
        """Whether there is a word index, and SQLite can read it."""
        return self.setting(INDEXED) == str(WORDS_VERSION) and has_fts5(self.connection)

    def documents_known(self) -> int:
        return sum(_documents(self.connection, "main", table) for table in _TABLES)

    def documents_with(self, words: Sequence[AskedWord], most: int) -> tuple[list[int], list[int]]:
        asked = _all_of(words)
        execute = self.connection.execute
        files = execute("SELECT rowid FROM file_words WHERE file_words MATCH ? LIMIT ?", (asked, most)).fetchall()
        items = execute(
            "SELECT DISTINCT rowid >> 1 FROM item_words WHERE item_words MATCH ? ORDER BY rowid LIMIT ?", (asked, most)
        ).fetchall()
        return [row[0] for row in files], [row[0] for row in items]

    def documents_with_each(self, asked: Sequence[Sequence[AskedWord]], most: int) -> list[tuple[list[int], list[int]]]:
        return [self.documents_with(words, most) for words in asked]

    def items_in_files_with(self, named: Sequence[AskedWord], said: Sequence[AskedWord], most: int) -> list[int]:
        # The + keeps SQLite from going through all of the named files for each item.
        rows = self.connection.execute(
            """SELECT DISTINCT items.id FROM
                 (SELECT DISTINCT rowid >> 1 AS id FROM item_words WHERE item_words MATCH ? LIMIT ?) AS said
               CROSS JOIN items ON items.id = said.id CROSS JOIN files ON files.content_id = items.content_id
               WHERE +files.id IN (SELECT rowid FROM file_words WHERE file_words MATCH ? LIMIT ?) LIMIT ?""",
            (_all_of(said), MOST_JOINED, _all_of(named), MOST_JOINED, most),
        )
        return [row[0] for row in rows]

    def files_named(self, word: AskedWord, most: int) -> list[int]:
        rows = self.connection.execute(
            "SELECT rowid FROM file_words WHERE file_words MATCH ? LIMIT ?",
            (f"{{name folder said}} : {_match(word)}", most),
        )
        return [row[0] for row in rows]

    def holds_any(self, words: Sequence[AskedWord]) -> bool:
        asked = " OR ".join(map(_match, words))
        found = (
            self.connection.execute(f"SELECT 1 FROM {one} WHERE {one} MATCH ? LIMIT 1", (asked,)) for one in _TABLES
        )
        return any(rows.fetchone() is not None for rows in found)

    def files_with(self, word: AskedWord) -> set[int]:
        rows = self.connection.execute(
            """SELECT rowid FROM file_words WHERE file_words MATCH ?1 UNION
               SELECT files.id FROM files WHERE content_id IN
                 (SELECT content_id FROM items WHERE id IN
                   (SELECT rowid >> 1 FROM item_words WHERE item_words MATCH ?1))""",
            (_match(word),),
        )
        return {row[0] for row in rows}

    def word_places(
        self, file_ids: Iterable[int], item_ids: Iterable[int], filters: Filters, model_ids: Sequence[int]
    ) -> list[WordPlace]:
        condition, values = filter_condition(filters)
        models = "model_id IN (SELECT value FROM json_each(?))"
        first = f"SELECT min(id) FROM items WHERE items.content_id = files.content_id AND {models}"
        columns = "files.id, files.path, files.content_id, files.size"
        rows = self.connection.execute(
            f"""SELECT ({first}) AS item_id, 1, {columns} FROM files JOIN contents ON contents.id = files.content_id
                WHERE files.id IN (SELECT value FROM json_each(?)) AND {condition} AND item_id IS NOT NULL
                UNION ALL SELECT given.id, 0, {columns} FROM items AS given
                  JOIN files ON files.content_id = given.content_id JOIN contents ON contents.id = files.content_id
                WHERE given.id IN (SELECT value FROM json_each(?)) AND {condition} AND ({first}) IS NOT NULL""",
            (
                *(models_json := json.dumps(list(model_ids)), json.dumps(list(file_ids)), *values),
                *(json.dumps(list(item_ids)), *values, models_json),
            ),
        )
        return [
            WordPlace(item_id, bool(is_file), file_id, path, content_id, size)
            for item_id, is_file, file_id, path, content_id, size in rows
        ]

    def word_sources(self, item_ids: Iterable[int], filters: Filters) -> list[WordSource]:
        """What is indexed of those items, and of every file that holds them and passes the filters.

        Raises:
            DatabaseError: damage has changed what the store says of one of them.
        """
        condition, values = filter_condition(filters)
        tables = ("items", "files", "contents", "roots")
        beside = {"part_names": "item_id", "details": "content_id", "sidecars": "file_id"}
        sound = [is_sound(table) for table in tables]
        sound += [f"({table}.{key} IS NULL OR {is_sound(table)})" for table, key in beside.items()]
        rows = self.connection.execute(
            f"""SELECT {SOURCE_COLUMNS}, {" AND ".join(sound)}
                FROM items JOIN contents ON contents.id = items.content_id JOIN files ON files.content_id = contents.id
                JOIN roots ON roots.id = files.root_id LEFT JOIN part_names ON part_names.item_id = items.id
                LEFT JOIN details ON details.content_id = contents.id LEFT JOIN sidecars ON sidecars.file_id = files.id
                WHERE items.id IN (SELECT value FROM json_each(?)) AND {condition}""",
            (json.dumps([int(item_id) for item_id in item_ids]), *values),
        )
        found = rows.fetchall()
        if not all(row[-1] for row in found):
            raise sqlite3.DatabaseError("the checksum of a row is wrong")
        return [word_source(row[:-1]) for row in found]

    def renew_words(self) -> None:
        if has_fts5(self.connection):
            fill_words(self.connection)

    def settle_words(self) -> bool:
        if self.setting(REMOVED) is None or not has_fts5(self.connection):
            return False
        with self.transaction():
            for table in _TABLES:
                self.connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
            self.remove_setting(REMOVED)
        crash_point("words settled")
        return True


def _documents(connection: sqlite3.Connection, schema: str, table: str) -> int:
    """How many documents a table has, by FTS5's own count: a varint at the beginning of its record of averages.

    https://www.sqlite.org/fts5.html#the_averages_record_data_table_id_1_ and https://www.sqlite.org/fileformat.html
    """
    row = connection.execute(f"SELECT block FROM {schema}.{table}_data WHERE id = 1").fetchone()
    count = 0
    for byte in row[0][:8] if row is not None and isinstance(row[0], bytes) else b"":
        count = count << 7 | byte & 127
        if byte < 128:
            break
    return count


def _all_of(words: Sequence[AskedWord]) -> str:
    return " AND ".join(_match(word) for word in words)


def _match(word: AskedWord) -> str:
    return f'"{" ".join(word.pieces)}"' + (" *" if word.is_begun else "")


def has_fts5(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite was built with FTS5."""
    return connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def keep_words(connection: sqlite3.Connection) -> bool:
    """From now on what this connection writes is in the word index. Whether all that was written before is, too.

    Without FTS5 nothing is indexed, and this says so to those who write the library with it later.
    """
    add_word_functions(connection)
    if not has_fts5(connection):
        connection.execute("DELETE FROM settings WHERE key = ?", (INDEXED,))
        return True
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (INDEXED,)).fetchone()
    _make_tables(connection)
    for name, (when, table, event, condition, actions) in _triggers().items():
        condition = f"WHEN {condition}" if condition else ""
        connection.execute(
            f"CREATE TEMP TRIGGER {name} {when} {event} ON main.{table} {condition} BEGIN {'; '.join(actions)}; END"
        )
    return bool(row == (str(WORDS_VERSION),))


def drop_triggers(connection: sqlite3.Connection) -> None:
    """From now on what this connection writes is not in the word index, which is to be made anew afterwards."""
    for name in _triggers():
        connection.execute(f"DROP TRIGGER IF EXISTS temp.{name}")


def fill_words(connection: sqlite3.Connection) -> None:
    """Indexes the words of all files and items anew, within the caller's transaction; nothing without FTS5."""
    execute = connection.execute
    add_word_functions(connection)
    execute("DELETE FROM settings WHERE key IN (?, ?)", (INDEXED, REMOVED))
    if not has_fts5(connection):
        return
    _make_tables(connection)
    for table in _TABLES:
        execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
    _insert_all(connection, "main")
    execute("INSERT INTO settings (key, value) VALUES (?, ?)", (INDEXED, str(WORDS_VERSION)))


def _insert_all(connection: sqlite3.Connection, schema: str) -> None:
    execute, indexed = connection.execute, _IS_INDEXED.format("items")
    execute(f"INSERT INTO {schema}.file_words (rowid, {_TABLES['file_words']}) SELECT {_OF_FILE}")
    of_items = f"INSERT INTO {schema}.item_words (rowid, words) SELECT"
    execute(f"{of_items} {_OF_TEXT} WHERE items.text IS NOT NULL AND {indexed}")
    execute(f"{of_items} {_OF_PART} WHERE {indexed}")


def word_damage(connection: sqlite3.Connection) -> bool:
    """Whether the word index holds other words than files and items have: it is made once more, and compared.

    Raises:
        DatabaseError: it cannot be read.
    """
    execute = connection.execute
    row = execute("SELECT value FROM settings WHERE key = ?", (INDEXED,)).fetchone()
    if not has_fts5(connection) or row != (str(WORDS_VERSION),):
        return False  # searches do without
    add_word_functions(connection)
    for table, columns in _TABLES.items():
        execute(f"CREATE VIRTUAL TABLE temp.{table} {_DEFINITION.format(columns=columns)}")
    _insert_all(connection, "temp")
    summary = 'SELECT term, count(*), sum(doc * 7919 + "offset" * 31 + unicode(col)) FROM temp.{0}_{1} GROUP BY term'
    for table in _TABLES:
        if _documents(connection, "main", table) != _documents(connection, "temp", table):
            return True
        for schema in ("main", "temp"):
            execute(f"CREATE VIRTUAL TABLE temp.{schema}_{table} USING fts5vocab({schema}, {table}, instance)")
        one, other = summary.format("main", table), summary.format("temp", table)
        for left, right in ((one, other), (other, one)):
            if execute(f"{left} EXCEPT {right} LIMIT 1").fetchone() is not None:
                return True
    return False


def add_word_functions(connection: sqlite3.Connection) -> None:
    """Lets statements of the connection make words of names and texts."""
    connection.create_function("name_words", 1, _name_words, deterministic=True)
    connection.create_function("folder_words", 2, _folder_words, deterministic=True)
    connection.create_function("text_words", -1, _text_words, deterministic=True)


def _make_tables(connection: sqlite3.Connection) -> None:
    for table, columns in _TABLES.items():
        connection.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS {table} {_DEFINITION.format(columns=columns)}")


def _triggers() -> dict[str, tuple[str, str, str, str, tuple[str, ...]]]:
    """By name when a trigger fires, on which table and event, under which condition, and what it does."""
    out, into = _of_files("'delete', "), _of_files("")
    moved = "OLD.content_id IS NOT NEW.content_id OR OLD.root_id IS NOT NEW.root_id"
    event = "UPDATE OF content_id, root_id"
    triggers = {
        "word_file": ("AFTER", "files", "INSERT", "", (into + "files.id = NEW.id",)),
        "unword_file": ("BEFORE", "files", "DELETE", "", (out + "files.id = OLD.id", _note_removed())),
        "unword_moved_file": ("BEFORE", "files", event, moved, (out + "files.id = OLD.id", _note_removed())),
        "word_moved_file": ("AFTER", "files", event, moved, (into + "files.id = NEW.id",)),
    }
    # Nothing is updated there, and nothing replaced: that would fire no trigger, and replace documents, too.
    for table, key in (("details", "content_id"), ("sidecars", "file_id")):
        file = "files.content_id" if table == "details" else "files.id"
        for event, row in (("INSERT", "NEW"), ("DELETE", "OLD")):
            these = f"{file} = {row}.{key}"
            before = (f"{out} {these}", _note_removed(f"AND EXISTS (SELECT 1 FROM files WHERE {these})"))
            triggers[f"unword_{table}_at_{event}"] = ("BEFORE", table, event, "", before)
            triggers[f"word_{table}_at_{event}"] = ("AFTER", table, event, "", (f"{into} {these}",))
    new, old = _IS_INDEXED.format("NEW"), _IS_INDEXED.format("OLD")
    others = "SELECT 1 FROM items AS one WHERE one.{like} AND one.model_id = {0}.model_id AND one.id <> {0}.id"
    is_first = f"{new} AND NOT EXISTS ({others.format('NEW', like=_IS_LIKE.format('NEW'))})"
    is_last = f"{old} AND NOT EXISTS ({others.format('OLD', like=_IS_LIKE.format('OLD'))})"
    triggers["word_item"] = ("AFTER", "items", "INSERT", f"NEW.text IS NOT NULL AND {new}", (_add_items("NEW"),))
    # Of a model that came before another one that has encoded the same: its passages take the others' place.
    triggers["word_first_item"] = ("AFTER", "items", "INSERT", is_first, (*_items_of_next("NEW", "'delete', "),))
    triggers["unword_item"] = ("BEFORE", "items", "DELETE", old, (*_remove_item(), _note_removed()))
    triggers["unword_last_item"] = ("BEFORE", "items", "DELETE", is_last, (*_items_of_next("OLD", ""),))
    part = "(SELECT 1 FROM items WHERE items.id = NEW.item_id AND " + _IS_INDEXED.format("items") + ")"
    add_part = f"INSERT INTO item_words (rowid, words) SELECT 2 * NEW.item_id + 1, text_words({_as_bytes('NEW.name')})"
    triggers["word_part_name"] = ("AFTER", "part_names", "INSERT", f"EXISTS {part}", (add_part,))
    return triggers


def _of_files(command: str) -> str:
    """The statement that puts files' documents into the index or, with the command `delete`, takes them out."""
    columns = f"{'file_words, ' if command else ''}rowid, {_TABLES['file_words']}"
    return f"INSERT INTO file_words ({columns}) SELECT {command}{_OF_FILE} WHERE "


def _add_items(row: str) -> str:
    return f"INSERT INTO item_words (rowid, words) SELECT 2 * {row}.id, text_words({_as_bytes(row + '.text')})"


def _remove_item() -> tuple[str, str]:
    out = "INSERT INTO item_words (item_words, rowid, words) SELECT 'delete', "
    return (
        f"{out}{_OF_TEXT} WHERE items.id = OLD.id AND items.text IS NOT NULL",
        f"{out}{_OF_PART} WHERE items.id = OLD.id",
    )


def _items_of_next(row: str, command: str) -> tuple[str, str]:
    """Puts the items in, or takes them out, of the model that comes next after that of the row and has the same."""
    like = _IS_LIKE.format(row)
    columns = f"{'item_words, ' if command else ''}rowid, words"
    these = f"""items.{like} AND items.model_id = (SELECT min(model_id) FROM items AS other
        WHERE other.{like} AND other.model_id > {row}.model_id)"""
    into = f"INSERT INTO item_words ({columns}) SELECT {command}"
    return f"{into}{_OF_TEXT} WHERE items.text IS NOT NULL AND {these}", f"{into}{_OF_PART} WHERE {these}"


def _note_removed(condition: str = "") -> str:
    return f"""INSERT INTO settings (key, value) SELECT '{REMOVED}', '1'
        WHERE NOT EXISTS (SELECT 1 FROM settings WHERE key = '{REMOVED}') {condition}"""


def _name_words(path: bytes) -> str:
    return " ".join(words_of_name(name_and_folders(_bytes(path), None)[0]))


def _folder_words(path: bytes, root: bytes | None) -> str:
    folders = name_and_folders(_bytes(path), None if root is None else _bytes(root))[1]
    return " ".join(words_of_name(folders))


def _text_words(*texts: object) -> str:
    return " ".join(words_of_text(joined(_text(text) for text in texts if text)))


def _text(text: object) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _bytes(path: object) -> bytes:
    return path if isinstance(path, bytes) else str(path).encode("utf-8", "replace")
