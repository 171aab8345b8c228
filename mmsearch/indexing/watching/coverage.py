"""Which folders are watched, and which cannot be and are walked from time to time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from mmsearch.errors import MmsearchError
from mmsearch.files.paths import is_below
from mmsearch.indexing.watching.changes import ChangeSource, OnChange, WatchesExhausted
from mmsearch.indexing.watching.mounts import Mount, MountTable

OpenSource = Callable[[OnChange], ChangeSource]


def open_source(on_change: OnChange) -> ChangeSource:
    """The way in which this system tells of changes.

    Raises:
        Unsupported: it takes a package that is not installed. WatchesExhausted: this user watches too much already.
    """
    if sys.platform == "linux":
        from mmsearch.indexing.watching.inotify import Inotify

        return Inotify(on_change)
    from mmsearch.indexing.watching.trees import Trees

    return Trees(on_change)


class Coverage:
    """The watched folders of some roots. Each folder that a walk comes to is handed to `watch`."""

    def __init__(self, table: MountTable, library_folder: str) -> None:
        self._table = table
        self._own = tuple(os.fsencode(one) for one in {library_folder, os.path.realpath(library_folder)})
        self._source: ChangeSource | None = None
        self._mounts: tuple[Mount, ...] = ()
        self._devices: dict[int, Mount] = {}
        self._walked: set[bytes] = set()
        self._roots: Callable[[], Iterable[bytes]] = tuple
        self._inwards: list[bytes] | None = None
        self._unwatched = 0
        self._limit = ""
        # What is walked from time to time, with the type of the network drive that it lies on, if any.
        self.timed: dict[bytes, str] = {}
        self._said: set[bytes] = set()
        self.read_mounts()

    def open(self, on_change: OnChange, source: OpenSource, is_needed: bool) -> None:
        """Begins; where the system cannot tell and that `is_needed`, an error is raised, else all is walked."""
        try:
            self._source = source(on_change)
        except WatchesExhausted as error:
            self._limit = error.limit
        except MmsearchError:
            if is_needed:
                raise

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        self._table.close()

    @property
    def folders(self) -> int:
        """How many folders are watched."""
        return 0 if self._source is None else self._source.count()

    def is_own(self, path: bytes) -> bool:
        """Whether it is a file of the library, which each run writes."""
        return any(is_below(path, folder) for folder in self._own)

    # What a walk comes to

    def begin(self, roots: Callable[[], Iterable[bytes]]) -> None:
        """A walk of all roots begins, which `roots` knows once it is under way."""
        self._roots = roots
        self._inwards = None
        self._walked.clear()
        self._unwatched = 0
        self.timed.clear()

    def watch(self, folder: bytes) -> None:
        """Watches a folder, before its entries are listed."""
        if self.is_own(folder):
            return
        mount = self._network_drive(folder)
        if mount is not None:
            self._time(folder, mount.kind)
            return
        self._walked.add(folder)
        try:
            if self._source is None:
                raise WatchesExhausted(self._limit)
            self._source.add(folder)
        except WatchesExhausted as error:
            self._limit = error.limit
            self._unwatched += 1
            self._time(self._root_around(folder), "")

    def end(self) -> None:
        """The walk of all roots has come to its end: what it did not come to is not watched any more."""
        if self._source is not None:
            self._source.retain(self._walked)

    def news(self, seconds: float) -> list[tuple[str, tuple[bytes, ...]]]:
        """Sentences on what is walked every so many seconds instead, once each, with the folders."""
        often = f"changes there are found by a walk every {seconds:,.0f} seconds"
        new = sorted(self.timed.keys() - self._said)
        self._said.update(new)
        said: list[tuple[str, tuple[bytes, ...]]] = [
            (f"{os.fsdecode(folder)} is on a network drive ({kind}), which tells of no changes; {often}", (folder,))
            for folder in new
            if (kind := self.timed[folder])
        ]
        unwatched = tuple(folder for folder in new if not self.timed[folder])
        return [*said, (self._sentence_on_limit(often), unwatched)] if unwatched else said

    def _sentence_on_limit(self, often: str) -> str:
        if not self._limit:
            return f"this system tells of no changes; {often}"
        if self._limit.endswith("instances"):
            return f"too many programs watch folders already; {often}; `sudo sysctl {self._limit}=1024` allows more"
        enough = 1 << max(19, (2 * (self.folders + self._unwatched)).bit_length())
        return (
            f"this system watches no more than {self.folders:,} folders here, and there are {self._unwatched:,} more; "
            f"{often}; `sudo sysctl {self._limit}={enough}` allows all"
        )

    def _root_around(self, folder: bytes) -> bytes:
        if self._inwards is None:
            self._inwards = sorted(self._roots(), key=len, reverse=True)
        return next((root for root in self._inwards if is_below(folder, root)), folder)

    def _time(self, folder: bytes, kind: str) -> None:
        if not any(is_below(folder, one) for one in self.timed):
            for inner in [one for one in self.timed if is_below(one, folder)]:
                del self.timed[inner]
            self.timed[folder] = kind

    # Drives

    def read_mounts(self) -> set[bytes]:
        """Reads the table of mounts anew. Returns where drives came or went since the last time."""
        before, self._mounts = set(self._mounts), self._table.mounts()
        self._devices = {mount.device: mount for mount in self._mounts if mount.is_network}
        return {mount.path for mount in before ^ set(self._mounts)}

    def drives_moved(self) -> set[bytes] | None:
        """Where drives came or went since the last call; None where surely nothing did. One that went and is back again
        may not be among them.
        """
        return self.read_mounts() if self._table.has_changed() else None

    def _network_drive(self, folder: bytes) -> Mount | None:
        if not self._devices:
            return None
        try:
            return self._devices.get(os.stat(folder).st_dev)
        except OSError:
            return None
