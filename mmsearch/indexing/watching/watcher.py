"""The watcher: waits for changes, and has them indexed once they rest."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Protocol

from mmsearch.errors import Busy, MmsearchError, Unavailable
from mmsearch.files.paths import is_below
from mmsearch.indexing.report import IndexReport
from mmsearch.indexing.root_presence import is_empty_folder
from mmsearch.indexing.run import IndexSettings
from mmsearch.indexing.targets import may_matter
from mmsearch.indexing.watching.changes import Change
from mmsearch.indexing.watching.coverage import Coverage, OpenSource, open_source
from mmsearch.indexing.watching.events import WatchEvent, WatchEventKind, WatchSettings
from mmsearch.indexing.watching.mounts import MountTable
from mmsearch.indexing.watching.pending import REST_SECONDS, Pending

# Between two looks at what nobody tells of: roots and drives that come and go.
_LOOK_SECONDS = 2.0
# Between two walks of what nobody tells of either, where nothing else was asked for.
_EVERY_SECONDS = 600.0
# Until what could not be done is tried again: while another process writes, and where the disk is full or away.
_BUSY_SECONDS, _TROUBLE_SECONDS = 1.0, 30.0
# Second readings of many files wait, so that others are looked at, after so long.
_UNLOOKED_SECONDS = 600.0
# A clock that has run on for so long without us tells that the machine was asleep.
_SLEPT_SECONDS = 60.0


class WatchedLibrary(Protocol):
    """What a watcher asks of the library."""

    @property
    def folder(self) -> str:
        """Where it lies."""

    def begin(self, settings: IndexSettings) -> IndexReport:
        """The first run: walks all that is to be watched."""

    def index(self, only: Sequence[bytes], settings: IndexSettings) -> IndexReport:
        """Indexes what is named, or all that is watched where nothing is."""

    def go_on(self, settings: IndexSettings) -> IndexReport:
        """Does what the last runs have left to do for files that are known, and walks nothing."""

    def roots(self) -> tuple[bytes, ...]:
        """The roots that are watched, which may change at any time."""

    def let_go(self) -> None:
        """Drops models from memory; the next run loads them again."""

    def close(self) -> None:
        """Lets go of all files. Called from the thread that watched."""


class Watcher:
    """Keeps a library up to date with its folders, until it is stopped. Made by `Library.watcher`.

    `run` does so in the calling thread, `start` in one of its own. `on_event` is called from that thread.
    """

    def __init__(
        self,
        library: WatchedLibrary,
        settings: WatchSettings,
        on_event: Callable[[WatchEvent], None],
        source: OpenSource = open_source,
        table: MountTable | None = None,
    ) -> None:
        self._library = library
        self._settings = settings
        self._every = _EVERY_SECONDS if settings.every is None else settings.every
        self._on_event = on_event
        self._source = source
        self._coverage = Coverage(table or MountTable(), library.folder)
        self._stop = threading.Event()
        self._told: SimpleQueue[Change | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pending = Pending()
        self._states: dict[bytes, object] = {}
        self._offline: set[bytes] = set()
        self._said: set[str] = set()
        self._not_before = 0.0
        self.error: MmsearchError | None = None
        """What ended a watcher that was started, or None."""

    def start(self) -> None:
        """Watches in a thread of its own, until `stop`. What ends it before that is told as `error`."""
        self._thread = threading.Thread(target=self._run_apart, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends watching in good order: what is encoded is kept. Returns once it has ended, where it was started."""
        self._stop.set()
        self._told.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self) -> None:
        """Walks all that is to be watched, then waits for changes and indexes them, until `stop` or an interrupt.

        Raises:
            MmsearchError: a folder is not there, or something is wrong that time does not put right.
        """
        now = time.monotonic()
        self._looked = self._timed_at = self._whole_at = self._worked = now
        self._drift = time.time() - now
        self._has_model = self._has_begun = self._has_left = False
        try:
            self._coverage.open(self._told.put, self._source, is_needed=self._settings.every is None)
            self._pending.note_everything(now)
            while not self._stop.is_set():
                self._wait()
                self._look()
                self._work()
        finally:
            self._coverage.close()
            self._library.close()

    def _run_apart(self) -> None:
        try:
            self.run()
        except MmsearchError as error:
            self.error = error
            self._tell("trouble", error.message, remedy=error.remedy)

    # Waiting

    def _wait(self) -> None:
        """Returns once something is to be done; takes in all that was told by then."""
        until = [self._looked + _LOOK_SECONDS]
        if self._has_left:
            until.append(self._not_before)
        due = self._pending.due()
        if due is not None:
            until.append(max(due, self._not_before))
        with suppress(Empty):
            self._take_in(self._told.get(timeout=max(0.0, min(until) - time.monotonic())))
            self._take_in_more()

    def _take_in_more(self) -> None:
        with suppress(Empty):
            while True:
                self._take_in(self._told.get_nowait())

    def _gives_way(self) -> bool:
        """Whether second readings are to wait, as something else is to be done. A run asks, in this thread."""
        self._take_in_more()
        due, now = self._pending.due(), time.monotonic()
        return (due is not None and due <= now) or now > self._looked + _UNLOOKED_SECONDS

    def _take_in(self, change: Change | None) -> None:
        if change is None:
            return
        now = time.monotonic()
        if change.path is None:
            self._pending.note_everything(now)
        elif not self._coverage.is_own(change.path) and (change.is_folder or may_matter(change.path)):
            self._pending.note(change.path, now, change.is_written)

    def _look(self) -> None:
        """Looks at what nobody tells of, from time to time."""
        now = time.monotonic()
        if now < self._looked + _LOOK_SECONDS:
            return
        self._looked = now
        if not self._has_begun:
            return
        moved = self._coverage.drives_moved()
        for path in () if moved is None else moved | self._offline:
            if any(is_below(path, root) or is_below(root, path) for root in self._states):
                self._pending.note(path, now)
        states = self._root_states()
        for root, state in states.items():
            if root not in self._states or self._states[root] != state:
                self._pending.note(root, now)
        self._states = states
        drift = time.time() - now
        if drift - self._drift > _SLEPT_SECONDS or now > self._whole_at + self._settings.whole_every:
            self._pending.note_everything(now)
        self._drift = drift
        if self._coverage.timed and now > self._timed_at + self._every:
            self._timed_at = now
            for folder in self._coverage.timed:
                self._pending.note(folder, now)
        if self._has_model and now > self._worked + self._settings.keep_model:
            self._has_model = False
            self._library.let_go()

    def _root_states(self) -> dict[bytes, object]:
        """What tells that a root has come, gone, or been put in the place of another one."""
        return {root: self._root_state(root) for root in self._library.roots()}

    def _root_state(self, root: bytes) -> object:
        try:
            status = os.stat(root)
        except OSError:
            return None
        if stat.S_ISREG(status.st_mode):  # the walk of a file comes to no folder
            return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        return status.st_dev, status.st_ino, root in self._offline and is_empty_folder(root)

    # Indexing

    def _work(self) -> None:
        """Has indexed what rests by now."""
        now = time.monotonic()
        if now < self._not_before or self._stop.is_set():
            return
        due = self._pending.due()
        if self._pending.is_everything and due is not None and due <= now:
            self._walk_everything()
        elif paths := self._pending.take(now):
            self._index_some(paths)
        elif self._has_left:
            report = self._index(self._library.go_on)
            if report is not None and not report.stopped:
                self._note_report(report)

    def _walk_everything(self) -> None:
        self._pending.take_everything()
        self._coverage.begin(self._library.roots)
        states = self._root_states()
        index = self._library.index if self._has_begun else lambda only, settings: self._library.begin(settings)
        report = self._index(lambda settings: index((), settings))
        if report is None:
            self._pending.note_everything(time.monotonic())
            return
        if report.stopped:
            return
        self._coverage.end()
        self._states = {**self._root_states(), **states}  # what has changed since is noticed
        self._whole_at = self._timed_at = time.monotonic()
        is_first, self._has_begun = not self._has_begun, True
        self._take_report(report, (), is_first)
        if is_first:
            self._tell("watching", folders=self._coverage.folders)

    def _index_some(self, paths: list[bytes]) -> None:
        report = self._index(lambda settings: self._library.index(paths, settings))
        if report is None:
            self._pending.give_back(paths, time.monotonic())
        elif not report.stopped:
            self._take_report(report, paths, False)

    def _index(self, index: Callable[[IndexSettings], IndexReport]) -> IndexReport | None:
        """Runs, and says once why that is not possible now."""
        # What has rested here has rested for the run too.
        rest = 0.8 * REST_SECONDS
        settings = replace(self._settings.index, stop=self._stop, rest=rest, on_folder=self._coverage.watch)
        settings = replace(settings, gives_way=self._gives_way)
        try:
            report = index(settings)
        except Busy as error:
            self._not_before = time.monotonic() + _BUSY_SECONDS
            self._say_once("waiting", error)
            return None
        except Unavailable as error:
            if not self._has_begun:
                raise
            self._not_before = time.monotonic() + _TROUBLE_SECONDS
            self._say_once("trouble", error)
            return None
        self._said.clear()
        return report

    def _take_report(self, report: IndexReport, paths: Sequence[bytes], is_first: bool) -> None:
        self._note_report(report, paths, is_first)
        self._take_offline(report, paths)
        for message, folders in self._coverage.news(self._every):
            self._tell("timed", message, folders)

    def _note_report(self, report: IndexReport, paths: Sequence[bytes] = (), is_first: bool = False) -> None:
        now = self._worked = time.monotonic()
        self._has_model = True
        parts = [report, *([report.catching_up] if report.catching_up else []), *report.sound]
        for path in {path for part in parts for path in part.unsettled}:
            self._pending.note(path, now)
        has_left = any(stage.left for one in parts for stage in one.stages)
        self._has_left = has_left or (self._has_left and bool(paths))
        if is_first or _is_news(parts):
            self._tell("indexed", paths=paths, report=report)

    def _take_offline(self, report: IndexReport, paths: Sequence[bytes]) -> None:
        """Tells of roots and drives that went away or came back, as far as the run has looked."""
        away = set(report.offline)
        gone = away - self._offline
        back = {
            path
            for path in self._offline - away
            if not paths or any(is_below(path, one) or is_below(one, path) for one in paths)
        }
        self._offline = (self._offline | gone) - back
        # It may have come back before anybody looked.
        self._states.update(dict.fromkeys(gone & self._states.keys()))
        if gone:
            self._tell("offline", paths=sorted(gone))
        if back:
            self._tell("online", paths=sorted(back))

    def _say_once(self, kind: WatchEventKind, error: MmsearchError) -> None:
        if error.message not in self._said:
            self._said.add(error.message)
            self._tell(kind, error.message, remedy=error.remedy)

    def _tell(self, kind: WatchEventKind, message: str = "", paths: Iterable[bytes] = (), **more: object) -> None:
        self._on_event(WatchEvent(kind, message, tuple(paths), **more))  # type: ignore[arg-type]


def _is_news(reports: Iterable[IndexReport]) -> bool:
    """Whether a run has changed anything."""
    return any(
        one.added + one.updated + one.encoded + one.moved + one.removed + one.failed + one.details_read
        or one.absent
        or any(stage.read + stage.failed for stage in one.stages)
        for one in reports
    )
