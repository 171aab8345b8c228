"""A team's store as it looks from a machine that has the files at other places: paths are translated, in and out.

All that names a path, or a folder, stands here; what does not goes to the store as it is. `tests/test_mounts.py` holds
each method of the protocols against that, and `tests/test_store_contract.py` what each of them does. What is listed by
path is in the order of the paths here, but for the pages of a list, which are those of every machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from mmsearch.errors import Refused, Remedy
from mmsearch.files.paths import is_below
from mmsearch.records import (
    Beside,
    Failure,
    FileBrief,
    FileState,
    FileToRead,
    Filters,
    FloatMatrix,
    FoundItem,
    HalfMatrix,
    ItemIds,
    KnownArchive,
    KnownFiles,
    KnownMember,
    Listing,
    Modality,
    NearItems,
    Remark,
    Root,
    StageState,
    TextPassage,
    WordPlace,
    WordSource,
)
from mmsearch.store.mounts import ELSEWHERE, MountMap
from mmsearch.store.protocol import Store
from mmsearch.store.whole_rows import Row, RowValue, Table
from mmsearch.store.work import Job, QueuedFile, SharedStore

if TYPE_CHECKING:
    _Forwarding = SharedStore
else:  # what a protocol says would be there, and hide what the store has
    _Forwarding = object


class MappedStore(_Forwarding):
    """A store through the map of a machine. One that `writes` is refused where the map takes a part out of a root: its
    files would be gone from it.
    """

    def __init__(self, store: Store, mounts: MountMap, writes: bool = False) -> None:
        self.unmapped = cast(SharedStore, store)
        self._mounts = mounts
        self._writes = writes
        self._here, self._known_as = mounts.here, mounts.known_as

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unmapped, name)

    @property
    def longest_path(self) -> int | None:
        """How long a path here may be, whichever mount it lies in, so that its name in the library fits."""
        most = self.unmapped.longest_path
        longer = max(len(one.known_as) - len(one.here) for one in self._mounts.mounts)
        return None if most is None else most - max(longer, 0)

    # Roots

    def roots(self) -> list[Root]:
        return sorted(map(self._root_here, self.unmapped.roots()), key=lambda root: root.path)

    def put_root(self, path: bytes, rules: str) -> Root:
        if not self._mounts.has_place(path):
            name = os.fsdecode(path)
            raise Refused(
                f"{name} has no name in the library: that is the one of a folder that lies elsewhere on this machine",
                Remedy("mounts.name", name),
            )
        known_as = self._known_as(path)
        self._check_whole(known_as)
        return self._root_here(self.unmapped.put_root(known_as, rules))

    def set_mounts(self, root_id: int, mounts: Iterable[bytes]) -> None:
        self.unmapped.set_mounts(root_id, [self._known_as(mount) for mount in mounts])

    def files_in_root(self, root: Root) -> int:
        return self.unmapped.files_in_root(self._root_there(root))

    def _root_here(self, root: Root) -> Root:
        if self._writes:
            self._check_whole(root.path)
        here = self._here(root.path)
        known_as = None if here == root.path else root.path
        return replace(root, path=here, mounts=tuple(map(self._here, root.mounts)), known_as=known_as)

    def _root_there(self, root: Root) -> Root:
        mounts = tuple(map(self._known_as, root.mounts))
        return replace(root, path=self._known_as(root.path), mounts=mounts, known_as=None)

    def _check_whole(self, root: bytes) -> None:
        """Raises Refused where the map takes a part out of that root of the library."""
        part = self._mounts.splitting(root)
        if part is not None:
            raise Refused(
                f"The mounts of this machine tear {os.fsdecode(self._here(root))} apart: what the library knows as "
                f"{os.fsdecode(part.known_as)} lies at {os.fsdecode(part.here)} here",
                Remedy("mounts.whole"),
            )

    # Files

    def files_at(self, paths: Sequence[bytes], model_id: int, readers: str) -> KnownFiles:
        here = {self._known_as(path): path for path in paths}
        found = self.unmapped.files_at(list(here), model_id, readers)
        files = {here[path]: file for path, file in found.files.items()}
        return replace(found, files=files, failing={here[path] for path in found.failing})

    def files_of_root(self, root: Root, folder: bytes | None = None) -> Iterator[tuple[int, bytes]]:
        there = None if folder is None else self._known_as(folder)
        for number, path in self.unmapped.files_of_root(self._root_there(root), there):
            yield number, self._here(path)

    def files_below(self, folder: bytes) -> list[int]:
        return [number for place in self._places(folder) for number in self.unmapped.files_below(place)]

    def count_files_below(self, folder: bytes) -> int:
        return sum(map(self.unmapped.count_files_below, self._places(folder)))

    def content_at(self, path: bytes) -> int | None:
        return self.unmapped.content_at(self._known_as(path))

    def put_file(self, file: FileState, content_id: int) -> None:
        self.unmapped.put_file(self._state(file), content_id)

    def remove_path(self, path: bytes) -> None:
        self.unmapped.remove_path(self._known_as(path))

    def sidecar_states(self, root: Root) -> dict[bytes, tuple[int, str]]:
        known = self.unmapped.sidecar_states(self._root_there(root))
        return {self._here(path): state for path, state in known.items()}

    def file_ids_at(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        here = {self._known_as(path): path for path in paths}
        return {here[path]: number for path, number in self.unmapped.file_ids_at(list(here)).items()}

    def some_pictures(self, most: int) -> list[bytes]:
        return [self._here(path) for path in self.unmapped.some_pictures(most)]

    def digest_at(self, path: bytes) -> bytes | None:
        return self.unmapped.digest_at(self._known_as(path))

    def image_vector_at(self, path: bytes, model_id: int, at: bytes | None = None) -> HalfMatrix | None:
        return self.unmapped.image_vector_at(self._known_as(path), model_id, path if at is None else at)

    def _state(self, file: FileState) -> FileState:
        return replace(file, path=self._known_as(file.path))

    # Failures

    def note_failure(self, file: FileState, reason: str, readers: str) -> None:
        self.unmapped.note_failure(self._state(file), reason, readers)

    def note_not_encoded(self, file: FileState, reason: str, readers: str, model_id: int, is_held: bool) -> None:
        self.unmapped.note_not_encoded(self._state(file), reason, readers, model_id, is_held)

    def note_out_of_reach(self, root_id: int, path: bytes, reason: str) -> None:
        self.unmapped.note_out_of_reach(root_id, self._known_as(path), reason)

    def failure_at(self, path: bytes) -> int | None:
        return self.unmapped.failure_at(self._known_as(path))

    def failures(self) -> list[Failure]:
        return self._failed(self.unmapped.failures())

    def found_by_sound(self, model_id: int) -> set[bytes]:
        return set(map(self._here, self.unmapped.found_by_sound(model_id)))

    def failures_of_root(self, root_id: int) -> Iterator[tuple[int, bytes]]:
        for number, path in self.unmapped.failures_of_root(root_id):
            yield number, self._here(path)

    def failures_below(self, folder: bytes) -> list[int]:
        return [number for place in self._places(folder) for number in self.unmapped.failures_below(place)]

    def remarks(self, model_id: int) -> list[Remark]:
        found = [one._replace(path=self._here(one.path)) for one in self.unmapped.remarks(model_id)]
        return sorted(found, key=lambda one: one.path)

    def _failed(self, failures: Iterable[Failure]) -> list[Failure]:
        found = [replace(one, path=self._here(one.path)) for one in failures]
        return sorted(found, key=lambda one: one.path)

    # Stages

    def files_to_read(self, stage: StageState, root_ids: Iterable[int], model_id: int) -> list[FileToRead]:
        found = self.unmapped.files_to_read(stage, root_ids, model_id)
        return sorted((one._replace(path=self._here(one.path)) for one in found), key=lambda one: one.path)

    def stage_failures(self, stage: StageState) -> list[Failure]:
        return self._failed(self.unmapped.stage_failures(stage))

    def note_texts_not_encoded(self, content_id: int, stage: StageState, model_id: int, reason: str) -> list[bytes]:
        paths = self.unmapped.note_texts_not_encoded(content_id, stage, model_id, reason)
        return [self._here(path) for path in paths]

    # Archives

    def archives_of_root(self, root_id: int) -> dict[bytes, KnownArchive]:
        known = (one._replace(path=self._here(one.path)) for one in self.unmapped.archives_of_root(root_id).values())
        return {one.path: one for one in known}

    def members_of(self, archive: bytes) -> list[KnownMember]:
        members = self.unmapped.members_of(self._known_as(archive))
        return [one._replace(path=self._here(one.path)) for one in members]

    def put_archive(self, root_id: int, archive: KnownArchive) -> None:
        self.unmapped.put_archive(root_id, archive._replace(path=self._known_as(archive.path)))

    def remove_archives(self, paths: Iterable[bytes]) -> None:
        self.unmapped.remove_archives([self._known_as(path) for path in paths])

    def remove_archives_below(self, folder: bytes) -> None:
        for place in self._places(folder):
            self.unmapped.remove_archives_below(place)

    # What searches ask

    def places_of(self, item_ids: Iterable[int], filters: Filters) -> list[tuple[int, bytes, int, int]]:
        found = self.unmapped.places_of(item_ids, self._filters(filters))
        return [(number, self._here(path), size, content) for number, path, size, content in found]

    def matching_items(self, filters: Filters, model_id: int, modality: Modality, with_pages: bool = True) -> ItemIds:
        return self.unmapped.matching_items(self._filters(filters), model_id, modality, with_pages)

    def copied_items(self, filters: Filters) -> ItemIds:
        return self.unmapped.copied_items(self._filters(filters))

    def text_passages(
        self, model_id: int, filters: Filters, extensions: Collection[str], first_items: Sequence[int] | None = None
    ) -> Iterator[TextPassage]:
        return self.unmapped.text_passages(model_id, self._filters(filters), extensions, first_items)

    def list_files(
        self, model_ids: Sequence[int], filters: Filters, listing: Listing
    ) -> tuple[list[tuple[int, bytes]], int]:
        there = listing._replace(away=tuple(place for folder in listing.away for place in self._places(folder)))
        page, total = self.unmapped.list_files(model_ids, self._filters(filters), there)
        return [(number, self._here(path)) for number, path in page], total

    def briefs(self, model_ids: Sequence[int], filters: Filters) -> list[FileBrief]:
        found = self.unmapped.briefs(model_ids, self._filters(filters))
        return [one._replace(path=self._here(one.path)) for one in found]

    def beside(self, paths: Sequence[bytes], filters: Filters) -> dict[bytes, list[Beside]]:
        here = {self._known_as(path): path for path in paths}
        found = self.unmapped.beside(list(here), self._filters(filters))
        return {
            here[path]: [one._replace(path=self._here(one.path)) for one in together]
            for path, together in found.items()
        }

    def found_items(self, item_ids: Iterable[int], filters: Filters) -> list[FoundItem]:
        found = self.unmapped.found_items(item_ids, self._filters(filters))
        return [replace(one, path=self._here(one.path)) for one in found]

    def nearest(
        self, model_id: int, modality: Modality, vector: FloatMatrix, count: int, filters: Filters
    ) -> NearItems:
        return self.unmapped.nearest(model_id, modality, vector, count, self._filters(filters))

    def word_places(
        self, file_ids: Iterable[int], item_ids: Iterable[int], filters: Filters, model_ids: Sequence[int]
    ) -> list[WordPlace]:
        found = self.unmapped.word_places(file_ids, item_ids, self._filters(filters), model_ids)
        return [one._replace(path=self._here(one.path)) for one in found]

    def word_sources(self, item_ids: Iterable[int], filters: Filters) -> list[WordSource]:
        found = self.unmapped.word_sources(item_ids, self._filters(filters))
        return [one._replace(path=self._here(one.path)) for one in found]

    def _filters(self, filters: Filters) -> Filters:
        if not filters.folders and not filters.not_folders:
            return filters
        # A folder that holds nothing of the library must not become a filter that lets all pass.
        wanted = [place for folder in filters.folders for place in self._places(folder) or [ELSEWHERE + folder]]
        others = [place for folder in filters.not_folders for place in self._places(folder)]
        return replace(filters, folders=tuple(wanted), not_folders=tuple(others))

    def _places(self, folder: bytes) -> list[bytes]:
        """The folders of the library, none of them in another one, that hold all that lies below a folder here."""
        known_as = self._known_as(folder)
        if not self._mounts.is_crossed(folder):
            return [known_as]
        roots = [root.path for root in self.unmapped.roots()]
        found = {root for root in roots if is_below(self._here(root), folder)}
        found |= {one.known_as for one in self._mounts.mounts if is_below(one.here, folder)}
        if any(known_as != root and is_below(known_as, root) for root in roots):
            found.add(known_as)
        return sorted(one for one in found if not any(one != other and is_below(one, other) for other in found))

    # Work that waits

    def queue(self, model_id: int, files: Sequence[QueuedFile], later: bool) -> None:
        self.unmapped.queue(model_id, [_file_at(self._known_as, one) for one in files], later)

    def remove_jobs_below(self, folder: bytes) -> int:
        return sum(map(self.unmapped.remove_jobs_below, self._places(folder)))

    def claim(
        self, worker: int, model_ids: Sequence[int], root_ids: Sequence[int], most: int, tried: bool = False
    ) -> list[Job]:
        jobs = self.unmapped.claim(worker, model_ids, root_ids, most, tried)
        return [job._replace(file=_file_at(self._here, job.file)) for job in jobs]

    # Whole rows

    def rows_of(self, table: Table) -> Iterator[Sequence[Row]]:
        move = self._row_mover(table, self._here)
        for rows in self.unmapped.rows_of(table):
            yield [move(row) for row in rows]

    def put_rows(self, table: Table, rows: Sequence[Row]) -> None:
        move = self._row_mover(table, self._known_as)
        self.unmapped.put_rows(table, [move(row) for row in rows])

    def _row_mover(self, table: Table, moved: Callable[[bytes], bytes]) -> Callable[[Row], Row]:
        """What gives a row of the table with its paths moved. A copy is to hold none that leads nowhere."""

        def value(name: str, held: RowValue) -> RowValue:
            if name == "path" and isinstance(held, bytes):
                path = moved(held)
                if path.startswith(ELSEWHERE):
                    raise Refused(
                        f"{os.fsdecode(held)} has no place where it is to go, as another mount lies there",
                        Remedy("mounts.list"),
                    )
                return path
            if name == "mounts" and isinstance(held, str):
                return json.dumps([os.fsdecode(moved(os.fsencode(mount))) for mount in json.loads(held)])
            return held

        def row_moved(row: Row) -> Row:
            return tuple(value(name, held) for name, held in zip(table.columns, row, strict=True))

        return row_moved if {"path", "mounts"} & set(table.columns) else lambda row: row


def _file_at(moved: Callable[[bytes], bytes], file: QueuedFile) -> QueuedFile:
    archive = None if file.archive is None else moved(file.archive)
    return file._replace(path=moved(file.path), archive=archive)


def mapped(store: Store, mounts: MountMap, writes: bool = False) -> SharedStore:
    """The store through a map, which is not empty."""
    made: Any = MappedStore  # what the protocols ask for and is not written there is forwarded
    through: SharedStore = made(store, mounts, writes)
    return through
