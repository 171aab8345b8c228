"""Files derived from the store: whose they are, how far they can be trusted, and how they are replaced.

A derived file may always be deleted: it is made again from the store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from mmsearch.files.crash_points import crash_point
from mmsearch.files.regular import open_without_waiting
from mmsearch.nearest.spaces import Space
from mmsearch.records import Modality, ModelIdentity

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

Written = TypeVar("Written")

# The kinds of derived files, and the endings of their names.
CODES, ROWS, GRAPH = "codes", "rows", "hnsw"


class NotUsable(Exception):
    """A derived file that is damaged or of another library or model; the message says which."""


class Missing(NotUsable):
    """There is no such file yet, or nothing is left of what it covers."""


@dataclass(frozen=True)
class Owner:
    """Whose derived file it is: the library and the space, and by which query bank hubs are corrected in it."""

    library_id: str
    fingerprint: str
    modality: Modality
    dimension: int
    query_bank: str = ""


@dataclass(frozen=True)
class Record:
    """What the store says of a derived file: the items up to which it covers all, a checksum, and where it ends.

    A library that was brought back from a backup, or copied, speaks of the file as it was then, and of no other.
    """

    covers_to: int
    checksum: int
    end: int = 0


def owner_of(store: Store, space: Space) -> Owner:
    """The owner that a file made now of that space has."""
    identity = space.identity
    library_id = store.setting("library_id") or ""
    return Owner(library_id, identity.fingerprint, space.modality, identity.dimension, space.query_bank)


def check_owner(owner: Owner, store: Store, space: Space) -> None:
    """Raises NotUsable for a file of another library or space; Missing for one of before the query bank."""
    right = owner_of(store, space)
    if owner == replace(right, query_bank="") != right:
        raise Missing("made before hubs were corrected")
    if owner != right:
        raise NotUsable("of another library or model")


def record_of(store: Store, space: Space, kind: str) -> Record:
    """The record of the space's file of that kind.

    Raises:
        Missing: there is none.
    """
    try:
        return Record(**json.loads(store.setting(_record_key(space, kind)) or ""))
    except (ValueError, TypeError):  # none, or damaged
        raise Missing("missing") from None


def keep_record(store: Store, space: Space, kind: str, record: Record) -> None:
    """Makes `record` the one of the space's file of that kind, once that file is safe on the disk."""
    with store.transaction():
        store.set_setting(_record_key(space, kind), json.dumps(asdict(record)))
    crash_point("record kept")


def _record_key(space: Space, kind: str) -> str:
    return f"{kind} {space.identity.fingerprint[:16]}-{space.modality}"


def derived_path(folder: str, space: Space, kind: str) -> str:
    """Where the derived file of that kind lies in the library `folder`."""
    return os.path.join(folder, "derived", f"{space.identity.fingerprint[:16]}-{space.modality}.{kind}")


def opened(path: str) -> BinaryIO:
    """The derived file at `path`, to be read. A named pipe in its place is not waited for: it is empty, and no file."""
    return open(path, "rb", opener=open_without_waiting)


def remove(path: str) -> None:
    """Deletes a derived file if it is there."""
    with suppress(FileNotFoundError):
        os.remove(path)


def derived_bytes(folder: str) -> int:
    """How much room all derived files of the library take, in bytes."""
    place = os.path.join(folder, "derived")
    if not os.path.isdir(place):
        return 0
    with os.scandir(place) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())


def remove_all(folder: str) -> None:
    """Deletes all derived files of the library."""
    remove_others(folder, own=())


def remove_others(folder: str, own: Sequence[ModelIdentity]) -> None:
    """Deletes derived files of all but these models, those of older versions, and what killed runs have left."""
    beginnings = tuple(f"{identity.fingerprint[:16]}-" for identity in own)
    place = os.path.join(folder, "derived")
    if os.path.isdir(place):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            is_own = name.startswith(beginnings) and not name.endswith((".part", ".vectors"))
            if not is_own and not os.path.isdir(path):  # nothing of ours is a folder
                os.remove(path)
    crash_point("others removed")
