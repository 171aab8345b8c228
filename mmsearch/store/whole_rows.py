"""What two stores hand to one another when a library moves: the rows of tables that all kinds of stores have alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

# Numbers of 64 bits, texts, bytes, booleans, or None; vectors are bytes of float16, little-endian.
RowValue: TypeAlias = "int | float | str | bytes | bool | None"
Row: TypeAlias = "tuple[RowValue, ...]"
# So many rows are in memory at a time.
ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class Table:
    """A table by its name, and its columns: by the first of them, or the first `keys`, rows are in order.

    `booleans` are the columns that hold truth values, which some engines have no type for.
    """

    name: str
    columns: tuple[str, ...]
    keys: int = 1
    booleans: frozenset[str] = frozenset()


def _table(name: str, columns: str, keys: int = 1, booleans: str = "") -> Table:
    return Table(name, tuple(columns.split()), keys, frozenset(booleans.split()))


_OF_DETAILS = "camera lens focal_length iso latitude longitude place rating title keywords description"
SETTINGS = _table("settings", "key value")
FILES = _table("files", "id path extension root_id content_id size mtime_ns ctime_ns")
ITEMS = _table(
    "items",
    "id content_id model_id modality source ordinal last start end line page region time_from time_to text",
    booleans="last",
)
# What model and modality a vector is of is told by its item as well, and not stored twice by every engine.
VECTORS = _table("vectors", "item_id model_id modality vector")
CONTENTS = _table("contents", "id digest hash medium bytes reader width height taken encoding duration pages orphaned")
MODELS = _table("models", "id name revision dimension fingerprint added may_lack_files", booleans="may_lack_files")
# All but the settings, each behind those that its rows name.
TABLES = (
    _table("roots", "id path rules added changed mounts absent"),
    MODELS,
    CONTENTS,
    _table("details", f"content_id version {_OF_DETAILS}"),
    FILES,
    _table("sidecars", f"file_id state taken {_OF_DETAILS}"),
    _table("spaces", "model_id modality medium", keys=3),
    ITEMS,
    _table("part_names", "item_id name"),
    VECTORS,
    _table("failures", "id path root_id size mtime_ns reason noted readers model_id"),
    _table("unread", "root_id extension files", keys=2),
    _table("remarks", "content_id model_id note left_out most", keys=2),
    _table("wordless", "content_id model_id", keys=2),
    _table("stages", "content_id stage version parts failure noted", keys=2),
    _table("stage_parts", "content_id stage ordinal page region time_from time_to part_name text", keys=3),
    _table("archives", "id path root_id size mtime_ns ctime_ns read_as files unread trouble"),
    _table("adapters", "id name version model_fingerprint weights about added"),
    _table("query_banks", "model_id fingerprint sharpness centre vectors"),
)
# Of settings those that tell of the store itself: who it is, its word index, how often it was tidied up, and its queue;
# and the records of files that were derived from it.
_OF_THE_STORE = frozenset(("library_id", "state", "schema", "words", "words_removed", "compacted_at"))
_OF_ITS_FILES = re.compile(r"removed before |looked at in |jobs_done |paused |(?!adapter_version )\S+ [0-9a-f]{16}-")


def belongs_to_library(key: str) -> bool:
    """Whether that setting goes along when the library moves to another store."""
    return key not in _OF_THE_STORE and _OF_ITS_FILES.match(key) is None


class WholeRows(Protocol):
    """All that a store holds, row by row. What writes does so within the caller's transaction."""

    def count_rows(self, table: Table) -> int: ...

    def rows_of(self, table: Table) -> Iterator[Sequence[Row]]:
        """All rows of the table, values in the order of its columns, some at a time: within `one_state()`.

        Raises:
            DamagedStore, or an error of the store's own: one of them is not what was written.
        """

    def put_rows(self, table: Table, rows: Sequence[Row]) -> None:
        """Stores rows, ids as they are, in a store that has none of these.

        Tables come in the order of TABLES, and `rows_are_put()` is called at the end.
        """

    def rows_are_put(self) -> None:
        """Goes on with numbers behind those of the rows, and brings the word index to them."""
