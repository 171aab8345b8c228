"""What is wrong with a library, what of it can be saved, and saving it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from mmsearch.errors import MmsearchError
from mmsearch.nearest import derived
from mmsearch.nearest.code_file import check_codes
from mmsearch.nearest.derived import Missing, NotUsable
from mmsearch.nearest.hnsw import check_graph
from mmsearch.nearest.row_file import check_rows
from mmsearch.nearest.spaces import Space, with_adapter
from mmsearch.store.adapters import StoredAdapter, remove_adapter
from mmsearch.store.models import (
    files_it_lacks,
    files_to_encode,
    is_sound_model,
    mend_sound_models,
    search_with,
    searched_model,
    stored_models,
)
from mmsearch.store.refusals import DamagedStore, OlderLibrary
from mmsearch.store.sqlite.connected import DamagedDatabase
from mmsearch.store.sqlite.damage import (
    contents_of_damaged_vectors,
    count_stray_vectors,
    damaged_rows,
    database_damage,
    drop_damaged_rows,
    has_other_words,
    incomplete_contents,
    let_words_be,
    missing_spaces,
    remove_stray_rows,
)
from mmsearch.store.sqlite.header import has_log, header_damage
from mmsearch.store.sqlite.salvage import Salvaged, count_readable, cut_off_salvage, salvage
from mmsearch.store.sqlite.store import DATABASE_NAME, SqliteStore


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the `database`, with `contents` or `adapters` in it, or with a `derived` file."""

    subject: str
    problem: str


@dataclass(frozen=True)
class Diagnosis:
    """All that is wrong with a library. Where the database is damaged, `salvageable` says what can still be read of it.

    `repaired` tells that it was put right, and `kept` where the damaged database lies since.
    """

    JSON_FIELDS: ClassVar = ("sound", "library", "findings", "salvageable", "repaired", "kept")

    library: str
    findings: tuple[Finding, ...]
    salvageable: Salvaged | None = None
    repaired: bool = False
    kept: str | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def examine(folder: str) -> Diagnosis:
    """Looks at everything in the library; changes nothing.

    Raises:
        NotFound: there is no library. Unsupported: a newer mmsearch wrote it.
    """
    database = os.path.join(folder, DATABASE_NAME)
    saved = cut_off_salvage(database)
    if saved is not None:
        return Diagnosis(folder, (Finding("database", "damaged, and its repair was cut off"),), saved)
    try:
        with closing(SqliteStore.read(folder)) as store:
            damage = database_damage(store)
            if not damage and header_damage(database) and not has_log(database):
                damage = ["its header is damaged"]
            if not damage:
                return Diagnosis(folder, tuple(_within(folder, store)))
    except (DamagedDatabase, DamagedStore, OlderLibrary, UnicodeDecodeError) as error:  # the last in the schema itself
        damage = [str(error)]
    findings = tuple(Finding("database", problem) for problem in damage)
    return Diagnosis(folder, findings, count_readable(database))


def _within(folder: str, store: SqliteStore) -> Iterator[Finding]:
    """What is wrong with a database that SQLite finds sound, and with what belongs to it."""
    rows = damaged_rows(store)
    for table, count in rows.items():
        after = "; check their rules after the repair" if table == "roots" else ""
        yield Finding("contents", f"{count:,} of the {table} have a row whose checksum is wrong{after}")
    yield from _items(store)
    if "settings" not in rows:  # all else is known by them
        yield from _models(store)
        yield from _adapters(store)
        yield from _derived(folder, store)


def _items(store: SqliteStore) -> list[Finding]:
    incomplete = len(incomplete_contents(store))
    found = [Finding("contents", f"{incomplete:,} contents lack vectors")] if incomplete else []
    damaged = len(contents_of_damaged_vectors(store))
    if damaged:
        found.append(Finding("contents", f"{damaged:,} contents have vectors that no model made"))
    if missing_spaces(store):
        found.append(Finding("contents", "searches do not know of all kinds of items"))
    if has_other_words(store):
        found.append(Finding("contents", "the word index does not hold the words that files and their texts have"))
    stray = count_stray_vectors(store)
    if stray:
        found.append(Finding("contents", f"{stray:,} vectors belong to no item"))
    return found


def _models(store: SqliteStore) -> list[Finding]:
    found = []
    models = stored_models(store)
    if models and searched_model(store) is None:
        found.append(Finding("contents", "no model is the one that searches use"))
    for model in models:
        if not files_to_encode(store, model.id):
            missing = len(files_it_lacks(store, model.id))
            if missing:
                found.append(Finding("contents", f"{missing:,} files lack vectors of {model.identity.label}"))
    return found


def _adapters(store: SqliteStore) -> list[Finding]:
    return [Finding("adapters", error.message) for _, error in _damaged_adapters(store)]


def _damaged_adapters(store: SqliteStore) -> Iterator[tuple[StoredAdapter, MmsearchError]]:
    for stored in store.adapters():
        error = _error_of(stored)
        if error is not None:
            yield stored, error


def _error_of(stored: StoredAdapter) -> MmsearchError | None:
    try:
        stored.open()
    except MmsearchError as error:
        return error
    return None


def _derived(folder: str, store: SqliteStore) -> list[Finding]:
    found = []
    for model in stored_models(store):
        try:
            in_use = with_adapter(store, model)
        except MmsearchError:  # its adapter is damaged, and was told of
            continue
        for modality in store.modalities(in_use.model_id):
            space = in_use.space(modality)
            of_kinds = (
                ("codes", check_codes, space),
                ("rows", check_rows, space.without_adapter()),
                ("graph", check_graph, space),
            )
            for kind, check, of_kind in of_kinds:
                trouble = _trouble_of(check, folder, store, of_kind)
                if trouble is not None:
                    found.append(Finding("derived", f"the {kind} of {modality}s: {trouble}"))
    return found


def _trouble_of(
    check: Callable[[str, SqliteStore, Space], None], folder: str, store: SqliteStore, space: Space
) -> str | None:
    try:
        check(folder, store, space)
    except Missing:
        return None  # searches do without, and the next run makes it
    except NotUsable as trouble:
        return str(trouble)
    return None


def repair(folder: str, store: SqliteStore) -> None:
    """Drops contents that are damaged, so that the next index run encodes them again, and damaged adapters.

    The files derived from the store are deleted: the caller makes them again.
    """
    let_words_be(store)  # damaged rows have other words than were indexed
    with store.transaction():
        drop_damaged_rows(store)
        store.mark_orphans()  # what was salvaged may have lost its files
        store.mark_files_to_encode()
        mend_sound_models(store)
        models = [model for model in stored_models(store) if not is_sound_model(store, model.id)]
        if models and searched_model(store) is None:
            search_with(store, max(models, key=lambda model: store.count_items_of(model.id)))
        store.remove_items_of(incomplete_contents(store))
        remove_stray_rows(store)
        for stored, _ in _damaged_adapters(store):
            remove_adapter(store, stored)
        store.renew_words()
    derived.remove_all(folder)


def save_what_can_be_read(folder: str) -> tuple[Salvaged, str]:
    """Puts a new database with all that can be read in the place of the damaged one, which is kept.

    Returns what was saved, and where the damaged one lies now. The caller holds the writer's lock.
    """
    moment = datetime.now().strftime("%Y%m%d-%H%M%S")
    database = os.path.join(folder, DATABASE_NAME)
    kept = f"{database}-damaged-{moment}"
    while any(os.path.lexists(kept + ending) for ending in ("", "-wal", "-shm")):
        kept += "a"
    return salvage(database, kept)
