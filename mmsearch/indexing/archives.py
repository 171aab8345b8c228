"""Archives in a walk: each is opened only if it is not as it was when it was read last."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmsearch.files.archives import Archive, NotAnArchive, archive_at, mark_of
from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import member_path
from mmsearch.files.paths import with_parents
from mmsearch.indexing.ignore_rules import reason_of
from mmsearch.indexing.targets import Targets, may_have_sidecars
from mmsearch.indexing.walking import Found, FoundArchive, FoundFile, FoundSidecar, WalkProblem
from mmsearch.reading.sidecars import sidecars_among
from mmsearch.records import KnownArchive, Root

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# Rises when the same archive gives other files: then all are opened again.
_VERSION = 3


@dataclass
class SeenArchive:
    """An archive that a walk came upon, as it was found; `known` is what it was when it was read last.

    `unread` counts its files that no reader takes, by extension. `trouble` is why it could not be read, or why some of
    it was left out. `is_new` tells that it was opened.
    """

    known: KnownArchive
    is_new: bool
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def trouble(self) -> str | None:
        return self.known.trouble


@dataclass
class ArchiveWalk:
    """What a walk of a root, or of its `targets`, finds in archives. Those out of its reach are among its problems."""

    store: Store
    root: Root
    readers: str
    targets: Targets | None = None
    seen: dict[bytes, SeenArchive] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known: Mapping[bytes, KnownArchive] | None = None

    def within(self, found: Iterable[Found]) -> Iterator[Found]:
        """What was found, with what lies in each archive in its place."""
        for one in found:
            if isinstance(one, FoundArchive):
                yield from self._members(one)
            else:
                yield one

    @property
    def known(self) -> Mapping[bytes, KnownArchive]:
        """The archives that the root had, as they were read last."""
        if self._known is None:
            self._known = self.store.archives_of_root(self.root.id)
        return self._known

    def new_troubles(self) -> list[tuple[KnownArchive, str]]:
        """What was found out now: of which archives something could not be read, and why."""
        return [(one.known, one.trouble) for one in self.seen.values() if one.is_new and one.trouble is not None]

    def _members(self, found: FoundArchive) -> Iterator[Found]:
        read_as = json.dumps([_VERSION, self.readers, found.rules])
        read_as = hashlib.blake2b(read_as.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        known = self.known.get(found.path)
        if known is not None and known[1:5] == (*found[1:4], read_as):
            members = self.store.members_of(found.path)
            is_told = known.trouble is None or self.store.failure_at(found.path) is not None
            if is_told and len(members) == known.files and all(member.size >= 0 for member in members):
                self.seen[found.path] = SeenArchive(known, is_new=False, unread=Counter(known.unread))
                yield from (FoundFile(*member, archive=found.path) for member in members)
                return
        state: tuple[int, int, int | None] = found[1:4]
        try:
            archive = archive_at(found.path)
        except NotAnArchive as error:
            self._see(found.path, state, read_as, error.reason)
        except FileNotFoundError:
            return
        except OSError as error:  # out of reach, not gone
            yield WalkProblem(found.path, reason_of(error))
        else:
            state = archive.size, archive.mtime_ns, archive.ctime_ns
            self._see(found.path, state, read_as, archive.trouble)
            yield from _opened(found, archive)

    def _see(self, path: bytes, state: tuple[int, int, int | None], read_as: str, trouble: str | None) -> None:
        self.seen[path] = SeenArchive(KnownArchive(path, *state, read_as, 0, {}, trouble), is_new=True)


def _opened(found: FoundArchive, archive: Archive) -> Iterator[FoundFile | FoundSidecar]:
    """The files that the rules take of an archive, folder by folder, but for those in the place of which another lies
    on the disk.
    """
    folders: dict[bytes, list[bytes]] = {}
    for name in found.taken(sorted(archive.members)):
        if not os.path.lexists(member_path(found.path, name)):
            folders.setdefault(name.rpartition(b"/")[0], []).append(name)
    for names in folders.values():
        last = {name.rpartition(b"/")[2]: name for name in names}
        sidecars = sidecars_among(set(last), may_have_sidecars)
        for own, name in last.items():
            entry, path = archive.members[name], member_path(found.path, name)
            if own in sidecars:
                photos = tuple(member_path(found.path, last[photo]) for photo in sidecars[own])
                yield FoundSidecar(path, entry.unpacked, mark_of(entry), photos)
            else:
                yield FoundFile(path, entry.unpacked, archive.modified(entry), mark_of(entry), found.path)


def keep_archives(store: Store, walk: ArchiveWalk, sniffed: Mapping[bytes, int], unreachable: Iterable[bytes]) -> None:
    """Keeps in which state the archives of a root were read, and forgets those that are gone.

    To be called once all that came of their files is stored. `sniffed` counts those of each archive that no reader
    takes though their names did not tell; of what lies at an `unreachable` path, or below one, nothing is known.
    """
    new = [one for one in walk.seen.values() if one.is_new]
    away = set(unreachable)
    gone = [
        path
        for path in walk.known
        if path not in walk.seen
        and away.isdisjoint(with_parents(path))
        and (walk.targets is None or walk.targets.hold(path))
    ]
    if not new and not gone:
        return
    with store.transaction():
        store.remove_archives(gone)
        for one in new:
            path = one.known.path
            unread = one.unread + Counter({"": sniffed.get(path, 0)})
            files = len(store.members_of(path))
            store.put_archive(walk.root.id, one.known._replace(files=files, unread=dict(unread)))
    crash_point("archives noted")
