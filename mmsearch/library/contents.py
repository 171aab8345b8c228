"""What a library holds, and taking a part of it out."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmsearch.errors import MmsearchError, NotFound, Remedy
from mmsearch.files.paths import is_below
from mmsearch.files.remote_paths import is_remote
from mmsearch.library.access import Access
from mmsearch.library.models import LibraryModel
from mmsearch.library.queue import queue_state
from mmsearch.nearest.spaces import model_in_use
from mmsearch.records import Counts, Failure, StageState

if TYPE_CHECKING:
    from mmsearch.indexing.report import Incomplete, Thinned
    from mmsearch.indexing.roots import RootStatus
    from mmsearch.store.protocol import Store
    from mmsearch.store.queue_state import QueueState


@dataclass(frozen=True)
class StageStatus:
    """A stage that the library has, or had, with its model; counted in files: how many it has `read`, in how many of
    these it `found` texts, and how many it could not read (`failures`).

    `left` is how many it has still to read: None where it has ended, or what it needs is not there.
    """

    stage: str
    model: str | None
    wanted: bool
    read: int
    found: int
    left: int | None
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Status:
    """What a library holds. `bytes` is what its folder takes on disk; `interrupted` tells of an unfinished run.

    `model`, `dimension` and the items counted are those of the model that searches use, `models` are all. `incomplete`
    and `thinned` are files that are found, but not by all that is in them. `stages` are those that read files a second
    time. `queue` is what waits for workers, None where the library has none.
    """

    library: str
    model: str
    dimension: int
    counts: Counts
    models: tuple[LibraryModel, ...]
    roots: tuple[RootStatus, ...]
    failures: tuple[Failure, ...]
    incomplete: tuple[Incomplete, ...]
    thinned: tuple[Thinned, ...]
    stages: tuple[StageStatus, ...]
    bytes: int
    interrupted: bool
    queue: QueueState | None

    def json_fields(self) -> dict[str, Any]:
        """With the counts among the other fields."""
        counts = self.counts
        return {
            "library": self.library,
            "model": self.model,
            "dimension": self.dimension,
            "models": self.models,
            "images": counts.images,
            "texts": counts.texts,
            "files": counts.files,
            "unread": counts.unread,
            "contents": counts.contents,
            "items": counts.items,
            "bytes": self.bytes,
            "interrupted": self.interrupted,
            "roots": self.roots,
            "failures": self.failures,
            "incomplete": self.incomplete,
            "thinned": self.thinned,
            "stages": self.stages,
            "queue": self.queue,
        }


@dataclass(frozen=True)
class Forgotten:
    """What was taken out: the path, absolute, how many files of the library, and how many jobs that workers had not
    done (`queued`).

    `roots` are the remaining ones that will bring them in again unless told not to.
    """

    path: bytes
    files: int = field(metadata={"json": "removed"})
    queued: int
    roots: tuple[bytes, ...] = field(metadata={"json": None})


def status(access: Access, models: tuple[LibraryModel, ...]) -> Status:
    """What the library holds now."""
    from mmsearch.indexing.report import Incomplete, Thinned
    from mmsearch.indexing.roots import root_status

    store = access.reading()
    in_use = model_in_use(store)
    identity = in_use.identity if in_use else None
    remarks = store.remarks(in_use.model_id) if in_use else []
    return Status(
        library=access.location,
        model=identity.label if identity else "none yet",
        dimension=identity.dimension if identity else 0,
        counts=store.counts(in_use.model_id if in_use else 0),
        models=models,
        roots=tuple(root_status(store, root) for root in store.roots()),
        failures=tuple(store.failures()),
        incomplete=tuple(Incomplete(one.path, one.note) for one in remarks if one.note is not None),
        thinned=tuple(Thinned(one.path, one.left_out) for one in remarks if one.left_out),
        stages=_stages(store),
        bytes=access.bytes(),
        interrupted=store.setting("interrupted") is not None,
        queue=queue_state(store),
    )


def _stages(store: Store) -> tuple[StageStatus, ...]:
    """The stages that the library is to have, and those that have ended and found something."""
    from mmsearch.reading import STAGES
    from mmsearch.store.settings import wanted_stages

    wanted = wanted_stages(store, [stage.name for stage in STAGES])
    found: list[StageStatus] = []
    for stage in STAGES:
        model = wanted.get(stage.name)
        version = None
        if model is not None:
            with suppress(MmsearchError):
                version = stage.version(model)
        state = StageState(stage.name, version or "", stage.source, stage.media)
        counts = store.stage_counts(state)
        if model is None and not counts.done and not counts.failed:
            continue
        left = None if version is None else counts.left
        failures = tuple(store.stage_failures(state))
        found.append(
            StageStatus(stage.name, model or None, model is not None, counts.done, counts.found, left, failures)
        )
    return tuple(found)


def holds(access: Access, path: bytes) -> bool:
    """Whether a folder or file, which may be named through a link, belongs to the library."""
    store = access.reading()
    names = {path, os.path.realpath(path)}
    if not os.path.lexists(path):
        return any(store.count_files_below(name) for name in names)
    roots = [root.path for root in store.roots()]
    return any(is_below(name, root) or is_below(root, name) for name in names for root in roots)


def forget(access: Access, folder: bytes) -> Forgotten:
    """Takes a folder or file, and what was found in it, out of the library."""
    access.reading()
    with access.writing() as store:
        files = store.files_below(folder)
        failures = store.failures_below(folder)
        roots = [root for root in store.roots() if is_below(root.path, folder)]
        with store.transaction():
            queued = store.remove_jobs_below(folder)
            if not files and not failures and not roots and not queued:
                raise NotFound(f"Nothing in the library lies at {os.fsdecode(folder)}", Remedy("status"))
            store.remove_files(files)
            store.remove_failures(failures)
            store.remove_archives_below(folder)
            for root in roots:
                store.remove_root(root.id)
            store.remove_orphans()
        access.refresh(store)
        around = (root.path for root in store.roots() if is_below(folder, root.path))
        again = tuple(around) if os.path.lexists(folder) or is_remote(folder) else ()
        return Forgotten(folder, len(files), queued, again)
