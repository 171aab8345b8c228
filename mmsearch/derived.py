"""Files derived from the catalogue: whose they are, how far they can be trusted, and how they are replaced.

A derived file may always be deleted: it is made again from the catalogue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO

import xxhash

from mmsearch.catalogue import Catalogue, ItemIds
from mmsearch.crash_points import crash_point
from mmsearch.encoding import ModelIdentity
from mmsearch.items import Modality
from mmsearch.spaces import Space

# How far before the last row of a file the rows lie whose vectors it remembers.
_PROBES_BEFORE_LAST = (0, 1, 3, 7, 31, 127, 1_023, 8_191)


class NotUsable(Exception):
    """A derived file that is damaged or of another library or model; the message says which."""


class Missing(NotUsable):
    """There is no such file yet, or nothing is left of what it covers."""


@dataclass(frozen=True)
class Owner:
    """Whose derived file it is: the library and the space."""

    library_id: str
    fingerprint: str
    modality: Modality
    dimension: int


@dataclass(frozen=True)
class Probe:
    """An item that a derived file covers, and the checksum of its vector in the catalogue when the file was made.

    A file that was kept from another state of the same library, a backup say, may know other items by the same ids.
    """

    item_id: int
    checksum: int


def owner_of(catalogue: Catalogue, space: Space) -> Owner:
    """The owner that a file made now of that space has."""
    identity = space.identity
    return Owner(catalogue.setting("library_id") or "", identity.fingerprint, space.modality, identity.dimension)


def check_owner(owner: Owner, catalogue: Catalogue, space: Space) -> None:
    """Raises NotUsable for a file of another library or space."""
    if owner != owner_of(catalogue, space):
        raise NotUsable("of another library or model")


def probes_of(catalogue: Catalogue, item_ids: ItemIds) -> tuple[Probe, ...]:
    """Some of these items, [n], ascending, dense at the end: the last may be deleted, and the file serves on."""
    places = sorted({max(0, len(item_ids) - 1 - before) for before in _PROBES_BEFORE_LAST}) if len(item_ids) else []
    return tuple(probe for place in places if (probe := probe_of(catalogue, int(item_ids[place]))))


def probe_of(catalogue: Catalogue, item_id: int) -> Probe | None:
    """That item as it is now, or None where it is gone."""
    vector = catalogue.vector_of(item_id)
    return None if vector is None else Probe(item_id, xxhash.xxh3_64_intdigest(vector))


def trusted_to(catalogue: Catalogue, probes: Iterable[Probe]) -> int:
    """The id of the last item up to which a file with these probes speaks of the library as it is.

    Raises:
        NotUsable: it knows an item by the id of another one. Missing: none of its items is left.
    """
    for probe in sorted(probes, key=lambda one: one.item_id, reverse=True):
        now = probe_of(catalogue, probe.item_id)
        if now == probe:
            return probe.item_id
        if now is not None:
            raise NotUsable("of another state of this library")
    raise Missing("its last items are gone")


def derived_path(folder: str, space: Space, kind: str) -> str:
    """Where the derived file of that kind lies in the library `folder`."""
    return os.path.join(folder, "derived", f"{space.identity.fingerprint[:16]}-{space.modality}.{kind}")


def write_whole(path: str, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file beside `path`, syncs it, and puts it in place in one step."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        crash_point("derived file written")
        os.replace(temporary, path)
        crash_point("derived file in place")
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def derived_bytes(folder: str) -> int:
    """How much room all derived files of the library take, in bytes."""
    place = os.path.join(folder, "derived")
    if not os.path.isdir(place):
        return 0
    with os.scandir(place) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())


def remove_all(folder: str) -> None:
    """Deletes all derived files of the library."""
    remove_strangers(folder, own=())


def remove_strangers(folder: str, own: Sequence[ModelIdentity]) -> None:
    """Deletes derived files of all but these models, those of older versions, and what killed runs have left."""
    beginnings = tuple(f"{identity.fingerprint[:16]}-" for identity in own)
    place = os.path.join(folder, "derived")
    if os.path.isdir(place):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            is_own = name.startswith(beginnings) and not name.endswith((".part", ".vectors"))
            if not is_own and not os.path.isdir(path):  # nothing of ours is a folder
                os.remove(path)
    crash_point("strangers removed")
