"""Whether files are there now: asked of the system in threads of their own, since a drive that hangs never answers."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from mmsearch.files.archives import archive_of, status_at
from mmsearch.files.member_paths import is_member_path, splits
from mmsearch.files.paths import is_below, with_parents
from mmsearch.files.remote_paths import is_remote

# So long, in seconds, a search waits for all of its files together,
PATIENCE = 1.0
# and so long for any one of them, before the others are asked for without its folder.
PATIENCE_EACH = 0.25

Status = Callable[[bytes], "os.stat_result | None"]
_UNKNOWN = object()


class Shown(NamedTuple):
    """The file that stands for all of one content: its path, those of the others, and whether it is there."""

    path: bytes
    copies: tuple[bytes, ...]
    is_there: bool


class Packed(NamedTuple):
    """In which archive a file lies, and what it is called there, with slashes; None for a file of its own."""

    archive: str | None
    member: str | None


class Presence:
    """Looks at files for any number of threads. A folder that hangs is not asked again until its call has come back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hanging: Counter[bytes] = Counter()

    def look(self, paths: Iterable[bytes]) -> dict[bytes, os.stat_result | None]:
        """What the system says of each file; None where there is none, or where it has not answered in time.

        So it is behind a URL, where nobody is asked: a search waits for no network.
        """
        found: dict[bytes, os.stat_result | None] = dict.fromkeys(paths)
        return found | self._answers(found, status_of)

    def emptied(self, paths: Iterable[bytes]) -> tuple[bytes, ...]:
        """The topmost folders in which nothing is, of those paths at which nothing is: where a drive is away that is
        one, and not its ten thousand files. Of what hangs it is the folder.
        """
        paths = list(paths)
        gone = [path for path, status in self._answers(paths, status_of).items() if status is None]
        above = {path: [one for one in with_parents(path) if one != path and not is_member_path(one)] for path in gone}
        there = self._answers((one for parents in above.values() for one in parents), something_at)
        found: set[bytes] = set()
        for path, parents in above.items():
            empty = list(takewhile(lambda one: there.get(one, _UNKNOWN) is None, parents))
            found.add(empty[-1] if empty else path)
        with self._lock:
            hanging = list(self._hanging)
        return tuple(sorted(found | {folder for folder in hanging if any(is_below(path, folder) for path in paths)}))

    def is_still_empty(self, folders: Sequence[bytes]) -> bool:
        """Whether in none of the folders that were so is anything now."""
        return all(status is None for status in self._answers(folders, something_at).values())

    def _answers(self, paths: Iterable[bytes], status: Status) -> dict[bytes, os.stat_result | None]:
        """What is told of those paths of this machine of which it is told in time."""
        found: dict[bytes, os.stat_result | None] = {}
        waiting, end = [path for path in dict.fromkeys(paths) if not is_remote(path)], time.monotonic() + PATIENCE
        while waiting and time.monotonic() < end:
            with self._lock:
                hanging = list(self._hanging)
            asked = _Look([path for path in waiting if not any(is_below(path, folder) for folder in hanging)], status)
            if not asked.paths:
                break
            threading.Thread(target=self._ask, args=(asked,), daemon=True).start()
            self._wait(asked, end)
            found.update(zip(asked.paths, asked.statuses, strict=False))
            waiting = asked.paths[len(asked.statuses) + 1 :]
        return found

    def shown(self, files: Iterable[tuple[bytes, Sequence[bytes]]]) -> list[Shown]:
        """Of each path and its copies the one to be shown: a copy that is there stands for a file that is not, and one
        that other programs can open for one in an archive.

        What lies behind a URL is taken to be there, as it was when it was indexed.
        """
        files = list(files)
        there = self.look(path for path, _ in files)
        there |= self.look(
            copy for path, copies in files if there[path] is None or is_member_path(path) for copy in copies
        )
        found: list[Shown] = []
        for path, copies in files:
            paths = [path, *copies]
            present = [one for one in paths if there.get(one) is not None]
            shown = next((one for one in present if not is_member_path(one)), next(iter(present), None))
            if shown is None:
                shown = next((one for one in paths if is_remote(one)), path)
            is_there = there[shown] is not None or is_remote(shown)
            found.append(Shown(shown, tuple(one for one in paths if one != shown), is_there))
        return found

    def _wait(self, asked: _Look, end: float) -> None:
        """Returns once all is answered, or when the next answer is not worth waiting for."""
        while True:
            known = len(asked.statuses)
            left = end - time.monotonic()
            if asked.finished.wait(max(0.0, min(PATIENCE_EACH, left))):
                return
            if left > PATIENCE_EACH and len(asked.statuses) > known:
                continue  # slow, and yet it answers
            with self._lock:
                if len(asked.statuses) < len(asked.paths):
                    asked.is_given_up = True
                    self._hanging[os.path.dirname(asked.paths[len(asked.statuses)])] += 1
            return

    def _ask(self, asked: _Look) -> None:
        for path in asked.paths:
            status = asked.status(path)
            with self._lock:
                if asked.is_given_up:
                    self._hanging -= Counter([os.path.dirname(path)])
                    return
                asked.statuses.append(status)
        asked.finished.set()


class _Look:
    """Paths and what was answered of the first of them."""

    def __init__(self, paths: list[bytes], status: Status) -> None:
        self.paths = paths
        self.status = status
        self.statuses: list[os.stat_result | None] = []
        self.finished = threading.Event()
        self.is_given_up = False


def packed_in(path: bytes, is_there: bool) -> Packed:
    """Where a file lies of which it is known whether it is there: of others the system is not asked."""
    inside = archive_of(path) if is_there and is_member_path(path) else next(splits(path), None)
    return Packed(None, None) if inside is None else Packed(*map(os.fsdecode, inside))


def status_of(path: bytes) -> os.stat_result | None:
    """What the system says of a file, or None where there is none. It may take for ever."""
    try:
        return status_at(path)
    except (OSError, ValueError):
        return None


def something_at(path: bytes) -> os.stat_result | None:
    """The same, and None for a folder without any entry: where a drive is not mounted. It may take for ever."""
    status = status_of(path)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return status
    try:
        with os.scandir(path) as entries:
            return status if next(entries, None) is not None else None
    except OSError:
        return status
