"""A library moves from one store to another, with all that was encoded: nothing is read or encoded again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mmsearch.errors import Refused
from mmsearch.files.crash_points import crash_point
from mmsearch.files.paths import is_below
from mmsearch.records import Progress
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store
from mmsearch.store.whole_rows import (
    CONTENTS,
    FILES,
    ITEMS,
    MODELS,
    SETTINGS,
    TABLES,
    Row,
    Table,
    belongs_to_library,
)


@dataclass(frozen=True)
class Copied:
    """What is in a library that was copied: `library` is where it lies now, `copied_from` where it came from."""

    library: str
    copied_from: str
    files: int
    contents: int
    items: int
    models: int


def check_not_within(folder: str, source_folder: str) -> None:
    """Raises Refused where the folder for a copy lies within that of the library: what looks after this one, removes or
    restores it, would take the copy along.
    """
    outer, inner = (os.fsencode(os.path.realpath(one)) for one in (source_folder, folder))
    if inner != outer and is_below(inner, outer):
        raise Refused(
            f"{folder} lies within {source_folder}, which is the library itself; name a place outside it for the copy."
        )


def check_target(place: Place, store: Store, source: Store) -> None:
    """Raises Refused unless `store`, in that place, may take all of another library: it holds nothing."""
    if store.state()[0] == source.state()[0]:
        raise Refused(f"{place.location} is the library itself, or has its files; name another place for the copy.")
    if any(store.count_rows(table) for table in TABLES):
        raise Refused(f"There is a library in {place.location} already, which stays as it is; name an empty place.")


def copy_rows(
    source_place: Place, source: Store, target_place: Place, target: Store, on_progress: Callable[[Progress], None]
) -> Copied:
    """Copies all that `source` holds, one state of it, into `target`, which holds nothing, in one transaction.

    So a copy that is cut off, however that comes, leaves a library that holds nothing. What the target says of itself
    stays its own: its id, its state, its schema, and what is known of files that are derived from it.
    """
    counts: dict[str, int] = {}
    with source.one_state(), target.transaction():
        check_target(target_place, target, source)
        with source_place.guarded():
            total = sum(source.count_rows(table) for table in TABLES)
        done = 0
        for table in TABLES:
            for rows in _read(source_place, source, table):
                target.put_rows(table, rows)
                done += len(rows)
                counts[table.name] = counts.get(table.name, 0) + len(rows)
                on_progress(Progress("copying", done, total, "rows"))
                crash_point("rows copied")
        for rows in _read(source_place, source, SETTINGS):
            for key, value in rows:
                if belongs_to_library(str(key)):
                    target.set_setting(str(key), str(value))
        on_progress(Progress("words", 0, None, "rows"))
        target.rows_are_put()
    crash_point("library copied")
    files, contents, items, models = (counts.get(table.name, 0) for table in (FILES, CONTENTS, ITEMS, MODELS))
    return Copied(target_place.location, source_place.location, files, contents, items, models)


def _read(place: Place, source: Store, table: Table) -> Iterator[Sequence[Row]]:
    """The rows of a table; what is wrong with them is said of the library that they are read of."""
    with place.guarded():
        yield from source.rows_of(table)
