"""The tables of the word index, and the triggers that tell which words are to be indexed anew.

PostgreSQL cannot make words as `store.words` does. So triggers note of which files and contents the words may have
changed, and the store makes them at the end of the transaction, before it is committed: see `words.py`. What is gone
from other tables, they take out at once.
"""

from __future__ import annotations

from collections.abc import Iterator

_TABLES = (
    # Places in `words` are those in the document: phrases are looked for by them. Beside them what filters compare.
    """CREATE TABLE file_words (
      file_id bigint PRIMARY KEY, words tsvector NOT NULL,
      camera text COLLATE "C", lens text COLLATE "C", place text COLLATE "C", keywords text COLLATE "C")""",
    "CREATE INDEX file_words_words ON file_words USING gin (words)",
    """CREATE TABLE item_words (
      item_id bigint NOT NULL, is_part_name boolean NOT NULL, words tsvector NOT NULL,
      PRIMARY KEY (item_id, is_part_name))""",
    "CREATE INDEX item_words_words ON item_words USING gin (words)",
    "CREATE TABLE words_due (file_id bigint, content_id bigint)",
)
# What a statement changes is one set of rows to its trigger: the rows `changed`.
_FUNCTION = "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NULL; END $$"
_FUNCTIONS = {
    "words_of_files_due": "INSERT INTO mmsearch.words_due (file_id) SELECT id FROM changed",
    "words_of_moved_files_due": """INSERT INTO mmsearch.words_due (file_id)
  SELECT changed.id FROM changed JOIN replaced ON replaced.id = changed.id
  WHERE changed.content_id <> replaced.content_id OR changed.root_id <> replaced.root_id""",
    "words_of_details_due": """INSERT INTO mmsearch.words_due (file_id)
  SELECT files.id FROM mmsearch.files JOIN changed ON changed.content_id = files.content_id""",
    "words_of_sidecars_due": "INSERT INTO mmsearch.words_due (file_id) SELECT file_id FROM changed",
    "words_of_items_due": "INSERT INTO mmsearch.words_due (content_id) SELECT DISTINCT content_id FROM changed",
    "words_of_files_gone": "DELETE FROM mmsearch.file_words WHERE file_id IN (SELECT id FROM changed)",
    "words_of_items_gone": "DELETE FROM mmsearch.item_words WHERE item_id IN (SELECT id FROM changed)",
    "note_removed_words": """INSERT INTO mmsearch.settings (key, value) SELECT 'words_removed', '1'
  WHERE EXISTS (SELECT 1 FROM changed) ON CONFLICT (key) DO NOTHING""",
}
_TRIGGERS = (
    ("files", "INSERT", "words_of_files_due"),
    ("files", "UPDATE", "words_of_moved_files_due"),
    *(("details", event, "words_of_details_due") for event in ("INSERT", "UPDATE", "DELETE")),
    *(("sidecars", event, "words_of_sidecars_due") for event in ("INSERT", "UPDATE", "DELETE")),
    *(("items", event, "words_of_items_due") for event in ("INSERT", "DELETE")),
    ("files", "DELETE", "words_of_files_gone"),
    ("items", "DELETE", "words_of_items_gone"),
    *((table, event, "note_removed_words") for table in ("file_words", "item_words") for event in ("UPDATE", "DELETE")),
)


def word_statements() -> Iterator[str]:
    """The statements that make all of it, in a schema that has the other tables."""
    yield from _TABLES
    for name, statement in _FUNCTIONS.items():
        yield _FUNCTION.format(name=name, statement=statement)
    for table, event, function in _TRIGGERS:
        changed = "OLD TABLE AS changed" if event == "DELETE" else "NEW TABLE AS changed"
        replaced = " OLD TABLE AS replaced" if event == "UPDATE" else ""
        yield f"""CREATE TRIGGER {function}_{event.lower()} AFTER {event} ON {table}
            REFERENCING {changed}{replaced} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"""
