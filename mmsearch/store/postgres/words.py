"""The word index: what files are called and say, and the texts of items, as `tsvector` with an inverted index (GIN).

A file's document has its name, its folders, and what it and its sidecars say of it; the documents of an item have its
text and the name of its part. Their words are made by `store.words` and handed over as they are, with their places:
none of PostgreSQL's text search configurations takes part, so that every store knows the same words. A `tsvector` tells
of a word its first 255 places alone, and none beyond 16,383: a phrase that stands only there is not found, but its
words are. Passages are shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg

from mmsearch.files.crash_points import crash_point
from mmsearch.records import Filters, WordPlace, WordSource
from mmsearch.store.conditions import said
from mmsearch.store.folding import folded_lines, folded_text
from mmsearch.store.postgres.connected import Connected
from mmsearch.store.postgres.filters import filter_condition, items_in_files
from mmsearch.store.word_rows import INDEXED, MOST_JOINED, REMOVED, SAID, SOURCE_COLUMNS, TOLD, joined, word_source
from mmsearch.store.words import WORDS_VERSION, AskedWord, name_and_folders, words_of_name, words_of_text

# Made, sent and stored at a time.
_BATCH = 1_000
# The last place that a `tsvector` can tell; words behind it are found alone, and not in phrases.
_LAST_PLACE = 16_383
# A `tsvector` takes a megabyte; what is beyond this many bytes of words is not indexed.
_MOST_BYTES = 900_000
# The label of words that stand in a file's name, folders, titles, keywords or places, and not in its description alone.
_IN_NAME = "A"
# Of a word with more documents these are not kept.
_MOST_KEPT = 100
# Tables with more rows than this are not counted, but known by the server's statistics.
_COUNTED = 100_000

_FOLDED = {"camera": folded_text, "lens": folded_text, "place": folded_lines, "keywords": folded_lines}
# Several models have the same passages: those of the one that came first are indexed.
_IS_INDEXED = """NOT EXISTS (SELECT 1 FROM items AS other WHERE other.content_id = items.content_id
    AND other.model_id < items.model_id AND other.source = items.source AND other.modality = items.modality)"""


class WordTables(Connected):
    """What is found by its words. Of these methods `renew_words`, `settle_words` and `merge_words` write."""

    def has_words(self) -> bool:
        return self._of_state(INDEXED, lambda: self.setting(INDEXED)) == str(WORDS_VERSION)

    def documents_known(self) -> int:
        """How many documents the word index has; of many about as many."""
        counts = (
            f"""(SELECT CASE WHEN reltuples > {_COUNTED} THEN reltuples::bigint ELSE (SELECT count(*) FROM {table}) END
                 FROM pg_class WHERE oid = '{table}'::regclass)"""
            for table in ("file_words", "item_words")
        )
        return self._of_state("documents", lambda: self._number(f"SELECT {' + '.join(counts)}"))

    def documents_with(self, words: Sequence[AskedWord], most: int) -> tuple[list[int], list[int]]:
        (found,) = self.documents_with_each([words], most)
        return found

    def documents_with_each(self, asked: Sequence[Sequence[AskedWord]], most: int) -> list[tuple[list[int], list[int]]]:
        """The documents that hold all words of the first of these, of the second, and so on; see `documents_with`.

        Few or none are kept of a state, as most words are that are asked for: to look for one takes the server as long
        as a tenth of a search, and what people ask for is made of few words.
        """
        kept = self._kept_of_state()
        keys = [("documents", tuple(words), most) for words in asked]
        new = {key: words for key, words in zip(keys, asked, strict=True) if key not in kept}
        found = dict(zip(new, self._look_up_each(list(new.values()), most), strict=True))
        kept.update((key, both) for key, both in found.items() if sum(map(len, both)) <= _MOST_KEPT)
        files_and_items = (found.get(key) or kept[key] for key in keys)
        return [(list(files), list(items)) for files, items in files_and_items]

    def _look_up_each(self, asked: Sequence[Sequence[AskedWord]], most: int) -> list[tuple[list[int], list[int]]]:
        """What `documents_with_each` gives, asked of the server.

        It knows which words are common: there it goes through the documents until it has enough, and for rare ones it
        asks the index. So it is to plan by them.
        """
        found: list[tuple[list[int], list[int]]] = [([], []) for _ in asked]
        if not found:
            return found
        statement = " UNION ALL ".join(
            f"""(SELECT {number}, 0, file_id AS id FROM file_words WHERE words @@ %s::tsquery ORDER BY id LIMIT %s)
                UNION ALL (SELECT DISTINCT {number}, 1, item_id AS id FROM item_words WHERE words @@ %s::tsquery
                  ORDER BY id LIMIT %s)"""
            for number in range(len(asked))
        )
        values = [value for words in map(_all_of, asked) for value in (words, most, words, most)]
        for number, kind, document in self._run(statement, values, by_values=True):
            found[number][kind].append(document)
        return [(sorted(files), sorted(items)) for files, items in found]

    def items_in_files_with(self, named: Sequence[AskedWord], said: Sequence[AskedWord], most: int) -> list[int]:
        rows = self._rows(
            """WITH named AS MATERIALIZED (SELECT file_id FROM file_words WHERE words @@ %s::tsquery LIMIT %s),
                 said AS MATERIALIZED (SELECT DISTINCT item_id FROM item_words WHERE words @@ %s::tsquery LIMIT %s)
               SELECT DISTINCT items.id FROM said JOIN items ON items.id = said.item_id
                 JOIN files ON files.content_id = items.content_id JOIN named ON named.file_id = files.id LIMIT %s""",
            (_all_of(named), MOST_JOINED, _all_of(said), MOST_JOINED, most),
        )
        return [row[0] for row in rows]

    def files_named(self, word: AskedWord, most: int) -> list[int]:
        rows = self._rows(
            "SELECT file_id FROM file_words WHERE words @@ %s::tsquery LIMIT %s", (_match(word, _IN_NAME), most)
        )
        return [row[0] for row in rows]

    def holds_any(self, words: Sequence[AskedWord]) -> bool:
        asked = " | ".join(map(_match, words))
        rows = self._rows(
            """SELECT EXISTS (SELECT 1 FROM file_words WHERE words @@ %s::tsquery)
                 OR EXISTS (SELECT 1 FROM item_words WHERE words @@ %s::tsquery)""",
            (asked, asked),
        )
        return bool(rows[0][0])

    def files_with(self, word: AskedWord) -> set[int]:
        asked = _match(word)
        rows = self._rows(
            """SELECT file_id FROM file_words WHERE words @@ %s::tsquery UNION
               SELECT files.id FROM files WHERE content_id IN
                 (SELECT items.content_id FROM items JOIN item_words ON item_words.item_id = items.id
                  WHERE item_words.words @@ %s::tsquery)""",
            (asked, asked),
        )
        return {row[0] for row in rows}

    def word_places(
        self, file_ids: Iterable[int], item_ids: Iterable[int], filters: Filters, model_ids: Sequence[int]
    ) -> list[WordPlace]:
        condition, values = filter_condition(filters)
        first = """(SELECT min(encoded.id) FROM items AS encoded WHERE encoded.content_id = files.content_id
            AND encoded.model_id = ANY(%s))"""
        columns = "files.id, files.path, files.content_id, files.size"
        models = list(model_ids)
        rows = self._rows(
            f"""SELECT * FROM (
                  SELECT {first} AS item_id, TRUE, {columns}
                  FROM (SELECT * FROM files WHERE id = ANY(%s) OFFSET 0) AS files
                  JOIN contents ON contents.id = files.content_id WHERE {condition}) AS places WHERE item_id IS NOT NULL
                UNION ALL SELECT given.id, FALSE, {columns} FROM {items_in_files("given")}
                  JOIN contents ON contents.id = files.content_id WHERE {condition} AND {first} IS NOT NULL""",
            (models, list(file_ids), *values, list(item_ids), *values, models),
        )
        return [WordPlace(*row) for row in rows]

    def word_sources(self, item_ids: Iterable[int], filters: Filters) -> list[WordSource]:
        condition, values = filter_condition(filters)
        rows = self._rows(
            f"""SELECT {SOURCE_COLUMNS}
                FROM {items_in_files()} JOIN contents ON contents.id = files.content_id
                JOIN roots ON roots.id = files.root_id LEFT JOIN part_names ON part_names.item_id = items.id
                LEFT JOIN details ON details.content_id = contents.id LEFT JOIN sidecars ON sidecars.file_id = files.id
                WHERE {condition}""",
            ([int(item_id) for item_id in item_ids], *values),
        )
        return [word_source(row) for row in rows]

    def renew_words(self) -> None:
        for table in ("file_words", "item_words", "words_due"):
            self._run(f"DELETE FROM {table}")
        self._index_all("files", self._index_files)
        self._index_all("contents", self._index_contents)
        self.set_setting(INDEXED, str(WORDS_VERSION))
        self.remove_setting(REMOVED)

    def _index_all(self, table: str, index: Callable[[list[int]], None]) -> None:
        last = 0
        while rows := self._rows(f"SELECT id FROM {table} WHERE id > %s ORDER BY id LIMIT {_BATCH}", (last,)):
            index([row[0] for row in rows])
            last = rows[-1][0]

    def settle_words(self) -> bool:
        """Takes out of the index for good what was removed from the library. Whether there was something.

        The server's own vacuum does the same when it comes to it. Who may not do that leaves it to the server.
        """
        if self.setting(REMOVED) is None:
            return False
        self._run("VACUUM file_words, item_words")
        with self.transaction():
            self.remove_setting(REMOVED)
        crash_point("words settled")
        return True

    def merge_words(self) -> None:
        """Puts words into their index that the server has put off putting there: each search goes through these.

        Who may not do that leaves it to the server.
        """
        with suppress(psycopg.errors.InsufficientPrivilege):
            self._rows("SELECT gin_clean_pending_list('file_words_words'), gin_clean_pending_list('item_words_words')")

    def _before_state(self) -> None:
        """Indexes anew of what this transaction may have changed the words."""
        super()._before_state()
        due = self._rows("DELETE FROM words_due RETURNING file_id, content_id")
        for place, index in enumerate((self._index_files, self._index_contents)):
            ids = sorted({row[place] for row in due if row[place] is not None})
            for start in range(0, len(ids), _BATCH):
                index(ids[start : start + _BATCH])

    def _index_files(self, file_ids: list[int]) -> None:
        folded = ", ".join(said(name) for name in _FOLDED)
        rows = self._rows(
            f"""SELECT files.id, files.path, roots.path, {", ".join((*SAID, *TOLD))}, {folded}
                FROM files JOIN contents ON contents.id = files.content_id LEFT JOIN roots ON roots.id = files.root_id
                LEFT JOIN details ON details.content_id = contents.id LEFT JOIN sidecars ON sidecars.file_id = files.id
                WHERE files.id = ANY(%s)""",
            (file_ids,),
        )
        documents = [_file_document(row) for row in rows]
        if documents:
            names = ", ".join(_FOLDED)
            self._run(
                f"""INSERT INTO file_words (file_id, words, {names})
                    SELECT given.id, given.words::tsvector, {names}
                    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
                      AS given (id, words, {names})
                    ON CONFLICT (file_id) DO UPDATE SET words = excluded.words,
                      {", ".join(f"{name} = excluded.{name}" for name in _FOLDED)}""",
                tuple(map(list, zip(*documents, strict=True))),
            )

    def _index_contents(self, content_ids: list[int]) -> None:
        """Brings the documents of items of these contents to what is to be indexed of them."""
        self._run(
            f"""DELETE FROM item_words USING items WHERE item_words.item_id = items.id
                AND items.content_id = ANY(%s) AND NOT {_IS_INDEXED}""",
            (content_ids,),
        )
        rows = self._rows(
            f"""SELECT items.id, items.text, part_names.name
                FROM items LEFT JOIN part_names ON part_names.item_id = items.id
                WHERE items.content_id = ANY(%s) AND (items.text IS NOT NULL OR part_names.name IS NOT NULL)
                  AND {_IS_INDEXED} AND NOT EXISTS (SELECT 1 FROM item_words WHERE item_words.item_id = items.id)""",
            (content_ids,),
        )
        documents = [
            (item_id, is_part_name, _vector((words_of_text(text), "")))
            for item_id, *texts in rows
            for is_part_name, text in enumerate(texts)
            if text is not None
        ]
        for start in range(0, len(documents), _BATCH):
            self._run(
                """INSERT INTO item_words (item_id, is_part_name, words)
                   SELECT id, is_part_name = 1, words::tsvector
                   FROM unnest(%s::bigint[], %s::integer[], %s::text[]) AS given (id, is_part_name, words)""",
                tuple(map(list, zip(*documents[start : start + _BATCH], strict=True))),
            )


def _file_document(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of a file's row in `file_words`."""
    file_id, path, root = row[:3]
    name, folders = name_and_folders(path, root)
    said_texts, told = row[3 : 3 + len(SAID)], row[3 + len(SAID) :][: len(TOLD)]
    named = (words_of_name(name), words_of_name(folders), words_of_text(joined(said_texts)))
    words = _vector(*((column, _IN_NAME) for column in named), (words_of_text(joined(told)), ""))
    kept = zip(_FOLDED.values(), row[-len(_FOLDED) :], strict=True)
    return (file_id, words, *(fold(text) for fold, text in kept))


def _vector(*columns: tuple[Iterable[str], str]) -> str:
    """Words as a `tsvector` is written, each column with its label, and between two a gap that no phrase goes over."""
    return " ".join(_placed(columns))


def _placed(columns: Iterable[tuple[Iterable[str], str]]) -> Iterator[str]:
    place, left = 0, _MOST_BYTES
    for words, label in columns:
        for word in words:
            place += 1
            left -= len(word.encode()) + 5
            if left < 0:
                return
            yield f"'{word}':{place}{label}" if place < _LAST_PLACE else f"'{word}'"
        place += 1


def _all_of(words: Sequence[AskedWord]) -> str:
    return " & ".join(map(_match, words))


def _match(word: AskedWord, label: str = "") -> str:
    """A word as a `tsquery` is written, where it stands with that label; words are letters and digits alone."""
    begun = "*" if word.is_begun else ""
    pieces = [f"'{piece}'" + (f":{label}" if label else "") for piece in word.pieces[:-1]]
    pieces.append(f"'{word.pieces[-1]}'" + (f":{label}{begun}" if label or begun else ""))
    return f"({' <-> '.join(pieces)})"
