"""What a session holds of one space at one state of a library: codes, rows without codes, full vectors, the graph.

Each is read when first needed, once for all threads, and never changed: what the next state has in common with this one
is handed on to its snapshot. A search of a fresh process goes through the code file once and keeps the ids alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from mmsearch.nearest import derived
from mmsearch.nearest.chained import BLOCK_ROWS
from mmsearch.nearest.code_file import OpenCodes, open_codes
from mmsearch.nearest.codes import Coder, Estimates, Words, words_of
from mmsearch.nearest.derived import CODES, GRAPH, ROWS, Missing, NotUsable, Record
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import (
    Compared,
    KnownNumbers,
    SpaceQuery,
    VectorRows,
    blocks_after,
    places_in,
    rows_of,
    with_numbers,
)
from mmsearch.records import HalfMatrix, ItemIds

# A search of a fresh process needs no full rows: they are imported where they are first asked for.
if TYPE_CHECKING:
    from mmsearch.nearest.hnsw import Graph
    from mmsearch.nearest.row_file import RowFile
    from mmsearch.store.protocol import Store

# Rows that are compared exactly again and again are kept in memory up to this size, in bytes.
KEPT_BYTES = 256_000_000

Part = TypeVar("Part")


class Codes(NamedTuple):
    """What the code file holds: ids [n], ascending, of all items up to `covers_to`, and codes where they are kept.

    `coder` is how vectors became codes, and `numbers` are the items' hub numbers, float16 [n]. `record` is what the
    store says of the file, `head` the checksum of its head; None where no file can be used.
    """

    item_ids: ItemIds
    covers_to: int
    words: Words | None
    numbers: HalfMatrix
    coder: Coder
    record: Record | None = None
    head: int = 0


class Rows(NamedTuple):
    """The rows of all items after `after`, as of a state: `seen_to` was the latest item then, and so many had been
    `removed`. `kept` is None where they are too many to be kept.
    """

    after: int
    seen_to: int
    removed: int
    kept: VectorRows | None


class SpaceSnapshot:
    """One space at one state. The stores that it is given are to be at that state, on connections of any thread.

    `before` is the snapshot of an earlier state of the same library.
    """

    def __init__(self, folder: str, space: Space, before: SpaceSnapshot | None = None) -> None:
        self.space = space
        self._folder = folder
        self._lock = threading.RLock()
        self._codes: Codes | None = before._codes if before else None
        self._rows: dict[str, Rows] = dict(before._rows) if before else {}
        self._file: RowFile | None = before._file if before else None
        self._graph: Graph | None = before._graph if before else None
        self._useless: dict[str, tuple[object, str]] = dict(before._useless) if before else {}
        self._asked_before: bool = before._asked_before if before else False
        self._of_this_state: set[str] = set()
        self._troubles: dict[str, str] = {}

    def troubles(self) -> list[str]:
        """What was wrong with derived files that had to be done without."""
        return list(self._troubles.values())

    def is_asked_again(self) -> bool:
        """Whether something was asked before, so that keeping what is read will pay. Called once for each query."""
        with self._lock:
            known, self._asked_before = self._asked_before, True
            return known

    # Codes

    def codes(self, store: Store, query: SpaceQuery, again: bool, patient: bool) -> tuple[Codes, Estimates | None]:
        """The codes; where it is not asked `again`, their ids alone with estimates for this query.

        Raises:
            NotUsable: the file is of another state; where not `patient`, it is done without.
        """
        with self._lock:
            known = self._codes
            if CODES in self._of_this_state and known is not None and known.words is not None:
                return known, None
            estimates: Estimates | None = None
            if again or (known is not None and known.words is not None):
                self._codes = self._kept_codes(store, known, patient)
            else:
                nothing: tuple[Codes, Estimates | None] = self._none(), None
                self._codes, estimates = self._usable(
                    CODES, store, patient, lambda: self._estimated(store, query), nothing
                )
            self._of_this_state.add(CODES)
            return self._codes, estimates

    def _kept_codes(self, store: Store, known: Codes | None, patient: bool) -> Codes:
        """The codes of an earlier state, with what has come to the file since; all of the file where none are known."""
        if known is None or known.words is None:
            return self._usable(CODES, store, patient, lambda: self._read_codes(store, None), self._none())
        if known.record is not None and known.record == self._record(store, CODES):
            return known
        # Where the file cannot be used, older codes are right as far as they go: what is newer is read beside them.
        return self._usable(CODES, store, patient, lambda: self._read_codes(store, known), known)

    def _read_codes(self, store: Store, known: Codes | None) -> Codes:
        with open_codes(self._folder, store, self.space) as codes:
            beginning = codes.end, codes.checksum
            if known is not None and known.record is not None and known.head == codes.head:
                codes.go_on_from(known.record.end, known.record.checksum)
                with suppress(NotUsable):  # it was written anew
                    return self._extended(known, codes)
                codes.go_on_from(*beginning)
            return self._extended(self._none(codes.coder), codes)

    def _extended(self, known: Codes, codes: OpenCodes) -> Codes:
        """The codes that are known with those that follow in the file."""
        assert known.words is not None
        blocks = list(codes.blocks())
        item_ids = np.concatenate([known.item_ids, *(block.item_ids for block in blocks)])
        words = np.concatenate([known.words, *(block.words for block in blocks)], axis=1)
        numbers = np.concatenate([known.numbers, *(block.numbers for block in blocks)])
        return Codes(item_ids, codes.record.covers_to, words, numbers, codes.coder, codes.record, codes.head)

    def _estimated(self, store: Store, query: SpaceQuery) -> tuple[Codes, Estimates | None]:
        item_ids: list[ItemIds] = [np.empty(0, np.int64)]
        estimates: list[Estimates] = [np.empty(0, np.int16)]
        numbers: list[HalfMatrix] = [np.empty(0, np.float16)]
        with open_codes(self._folder, store, self.space) as codes:
            coded = codes.coder.coded(query.vector, query.by_text)
            for block in codes.blocks():
                item_ids.append(block.item_ids)
                estimates.append(coded.corrected(coded.estimates(block.words), block.numbers, codes.coder.spread))
                numbers.append(block.numbers)
        ids, covers_to = np.concatenate(item_ids), codes.record.covers_to
        known = Codes(ids, covers_to, None, np.concatenate(numbers), codes.coder, codes.record, codes.head)
        return known, np.concatenate(estimates)

    def _none(self, coder: Coder | None = None) -> Codes:
        coder = coder or Coder(np.zeros(self.space.identity.dimension, np.float32), 0.0)
        no_words = np.empty((words_of(coder.bits), 0), np.uint64)
        return Codes(np.empty(0, np.int64), 0, no_words, np.empty(0, np.float16), coder)

    # Hub numbers

    def _with_numbers(self, store: Store, rows: VectorRows) -> VectorRows:
        """The rows with their hub numbers: those of the code file, as far as it was read, and the others computed."""
        if rows.numbers is not None:
            return rows
        codes = self._codes
        known = None if codes is None else KnownNumbers(codes.item_ids, codes.numbers)
        return with_numbers(store, self.space, rows, known)

    def numbers_of(self, store: Store, item_ids: ItemIds) -> HalfMatrix:
        """The hub numbers of items in any order, float16 [n]; 0 for those that are not there any more."""
        asked = np.unique(item_ids)
        numbers = np.zeros(len(asked), np.float16)
        codes = self._codes or self._none()
        places, there = places_in(codes.item_ids, asked)
        numbers[there] = codes.numbers[places[there]]
        if not there.all():
            rows = self._with_numbers(store, rows_of(store, self.space, asked[~there]))
            assert rows.numbers is not None
            numbers[np.searchsorted(asked, rows.item_ids)] = rows.numbers
        return numbers[np.searchsorted(asked, item_ids)]

    def corrected(self, query: SpaceQuery) -> bool:
        """Whether hub numbers are added to the cosines with that query."""
        return bool(query.by_text and self.space.query_bank)

    # Rows

    def compared_after(self, store: Store, item_id: int, query: SpaceQuery, again: bool) -> Compared:
        """All items with higher ids, ascending, held against a query."""
        kept = self._rows_after(store, item_id).kept if again else None
        if kept is not None:
            return self._compared(store, [kept.after(item_id)], query)
        return self._compared(store, blocks_after(store, self.space, item_id), query)

    def compared(self, store: Store, item_ids: ItemIds, query: SpaceQuery, again: bool) -> Compared:
        """Those of the items, ascending, that are there, held against a query."""
        parts = [item_ids[start : start + BLOCK_ROWS] for start in range(0, len(item_ids), BLOCK_ROWS)]
        if not again:
            return self._compared(store, (rows_of(store, self.space, part) for part in parts), query)
        return self._compared(store, (rows for part in parts for rows in self._rows_of(store, part)), query)

    def _compared(self, store: Store, blocks: Iterable[VectorRows], query: SpaceQuery) -> Compared:
        parts: list[Compared] = []
        for rows in blocks:
            cosines = corrected = rows.cosines_with(query.vector)
            if self.corrected(query):
                numbers = self._with_numbers(store, rows).numbers
                assert numbers is not None
                corrected = cosines + np.float32(query.by_text) * numbers.astype(np.float32)
            parts.append(Compared(rows.item_ids, cosines, corrected))
        return Compared.together(parts)

    def _rows_of(self, store: Store, item_ids: ItemIds) -> list[VectorRows]:
        """The rows of those items from memory, from the row file, or from the store."""
        if self._is_small():
            kept = self._rows_after(store, 0).kept
            if kept is not None:
                return [kept.of_items(item_ids)]
        file = self._row_file(store)
        if file is None:
            return [rows_of(store, self.space, item_ids)]
        try:
            stored, damaged = file.read(item_ids)
        except NotUsable as trouble:
            self._note(ROWS, trouble)
            return [rows_of(store, self.space, item_ids)]
        if len(damaged):
            self._note(ROWS, NotUsable("damaged: a row's checksum is wrong"))
        found = VectorRows(stored.item_ids, self.space.of_stored(stored.vectors))
        later = item_ids[item_ids > file.record.covers_to]
        return [found, *(rows_of(store, self.space, rest) for rest in (damaged, later) if len(rest))]

    def _is_small(self) -> bool:
        """Whether all rows are kept in memory."""
        from mmsearch.nearest import row_file

        return self._codes is not None and len(self._codes.item_ids) < row_file.ROWS_FROM

    def _rows_after(self, store: Store, item_id: int) -> Rows:
        """Rows among which are those of all items with higher ids, as of this state."""
        with self._lock:
            kind = "all" if item_id == 0 or self._is_small() else "newer"
            known = self._rows.get(kind)
            if kind not in self._of_this_state or known is None or known.after > item_id:
                known = self._rows[kind] = self._brought_up(store, 0 if kind == "all" else item_id, known)
                self._of_this_state.add(kind)
                if kind == "newer":
                    self._rows.pop("all", None)  # of a library that was small
            return known

    def _brought_up(self, store: Store, after: int, known: Rows | None) -> Rows:
        """The rows after an item as of this state: those that were known, less what was removed, and newer ones."""
        latest, removed = store.latest_item(), store.items_removed()
        if known is not None and known.kept is None and known.after == after:
            return known._replace(seen_to=latest, removed=removed)  # too many, and hardly fewer by now
        if known is None or known.kept is None or known.after > after:
            known = Rows(after, after, removed, None)
        parts = [] if known.kept is None else [known.kept.after(after)]
        if parts and known.removed != removed:
            parts = [parts[0].of_items(store.live_items(parts[0].item_ids))]
        size = sum(part.vectors.nbytes for part in parts)
        if latest > known.seen_to:
            for block in blocks_after(store, self.space, known.seen_to):
                # Where no codes were read, nothing was asked yet for which the numbers are needed.
                parts.append(block if self._codes is None else self._with_numbers(store, block))
                size += block.vectors.nbytes
                if size > KEPT_BYTES:
                    return Rows(after, latest, removed, None)
        if not parts:
            dimension = self.space.identity.dimension
            nothing = np.empty(0, np.float16)
            parts = [VectorRows(np.empty(0, np.int64), np.empty((0, dimension), np.float16), nothing)]
        return Rows(after, max(latest, known.seen_to), removed, VectorRows.together(parts))

    def _row_file(self, store: Store) -> RowFile | None:
        from mmsearch.nearest.row_file import open_rows

        with self._lock:
            if ROWS not in self._of_this_state:
                kind, known = ROWS, self._file
                if known is None or known.record != self._record(store, kind):
                    space = self.space.without_adapter()
                    self._file = self._usable(kind, store, False, lambda: open_rows(self._folder, store, space), known)
                self._of_this_state.add(ROWS)
            return self._file

    # The graph

    def graph(self, store: Store, patient: bool = True) -> Graph | None:
        """The graph, or None where there is none that can be used.

        Raises:
            NotUsable: the file is of another state; where not `patient`, it is done without.
        """
        with self._lock:
            if GRAPH not in self._of_this_state:
                record = self._record(store, GRAPH)
                known = self._graph
                if known is None or record is None:
                    self._graph = self._usable(GRAPH, store, patient, lambda: self._read_graph(store), None)
                elif known.record.checksum == record.checksum:  # the same file, of which more is known now
                    self._graph = replace(known, record=record)
                else:
                    self._graph = self._usable(GRAPH, store, patient, lambda: self._read_graph(store), known)
                self._of_this_state.add(GRAPH)
            return self._graph

    def _read_graph(self, store: Store) -> Graph:
        from mmsearch.nearest.hnsw import read_graph

        return read_graph(self._folder, store, self.space)

    # Files that cannot be used

    def _usable(self, kind: str, store: Store, patient: bool, read: Callable[[], Part], otherwise: Part) -> Part:
        """What `read` gives; `otherwise` where the file cannot be used, which is found out once for each file."""
        known = self._useless.get(kind)
        mark = self._mark(store, kind)
        if known is not None and known[0] == mark:
            self._troubles[kind] = known[1]
            return otherwise
        try:
            found = read()
        except Missing:
            self._useless.pop(kind, None)
            return otherwise
        except NotUsable as trouble:
            if patient:
                raise
            self._useless[kind] = mark, str(trouble)
            self._note(kind, trouble)
            return otherwise
        self._useless.pop(kind, None)
        return found

    def _note(self, kind: str, trouble: NotUsable) -> None:
        self._troubles[kind] = str(trouble)

    def _mark(self, store: Store, kind: str) -> tuple[object, ...]:
        """By what a file and its record are known again."""
        path = derived.derived_path(self._folder, self._of_kind(kind), kind)
        try:
            status = os.stat(path)
        except OSError:
            return (self._record(store, kind),)
        return self._record(store, kind), status.st_ino, status.st_size, status.st_mtime_ns

    def _record(self, store: Store, kind: str) -> Record | None:
        try:
            return derived.record_of(store, self._of_kind(kind), kind)
        except Missing:
            return None

    def _of_kind(self, kind: str) -> Space:
        return self.space.without_adapter() if kind == ROWS else self.space
